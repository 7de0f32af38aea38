/**
 * Words for positions in Kafka. Everywhere "offset" alone means the *next* offset to read;
 * an offset range is half open: `[start, end)`. Offsets are not dense: nothing may count with them.
 */

/** One partition of one topic of one cluster (SPEC section 1). */
export interface Feed {
  readonly clusterId: string;
  readonly topic: string;
  /** Kafka's topic id, a UUID in lower case; another id is another topic of the same name. */
  readonly topicId: string;
  readonly partition: number;
}

/** `cluster/topic/partition`: identifies a feed in maps; the topic id is compared apart. */
export type FeedKey = string & { readonly __brand: "FeedKey" };

/** The key of a feed. Cluster ids and topic names cannot contain a slash. */
export function feedKey(feed: Pick<Feed, "clusterId" | "topic" | "partition">): FeedKey {
  return `${feed.clusterId}/${feed.topic}/${feed.partition}` as FeedKey;
}

/** `[start, end)` of one feed: every record that Kafka returns in it is in the data, and no other. */
export interface OffsetRange {
  readonly feed: Feed;
  readonly start: bigint;
  readonly end: bigint;
  /** Leader epoch of the last batch below `end`, where it is known; kept with the offset. */
  readonly leaderEpoch?: number | undefined;
}

/** A feed with the next offset to read. */
export interface FeedOffset {
  readonly feed: Feed;
  readonly offset: bigint;
  /**
   * Leader epoch of the last record below `offset`, as its record batch says: by it a broker tells
   * whether its log still is the one that was read (KIP-320). Left out: unknown, nothing is asked.
   */
  readonly leaderEpoch?: number | undefined;
  /** Who owned the feed in the table when the offset was read; left out: nobody (SPEC 2.8). */
  readonly owner?: string | undefined;
}

/** The leader epoch of a record batch that has none, and of a position without a known one. */
export const NO_LEADER_EPOCH = -1;
