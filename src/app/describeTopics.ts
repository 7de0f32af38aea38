/**
 * The topics of a subscription as Kafka has them now, without joining the group: for `check` and for
 * `offsets --accept-topic`.
 */
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { TopicDescription } from "#cli/actions.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import type { KafkaConsumerOptions } from "#consumer/options.ts";

/**
 * Asks the cluster; throws `kafka_unreachable`, `kafka_refused`, and `topic_unreadable` when a topic
 * that was asked for by name is not there.
 */
export async function describeTopics(
  options: KafkaConsumerOptions,
): Promise<readonly TopicDescription[]> {
  const { groupInstanceId: _, ...others } = options;
  const consumer = createKafkaConsumer(others, {
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    observe: ignoreObservations,
  });
  try {
    await consumer.open({ join: false });
    const feeds = consumer.feeds();
    const missing = (options.topics ?? []).find((name) =>
      feeds.every(({ topic }) => topic !== name),
    );
    if (missing !== undefined) {
      throw fail("topic_unreadable", `Kafka has no topic ${missing}, or does not show it to us`);
    }
    const bounds = await consumer.bounds(feeds);
    const byTopic = Map.groupBy(bounds, ({ feed }) => feed.topic);
    return [...byTopic].flatMap(([topic, partitions]) => {
      const [first] = partitions;
      if (first === undefined) return [];
      const { clusterId, topicId } = first.feed;
      return {
        clusterId,
        topic,
        topicId,
        partitions: partitions
          .map(({ feed, logStart, highWatermark }) => ({
            partition: feed.partition,
            logStart,
            logEnd: highWatermark,
          }))
          .sort((a, b) => a.partition - b.partition),
      };
    });
  } finally {
    await consumer.close();
  }
}
