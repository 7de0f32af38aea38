/**
 * The hot buffer of one table: per feed one open segment that grows, and sealed ones that wait for or
 * are in a flush. Rows leave it only when the table has them, or when their feed is sought anew.
 *
 * Invariant, asserted when sealing: the segments of a feed follow each other without a gap, from the
 * table's committed offset to the position of the consumer.
 *
 * Bytes are those of real memory, so that they can be held against a budget. They are asked for many
 * times a second, over thousands of segments: only the segment that was handed out last can have
 * grown since, so it alone is measured again.
 */
import { assert } from "#base/assert.ts";
import { type Feed, type FeedKey, feedKey, type OffsetRange } from "#base/offsets.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
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

/**
 * Room that open segments of a table were given before they had rows; more begin small and grow. So
 * many feeds, each in the size of its last segment, cannot fill the budget with nothing.
 */
const RESERVED_BYTES_MAX = 32 * 1024 * 1024;

/** Objects of a column beside its values, measured: most of what a segment of a few rows takes. */
const COLUMN_OBJECT_BYTES = 1024;

/** Values of a segment that is followed by a new one: what crosses to the encoder stays small. */
const SEGMENT_BYTES = 2 * 1024 * 1024;

/** What some rows take. */
interface Amount {
  /** Memory. */
  bytes: number;
  /** Values in it. */
  used: number;
  rows: number;
}

/** An open segment as it was measured last. */
interface Measured<R extends GrowingRows> extends Amount {
  readonly segment: OpenSegment<R>;
  /** Room that it began with. */
  readonly reserved: number;
}

/** What a table keeps in memory. */
export class HotBuffer<R extends GrowingRows> {
  readonly #open = new Map<FeedKey, Measured<R>>();
  /** Of all open segments. */
  readonly #total: Amount & { reserved: number } = { bytes: 0, used: 0, rows: 0, reserved: 0 };
  /** May have grown since it was measured. */
  #growing: Measured<R> | null = null;
  /** Full segments that wait for the next seal. */
  #full: SealedRows[] = [];
  /** Taken by a seal, not yet in a table. */
  #taken: SealedRows[] = [];
  /** Of the last segment that was sealed, nested ones included. */
  #columns = 0;
  /** Sizes and bytes of each feed's last segment. */
  readonly #last = new Map<FeedKey, { sizes: readonly ColumnSize[]; bytes: number }>();

  /** Bytes of memory that all rows hold, and the objects around them. */
  get bytes(): number {
    this.#measure();
    const segments = this.#open.size + this.#full.length + this.#taken.length;
    const objects = segments * this.#columns * COLUMN_OBJECT_BYTES;
    return objects + this.#total.bytes + bytesOf(this.#full) + bytesOf(this.#taken);
  }

  /** Bytes of values that the next seal will take. */
  get waitingBytes(): number {
    this.#measure();
    return this.#total.used + bytesOf(this.#full);
  }

  /** Rows that the next seal will take. */
  get waitingRows(): number {
    this.#measure();
    return this.#total.rows + rowsOf(this.#full);
  }

  /** All rows. */
  get rows(): number {
    return this.waitingRows + rowsOf(this.#taken);
  }

  /** True when there is something to seal: rows, or a position that moved. */
  get moved(): boolean {
    if (this.#full.length > 0) return true;
    for (const { segment } of this.#open.values()) if (segment.end > segment.start) return true;
    return false;
  }

  /** The open segment of a feed at `position`: a new one, in the last one's size, when there is none. */
  segment(
    feed: Feed,
    position: bigint,
    begin: (expected: readonly ColumnSize[]) => R,
  ): OpenSegment<R> {
    this.#measure();
    const key = feedKey(feed);
    const found = this.#open.get(key);
    if (found !== undefined) {
      const { segment, used } = found;
      assert(segment.end === position, "a segment continues where it ended");
      if (used < SEGMENT_BYTES || segment.end === segment.start) {
        this.#growing = found;
        return segment;
      }
      this.#full.push(this.#close(key, found));
    }
    return this.#begin(key, feed, position, begin);
  }

  #begin(
    key: FeedKey,
    feed: Feed,
    position: bigint,
    begin: (expected: readonly ColumnSize[]) => R,
  ): OpenSegment<R> {
    const last = this.#last.get(key) ?? { sizes: [], bytes: 0 };
    const hasRoom = this.#total.reserved + last.bytes <= RESERVED_BYTES_MAX;
    const reserved = hasRoom ? last.bytes : 0;
    const rows = begin(hasRoom ? last.sizes : []);
    const none = Number.POSITIVE_INFINITY;
    const segment = { feed, start: position, end: position, oldestMs: none, rows };
    const measured = { segment, reserved, bytes: 0, used: 0, rows: 0 };
    this.#total.reserved += reserved;
    this.#open.set(key, measured);
    this.#growing = measured;
    return segment;
  }

  /** Brings the totals up to date. */
  #measure(): void {
    const growing = this.#growing;
    if (growing === null) return;
    const { byteCount, usedBytes, rowCount } = growing.segment.rows;
    this.#count({ bytes: byteCount, used: usedBytes, rows: rowCount }, 1);
    this.#count(growing, -1);
    growing.bytes = byteCount;
    growing.used = usedBytes;
    growing.rows = rowCount;
    this.#growing = null;
  }

  #count({ bytes, used, rows }: Amount, sign: 1 | -1): void {
    this.#total.bytes += sign * bytes;
    this.#total.used += sign * used;
    this.#total.rows += sign * rows;
  }

  /** Closes every segment that moved and hands all that waits over, each feed's in order. */
  seal(): SealedRows[] {
    this.#measure();
    const sealed = this.#full;
    this.#full = [];
    for (const [key, measured] of this.#open) {
      const { start, end } = measured.segment;
      if (end > start) sealed.push(this.#close(key, measured));
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
    const open = this.#open.get(key);
    if (open !== undefined) this.#forget(key, open);
    this.#last.delete(key);
    this.#full = this.#full.filter(isOther);
    this.#taken = this.#taken.filter(isOther);
  }

  #close(key: FeedKey, measured: Measured<R>): SealedRows {
    const { feed, start, end, oldestMs, rows } = measured.segment;
    assert(end > start, "a sealed segment covers offsets");
    this.#forget(key, measured);
    const batch = rows.rowCount === 0 ? null : rows.seal();
    if (batch === null) this.#last.delete(key);
    else {
      this.#columns = countColumns(batch.columns);
      this.#last.set(key, { sizes: sizesOf(batch), bytes: measured.used });
    }
    return { range: { feed, start, end }, batch, oldestMs };
  }

  #forget(key: FeedKey, measured: Measured<R>): void {
    this.#measure();
    this.#open.delete(key);
    this.#count(measured, -1);
    this.#total.reserved -= measured.reserved;
  }
}

function bytesOf(segments: readonly SealedRows[]): number {
  return segments.reduce((sum, { batch }) => sum + (batch?.byteCount ?? 0), 0);
}

function rowsOf(segments: readonly SealedRows[]): number {
  return segments.reduce((sum, { batch }) => sum + (batch?.rowCount ?? 0), 0);
}

function countColumns(columns: readonly Column[]): number {
  return columns.reduce((sum, { children }) => sum + 1 + countColumns(children), 0);
}
