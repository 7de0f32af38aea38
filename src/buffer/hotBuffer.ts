/**
 * The hot buffer of one table: per feed one open segment that grows, and those behind it on their way
 * into the table (`segment.ts` has their states). Rows leave it only when the table has them, or when
 * their feed is sought anew.
 *
 * Invariant, asserted when sealing: the segments of a feed follow each other without a gap, from the
 * table's committed offset to the position of the consumer.
 *
 * Bytes are those of real memory, so that they can be held against a budget; memory that is only kept
 * for a reader counts too. They are asked for many times a second, over thousands of segments:
 * each state has a total that is kept up to date, and only what can have grown since is measured again: the
 * segment that was handed out last, and the one in the process whose rows wait in the kernel (decision 0410).
 */

import { assert } from "#base/assert.ts";
import { type Feed, type FeedKey, feedKey } from "#base/offsets.ts";
import type { Column } from "#columns/batch.ts";
import type { ColumnSize } from "#columns/size.ts";
import type { Lease } from "./lease.ts";
import {
  type Amount,
  type GrowingRows,
  HotSegment,
  nextState,
  type SealedRows,
  type SegmentState,
} from "./segment.ts";
import { SegmentRoom } from "./segmentRoom.ts";

/** An open segment: `[start, end)` of one feed. */
export interface OpenSegment<R extends GrowingRows> {
  readonly feed: Feed;
  readonly start: bigint;
  readonly end: bigint;
  oldestMs: number;
  readonly rows: R;
}

/** A closed segment whose rows nobody may overwrite until it is released; a second time does nothing. */
export interface HeldRows {
  readonly segment: SealedRows;
  readonly release: () => void;
}

/** Objects of a column beside its values, measured: most of what a segment of a few rows takes. */
const COLUMN_OBJECT_BYTES = 1024;

/** Values of a segment that is followed by a new one: what crosses to the encoder stays small. */
const SEGMENT_BYTES = 3 * 1024 * 1024;

type Totals = Record<SegmentState["kind"], Amount>;

/** What a table keeps in memory. */
export class HotBuffer<R extends GrowingRows> {
  /** Committed rows stay so long, ms, where the room is not needed. */
  readonly #keepMs: number;
  /** Values from which on a segment is followed by another one. */
  readonly #segmentBytes: number;
  readonly #open = new Map<FeedKey, HotSegment<R>>();
  /** Every segment that holds memory, in the order in which they began. */
  readonly #all = new Set<HotSegment<R>>();
  readonly #totals: Totals;
  /** May have grown since they were measured: by records, or for a reader's view. */
  readonly #growing = new Set<HotSegment<R>>();
  /** Open segments that have moved. */
  #movedCount = 0;
  /** Segments so far. */
  #begun = 0;
  /** Sealed ones that wait for the next flush. */
  #full: HotSegment<R>[] = [];
  /** The first of them that {@link takeFull} has not handed out. */
  #fullTaken = 0;
  /** What each flush was given; its rows stay as they are when their feed is dropped meanwhile. */
  readonly #flushing = new Map<SealedRows, HotSegment<R>>();
  /** Committed ones, the oldest first. */
  #committed: HotSegment<R>[] = [];
  /** Of the last segment that was sealed, nested ones included. */
  #columns = 0;
  readonly #room = new SegmentRoom();

  /**
   * @param keepMs how long committed rows stay readable; default 0: they go at once
   * @param segmentBytes what is closed at once, at most; default 3 MiB
   */
  constructor(keepMs = 0, segmentBytes: number = SEGMENT_BYTES) {
    this.#keepMs = keepMs;
    this.#segmentBytes = Math.min(segmentBytes, SEGMENT_BYTES);
    const none = (): Amount => ({ bytes: 0, used: 0, rows: 0 });
    const [open, sealed, flushing] = [none(), none(), none()];
    this.#totals = { open, sealed, flushing, committed: none(), evicted: none() };
  }

  /** Bytes of memory that all rows hold, and the objects around them. */
  get bytes(): number {
    this.#measure();
    const { open, sealed, flushing, committed, evicted } = this.#totals;
    const objects = this.#all.size * this.#columns * COLUMN_OBJECT_BYTES;
    return objects + open.bytes + sealed.bytes + flushing.bytes + committed.bytes + evicted.bytes;
  }

  /** Bytes of values that the next seal will take. */
  get waitingBytes(): number {
    this.#measure();
    return this.#totals.open.used + this.#totals.sealed.used;
  }

  /** Rows that the next seal will take. */
  get waitingRows(): number {
    this.#measure();
    return this.#totals.open.rows + this.#totals.sealed.rows;
  }

