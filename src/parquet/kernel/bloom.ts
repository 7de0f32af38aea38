/**
 * A column chunk's bloom filter (Parquet format, "BloomFilter.md": split blocks, xxHash of the PLAIN bytes
 * of each value). Which values there were is kept until the chunk ends, so that the filter is as large as
 * the distinct ones need, and no larger than asked for.
 */

import { optimalNumBytes, sbbfInsert, writeBloomFilter } from "hyparquet-writer/src/bloom.js";
import { ByteWriter } from "hyparquet-writer/src/bytewriter.js";
import type { BloomColumn } from "#parquet/encoder.ts";

/** Distinct values that are kept; with more, a filter of the largest size is filled at once. */
const KEPT_VALUES_MAX = 262_144;

/** The bloom filter of one column chunk under construction. */
export class ChunkBloom {
  readonly #column: BloomColumn;
  readonly #hashes = new Set<bigint>();
  #blocks: Uint32Array | null = null;

  constructor(column: BloomColumn) {
    this.#column = column;
  }

  /**
   * Takes the values of a page.
   * @param plain PLAIN values
   * @param width bytes of a value; 0: each is behind its length
   */
  add(plain: Uint8Array, width: number): void {
    const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
    for (let at = 0; at < plain.length; ) {
      const start = width === 0 ? at + 4 : at;
      const end = start + (width === 0 ? view.getUint32(at, true) : width);
      this.#insert(Bun.hash.xxHash64(plain.subarray(start, end)));
      at = end;
    }
  }

  /** The filter with its header; null: the chunk has no value. */
  end(): Uint8Array | null {
    if (this.#blocks === null && this.#hashes.size === 0) return null;
    const writer = new ByteWriter();
    writeBloomFilter(writer, this.#blocks ?? this.#filled());
    return writer.getBytes();
  }

  #insert(hash: bigint): void {
    if (this.#blocks !== null) {
      sbbfInsert(this.#blocks, hash);
      return;
    }
    this.#hashes.add(hash);
    if (this.#hashes.size <= KEPT_VALUES_MAX) return;
    this.#blocks = this.#filled(this.#column.bytesMax);
    this.#hashes.clear();
  }

  /** A filter of all that is kept. */
  #filled(bytes = optimalNumBytes(this.#hashes.size, this.#column.falsePositives)): Uint32Array {
    const blocks = new Uint32Array(filterBytes(Math.min(bytes, this.#column.bytesMax)) / 4);
    for (const hash of this.#hashes) sbbfInsert(blocks, hash);
    return blocks;
  }
}

/** The greatest power of two up to that, and one block at least: other sizes are refused by readers. */
function filterBytes(bytes: number): number {
  return Math.max(32, 2 ** Math.floor(Math.log2(bytes)));
}
