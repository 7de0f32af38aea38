/**
 * Names of subjects (Confluent, "Subject Name Strategy"): under which one the schemas of a topic's
 * records are registered.
 */
import type { SubjectStrategy } from "./options.ts";

/** What of a record has a schema: `row_key` is a key that is read with its value, `key` one without. */
export type RecordPart = "key" | "row_key" | "value";

/**
 * The subject of a topic's keys or values.
 * @param record full name of the record's type, which two of the strategies need; null: not known
 * @returns null where the strategy needs a name that is not known
 */
export function subjectOf(
  strategy: SubjectStrategy,
  topic: string,
  part: RecordPart,
  record: string | null,
): string | null {
  switch (strategy) {
    case "topic-name":
      return `${topic}-${part === "value" ? "value" : "key"}`;
    case "record-name":
      return record;
    case "topic-record-name":
      return record === null ? null : `${topic}-${record}`;
  }
}
