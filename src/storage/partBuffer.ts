/**
 * Collects the chunks of an object into parts, which an upload sends one by one. Chunks are copied,
 * since their owner may overwrite them; the event loop has its turn after every piece of a MiB.
 */
import type { Clock } from "#base/clock.ts";
import { PART_BYTES, takePart } from "./partMemory.ts";

/** Bytes copied and hashed between two turns of the event loop. */
const PIECE_BYTES = 1024 * 1024;
/** An object that begins with fewer bytes most likely has no more: it gets as much memory as it needs. */
const SMALL_BYTES = 256 * 1024;

/** The part of an object that is being filled. */
export class PartBuffer {
  readonly #clock: Clock;
  readonly #onPiece: (piece: Uint8Array) => void;
  /** As large as its first piece while that is a small one, else as a part. */
  #buffer: Uint8Array = new Uint8Array();
  #filled = 0;
  #bytes = 0;

  /** @param onPiece sees each piece once, in order: for checksums; default: nobody does */
  constructor(clock: Clock, onPiece: (piece: Uint8Array) => void = () => undefined) {
    this.#clock = clock;
    this.#onPiece = onPiece;
  }

  /** Bytes of the object so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes a chunk. A full part waits for what follows it, so that the last one, full or not, is left.
   * @param ship takes the full part; awaited
   */
  async add(chunk: Uint8Array, ship: () => Promise<void>): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#filled === PART_BYTES) await ship();
      const size = Math.min(PIECE_BYTES, PART_BYTES - this.#filled);
      const piece = chunk.subarray(at, at + size);
      this.#keep(piece);
      this.#onPiece(piece);
      at += piece.length;
      if (piece.length === PIECE_BYTES) await this.#clock.sleep(0);
    }
  }

  /** Hands the part over, however full it is; the next one is empty. */
  take(): Uint8Array {
    const body = this.#buffer.subarray(0, this.#filled);
    this.#buffer = new Uint8Array();
    this.#filled = 0;
    return body;
  }

  #keep(piece: Uint8Array): void {
    const end = this.#filled + piece.length;
    if (end > this.#buffer.length) {
      const larger = end < SMALL_BYTES ? Buffer.allocUnsafeSlow(end) : takePart();
      larger.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#filled);
    this.#filled = end;
    this.#bytes += piece.length;
  }
}
