/**
 * Pipelines against each other: two of one name, two that write one feed into one table, two that
 * would share the partitions of a topic. `combinations.ts` looks at each alone.
 */
import { fullName } from "#catalog/names.ts";
import { knownTablesFor } from "./changeLog.ts";
import type { AppConfig, PipelineConfig } from "./config.ts";
import type { PipelineValues } from "./keys.ts";
import type { Problem } from "./problems.ts";
import { matches, topicsOf } from "./topics.ts";

/** Two pipelines of one name, or with one source topic and one table (SPEC 2.1). */
export function checkPipelines({ file, pipelines }: AppConfig): Problem[] {
  const problems: Problem[] = [];
  const names = new Set<string>();
  const feeds = new Map<string, string>();
  const report = (key: string, problem: string): void => {
    problems.push({ where: file, key, problem, near: null });
  };
  for (const pipeline of pipelines) {
    if (names.has(pipeline.name))
      report("pipelines.name", `two pipelines are called ${pipeline.name}`);
    names.add(pipeline.name);
    for (const feed of feedsOf(pipeline)) {
      const other = feeds.get(feed);
      if (other !== undefined && other !== pipeline.name) {
        const [, topic, table] = JSON.parse(feed) as string[];
        report(
          "pipelines",
          `${other} and ${pipeline.name} both write the topic ${topic} into the table ${table}`,
        );
      }
      feeds.set(feed, pipeline.name);
    }
  }
  for (const [index, pipeline] of pipelines.entries()) {
    for (const other of pipelines.slice(0, index)) {
      checkReaders(other, pipeline, report);
      checkOneSource(other, pipeline, report);
    }
  }
  return problems;
}

/**
 * Two members of one group on one topic get a part of its partitions each, not both all. Group and
 * cluster are the key; `app/readers.ts` looks again when the clusters have said their ids.
 */
function checkReaders(
  one: PipelineConfig,
  two: PipelineConfig,
  report: (key: string, problem: string) => void,
): void {
  const group = two.values["kafka.consumer_group"];
  if (one.name === two.name || one.values["kafka.consumer_group"] !== group) return;
  if (brokersOf(one) !== brokersOf(two)) return;
  const shared = sharedTopic(one.values, two.values);
  if (shared === null) return;
  report(
    "kafka.consumer_group",
    `${one.name} and ${two.name} both read ${shared} as group ${group}, so that each would get ` +
      "only a part of it: give each its own group",
  );
}

/** Where records change rows, a table has one source: between two nothing says which change is later. */
function checkOneSource(
  one: PipelineConfig,
  two: PipelineConfig,
  report: (key: string, problem: string) => void,
): void {
  const changes = [one, two].find(({ values }) => values["source.mode"] !== "kstream");
  if (changes === undefined || one.name === two.name) return;
  const tables = new Set(tablesOf(one));
  const shared = tablesOf(two).find((table) => tables.has(table));
  if (shared === undefined) return;
  const [table] = JSON.parse(shared) as string[];
  report(
    "source.mode",
    `${one.name} and ${two.name} both fill the table ${table}, whose rows change by key ` +
      `(${changes.values["source.mode"]}): nothing says which of two changes is later`,
  );
}

/** What two subscriptions have in common, in words; null when they are known to have nothing. */
function sharedTopic(one: PipelineValues, two: PipelineValues): string | null {
  const patterns = [one, two].map((values) => values["kafka.topic_pattern"]);
  const [first = null, second = null] = patterns;
  if (first !== null && second !== null) return "topics by a pattern";
  const isRead = (values: PipelineValues, topic: string): boolean =>
    matches(values["kafka.topic_pattern"], topic) || topicsOf(values).includes(topic);
  const topic =
    topicsOf(one).find((each) => isRead(two, each)) ??
    topicsOf(two).find((each) => isRead(one, each));
  return topic === undefined ? null : `the topic ${topic}`;
}

function brokersOf({ values }: PipelineConfig): string {
  const brokers = values["kafka.bootstrap_servers"].split(",").map((each) => each.trim());
  return brokers.sort().join(",");
}

/** What tells two tables of one name apart. */
const PLACE_KEYS = [
  "iceberg.warehouse_path",
  "iceberg.sql.uri",
  "iceberg.rest.uri",
  "iceberg.rest.warehouse",
  "iceberg.nessie.uri",
  "iceberg.nessie.ref",
] as const;

function feedsOf(pipeline: PipelineConfig): string[] {
  const { values } = pipeline;
  return topicsOf(values).flatMap((name) => {
    return knownTablesFor(values, name).map((table) =>
      JSON.stringify([brokersOf(pipeline), name, fullName(table), placeOf(values)]),
    );
  });
}

/** The tables whose names are known before anything runs. */
function tablesOf({ values }: PipelineConfig): string[] {
  return topicsOf(values).flatMap((name) => {
    return knownTablesFor(values, name).map((table) =>
      JSON.stringify([fullName(table), placeOf(values)]),
    );
  });
}

function placeOf(values: PipelineValues): string {
  return PLACE_KEYS.map((key) => values[key]).join(" ");
}
