/**
 * Topics that a pipeline reads or writes, by name and by pattern.
 */
import type { PipelineValues } from "./keys.ts";

/** The topics that are named; none when they come by a pattern. */
export function topicsOf(values: PipelineValues): readonly string[] {
  const topic = values["kafka.topic"];
  return values["kafka.topics"] ?? (topic === null ? [] : [topic]);
}

/** Whether a `topic_pattern` takes a topic; one that is no expression is reported elsewhere. */
export function matches(pattern: string | null, topic: string): boolean {
  if (pattern === null) return false;
  try {
    return new RegExp(`^(?:${pattern})$`).test(topic);
  } catch {
    return false;
  }
}

/** Kafka's own rule (`org.apache.kafka.common.internals.Topic`). */
export function isTopicName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,249}$/.test(name) && name !== "." && name !== "..";
}

/**
 * The dead-letter topic: what is rejected must not come back as a record.
 * @param report one problem of a key
 */
export function checkLetterTopic(
  values: PipelineValues,
  report: (key: keyof PipelineValues & string, problem: string) => void,
): void {
  const topic = values["dead_letter.topic"];
  const isAsked = values["dead_letter.action"] === "topic";
  if (topic === null) {
    if (isAsked) report("dead_letter.action", '"topic" needs dead_letter.topic');
    return;
  }
  if (!isAsked) report("dead_letter.topic", 'needs dead_letter.action = "topic"');
  if (!isTopicName(topic)) report("dead_letter.topic", "is no name of a topic");
  const isRead = topicsOf(values).includes(topic) || matches(values["kafka.topic_pattern"], topic);
  if (isRead) report("dead_letter.topic", "is read by this pipeline: its records would come back");
}