  /** Rows that are not in the table yet. */
  get rows(): number {
    return this.waitingRows + this.#totals.flushing.rows;
  }

  /** True while it holds memory that time or a reader gives back, not a flush. */
  get isKeeping(): boolean {
    return this.#committed.length > 0 || this.lentBytes > 0;
  }

  /** Bytes of rows that are gone but for those who read them. */
  get lentBytes(): number {
    return this.#totals.evicted.bytes;
  }

  /** True when there is something to seal: rows, or a position that moved. */
  get moved(): boolean {
    return this.#full.length > 0 || this.#movedCount > 0;
  }

  /**
   * The open segment of a feed at `position`: a new one, in the last one's size, when there is none.
   * @param begin makes its rows; always of one kind for one buffer
   */
  segment<B extends R>(
    feed: Feed,
    position: bigint,
    begin: (expected: readonly ColumnSize[]) => B,
  ): OpenSegment<B> {
    this.#measure();
    const key = feedKey(feed);
    const found = this.#open.get(key);
    if (found !== undefined) {
      assert(found.end === position, "a segment continues where it ended");
      if (found.amount.used < this.#segmentBytes || !found.moved) {
        this.#growing.add(found);
        return found as unknown as OpenSegment<B>;
      }
      this.#full.push(this.#close(key, found, true));
    }
    return this.#begin(key, feed, position, begin) as unknown as OpenSegment<B>;
  }

  /** Moves the end of a feed's open segment behind a record batch, whose rows are in it by now. */
  advance(open: OpenSegment<R>, end: bigint, leaderEpoch: number): void {
    const segment = open as HotSegment<R>;
    assert(segment.state.kind === "open", "only an open segment moves its end");
    if (!segment.moved) this.#movedCount++;
    segment.advance(end, leaderEpoch);
  }

  /** Ends the open segment of a feed, so that the next one begins with other columns. */
  closeOpen(key: FeedKey): void {
    this.#measure();
    const found = this.#open.get(key);
    if (found === undefined) return;
    if (found.moved) {
      this.#full.push(this.#close(key, found, false));
      return;
    }
    this.#forgetOpen(key, found);
    this.#change(found, () => found.evict());
  }

