/**
 * Proof of credentials that end all the time: events flow through a catalog for a while whose tokens, and
 * whose keys of the store, live for seconds. No commit fails and no upload is refused.
 */
import { produceEvents } from "../events/events.ts";
import { judgeTable, readTopic, type Verdict } from "../judge/judge.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { commitOutcomes } from "./catalogKills.ts";
import { newCourse, runToEnd, start } from "./course.ts";

/** What was found. */
export interface SteadyReport {
  readonly ok: boolean;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Different keys of the store that were used; requests that the store refused. */
  readonly keys: number | null;
  readonly refused: Readonly<Record<string, number>> | null;
  readonly errors: number;
  readonly verdict: Verdict;
}

const RATE = 500;
const READY_MS_MAX = 120_000;

/** Runs the proof. */
export async function proveSteady(
  bootstrap: string,
  topic: string,
  server: CatalogServer,
  seconds: number,
): Promise<SteadyReport> {
  const { config, s3, front, hidesAncestors } = server;
  const course = await newCourse({ bootstrap, topic, partitions: 2, config });
  const product = await start(course);
  await product.ready(READY_MS_MAX);
  await produceEvents({ bootstrap, topic, count: seconds * RATE, rate: RATE });
  const outcomes = Object.fromEntries(await commitOutcomes(product));
  await product.terminate();
  const errors = product.logLines().filter(({ level }) => level === "error").length;
  const refused = front === undefined ? null : { ...front.refused };
  await runToEnd(course);
  const copy = await readTopic(bootstrap, topic);
  const zeros = Object.keys(copy.partitions).map((partition) => [partition, 0]);
  const verdict = await judgeTable({
    table: await server.table(topic),
    topics: [copy],
    readers: ["duckdb"],
    ...(s3 && { s3 }),
    ...(hidesAncestors === true && { first: { [topic]: Object.fromEntries(zeros) } }),
  });
  const isWhole = verdict.ok && verdict.readers.duckdb?.rows === seconds * RATE;
  const failed = (outcomes["failed"] ?? 0) + (outcomes["unknown"] ?? 0) + errors;
  const ok = isWhole && failed === 0 && Object.values(refused ?? {}).every((times) => times === 0);
  return { ok, outcomes, keys: front?.tokens.size ?? null, refused, errors, verdict };
}
