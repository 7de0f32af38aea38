/**
 * One segment of the hot buffer: consecutive records of one feed, from its first row until its memory
 * is somebody else's.
 *
 * ```text
 * open --seal--> sealed --flush--> flushing --commit--> committed until t --evict--> evicted
 *   \______________evict______________/ (dropped: its feed is sought anew, or was taken away)
 * ```
 * Memory goes back when a segment is evicted *and* nobody holds it: a flush holds what it writes, a
 * reader what it was lent (`lease.ts`).
 */
import { assert } from "#base/assert.ts";
import { type Feed, NO_LEADER_EPOCH, type OffsetRange } from "#base/offsets.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { LiveColumn } from "#columns/live.ts";
import { releaseBatch } from "#columns/release.ts";
import type { SegmentMemory } from "#columns/segmentMemory.ts";

/** Rows under construction; `decode/` makes them. */
export interface GrowingRows {
  readonly rowCount: number;
  /** Bytes held in memory. */
  readonly byteCount: number;
  /** Bytes of values. */
  readonly usedBytes: number;
  /** True while rows are not in the columns yet: bytes are about what they will be. Default: never. */
  readonly hasWaiting?: boolean;
  readonly memory: SegmentMemory;
  live(): readonly LiveColumn[];
  seal(): ColumnBatch;
}

/** What becomes of a segment. `untilMs`: committed rows stay readable until then, monotonic. */
export type SegmentState =
  | { readonly kind: "open" }
  | { readonly kind: "sealed" }
  | { readonly kind: "flushing" }
  | { readonly kind: "committed"; readonly untilMs: number }
  | { readonly kind: "evicted" };

/** What happens to a segment. */
export type SegmentEvent =
  | { readonly type: "seal" }
  | { readonly type: "flush" }
  | { readonly type: "commit"; readonly untilMs: number }
  | { readonly type: "evict" };

/** The state after an event. A flush may end for a segment that was dropped under it: it stays evicted. */
export function nextState(state: SegmentState, event: SegmentEvent): SegmentState {
  switch (event.type) {
    case "seal":
      assert(state.kind === "open", "only an open segment is sealed");
      return { kind: "sealed" };
    case "flush":
      assert(state.kind === "sealed", "only a sealed segment goes into a flush");
      return { kind: "flushing" };
    case "commit":
      if (state.kind === "evicted") return state;
      assert(state.kind === "flushing", "only a segment in a flush is committed");
      return { kind: "committed", untilMs: event.untilMs };
    case "evict":
      return { kind: "evicted" };
  }
}

/** A closed segment; null batch: only the position moved. */
export interface SealedRows {
  readonly range: OffsetRange;
  readonly batch: ColumnBatch | null;
  /** Kafka timestamp of its oldest record, ms; Infinity when it has none. */
  readonly oldestMs: number;
}

/** What some rows take. */
export interface Amount {
  /** Memory. */
  bytes: number;
  /** Values in it. */
  used: number;
  rows: number;
}

/** A segment. Its members change through its hot buffer only. */
export class HotSegment<R extends GrowingRows> {
  readonly id: number;
  readonly feed: Feed;
  readonly start: bigint;
  end: bigint;
  /** Whether anything is in it: rows may lie below its start (a side table's), so that its end stays. */
  moved = false;
  /** Leader epoch of the last record below `end`. */
  endEpoch: number = NO_LEADER_EPOCH;
  /** Kafka timestamp of its oldest record, ms; Infinity while it has none. */
  oldestMs: number = Number.POSITIVE_INFINITY;
  state: SegmentState = { kind: "open" };
  /** Room that it began with. */
  readonly reserved: number;
  /** As it was measured last. */
  readonly amount: Amount = { bytes: 0, used: 0, rows: 0 };
  readonly memory: SegmentMemory;
  /** Rows that others may read, for those who were lent the present layout; null: nobody. */
  #watermark: { readonly layout: number; readonly rows: Int32Array } | null = null;
  #rows: R | null;
  #batch: ColumnBatch | null = null;
  #sealedRows: SealedRows | null = null;

  constructor(id: number, feed: Feed, start: bigint, rows: R, reserved: number) {
    this.id = id;
    this.feed = feed;
    this.start = start;
    this.end = start;
    this.#rows = rows;
    this.memory = rows.memory;
    this.reserved = reserved;
  }

  /** Its rows under construction; only while it is open. */
  get rows(): R {
    assert(this.#rows !== null, "only an open segment takes rows");
    return this.#rows;
  }

  get range(): OffsetRange {
    const { feed, start, end, endEpoch } = this;
    return { feed, start, end, leaderEpoch: endEpoch === NO_LEADER_EPOCH ? undefined : endEpoch };
  }

  /** Its rows once it is sealed; null: only the position moved, or it is evicted. */
  get batch(): ColumnBatch | null {
    return this.#batch;
  }

  /** What it gives to a flush: one object, whoever asks, from its seal on. */
  get sealedRows(): SealedRows {
    const { range, oldestMs } = this;
    this.#sealedRows ??= { range, batch: this.#batch, oldestMs };
    return this.#sealedRows;
  }

  /** True while what it takes changes without a call. */
  get hasWaiting(): boolean {
    return this.#rows?.hasWaiting ?? false;
  }

  /** Notes what it takes now: an evicted one what its holders keep. */
  measure(): void {
    const { amount, memory } = this;
    const rows = this.#rows;
    const batch = this.#batch;
    amount.bytes = memory.keptBytes + ((rows ?? batch)?.byteCount ?? 0);
    amount.used = rows?.usedBytes ?? batch?.byteCount ?? 0;
    amount.rows = rows?.rowCount ?? batch?.rowCount ?? 0;
  }

  /** Moves its end behind a record batch whose records are in, and shows them to readers. */
  advance(end: bigint, leaderEpoch: number): void {
    this.end = end;
    this.moved = true;
    this.endEpoch = leaderEpoch;
    this.#publish();
  }

  /** No more rows. */
  seal(): void {
    const rows = this.rows;
    this.state = nextState(this.state, { type: "seal" });
    this.#batch = rows.rowCount === 0 ? null : rows.seal();
    this.#rows = null;
  }

  /** Gives its rows up; their memory goes back as soon as nobody holds it. */
  evict(): void {
    const batch = this.#batch ?? (this.#rows === null ? null : this.#rows.seal());
    this.state = nextState(this.state, { type: "evict" });
    this.#rows = null;
    this.#batch = null;
    this.#sealedRows = null;
    if (batch !== null) releaseBatch(batch, this.memory);
  }

  /** Its columns for a reader, and how many rows of them are finished: a count that another thread may load. */
  view(): { readonly columns: readonly LiveColumn[]; readonly watermark: Int32Array } {
    // Rows that wait are brought in before: their columns may move for it, which is another layout.
    const columns = this.#rows?.live() ?? this.#batch?.columns ?? [];
    const { layout } = this.memory;
    if (this.#watermark === null || this.#watermark.layout !== layout) {
      this.#watermark = { layout, rows: new Int32Array(new SharedArrayBuffer(4)) };
      this.#publish();
    }
    return { columns, watermark: this.#watermark.rows };
  }

  /** Readers of an older layout keep the count that they have: its memory has no more rows. */
  #publish(): void {
    const mark = this.#watermark;
    if (mark === null || mark.layout !== this.memory.layout) return;
    Atomics.store(mark.rows, 0, this.#rows?.rowCount ?? this.#batch?.rowCount ?? 0);
  }
}
