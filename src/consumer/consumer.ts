/**
 * The consumer port: whole record batches in, committed offsets out. Pull-based and bounded: the
 * implementation never holds more than its queue takes of undelivered batches.
 *
 * Rules of SPEC 2.5 to 2.7: a partition is read only after the pipeline has said from where
 * (`start`); every batch continues the partition's position of this epoch; transactions are
 * filtered by batch header; a CRC-bad batch is fetched again; out of range is an event, never a reset.
 */
import type { AppError } from "#base/errors.ts";
import type { Feed, FeedKey, FeedOffset } from "#base/offsets.ts";

/** One record batch, CRC-checked, transaction-filtered, decompressed. */
export interface RecordBatch {
  readonly feed: Feed;
  readonly key: FeedKey;
  /** Grows with every assignment of the partition; batches of an older epoch are to be dropped. */
  readonly epoch: number;
  /** Records below it were not asked for (compressed batches start early) and are skipped. */
  readonly wantedOffset: bigint;
  readonly baseOffset: bigint;
  /** Last offset of the batch + 1: the position after it. */
  readonly nextOffset: bigint;
  /** Epoch of the partition's leader that wrote it; `NO_LEADER_EPOCH` when the batch has none. */
  readonly leaderEpoch: number;
  /** Number of records in `payload`. Not `nextOffset - baseOffset`: compaction leaves holes. */
  readonly recordCount: number;
  /** Records as in Kafka's record batch v2, after the header; null when none are visible
   *  (control batch, aborted transaction, empty batch): only the position moves.
   *  Its bytes are valid until `next` is called again. */
  readonly payload: Uint8Array | null;
  readonly baseTimestampMs: number;
  /** Timestamp of every record when the topic uses LogAppendTime, else null. */
  readonly appendTimestampMs: number | null;
  /** When the answer with it had arrived (monotonic): no record of it was produced later. */
  readonly arrivedMs: number;
}

/** A position that the partition's log does not have. Nothing more is read before `start`. */
export interface OutOfRange {
  readonly type: "out_of_range";
  readonly feed: Feed;
  readonly position: bigint;
  readonly logStart: bigint;
  readonly logEnd: bigint;
  /**
   * Set when the log was cut below the position and written anew: from this offset on its records
   * are others than those that were read, whatever its end is by now (KIP-320).
   */
  readonly divergesAt: bigint | null;
}

/** What the pipeline hears from Kafka, in order. */
export type ConsumerEvent =
  /** Partitions are ours from now; nothing is read before `start` is called for them. */
  | { readonly type: "assigned"; readonly feeds: readonly Feed[] }
  /**
   * Partitions will be taken. The consumer waits for `released()` up to half the rebalance
   * timeout before it rejoins; `lost` true: they are gone already (session expired), do not flush.
   */
  | { readonly type: "revoked"; readonly feeds: readonly Feed[]; readonly lost: boolean }
  | { readonly type: "batch"; readonly batch: RecordBatch }
  /** The log no longer holds the position, ends before it for 30 s, or is another log by now. */
  | OutOfRange
  /**
   * A batch is damaged (CRC, format, codec, bound), also when read again. The partition stands
   * still until `start` is called for it: at `nextOffset` to skip the batch.
   */
  | {
      readonly type: "batch_corrupt";
      readonly feed: Feed;
      readonly key: FeedKey;
      readonly epoch: number;
      readonly position: bigint;
      readonly nextOffset: bigint;
      readonly error: AppError;
    }
  /**
   * A topic was deleted, re-created or denied; the other topics go on. Its partitions are ours no
   * longer. A topic that never was is looked for on, and assigned if it appears.
   */
  | { readonly type: "topic_failed"; readonly topic: string; readonly error: AppError }
  /** Broker away: the consumer backs off and retries; informational. */
  | { readonly type: "trouble"; readonly error: AppError };

/** Where a partition's log begins and ends now. */
export interface LogBounds {
  readonly feed: Feed;
  readonly logStart: bigint;
  readonly highWatermark: bigint;
  /** Equal to the high watermark without open transactions. */
  readonly lastStableOffset: bigint;
}

/** Reads topics as one member of a consumer group. */
export interface Consumer {
  /**
   * Connects, resolves cluster and topic ids, and begins to join the group (`assigned` follows).
   * A named topic that does not exist is waited for some seconds, then told as `topic_failed`.
   * Throws `kafka_unreachable`, `kafka_refused`.
   * @param options `join` false: only look (for `check`); default true
   */
  open(options?: { readonly join: boolean }): Promise<void>;
  /** Every partition of the subscribed topics, known after `open`. */
  feeds(): readonly Feed[];
  /**
   * The next event; waits for one. Null after `close`. Throws `kafka_refused` when the membership
   * has ended for good (group denied, our instance id taken over by another process).
   */
  next(): Promise<ConsumerEvent | null>;
  /**
   * Starts (or moves) reading of assigned partitions at these offsets, in a new epoch. Where a
   * position has its leader epoch, a log that has been cut and written anew is `out_of_range`.
   */
  start(positions: readonly FeedOffset[]): void;
  /** The current epoch of a partition, 0 when it is not ours. */
  epoch(key: FeedKey): number;
  /** Says that revoked partitions were flushed or dropped: the rebalance may go on. */
  released(feeds: readonly Feed[]): void;
  /** Stops and resumes fetching of partitions (backpressure, paused tables); membership goes on. */
  pause(keys: readonly FeedKey[]): void;
  resume(keys: readonly FeedKey[]): void;
  /** Log bounds now, by our own ListOffsets requests. */
  bounds(feeds: readonly Feed[]): Promise<LogBounds[]>;
  /** First offset whose timestamp is at or after `timestampMs`, null when there is none. */
  offsetsAt(feeds: readonly Feed[], timestampMs: number): Promise<(bigint | null)[]>;
  /** The group's committed offsets (only for `start_from = "group"`); null where it has none. */
  groupOffsets(feeds: readonly Feed[]): Promise<(bigint | null)[]>;
  /** Writes the group's offsets, for lag tools; errors are logged, never thrown. */
  acknowledge(offsets: readonly FeedOffset[]): Promise<void>;
  /** Stops fetching but stays in the group (shutdown: flush comes next). */
  stopFetching(): void;
  /** Leaves the group (a static member stays listed until its session ends) and disconnects. */
  close(): Promise<void>;
}

/** A consumer that may also read without being a member of its group, for samples. */
export interface FreeConsumer extends Consumer {
  /**
   * Takes partitions by itself, after `open` with `join` false: they are read from where `start` says.
   * Nothing is committed and no other member is disturbed.
   */
  assign(feeds: readonly Feed[]): void;
}