  #begin(
    key: FeedKey,
    feed: Feed,
    position: bigint,
    begin: (expected: readonly ColumnSize[]) => R,
  ): HotSegment<R> {
    const room = this.#room.next(key);
    const segment = new HotSegment<R>(this.#begun++, feed, position, begin(room.sizes), room.bytes);
    this.#room.take(room);
    this.#open.set(key, segment);
    this.#all.add(segment);
    this.#growing.add(segment);
    return segment;
  }

  /** True when there are segments for {@link takeFull}. */
  get hasFull(): boolean {
    return this.#fullTaken < this.#full.length;
  }

  /** The segments that were closed since the last call and wait for the next seal, held, in order. */
  takeFull(): HeldRows[] {
    const taken = this.#full.slice(this.#fullTaken);
    this.#fullTaken = this.#full.length;
    return taken.map((segment) => {
      segment.memory.hold();
      let isHeld = true;
      const release = (): void => {
        if (isHeld) this.#change(segment, () => segment.memory.release());
        isHeld = false;
      };
      return { segment: segment.sealedRows, release };
    });
  }

  /** Closes every segment that moved and hands all that waits to a flush, each feed's in order. */
  seal(): SealedRows[] {
    const sealed = this.#full;
    this.#full = [];
    this.#fullTaken = 0;
    for (const [key, segment] of this.#open) {
      if (segment.moved) sealed.push(this.#close(key, segment, false));
    }
    return sealed.map((segment) => {
      const rows = segment.sealedRows;
      this.#flushing.set(rows, segment);
      segment.memory.hold();
      this.#change(segment, () => {
        segment.state = nextState(segment.state, { type: "flush" });
      });
      return rows;
    });
  }

  /**
   * Ends the flush of segments whose rows the table has. Their memory is used again, after `keepMs` or
   * when room is needed.
   * @param nowMs monotonic
   */
  recycle(segments: readonly SealedRows[], nowMs: number): void {
    const untilMs = nowMs + this.#keepMs;
    for (const segment of this.#endFlush(segments)) {
      this.#change(segment, () => {
        segment.memory.release();
        segment.state = nextState(segment.state, { type: "commit", untilMs });
      });
      if (segment.state.kind !== "committed") continue;
      if (segment.batch !== null) this.#committed.push(segment);
      // A position that moved is nothing to read.
      else this.#change(segment, () => segment.evict());
    }
    this.expire(nowMs);
  }

  /** Ends the flush of segments that nobody will write. */
  release(segments: readonly SealedRows[]): void {
    for (const segment of this.#endFlush(segments)) {
      this.#change(segment, () => {
        segment.memory.release();
        if (segment.state.kind !== "evicted") segment.evict();
      });
    }
  }

  /** Evicts committed rows whose time is over. */
  expire(nowMs: number): void {
    const isOver = ({ state }: HotSegment<R>): boolean =>
      state.kind !== "committed" || state.untilMs <= nowMs;
    const first = this.#committed.findIndex((segment) => !isOver(segment));
    this.#evictCommitted(first < 0 ? this.#committed.length : first);
  }

  /**
   * Evicts committed rows, the oldest first, until `bytes` are free or none is left; bytes that are, or
   * will be when those who read them end.
   */
  makeRoom(bytes: number): number {
    if (this.#committed.length === 0) return 0;
    const before = this.bytes - this.lentBytes;
    const freed = (): number => before - (this.bytes - this.lentBytes);
    while (this.#committed.length > 0 && freed() < bytes) this.#evictCommitted(1);
    return freed();
  }

  /** Forgets all rows of a feed that is sought anew or taken away. */
  drop(key: FeedKey): void {
    const isGone = ({ feed }: HotSegment<R>): boolean => feedKey(feed) === key;
    const open = this.#open.get(key);
    if (open !== undefined) this.#forgetOpen(key, open);
    this.#room.forget(key);
    const isLeft = (segment: HotSegment<R>): boolean => !isGone(segment);
    this.#fullTaken = this.#full.slice(0, this.#fullTaken).filter(isLeft).length;
    this.#full = this.#full.filter(isLeft);
    this.#committed = this.#committed.filter((segment) => !isGone(segment));
    for (const segment of this.#all) {
      if (isGone(segment) && segment.state.kind !== "evicted") {
        this.#change(segment, () => segment.evict());
      }
    }
  }

  /**
   * Lends what is there, for readers beside the table's writer.
   * @param isWanted looked at for each segment: its feed, and its first offset. Default: all
   */
  lease(isWanted: (key: FeedKey, start: bigint) => boolean = () => true): Lease {
    this.#measure();
    const held = [...this.#all].filter(
      ({ feed, start, state }) => state.kind !== "evicted" && isWanted(feedKey(feed), start),
    );
    for (const segment of held) {
      segment.memory.hold();
      this.#growing.add(segment);
    }
    const release = (): void => {
      this.#measure();
      for (const segment of held) this.#change(segment, () => segment.memory.release());
    };
    try {
      const segments = held.map((each) => {
        return { id: each.id, key: feedKey(each.feed), start: each.start, ...each.view() };
      });
      return { segments, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #endFlush(rows: readonly SealedRows[]): HotSegment<R>[] {
    return rows.flatMap((each) => {
      const segment = this.#flushing.get(each);
      this.#flushing.delete(each);
      return segment ?? [];
    });
  }

  #evictCommitted(count: number): void {
    for (const segment of this.#committed.splice(0, count)) {
      this.#change(segment, () => segment.evict());
    }
  }

  #close(key: FeedKey, segment: HotSegment<R>, isFull: boolean): HotSegment<R> {
    assert(segment.moved, "a sealed segment has rows or a position");
    this.#forgetOpen(key, segment);
    const { used } = segment.amount;
    this.#change(segment, () => segment.seal());
    const { batch } = segment;
    if (batch === null) this.#room.forget(key);
    else {
      this.#columns = countColumns(batch.columns);
      this.#room.note(key, batch, used, isFull);
    }
    return segment;
  }

  #forgetOpen(key: FeedKey, segment: HotSegment<R>): void {
    this.#measure();
    this.#open.delete(key);
    this.#room.giveBack(segment.reserved);
    if (segment.moved) this.#movedCount--;
  }

  /** Brings the totals up to date. */
  #measure(): void {
    for (const segment of this.#growing) {
      this.#change(segment, () => undefined);
      // The next batch, of any table's segment, brings them into their columns.
      if (!segment.hasWaiting) this.#growing.delete(segment);
    }
  }

  /** Does something to a segment, and moves what it takes to the total of its state. */
  #change(segment: HotSegment<R>, action: () => void): void {
    add(this.#totals[segment.state.kind], segment.amount, -1);
    action();
    segment.measure();
    add(this.#totals[segment.state.kind], segment.amount, 1);
    if (segment.state.kind === "evicted" && !segment.memory.isHeld) this.#all.delete(segment);
  }
}

function add(total: Amount, { bytes, used, rows }: Amount, sign: 1 | -1): void {
  total.bytes += sign * bytes;
  total.used += sign * used;
  total.rows += sign * rows;
}

function countColumns(columns: readonly Column[]): number {
  return columns.reduce((sum, { children }) => sum + 1 + countColumns(children), 0);
}
