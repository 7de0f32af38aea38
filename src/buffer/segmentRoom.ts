/**
 * How much room each feed's next segment begins with: that of one like it, so that columns need not grow
 * and be copied on their way up. Open segments of all feeds together begin with a bounded one.
 */
import { LIMITS } from "#base/limits.ts";
import type { FeedKey } from "#base/offsets.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { type ColumnSize, sizesOf } from "#columns/size.ts";

/** What a segment begins with. */
export interface Room {
  readonly sizes: readonly ColumnSize[];
  /** Bytes that are taken until the segment ends. */
  readonly bytes: number;
}

/** A segment of which the next one takes its size; `isFull`: it was not cut off by a flush. */
interface Model extends Room {
  readonly isFull: boolean;
}

const NO_ROOM: Room = { sizes: [], bytes: 0 };

/** The rooms of one table's segments. */
export class SegmentRoom {
  readonly #models = new Map<FeedKey, Model>();
  #taken = 0;

  /** The room of a feed's new segment: none at first, nor when open ones have all there is. */
  next(key: FeedKey): Room {
    const room = this.#models.get(key) ?? NO_ROOM;
    return this.#taken + room.bytes > LIMITS.reservedColumnBytesMax ? NO_ROOM : room;
  }

  /** Counts what a segment has begun with. */
  take({ bytes }: Room): void {
    this.#taken += bytes;
  }

  /** Gives back what an open segment took, once it has ended. */
  giveBack(bytes: number): void {
    this.#taken -= bytes;
  }

  /**
   * Notes how a segment ended. One that a flush cut off says what the next will be like only where no full one
   * came since the flush before: where one did, the next will be full as well.
   * @param bytes of its values
   */
  note(key: FeedKey, batch: ColumnBatch, bytes: number, isFull: boolean): void {
    const model = this.#models.get(key);
    if (isFull || model?.isFull !== true) {
      this.#models.set(key, { sizes: sizesOf(batch), bytes, isFull });
    } else {
      this.#models.set(key, { ...model, isFull: false });
    }
  }

  /** Forgets a feed's segments. */
  forget(key: FeedKey): void {
    this.#models.delete(key);
  }
}
