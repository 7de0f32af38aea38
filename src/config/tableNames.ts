/**
 * Which table a topic feeds: `table_prefix` + `table_name` in `database_name`, with what is taken from
 * the topic's name put in for `{topic}`, `{schema}` and `{table}` (SPEC section 4).
 *
 * The levels of a namespace are cut apart before anything is put in, so that a dot of a topic never
 * makes a level of its own. Glue and Hive keep few characters as they are: there what a topic brings is put in the
 * nearest form that it keeps, so that its names may meet; `check` and a start say which topics do.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { TableName } from "#catalog/catalog.ts";
import { metastoreForm, parseNamespace } from "#catalog/names.ts";
import type { PipelineValues } from "./keys.ts";
import { isMetastore } from "./metastores.ts";

/** What may stand in braces, and what it is. */
export const PLACEHOLDERS: Readonly<Record<string, string>> = {
  topic: "the topic's whole name",
  schema: "the last but one of its parts between dots",
  table: "the last of its parts between dots",
};

const BRACES = /\{([^{}]*)\}/g;
/** `prefix.schema.table`, as Debezium names its topics. */
const PARTS_MIN = 2;

/** The placeholders in a name, in their order. */
export function placeholdersOf(text: string): string[] {
  return [...text.matchAll(BRACES)].map(([, name = ""]) => name);
}

/**
 * The table that a topic feeds.
 * @throws AppError `usage` for a topic without the parts that the names ask for
 */
export function tableFor(values: PipelineValues, topic: string): TableName {
  const template = values["iceberg.table_name"] ?? "{topic}";
  return {
    namespace: namespaceOf(values).map((level) => filled(values, level, topic)),
    table: values["iceberg.table_prefix"] + filled(values, template, topic),
  };
}

/** The same; null for names that make none, which `combinations.ts` reports. */
export function knownTableFor(values: PipelineValues, topic: string): TableName | null {
  if (parseNamespace(values["iceberg.database_name"]) === null) return null;
  try {
    return tableFor(values, topic);
  } catch {
    return null;
  }
}

/** The levels of `iceberg.database_name`, placeholders as they stand. */
export function namespaceOf(values: PipelineValues): TableName["namespace"] {
  const namespace = parseNamespace(values["iceberg.database_name"]);
  assert(namespace !== null, "a namespace with an empty level was refused by checkNames");
  return namespace;
}

/** Whether the namespace depends on the topic. */
export function isNamespaceByTopic(values: PipelineValues): boolean {
  return placeholdersOf(values["iceberg.database_name"]).length > 0;
}

/**
 * A template with what a topic brings put in.
 * @throws AppError `usage` for a topic without the parts that it asks for
 */
export function filled(values: PipelineValues, template: string, topic: string): string {
  const kept = (text: string): string => keptForm(values, text);
  return template.replaceAll(BRACES, (_, name: string) => {
    if (name === "topic") return kept(topic);
    const parts = topic.split(".");
    const part = parts.at(name === "table" ? -1 : -2) ?? "";
    if (parts.length >= PARTS_MIN && part !== "") return kept(part);
    const sentence =
      `Topic ${topic} names no table: {${name}} stands for ${PLACEHOLDERS[name]}, and it has ` +
      "none. Name tables by {topic}, or read this topic in a pipeline of its own";
    throw fail("usage", sentence, { topic });
  });
}

/** What the catalog keeps of a name. */
export function keptForm(values: PipelineValues, text: string): string {
  return isMetastore(values) ? metastoreForm(text) : text;
}
