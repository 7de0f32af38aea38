/** Entries of which no value is read: nulls, counters; and values in the place of indexes. */
import { LIMITS } from "#base/limits.ts";
import type { LeafColumn } from "#parquet/kernel/leaves.ts";
import type { PageLevels } from "./pages.ts";
import { unfit } from "./source.ts";

/** Entries of rows that have no value. */
export function nullLevels(rows: number): PageLevels {
  const levels = new Uint8Array(rows);
  return { entries: rows, present: 0, repetitions: levels, definitions: levels };
}

/** Entries of rows that have one value each, which is in no list. */
export function fullLevels(rows: number, { definitionMax }: LeafColumn): PageLevels {
  const definitions = new Uint8Array(rows).fill(definitionMax);
  return { entries: rows, present: rows, repetitions: null, definitions };
}

/** Longs from `first` on, PLAIN. */
export function countedLongs(first: bigint, count: number): Uint8Array {
  const longs = new BigInt64Array(count);
  for (let at = 0; at < count; at++) longs[at] = first + BigInt(at);
  return new Uint8Array(longs.buffer);
}

/**
 * The values that indexes stand for, PLAIN.
 * @param dictionary PLAIN
 * @param width bytes of a value; 0: each is behind its length
 */
export function unrolled(dictionary: Uint8Array, width: number, indexes: Int32Array): Uint8Array {
  const starts = startsOf(dictionary, width);
  let bytes = 0;
  for (let n = 0; n < indexes.length; n++) {
    const index = indexes[n] as number;
    const start = starts[index];
    const end = starts[index + 1];
    if (start === undefined || end === undefined) throw unfit("an index is beyond its dictionary");
    bytes += end - start;
  }
  if (bytes > LIMITS.unrolledPageBytesMax) throw unfit("the values of a page take too much memory");
  const values = new Uint8Array(bytes);
  let at = 0;
  for (let n = 0; n < indexes.length; n++) {
    const index = indexes[n] as number;
    const end = starts[index + 1] as number;
    for (let from = starts[index] as number; from < end; from++) {
      values[at++] = dictionary[from] as number;
    }
  }
  return values;
}

/**
 * Where each PLAIN value of a dictionary begins, and where the last one ends.
 * @param width bytes of a value; 0: each is behind its length
 * @throws AppError `table_unsupported` when the last one is cut
 */
export function startsOf(dictionary: Uint8Array, width: number): number[] {
  const view = new DataView(dictionary.buffer, dictionary.byteOffset, dictionary.byteLength);
  const starts = [0];
  for (let at = 0; at < dictionary.length; ) {
    const isCut = width === 0 && at + 4 > dictionary.length;
    at += width === 0 ? 4 + (isCut ? 0 : view.getUint32(at, true)) : width;
    if (at > dictionary.length) throw unfit("a dictionary ends within a value");
    starts.push(at);
  }
  return starts;
}
