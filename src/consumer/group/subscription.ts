/**
 * What members tell each other through the coordinator: Kafka's own consumer protocol
 * (subscription version 2, assignment version 0), so that Kafka's tools can read it.
 *
 * Two things ride in the user data. A subscription carries a nonce, so that a join by any member
 * starts a rebalance (a coordinator ignores a follower's join that changes nothing). An assignment
 * carries the topics as its leader saw them, so that every member can tell whether it knows
 * partitions that were not there yet, also after a static restart that took over an old assignment.
 */
import { fail } from "#base/errors.ts";
import { byTopic, type TopicPartition } from "#consumer/offsetRequests.ts";
import { Reader, Writer } from "#consumer/wire/wire.ts";

/** One topic as the leader saw it. */
export interface TopicView {
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: number;
}

/** A member's subscription. */
export interface Subscription {
  readonly topics: readonly string[];
  readonly owned: readonly TopicPartition[];
  readonly generation: number;
}

/** A member's assignment. */
export interface Assignment {
  readonly partitions: readonly TopicPartition[];
  readonly topics: readonly TopicView[];
}

/** `topic/partition`. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** Encodes a subscription. */
export function encodeSubscription(subscription: Subscription, nonce: string): Uint8Array {
  const w = new Writer();
  w.int16(2);
  w.array(subscription.topics, (topic) => w.string(topic));
  w.bytes(Buffer.from(nonce));
  writePartitions(w, subscription.owned);
  return w.int32(subscription.generation).finish();
}

/** Decodes a subscription of version 2 or later; earlier ones own nothing. */
export function decodeSubscription(bytes: Uint8Array): Subscription {
  const r = new Reader(bytes);
  const version = r.int16();
  const topics = r.array(() => r.string() ?? "");
  r.bytes();
  if (version < 2) return { topics, owned: [], generation: -1 };
  return { topics, owned: readPartitions(r), generation: r.int32() };
}

/** Encodes an assignment. */
export function encodeAssignment(assignment: Assignment): Uint8Array {
  const w = new Writer();
  w.int16(0);
  writePartitions(w, assignment.partitions);
  const topics = assignment.topics.map((t) => [t.topic, t.topicId, t.partitions]);
  return w.bytes(Buffer.from(JSON.stringify(topics))).finish();
}

/** Decodes an assignment; an empty one (no leader gave us anything) has no partitions. */
export function decodeAssignment(bytes: Uint8Array): Assignment {
  if (bytes.length === 0) return { partitions: [], topics: [] };
  const r = new Reader(bytes);
  r.int16();
  const partitions = readPartitions(r);
  const topics = parseTopics(Buffer.from(r.bytes()).toString("utf8"));
  return { partitions, topics };
}

function parseTopics(text: string): TopicView[] {
  try {
    return (JSON.parse(text) as [string, string, number][]).map(([topic, topicId, partitions]) => ({
      topic,
      topicId,
      partitions,
    }));
  } catch (error) {
    const sentence = "The group's assignment was not written by kafka-iceberg";
    throw fail("kafka_refused", `${sentence}: another program uses this consumer group`, {}, error);
  }
}

function writePartitions(w: Writer, partitions: readonly TopicPartition[]): void {
  w.array(byTopic(partitions), ([topic, items]) =>
    w.string(topic).array(items, ({ partition }) => {
      w.int32(partition);
    }),
  );
}

function readPartitions(r: Reader): TopicPartition[] {
  return r
    .array(() => {
      const topic = r.string() ?? "";
      return r.array(() => ({ topic, partition: r.int32() }));
    })
    .flat();
}
