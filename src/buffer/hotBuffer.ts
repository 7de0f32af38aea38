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
import { releaseBatch } from "#columns/release.ts";
import { type ColumnSize, sizesOf } from "#columns/size.ts";

/** Rows under construction; `decode/` makes them. */
export interface GrowingRows {
  readonly rowCount: number;
  /** Bytes held in memory. */
  readonly byteCount: number;
  /** Bytes of values. */
  readonly usedBytes: number;
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

/** Values of a segment that is followed by a new one: what crosses to the encoder stays small. */
const SEGMENT_BYTES = 8 * 1024 * 1024;

/** What a table keeps in memory. */
export class HotBuffer<R extends GrowingRows> {
  readonly #open = new Map<FeedKey, OpenSegment<R>>();
  /** Full segments that wait for the next seal. */
  #full: SealedRows[] = [];
  /** Taken by a seal, not yet in a table. */
  #taken: SealedRows[] = [];
  /** Sizes of each feed's last segment. */
  readonly #sizes = new Map<FeedKey, readonly ColumnSize[]>();

  /** Bytes of memory that all rows hold. */
  get bytes(): number {
    let bytes = bytesOf(this.#full) + bytesOf(this.#taken);
    for (const segment of this.#open.values()) bytes += segment.rows.byteCount;
    return bytes;
  }

  /** Bytes of values that the next seal will take. */
  get waitingBytes(): number {
    let bytes = bytesOf(this.#full);
    for (const segment of this.#open.values()) bytes += segment.rows.usedBytes;
    return bytes;
  }

  /** Rows that the next seal will take. */
  get waitingRows(): number {
    let rows = rowsOf(this.#full);
    for (const segment of this.#open.values()) rows += segment.rows.rowCount;
    return rows;
  }

  /** All rows. */
  get rows(): number {
    return this.waitingRows + rowsOf(this.#taken);
  }

  /** True when there is something to seal: rows, or a position that moved. */
  get moved(): boolean {
    if (this.#full.length > 0) return true;
    for (const segment of this.#open.values()) if (segment.end > segment.start) return true;
    return false;
  }

  /** The open segment of a feed at `position`: a new one, in the last one's size, when there is none. */
  segment(
    feed: Feed,
    position: bigint,
    begin: (expected: readonly ColumnSize[]) => R,
  ): OpenSegment<R> {
    const key = feedKey(feed);
    const found = this.#open.get(key);
    if (found !== undefined) {
      assert(found.end === position, "a segment continues where it ended");
      if (found.rows.usedBytes < SEGMENT_BYTES || found.end === found.start) return found;
      this.#full.push(this.#close(key, found));
    }
    const rows = begin(this.#sizes.get(key) ?? []);
    const none = Number.POSITIVE_INFINITY;
    const segment = { feed, start: position, end: position, oldestMs: none, rows };
    this.#open.set(key, segment);
    return segment;
  }

  /** Closes every segment that moved and hands all that waits over, each feed's in order. */
  seal(): SealedRows[] {
    const sealed = this.#full;
    this.#full = [];
    for (const [key, segment] of this.#open) {
      if (segment.end > segment.start) sealed.push(this.#close(key, segment));
    }
    this.#taken.push(...sealed);
    return sealed;
  }

  /**
   * Forgets segments whose rows the table has; their memory is used again. Nobody may read their
   * batches afterwards.
   */
  recycle(segments: readonly SealedRows[]): void {
    this.release(segments);
    for (const { batch } of segments) if (batch !== null) releaseBatch(batch);
  }

  /** Forgets segments that nobody will write. */
  release(segments: readonly SealedRows[]): void {
    const gone = new Set(segments);
    this.#taken = this.#taken.filter((segment) => !gone.has(segment));
  }

  /** Forgets all rows of a feed that is sought anew or taken away. */
  drop(key: FeedKey): void {
    const isOther = ({ range }: SealedRows): boolean => feedKey(range.feed) !== key;
    this.#open.delete(key);
    this.#sizes.delete(key);
    this.#full = this.#full.filter(isOther);
    this.#taken = this.#taken.filter(isOther);
  }

  #close(key: FeedKey, { feed, start, end, oldestMs, rows }: OpenSegment<R>): SealedRows {
    assert(end > start, "a sealed segment covers offsets");
    this.#open.delete(key);
    const batch = rows.rowCount === 0 ? null : rows.seal();
    this.#sizes.set(key, batch === null ? [] : sizesOf(batch));
    return { range: { feed, start, end }, batch, oldestMs };
  }
}

function bytesOf(segments: readonly SealedRows[]): number {
  return segments.reduce((sum, { batch }) => sum + (batch?.byteCount ?? 0), 0);
}

function rowsOf(segments: readonly SealedRows[]): number {
  return segments.reduce((sum, { batch }) => sum + (batch?.rowCount ?? 0), 0);
}
