/**
 * Proof that other engines read our table by its name, through its catalog's own protocol: each finds every
 * row of the topic once.
 */
import { produceEvents } from "../events/events.ts";
import { judgeTable, readTopic, type Verdict } from "../judge/judge.ts";
import { askThrough, type Engine, enginesOf } from "../judge/through.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { fromTheBeginning } from "./catalogKills.ts";
import { newCourse, runToEnd } from "./course.ts";

/** What was found. */
export interface ThroughReport {
  readonly ok: boolean;
  /** Rows, distinct positions and the sum of offsets: of the topic, and as each engine sees them. */
  readonly wanted: readonly string[];
  readonly found: Readonly<Partial<Record<Engine, readonly string[]>>>;
  readonly verdict: Verdict;
}

const QUERY = `SELECT count(*) AS a, count(DISTINCT _kafka_partition * 1000000000 + _kafka_offset) AS b,
  CAST(sum(_kafka_offset) AS bigint) AS c FROM {table}`;

/** Runs the proof. */
export async function proveThrough(
  bootstrap: string,
  topic: string,
  server: CatalogServer,
  events: number,
): Promise<ThroughReport> {
  const { config, env } = server;
  const course = await newCourse({ bootstrap, topic, partitions: 3, config, env });
  await produceEvents({ bootstrap, topic, count: events });
  await runToEnd(course);
  const copy = await readTopic(bootstrap, topic);
  const source = await server.table(topic);
  const s3 = server.s3 && "accessKey" in server.s3 ? server.s3 : undefined;
  const verdict = await judgeTable({
    table: source,
    topics: [copy],
    ...(s3 && { s3 }),
    ...(server.hidesAncestors === true && fromTheBeginning(copy)),
  });
  const sums = Object.values(copy.partitions).map(({ count }) => (count * (count - 1)) / 2);
  const offsets = sums.reduce((sum, each) => sum + each, 0);
  const wanted = [events, events, offsets].map(String);
  const found: Partial<Record<Engine, readonly string[]>> = {};
  for (const engine of enginesOf(source)) {
    found[engine] = (await askThrough(engine, source, QUERY, s3))[0] ?? [];
  }
  const ok = verdict.ok && Object.values(found).every((each) => each.join() === wanted.join());
  return { ok, wanted, found, verdict };
}
