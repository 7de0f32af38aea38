/**
 * Pages on their way to the file: collected to pieces that are worth a hand-over, and the position
 * in the file that footers need.
 */
import type { FileBytes } from "#parquet/fileBytes.ts";
import { PIECE_BYTES, takePiece } from "#parquet/pieces.ts";

/** A file's bytes in order. */
export class Output {
  readonly #file: FileBytes;
  /** Taken when it is needed: the last one of a file goes with it. */
  #piece: Uint8Array | null = null;
  #used = 0;
  /** Bytes written so far. */
  position = 0;

  constructor(file: FileBytes) {
    this.#file = file;
  }

  /** Copies bytes; they may change when this resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    this.position += bytes.length;
    if (this.#used + bytes.length > PIECE_BYTES) await this.flush();
    if (bytes.length > PIECE_BYTES) {
      await this.#file.write(bytes.slice());
      return;
    }
    this.#piece ??= takePiece();
    this.#piece.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** Hands on what is collected. */
  async flush(): Promise<void> {
    if (this.#piece === null) return;
    const piece = this.#piece.subarray(0, this.#used);
    this.#piece = null;
    this.#used = 0;
    await this.#file.write(piece);
  }
}
