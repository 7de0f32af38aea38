/**
 * The bytes of one data file on their way to its store: an upload that begins with the first of them.
 */
import { assert } from "#base/assert.ts";
import { failpoint } from "#base/failpoint.ts";
import type { ByteSink } from "#parquet/encoder.ts";
import type { ObjectWriter, Storage } from "#storage/storage.ts";

/** One data file; until `close` nothing is there under its name. */
export class DataSink {
  readonly path: string;
  readonly #storage: Storage;
  #writer: ObjectWriter | null = null;
  #bytes = 0;

  constructor(storage: Storage, path: string) {
    this.#storage = storage;
    this.path = path;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next bytes. */
  readonly write: ByteSink = async (chunk) => {
    this.#bytes += chunk.length;
    if (this.#writer === null) {
      failpoint("upload");
      this.#writer = await this.#storage.writer(this.path);
    }
    await this.#writer.write(chunk);
  };

  /** Makes the file durable under its name. Throws `storage_corrupt` when the store altered it. */
  async close(sha256: string): Promise<void> {
    assert(this.#writer !== null, "a Parquet file has bytes");
    const stored = await this.#writer.close(sha256);
    assert(stored.bytes === this.#bytes, "the store has every byte that was encoded");
    this.#writer = null;
  }

  /** Removes what was written, unless the file is durable. Never throws. */
  async abort(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    await writer?.abort().catch(() => undefined);
  }
}
