/**
 * The partitions that are ours, and how far each has been fetched and handed over.
 *
 * `sequence` grows with everything that makes earlier fetches void (start, rewind, revocation):
 * answers and queued batches that carry an older one are dropped unseen. `epoch` is what the
 * pipeline sees of it: it grows with each assignment and each start.
 */
import type { Feed, FeedKey, FeedOffset } from "#base/offsets.ts";
import { feedKey, NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { Role } from "#consumer/wire/cluster.ts";

/**
 * `waiting`: no start yet. `reading`. `halted`: an event has been sent that only a new start
 * answers (out of range, damaged batch). `revoked`: it is being given back, no start counts.
 */
export type PartitionState = "waiting" | "reading" | "halted" | "revoked";

/** One partition that is ours. */
export interface Partition {
  readonly feed: Feed;
  readonly key: FeedKey;
  epoch: number;
  sequence: number;
  state: PartitionState;
  paused: boolean;
  /** Next offset to hand over. */
  position: bigint;
  /** Leader epoch of the last record below `position`; `NO_LEADER_EPOCH`: unknown. */
  positionEpoch: number;
  /** Next offset to ask for: ahead of `position` by what is queued. */
  fetchOffset: bigint;
  /** Leader epoch of the last record below `fetchOffset`; `NO_LEADER_EPOCH`: unknown. */
  fetchEpoch: number;
  /** The fetch that it is part of now. */
  inFlight: Role | null;
  /** When it was last part of an answer with records; the longest ago is asked for first. */
  lastServed: number;
  notBeforeMs: number;
  /** Kafka timestamp of the newest record handed over, ms; 0: none. */
  timestampMs: number;
  /** Handed over, not yet observed. */
  records: number;
  bytes: number;
  /** How often the batch at `position` failed its checks. */
  badReads: number;
  /** Since when the position lies past the log's end; null when it does not. */
  aheadSinceMs: number | null;
  /** A nearer replica than the leader, and until when to use it. */
  replica: { readonly nodeId: number; readonly untilMs: number } | null;
}

/** The partitions that are ours. */
export class Partitions {
  private readonly owned = new Map<FeedKey, Partition>();
  private epochs = 0;

  /** Takes over newly assigned partitions; nothing is read before {@link start}. */
  assign(feeds: readonly Feed[]): void {
    for (const feed of feeds) {
      const key = feedKey(feed);
      this.owned.set(key, {
        feed,
        key,
        epoch: ++this.epochs,
        sequence: this.epochs,
        state: "waiting",
        paused: false,
        position: 0n,
        positionEpoch: NO_LEADER_EPOCH,
        fetchOffset: 0n,
        fetchEpoch: NO_LEADER_EPOCH,
        inFlight: null,
        lastServed: 0,
        notBeforeMs: 0,
        timestampMs: 0,
        records: 0,
        bytes: 0,
        badReads: 0,
        aheadSinceMs: null,
        replica: null,
      });
    }
  }

  all(): Partition[] {
    return [...this.owned.values()];
  }

  get(key: FeedKey): Partition | undefined {
    return this.owned.get(key);
  }

  /** Reads from these offsets on; partitions that are not ours are passed over. */
  start(positions: readonly FeedOffset[]): void {
    for (const { feed, offset, leaderEpoch = NO_LEADER_EPOCH } of positions) {
      const partition = this.owned.get(feedKey(feed));
      if (partition === undefined || partition.state === "revoked") continue;
      partition.position = offset;
      partition.positionEpoch = leaderEpoch;
      this.rewind(partition);
      partition.epoch = ++this.epochs;
      partition.state = "reading";
      partition.badReads = 0;
      partition.aheadSinceMs = null;
    }
  }

  /** Fetches again from the position; what was fetched before is void. */
  rewind(partition: Partition): void {
    partition.sequence++;
    partition.fetchOffset = partition.position;
    partition.fetchEpoch = partition.positionEpoch;
    partition.inFlight = null;
    partition.notBeforeMs = 0;
  }

  /** Nothing more is read; batches on their way are void. */
  halt(partition: Partition, state: "halted" | "revoked" = "halted"): void {
    this.rewind(partition);
    partition.state = state;
  }

  /** Gives partitions up. */
  drop(partitions: readonly Partition[]): void {
    for (const partition of partitions) {
      this.halt(partition, "revoked");
      this.owned.delete(partition.key);
    }
  }
}
