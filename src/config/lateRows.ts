/**
 * Late rows: `source.late_threshold_seconds` and `late_table`, and what they mean to a table (SPEC section 4).
 */
import { describe } from "#base/errors.ts";
import type { TableName } from "#catalog/catalog.ts";
import { checkTableName, fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import { topicIdField } from "#decode/lateRows.ts";
import type { Lateness } from "#pipeline/lateRows.ts";
import type { WriterOptions } from "#writer/parts.ts";
import { coordinateColumns, eventTimeColumn } from "./buildWriter.ts";
import type { PipelineValues } from "./keys.ts";
import { LETTERS_SUFFIX } from "./letterTable.ts";
import { filled, knownTableFor, PLACEHOLDERS, placeholdersOf } from "./tableNames.ts";

const SECOND_MS = 1000;

/** How late rows of a pipeline are told, and where they go. */
export interface LateOptions {
  readonly lateness: Lateness;
  /** Column of the topic's id in late tables. */
  readonly topicId: Field;
  /** Settings of the late table of a topic's table; null: late rows stay in it. */
  readonly tableOf: ((topic: string, main: WriterOptions) => WriterOptions) | null;
}

/** Those of a pipeline; null: no field is an event time. */
export function lateOptions(values: PipelineValues): LateOptions | null {
  const timeColumn = eventTimeColumn(values);
  if (timeColumn === null || values["source.mode"] !== "kstream") return null;
  const template = values["source.late_table"];
  const offset = coordinateColumns(values)?.offset ?? null;
  return {
    lateness: {
      thresholdMs: values["source.late_threshold_seconds"] * SECOND_MS,
      timeColumn,
      offsetColumn: template === null ? null : offset,
    },
    topicId: topicIdField(`${values["source.metadata_prefix"]}topic_id`),
    tableOf: template === null ? null : (topic, main) => lateTableOf(values, template, topic, main),
  };
}

/** It is written as its table is, and has its columns. */
function lateTableOf(
  values: PipelineValues,
  template: string,
  topic: string,
  main: WriterOptions,
): WriterOptions {
  return {
    ...main,
    name: lateName(values, template, topic, main.name),
    schemaMismatch: "evolve",
    schemaChanges: "evolve",
    columnsBy: "declaration",
  };
}

function lateName(
  values: PipelineValues,
  template: string,
  topic: string,
  { namespace }: TableName,
): TableName {
  const table = values["iceberg.table_prefix"] + filled(values, template, topic);
  const name = { namespace, table };
  checkTableName(name);
  return name;
}

/** A placeholder of a late table's name that topics of one table may differ in; undefined: none. */
function looseOf(values: PipelineValues, template: string): string | undefined {
  const table = values["iceberg.table_name"] ?? "{topic}";
  const parts = placeholdersOf(`${values["iceberg.database_name"]} ${table}`);
  // A table with the whole name of its topic is of that topic alone.
  if (parts.includes("topic")) return undefined;
  return placeholdersOf(template).find((name) => !parts.includes(name));
}

type Report = (key: keyof PipelineValues & string, problem: string) => void;

/** @param topics those that are known; @param report one problem of a key */
export function checkLateRows(
  values: PipelineValues,
  topics: readonly string[],
  report: Report,
): void {
  const threshold = values["source.late_threshold_seconds"];
  const template = values["source.late_table"];
  const format = values["source.format"];
  if (threshold > 0) {
    const key = "source.late_threshold_seconds";
    if (values["source.event_time_field"] === null) report(key, "needs source.event_time_field");
    if (values["source.mode"] !== "kstream") report(key, 'needs source.mode = "kstream"');
    if (format === "string" || format === "bytes")
      report(key, `source.format = "${format}" has no fields, so that no row has an event time`);
  }
  if (template === null) return;
  if (threshold === 0) report("source.late_table", "needs source.late_threshold_seconds above 0");
  if (values["iceberg.route_field"] !== null) {
    report("source.late_table", "excludes iceberg.route_field: late rows stay in their tables");
  }
  if (values["source.mode"] === "kstream" && coordinateColumns(values) === null) {
    report(
      "source.late_table",
      'needs "partition" and "offset" among source.metadata_columns: by them a later process knows which records are late rows',
    );
  }
  checkNames(values, template, topics, report);
}

function checkNames(
  values: PipelineValues,
  template: string,
  topics: readonly string[],
  report: Report,
): void {
  const unknown = placeholdersOf(template).find((name) => !(name in PLACEHOLDERS));
  if (unknown !== undefined) {
    const known = Object.keys(PLACEHOLDERS).map((name) => `{${name}}`);
    report("source.late_table", `{${unknown}} stands for nothing; there are ${known.join(", ")}`);
    return;
  }
  const loose = looseOf(values, template);
  if (values["kafka.topic_pattern"] !== null && loose !== undefined) {
    report(
      "source.late_table",
      `topics that differ in {${loose}} may fill one table, and would give it several late tables: put {${loose}} into iceberg.table_name too, or leave it out here`,
    );
    return;
  }
  const mains = new Map<string, string>();
  const lates = new Map<string, string>();
  const lateOf = new Map<string, string>();
  for (const topic of topics) {
    const main = knownTableFor(values, topic);
    if (main === null) continue;
    mains.set(fullName(main).toLowerCase(), fullName(main));
    try {
      const late = fullName(lateName(values, template, topic, main));
      const before = lateOf.get(fullName(main)) ?? late;
      lateOf.set(fullName(main), late);
      if (before !== late) {
        report(
          "source.late_table",
          `${fullName(main)} is filled by several topics, and would have two, ${before} and ${late}: give it one name`,
        );
        return;
      }
      const other = lates.get(late) ?? fullName(main);
      lates.set(late, fullName(main));
      if (other !== fullName(main)) {
        report(
          "source.late_table",
          `${other} and ${fullName(main)} would share it: put {topic} into its name`,
        );
        return;
      }
    } catch (error) {
      report("source.late_table", describe(error));
      return;
    }
  }
  const taken = [...lates.keys()].find(
    (late) => mains.has(late.toLowerCase()) || late.endsWith(LETTERS_SUFFIX),
  );
  if (taken !== undefined) report("source.late_table", `${taken} is the name of another table`);
}
