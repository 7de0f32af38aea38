/**
 * What others may read of a hot buffer: segments lent to a reader, which may be another thread (the
 * columns lie in shared memory, and all of it can be posted).
 *
 * The rows below a segment's watermark are finished: they are in memory, and they stay as they are until
 * the reader says that it is done, whatever becomes of the segment. An open segment's watermark
 * goes on for as long as no column has to move; a new lease then shows the rest.
 */
import type { FeedKey } from "#base/offsets.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { type LiveColumn, rowsUpTo } from "#columns/live.ts";

/** One segment, as a reader gets it. */
export interface LentSegment {
  /** Of the segment in its buffer: never another's. */
  readonly id: number;
  readonly key: FeedKey;
  /** Offset of its first record. */
  readonly start: bigint;
  readonly columns: readonly LiveColumn[];
  /** One number: rows that may be read. Only its owner stores into it. */
  readonly watermark: Int32Array;
}

/** Segments that are lent until they are given back. */
export interface Lease {
  /** Each feed's in order. */
  readonly segments: readonly LentSegment[];
  /** Gives them back; to be called once, on the buffer's own thread. */
  release(): void;
}

/** The rows of a segment that may be read now, on any thread. */
export function readRows({ columns, watermark }: LentSegment): ColumnBatch {
  return rowsUpTo(columns, Atomics.load(watermark, 0));
}
