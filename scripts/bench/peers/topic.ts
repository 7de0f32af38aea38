/**
 * The benchmark's topics: produced once, read by every side.
 */
import { Kafka, logLevel } from "kafkajs";
import { type Codec, type EventsJob, produceEvents } from "../../events/events.ts";
import { createTopic } from "../../events/topics.ts";
import type { TopicRange } from "./tables.ts";

/** A topic to fill. */
export interface FilledTopic {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly count: number;
  readonly codec: Codec;
  readonly avro?: NonNullable<EventsJob["avro"]>;
}

/** Creates and fills a topic with two producers, one for each core; returns its offsets. */
export async function fillTopic(wanted: FilledTopic): Promise<TopicRange> {
  const { partitions, count, ...job } = wanted;
  const { bootstrap, topic } = job;
  await createTopic(bootstrap, { topic, partitions });
  const half = Math.floor(count / 2);
  await Promise.all([
    produceEvents({ ...job, count: half }),
    produceEvents({ ...job, count: count - half, first: half }),
  ]);
  return topicRange(bootstrap, topic);
}

/** First and end offset of every partition. */
export async function topicRange(bootstrap: string, topic: string): Promise<TopicRange> {
  const client = { clientId: "bench", brokers: [bootstrap], logLevel: logLevel.NOTHING };
  const admin = new Kafka(client).admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return Object.fromEntries(
      offsets.map(({ partition, low, high }) => [partition, [Number(low), Number(high)]]),
    );
  } finally {
    await admin.disconnect();
  }
}
