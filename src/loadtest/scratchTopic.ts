/**
 * The topic of a load test: created with a name of its own, and removed with its consumer group.
 */

import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { findCoordinatorRequest } from "#consumer/group/groupRequests.ts";
import { type KafkaConsumerOptions, withDefaults } from "#consumer/options.ts";
import { AnswerBuffers } from "#consumer/wire/answers.ts";
import { Cluster, type ClusterParts } from "#consumer/wire/cluster.ts";
import { CODE, codeName } from "#consumer/wire/codes.ts";
import { checkKafkajs } from "#consumer/wire/kafkajs.ts";
import { metadataRequest } from "#consumer/wire/metadataRequest.ts";
import { createTopicRequest, deleteGroupRequest, deleteTopicRequest } from "./requests.ts";

/** Answers of these connections are small. */
const ANSWER_BYTES = 64 * 1024;
const LEADERS_MS_MAX = 30_000;
const LOOK_MS = 100;

/** Connections of a load test, beside those of the consumer. */
export function openCluster(
  options: KafkaConsumerOptions,
  parts: Omit<ClusterParts, "buffers">,
): Cluster {
  checkKafkajs();
  const buffers = new AnswerBuffers(ANSWER_BYTES, ANSWER_BYTES);
  return new Cluster(withDefaults(options), { ...parts, buffers });
}

/**
 * Creates a topic and waits until each partition has a leader.
 * Throws `kafka_unreachable`, and `kafka_refused` when the topic is there or may not be created.
 */
export async function createTopic(
  cluster: Cluster,
  clock: Clock,
  topic: string,
  partitions: number,
): Promise<void> {
  const code = await cluster.sendAny(createTopicRequest(topic, partitions));
  if (code !== CODE.none) {
    const sentence = `Kafka did not create the topic ${topic} (${codeName(code)})`;
    throw fail("kafka_refused", sentence, { topic, code });
  }
  const began = clock.monotonicMs();
  while ((await topicLeaders(cluster, topic)).size < partitions) {
    if (clock.monotonicMs() - began > LEADERS_MS_MAX) {
      throw fail("kafka_unreachable", `The topic ${topic} has no leaders`, { topic });
    }
    await clock.sleep(LOOK_MS);
  }
}

/** Partition -> node id of its leader, of the partitions that have one; learns the brokers' addresses. */
export async function topicLeaders(cluster: Cluster, topic: string): Promise<Map<number, number>> {
  const answer = await cluster.sendAny(metadataRequest([topic]));
  cluster.setBrokers(answer.brokers);
  const leaders = answer.topics[0]?.leaders ?? new Map<number, number>();
  return new Map([...leaders].filter(([, leader]) => leader >= 0));
}

/**
 * Removes the topic, and the group as far as the cluster lets us: it ends by itself.
 * Throws `kafka_unreachable`, and `kafka_refused` when the topic may not be removed.
 */
export async function removeTopic(cluster: Cluster, topic: string, group: string): Promise<void> {
  const code = await cluster.sendAny(deleteTopicRequest(topic));
  if (code !== CODE.none && code !== CODE.unknownTopicOrPartition) {
    const sentence = `Kafka did not remove the topic ${topic} (${codeName(code)})`;
    throw fail("kafka_refused", sentence, { topic, code });
  }
  await removeGroup(cluster, group).catch(() => undefined);
}

async function removeGroup(cluster: Cluster, group: string): Promise<void> {
  const { code, nodeId } = await cluster.sendAny(findCoordinatorRequest(group));
  if (code === CODE.none) await cluster.send(nodeId, "control", deleteGroupRequest(group));
}
