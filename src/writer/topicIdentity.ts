/**
 * A topic that was created anew under its name: its offsets are none of those that a table holds.
 */
import { fail } from "#base/errors.ts";
import type { Feed } from "#base/offsets.ts";
import type { Progress } from "#commit/progress.ts";

/** Throws `progress` when a table holds offsets of another topic of that name. */
export function checkTopic(
  table: string,
  document: (Progress & { kind: "readable" })["document"],
  feed: Feed,
): void {
  const source = document.sources.get(`${feed.clusterId}/${feed.topic}`);
  if (source === undefined || source.topicId === feed.topicId) return;
  throw fail(
    "progress",
    `Topic ${feed.topic} was re-created: ${table} holds offsets of topic id ` +
      `${source.topicId}, Kafka has ${feed.topicId}. To read the new topic from its beginning: ` +
      `kafka-iceberg offsets ${table} --accept-topic ${feed.topic}`,
    { table, topic: feed.topic },
  );
}
