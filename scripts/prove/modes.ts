/**
 * Proof that changes of rows are the same through any catalog, by each way in which older rows go
 * (`delete_mode`): Spark, which finds the tables by their names through the catalog's own protocol, sees
 * of each key the last record of the topic, and, where the catalog has views, sees the same by `<table>_latest`.
 */
import { seededRandom } from "#base/random.ts";
import { type ExactRecord, produceValues } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { askThrough } from "../judge/through.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { merge, newCourse, runToEnd } from "./course.ts";

/** By `iceberg.write.delete_mode`: what the names of topic and table end with. */
const MODES = {
  auto: "",
  equality: "_equality",
  "copy-on-write": "_copies",
  "append-dedupe": "_all",
};

type Mode = keyof typeof MODES;

/** What was found. */
export interface ModesReport {
  readonly ok: boolean;
  /** Rows, sum and sum of squares of their numbers: of the topics, and as Spark sees them. */
  readonly wanted: readonly (readonly string[])[];
  readonly found: readonly (readonly string[])[];
}

/** Processes that end at the topic's end, one after the other: each changes rows of those before. */
const TURNS = 3;
const PARTITIONS = 2;
/** Changes of a key, about. */
const CHANGES_EACH = 5;

/** Runs the proof with so many changes of each table. */
export async function proveModes(
  bootstrap: string,
  topic: string,
  server: CatalogServer,
  changes: number,
): Promise<ModesReport> {
  const wanted: string[][] = [];
  for (const mode of Object.keys(MODES).sort() as Mode[]) {
    const rows = await fill({ bootstrap, topic: topic + MODES[mode], server, changes, mode });
    const sum = (of: (n: number) => number): number => rows.reduce((all, n) => all + of(n), 0);
    wanted.push([mode, rows.length, sum((n) => n), sum((n) => n * n)].map(String));
  }
  const source = await server.table(topic);
  const hasViews = "rest" in source;
  if (hasViews) wanted.push(["view", ...(wanted[0] ?? []).slice(1)]);
  const s3 = server.s3 && "accessKey" in server.s3 ? server.s3 : undefined;
  const found = await askThrough("spark", source, queryOf(hasViews), s3);
  return { ok: JSON.stringify(found) === JSON.stringify(wanted), wanted, found };
}

/** Changes flow into a table of one mode, a third at a time; answers the numbers that are left. */
async function fill(job: {
  readonly bootstrap: string;
  readonly topic: string;
  readonly server: CatalogServer;
  readonly changes: number;
  readonly mode: Mode;
}): Promise<readonly number[]> {
  const { bootstrap, topic, server, changes, mode } = job;
  await createTopic(bootstrap, { topic, partitions: PARTITIONS });
  const source = { mode: "ktable", key_field: ["id"], key_format: "json" };
  const write = { format_version: 2, delete_mode: mode };
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 0,
    env: server.env,
    config: merge(server.config, { source, "iceberg.write": write }),
  });
  const random = seededRandom(31);
  const rows = new Map<number, number>();
  for (let turn = 0, n = 0; turn < TURNS; turn++) {
    const records: ExactRecord[] = [];
    for (const end = Math.ceil(((turn + 1) * changes) / TURNS); n < end; n++) {
      const id = Math.floor(random.unit() * (changes / CHANGES_EACH));
      const isGone = n > 0 && random.unit() < 0.2;
      if (isGone) rows.delete(id);
      else rows.set(id, n);
      records.push({
        key: JSON.stringify({ id }),
        value: isGone ? null : JSON.stringify({ id, n }),
      });
    }
    await produceValues({ bootstrap, topic }, records);
    await runToEnd(course);
  }
  return [...rows.values()];
}

const SUMS = "count(*) AS a, CAST(sum(n) AS bigint) AS b, CAST(sum(n * n) AS bigint) AS c";
/** The statement of docs/CHANGE_DATA.md. */
const NEWEST = `(SELECT * FROM (SELECT *, row_number() OVER (
  PARTITION BY id ORDER BY _kafka_partition DESC, _kafka_offset DESC) AS place FROM {table}_all) numbered
  WHERE place = 1 AND coalesce(_kafka_deleted, false) = false) newest`;

function queryOf(hasViews: boolean): string {
  const froms: [string, string][] = (Object.keys(MODES) as Mode[]).map((mode) => [
    mode,
    mode === "append-dedupe" ? NEWEST : `{table}${MODES[mode]}`,
  ]);
  if (hasViews) froms.push(["view", `{table}${MODES["append-dedupe"]}_latest`]);
  const selects = froms.map(([what, from]) => `SELECT '${what}' AS mode, ${SUMS} FROM ${from}`);
  return `${selects.join(" UNION ALL ")} ORDER BY 1`;
}
