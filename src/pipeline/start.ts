/**
 * From where partitions are read (SPEC 2.5): the table's offsets; for a feed that the table does not
 * know, a first position that is committed before anything is read.
 */
import { assert } from "#base/assert.ts";
import { AppError, fail } from "#base/errors.ts";
import { type Feed, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { Consumer, LogBounds, OutOfRange } from "#consumer/consumer.ts";
import type { TableWriter } from "#writer/tableWriter.ts";

/** Where a table without offsets for a feed begins. */
export interface StartPolicy {
  readonly reset: "earliest" | "latest" | "none" | "timestamp";
  /** Only for `timestamp`. */
  readonly timestampMs: number;
  /** Kafka's group offsets come first, where the group has any. */
  readonly fromGroup: boolean;
  /** Topics known at start; partitions of others appeared later and start at their beginning. */
  readonly initialTopics: ReadonlySet<string>;
}

/** Tries until a first position is in the table, by us or by somebody else. */
const CLAIM_TRIES_MAX = 10;

/** The tables that a feed fills before this one, for a further table's first position. */
export interface Elder {
  /** The first of them that could be read; null: all of them have stopped. */
  readonly writer: TableWriter | null;
}

/**
 * The offsets to start reading at. Commits first positions where the table has none: by the policy,
 * or, for a further table of its feeds (SPEC 2.8), where the first table of them stands.
 * @param elder null: it is the first table of these feeds
 * @throws AppError `progress` when a position cannot be had without a person, `paused`
 */
export async function startOffsets(
  consumer: Consumer,
  writer: TableWriter,
  policy: StartPolicy,
  feeds: readonly Feed[],
  elder: Elder | null = null,
): Promise<FeedOffset[]> {
  const bounds = await consumer.bounds(feeds);
  const others = otherPartitions(consumer, feeds);
  for (let tries = 0; tries < CLAIM_TRIES_MAX; tries++) {
    const all = [...feeds, ...others];
    const known = await writer.committed(all);
    const missing = feeds.filter((_, index) => known[index] === null);
    if (missing.length === 0) {
      const offsets = feeds.flatMap((_, index) => known[index] ?? []);
      for (const [index, { feed, offset }] of offsets.entries()) {
        checkStart(writer, { feed, offset }, bounds[index]);
      }
      return offsets;
    }
    const knownTopics = new Set(
      all.filter((_, index) => known[index] !== null).map((feed) => feed.topic),
    );
    const added = missing.find(({ topic }) => knownTopics.has(topic));
    if (added !== undefined && writer.isInFeedOrder) throw addedPartition(writer.name, added);
    // A new topic is claimed whole: what is missing from then on appeared later, whoever reads it.
    const newTopics = new Set(missing.map(({ topic }) => topic)).difference(knownTopics);
    const claimed = [...missing, ...others.filter(({ topic }) => newTopics.has(topic))];
    const first =
      elder === null
        ? await firstPositions(consumer, writer.name, policy, claimed, knownTopics)
        : await elderPositions(consumer, elder, claimed, knownTopics);
    // Fenced means that somebody else was first: their position counts, and is read next.
    const result = await writer.claim(first);
    if (result.kind === "held") {
      // Its cause is whatever the catalog said last: never a reason to stop.
      const what = `The first position of ${writer.name} is not committed yet`;
      throw fail("catalog_unreachable", what, {}, result.cause);
    }
    if (result.kind === "paused") throw tablePaused(writer.name);
  }
  throw fail("catalog_unreachable", `No first position could be committed to ${writer.name}`);
}

/**
 * Where the first table of these feeds stands; their beginning without one that can be read, and for
 * partitions that appeared after the table had begun with their topic.
 */
async function elderPositions(
  consumer: Consumer,
  { writer }: Elder,
  feeds: readonly Feed[],
  knownTopics: ReadonlySet<string>,
): Promise<FeedOffset[]> {
  const known = await writer?.committed(feeds);
  const bounds = await consumer.bounds(feeds);
  return feeds.map((feed, index) => {
    const bound = bounds[index];
    assert(bound !== undefined, "bounds answers every feed");
    const elder = knownTopics.has(feed.topic) ? null : known?.[index];
    return elder ?? { feed, offset: bound.logStart };
  });
}

/** The error of work that waits for a paused table: `again`, and exit 4 where waiting has an end. */
export function tablePaused(table: string): Error {
  return fail(
    "paused",
    `Table ${table} is paused. To let it go on: kafka-iceberg resume ${table}`,
    {
      table,
    },
  );
}

/** More partitions move keys: what comes by the new one may be read before what came by the old one. */
function addedPartition(table: string, { topic, partition }: Feed): Error {
  const sentence =
    `Topic ${topic} has partition ${partition}, with which table ${table} did not begin. Its keys may ` +
    "have come by other partitions before, and in which order their changes are to be followed then nobody " +
    "can tell. Send all keys again to a new topic and follow that in a new table; or, when the " +
    "other partitions are read to their ends and no key changes until this one is too: " +
    `kafka-iceberg offsets ${table} --set ${topic}:${partition}=OFFSET`;
  return fail("progress", sentence, { table, topic, partition });
}

/** Partitions of the same topics that other members read. */
function otherPartitions(consumer: Consumer, feeds: readonly Feed[]): Feed[] {
  const topics = new Set(feeds.map(({ topic }) => topic));
  const own = new Set(feeds.map(feedKey));
  return consumer.feeds().filter((feed) => topics.has(feed.topic) && !own.has(feedKey(feed)));
}

async function firstPositions(
  consumer: Consumer,
  table: string,
  policy: StartPolicy,
  feeds: readonly Feed[],
  knownTopics: ReadonlySet<string>,
): Promise<FeedOffset[]> {
  const [bounds, groups, stamped] = await Promise.all([
    consumer.bounds(feeds),
    policy.fromGroup ? consumer.groupOffsets(feeds) : feeds.map(() => null),
    policy.reset === "timestamp"
      ? consumer.offsetsAt(feeds, policy.timestampMs)
      : feeds.map(() => null),
  ]);
  return feeds.map((feed, index) => {
    const bound = bounds[index];
    assert(bound !== undefined, "bounds answers every feed");
    const group = groups[index] ?? null;
    if (group !== null) return { feed, offset: group };
    const late = knownTopics.has(feed.topic) || !policy.initialTopics.has(feed.topic);
    if (late) return { feed, offset: bound.logStart };
    return { feed, offset: byReset(policy, table, feed, bound, stamped[index] ?? null) };
  });
}

function byReset(
  policy: StartPolicy,
  table: string,
  feed: Feed,
  bound: LogBounds,
  stamped: bigint | null,
): bigint {
  switch (policy.reset) {
    case "earliest":
      return bound.logStart;
    case "latest":
      return bound.highWatermark;
    case "timestamp":
      return stamped ?? bound.highWatermark;
    case "none":
      throw fail(
        "progress",
        `Table ${table} has no offset for ${feed.topic}/${feed.partition} and ` +
          'kafka.auto_offset_reset is "none". Say where to begin: ' +
          `kafka-iceberg offsets ${table} --set ${feed.topic}:${feed.partition}=OFFSET`,
        { table, topic: feed.topic, partition: feed.partition },
      );
  }
}

/** @throws AppError `progress` where only a person can say how to go on */
function checkStart(
  writer: TableWriter,
  { feed, offset }: FeedOffset,
  bound: LogBounds | undefined,
): void {
  const { name: table } = writer;
  const keptEnd = writer.keptLogEnd({ feed, offset });
  if (keptEnd !== null) throw keptStop(table, feed, offset, keptEnd);
  if (bound === undefined || offset >= bound.logStart) return;
  const { logStart, highWatermark: logEnd } = bound;
  throw outOfRange(table, { feed, position: offset, logStart, logEnd, divergesAt: null });
}

/** The error of a position that Kafka no longer, or not yet, has (SPEC 2.5). */
export function outOfRange(
  table: string,
  { feed, position, logStart, logEnd, divergesAt }: Omit<OutOfRange, "type">,
): Error {
  const where = `${feed.topic}/${feed.partition}`;
  const context = { table, topic: feed.topic, partition: feed.partition };
  if (divergesAt !== null) {
    return fail(
      "progress",
      `The log of ${where} was lost from offset ${divergesAt} on and has been written anew: table ` +
        `${table} has the old log's records up to offset ${position - 1n}, and none of those that ` +
        `Kafka has from offset ${divergesAt} on now. To read these too (other records at used offsets): ` +
        `kafka-iceberg offsets ${table} --set ${feed.topic}:${feed.partition}=${divergesAt}`,
      context,
    );
  }
  const isPassed = position < logStart;
  const what = isPassed
    ? `Kafka no longer holds ${where} from offset ${position} to ${logStart - 1n} (retention), ` +
      `which table ${table} has not yet. To go on at ${logStart}, without those records`
    : `${where} ends at offset ${logEnd}, before the committed offset ${position} of ${table}. ` +
      `To go on at ${logEnd}, without doubling what the table has`;
  return fail("progress", `${what}: ${acceptCommand(table, feed.topic)}`, context);
}

/** The error of a stop that an earlier process has kept in the table. */
function keptStop(table: string, feed: Feed, offset: bigint, logEnd: bigint): Error {
  const where = `${feed.topic}/${feed.partition}`;
  const sentence =
    `The log of ${where} ended at offset ${logEnd}, before the committed offset ${offset} of ${table}, ` +
    "and nobody has said since where to go on: what Kafka has there now may be other records at used " +
    `offsets. To read these too: kafka-iceberg offsets ${table} --set ` +
    `${feed.topic}:${feed.partition}=${logEnd}. If nothing was lost: kafka-iceberg resume ${table}`;
  return fail("progress", sentence, { table, topic: feed.topic, partition: feed.partition });
}

/** Says per partition what it would do, and does it only with `--yes`. */
function acceptCommand(table: string, topic: string): string {
  return `kafka-iceberg offsets ${table} --accept-topic ${topic}`;
}

/** What a person does about a failed topic, added to the consumer's sentence (SPEC 2.5). */
export function topicFailed(table: string, topic: string, error: unknown): unknown {
  // Only a topic that was created again has a new id to accept.
  if (!(error instanceof AppError) || error.context["now"] === undefined) return error;
  const sentence = `${error.message}. To read the new topic from its beginning: ${acceptCommand(table, topic)}`;
  return fail(error.kind, sentence, { ...error.context, table });
}
