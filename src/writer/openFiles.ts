/**
 * How many data files of a flush may be open at once: begun, and not yet durable.
 *
 * Files are encoded one after the other. While the next one is encoded, those before it are made
 * durable; a bound on their number and one on their bytes keep what a slow store holds in memory
 * small, whatever the number of partitions (`iceberg.write.max_open_files`, decision 0110).
 */
import { LIMITS } from "#base/limits.ts";

/** The open files of one flush. After a failure every call throws it. */
export class OpenFiles {
  readonly #countMax: number;
  readonly #open = new Set<Promise<void>>();
  #closingBytes = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /**
   * Waits for room, begins a file, and resolves when that is encoded.
   * @param write resolves when the file is durable; to call `encoded` with the file's size before
   */
  async begin(write: (encoded: (bytes: number) => void) => Promise<void>): Promise<void> {
    while (this.#open.size >= this.#countMax || this.#closingBytes >= LIMITS.closingFileBytesMax) {
      await Promise.race(this.#open);
    }
    const encoded = Promise.withResolvers<void>();
    let size = 0;
    const run = async (): Promise<void> => {
      await write((bytes) => {
        this.#closingBytes += bytes - size;
        size = bytes;
        encoded.resolve();
      });
      this.#closingBytes -= size;
      // A file that failed stays, so that whoever waits next is told.
      this.#open.delete(file);
    };
    const file = Promise.resolve().then(run);
    this.#open.add(file);
    await Promise.race([encoded.promise, ...this.#open]);
  }

  /** Waits until every file is durable. */
  async finish(): Promise<void> {
    await Promise.all(this.#open);
  }

  /** Waits until nothing is written any more, whatever came of it. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#open);
  }
}
