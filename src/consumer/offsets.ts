/**
 * Where partitions' logs begin and end, which offset a time has, and what the group committed:
 * ListOffsets and OffsetFetch sent to the right brokers, and sent again after a leader moved.
 */
import { type AppError, fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import { retry } from "#base/retry.ts";
import type { LogBounds } from "./consumer.ts";
import type { GroupMember, GroupParts } from "./group/group.ts";
import { partitionKey } from "./group/subscription.ts";
import { AT, listOffsetsRequest, offsetFetchRequest } from "./offsetRequests.ts";
import type { Topics } from "./topics.ts";
import type { Cluster } from "./wire/cluster.ts";
import { CODE, codeName } from "./wire/codes.ts";

/** Tries after the first, for reads that a person or the pipeline waits for. */
const RETRIES_MAX = 6;

/** The parts that come in. */
export interface OffsetParts extends GroupParts {
  readonly topics: Topics;
}

/** Log start, high watermark and last stable offset of each feed, in the order given. */
export async function readBounds(parts: OffsetParts, feeds: readonly Feed[]): Promise<LogBounds[]> {
  const [starts, ends, stable] = await Promise.all([
    listOffsets(parts, feeds, AT.earliest, false),
    listOffsets(parts, feeds, AT.latest, false),
    listOffsets(parts, feeds, AT.latest, true),
  ]);
  return feeds.map((feed, i) => ({
    feed,
    logStart: starts[i] ?? 0n,
    highWatermark: ends[i] ?? 0n,
    lastStableOffset: stable[i] ?? 0n,
  }));
}

/** The first offset at or after a time per feed; null when there is none. */
export async function readOffsetsAt(
  parts: OffsetParts,
  feeds: readonly Feed[],
  timestampMs: number,
): Promise<(bigint | null)[]> {
  const found = await listOffsets(parts, feeds, BigInt(timestampMs), false);
  return found.map((offset) => (offset < 0n ? null : offset));
}

/** The group's committed offset per feed; null where it has none. */
export function readGroupOffsets(
  parts: OffsetParts,
  group: GroupMember,
  feeds: readonly Feed[],
): Promise<(bigint | null)[]> {
  return again(parts, async () => {
    const request = offsetFetchRequest(parts.settings.groupId, feeds);
    const coordinator = await group.findCoordinator();
    const { code, offsets } = await parts.cluster.send(coordinator, "control", request);
    const bad = code === CODE.none ? offsets.find((item) => item.code !== CODE.none)?.code : code;
    if (bad !== undefined) throw refusedOrLater(bad, "read the offsets of the consumer group");
    const byKey = new Map(offsets.map((item) => [partitionKey(item), item.offset]));
    return feeds.map((feed) => {
      const offset = byKey.get(partitionKey(feed)) ?? -1n;
      return offset < 0n ? null : offset;
    });
  });
}

function listOffsets(
  parts: OffsetParts,
  feeds: readonly Feed[],
  timestamp: bigint,
  readCommitted: boolean,
): Promise<bigint[]> {
  return again(parts, async () => {
    const byLeader = Map.groupBy(feeds, (feed) => parts.topics.leader(feed));
    const answers = await Promise.all(
      [...byLeader].map(([leader, items]) =>
        listFromLeader(parts.cluster, leader, items, timestamp, readCommitted),
      ),
    );
    const byKey = new Map(answers.flat().map((item) => [partitionKey(item), item.offset]));
    return feeds.map((feed) => byKey.get(partitionKey(feed)) ?? -1n);
  });
}

async function listFromLeader(
  cluster: Cluster,
  leader: number,
  feeds: readonly Feed[],
  timestamp: bigint,
  readCommitted: boolean,
) {
  const request = listOffsetsRequest(feeds, timestamp, readCommitted);
  const answers = await cluster.send(leader, "control", request);
  const bad = answers.find((item) => item.code !== CODE.none);
  if (bad !== undefined) {
    throw refusedOrLater(bad.code, `list the offsets of ${bad.topic} partition ${bad.partition}`);
  }
  return answers;
}

/** Tries a few times, looking the leaders up anew in between. */
function again<T>(parts: OffsetParts, action: () => Promise<T>): Promise<T> {
  const { retryBaseDelayMs, retryDelayMsMax } = parts.settings;
  const options = {
    retriesMax: RETRIES_MAX,
    baseDelayMs: retryBaseDelayMs,
    delayMsMax: retryDelayMsMax,
  };
  let first = true;
  return retry(parts, options, async () => {
    if (!first) await parts.topics.refresh();
    first = false;
    return action();
  });
}

function refusedOrLater(code: number, doing: string): AppError {
  const name = codeName(code);
  const denied = code === CODE.topicAuthorizationFailed || code === CODE.groupAuthorizationFailed;
  return denied
    ? fail("kafka_refused", `Kafka denies us to ${doing} (${name})`)
    : fail("kafka_unreachable", `Could not ${doing} yet (${name})`);
}
