/**
 * The hot buffer of one table: per feed one open segment that grows, and sealed ones that wait for or
 * are in a flush. Rows leave it only when the table has them, or when their feed is sought anew.
 *
 * Invariant, asserted when sealing: the segments of a feed follow each other without a gap, from the
 * table's committed offset to the position of the consumer.
 */
import { assert } from "#base/assert.ts";
import { type Feed, type FeedKey, feedKey, type OffsetRange } from "#base/offsets.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { type ColumnSize, sizesOf } from "#columns/size.ts";

/** Rows under construction; `decode/` makes them. */
export interface GrowingRows {
  readonly rowCount: number;
  /** Bytes held in memory. */
  readonly byteCount: number;
  seal(): ColumnBatch;
}

/** An open segment: `[start, end)` of one feed. */
export interface OpenSegment<R extends GrowingRows> {
  readonly feed: Feed;
  readonly start: bigint;
  end: bigint;
  /** Kafka timestamp of its oldest record, ms; Infinity while it has none. */
  oldestMs: number;
  readonly rows: R;
}

/** A closed segment; null batch: only the position moved. */
export interface SealedRows {
  readonly range: OffsetRange;
  readonly batch: ColumnBatch | null;
  /** Kafka timestamp of its oldest record, ms; Infinity when it has none. */
  readonly oldestMs: number;
}

/** What a table keeps in memory. */
export class HotBuffer<R extends GrowingRows> {
  readonly #open = new Map<FeedKey, OpenSegment<R>>();
  /** Sealed, not yet in a table; also those in a flush under way. */
  #sealed: SealedRows[] = [];

  /** Sizes of each feed's last sealed batch. */
  readonly #sizes = new Map<FeedKey, readonly ColumnSize[]>();

  /** Bytes of all rows, open and sealed. */
  get bytes(): number {
    let bytes = this.#sealed.reduce((sum, each) => sum + (each.batch?.byteCount ?? 0), 0);
    for (const segment of this.#open.values()) bytes += segment.rows.byteCount;
    return bytes;
  }

  /** Bytes of the open segments: what the next seal will take. */
  get openBytes(): number {
    let bytes = 0;
    for (const segment of this.#open.values()) bytes += segment.rows.byteCount;
    return bytes;
  }

  /** Rows of the open segments. */
  get openRows(): number {
    let rows = 0;
    for (const segment of this.#open.values()) rows += segment.rows.rowCount;
    return rows;
  }

  /** All rows, open and sealed. */
  get rows(): number {
    return this.openRows + this.#sealed.reduce((sum, each) => sum + (each.batch?.rowCount ?? 0), 0);
  }

  /** True when an open segment has moved its position. */
  get moved(): boolean {
    for (const segment of this.#open.values()) if (segment.end > segment.start) return true;
    return false;
  }

  /** The open segment of a feed, begun at `position`, in the last one's size, when there is none. */
  segment(
    feed: Feed,
    position: bigint,
    begin: (expected: readonly ColumnSize[]) => R,
  ): OpenSegment<R> {
    const key = feedKey(feed);
    const found = this.#open.get(key);
    if (found !== undefined) {
      assert(found.end === position, "a segment continues where it ended");
      return found;
    }
    const rows = begin(this.#sizes.get(key) ?? []);
    const none = Number.POSITIVE_INFINITY;
    const segment = { feed, start: position, end: position, oldestMs: none, rows };
    this.#open.set(key, segment);
    return segment;
  }

  /** Closes every open segment that moved and returns them, with those sealed before and not taken. */
  seal(): SealedRows[] {
    const sealed: SealedRows[] = [];
    for (const [key, segment] of this.#open) {
      if (segment.end === segment.start) continue;
      this.#open.delete(key);
      const batch = segment.rows.rowCount === 0 ? null : segment.rows.seal();
      assert(segment.end > segment.start, "a sealed segment covers offsets");
      this.#sizes.set(key, batch === null ? [] : sizesOf(batch));
      const { feed, start, end, oldestMs } = segment;
      sealed.push({ range: { feed, start, end }, batch, oldestMs });
    }
    this.#sealed.push(...sealed);
    return sealed;
  }

  /** Forgets segments that the table has, or that nobody will write. */
  release(segments: readonly SealedRows[]): void {
    const gone = new Set(segments);
    this.#sealed = this.#sealed.filter((segment) => !gone.has(segment));
  }

  /** Forgets all rows of a feed that is sought anew or taken away. */
  drop(key: FeedKey): void {
    this.#open.delete(key);
    this.#sizes.delete(key);
    this.#sealed = this.#sealed.filter((segment) => feedKey(segment.range.feed) !== key);
  }
}
