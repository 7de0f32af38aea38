/**
 * The memory of one segment's columns, and who still reads it.
 *
 * The thread that fills a segment gives memory back when a column has grown out of it and when the
 * segment has ended. While anybody holds the segment, it is kept as it is instead, and goes back when
 * the last holder lets go: no reader's memory is ever used for something else, and none has to ask.
 * Holders are counted on the owner's thread only; a reader on another one says by message that it is
 * done.
 */
import { giveBack, grown } from "./buffers.ts";

/** Memory of one segment. */
export class SegmentMemory {
  /** Counts how often a column moved to other memory: what was read of one layout is whole. */
  layout = 0;
  #holders = 0;
  /** Memory that is no longer the segment's and that a holder may still read. */
  #kept: (Uint8Array | Int32Array)[] = [];
  #keptBytes = 0;

  /** True while somebody holds the segment. */
  get isHeld(): boolean {
    return this.#holders > 0;
  }

  /** Bytes that are kept for holders alone. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Holds what is the segment's now, or was while somebody else held it. */
  hold(): void {
    this.#holders++;
  }

  /** Lets go, once for each `hold`. */
  release(): void {
    this.#holders--;
    if (this.#holders > 0) return;
    for (const part of this.#kept) giveBack(part);
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** A copy of `bytes` with room for at least `needed` bytes, for a column that has grown out of it. */
  grow(bytes: Uint8Array, needed: number): Uint8Array<SharedArrayBuffer> {
    const larger = grown(bytes, needed);
    this.leave(bytes);
    return larger;
  }

  /** Takes memory that the segment has left. Nobody but holders may read it any more. */
  leave(part: Uint8Array | Int32Array): void {
    this.layout++;
    if (this.#holders === 0) {
      giveBack(part);
      return;
    }
    this.#kept.push(part);
    this.#keptBytes += part.buffer.byteLength;
  }
}
