/**
 * The bytes of one file on their way to a sink: counted and hashed where they are made, so that what
 * the log records covers the way between threads as well.
 */
import type { ByteSink } from "./encoder.ts";

/** Counts and hashes what goes to a sink. */
export class FileBytes {
  readonly #sink: ByteSink;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #bytes = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Hands a chunk on; it belongs to the sink from then on. */
  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
    await this.#sink(chunk);
  }

  /** Size and SHA-256 (lower-case hex) of all that was written; call once. */
  finish(): { readonly bytes: number; readonly sha256: string } {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}
