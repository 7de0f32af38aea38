/**
 * Proof of the three outcomes of a commit (SPEC 2.4): events flow through a catalog server into a
 * table, and commit after commit meets trouble on its way: applied with the answer lost, 5xx before and
 * after, hanging, reset, success without applying. At the end every snapshot keeps the law, every live
 * file is there, and foreign readers find each row once.
 */
import { type Random, seededRandom } from "#base/random.ts";
import { produceEvents } from "../events/events.ts";
import { judgeTable, readTopic, type Verdict } from "../judge/judge.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import { commitOutcomes } from "./catalogKills.ts";
import { merge, newCourse, runToEnd, type Say, start } from "./course.ts";

/** Size and place of the proof. */
export interface OutcomesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly server: CatalogServer;
  readonly cases: number;
  readonly seed: number;
  readonly say: Say;
}

/** What commits are to meet. */
type Troubles = Pick<OutcomesProof, "server" | "cases" | "say"> & { readonly random: Random };

/** What was found. */
export interface OutcomesReport {
  readonly ok: boolean;
  /** Cases by trouble. */
  readonly cases: Readonly<Record<string, number>>;
  /** Outcomes of commits, as the process counted them. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly events: number;
  readonly verdict: Verdict;
}

/** Events a second, and how long the slowest case may take. */
const RATE = 250;
const CHUNK = 20 * RATE;
const CASE_MS_MAX = 30_000;

/** Runs the proof. */
export async function proveOutcomes(proof: OutcomesProof): Promise<OutcomesReport> {
  const { bootstrap, topic, server } = proof;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 3,
    env: server.env,
    // What is looked at is the three outcomes: no breaker waits between the cases.
    config: merge(server.config, {
      "iceberg.catalog_manager": { reconnect_backoff_ms: [50], circuit_breaker_failures: 1000 },
    }),
  });
  const random = seededRandom(proof.seed);
  const product = await start(course);
  const stop = new AbortController();
  const flow = flowing(bootstrap, topic, stop.signal);
  await product.ready();
  const cases = await meetTroubles(product, { ...proof, random });
  await server.calm();
  const outcomes = Object.fromEntries(await commitOutcomes(product));
  stop.abort();
  const events = await flow;
  await product.kill();
  await runToEnd(course);
  const copy = await readTopic(bootstrap, topic);
  const zeros = Object.keys(copy.partitions).map((partition) => [partition, 0]);
  const verdict = await judgeTable({
    table: await server.table(topic),
    topics: [copy],
    readers: ["duckdb", "pyiceberg"],
    ...(server.s3 && { s3: server.s3 }),
    ...(server.hidesAncestors === true && { first: { [topic]: Object.fromEntries(zeros) } }),
  });
  const rows = Object.values(verdict.readers).map((reader) => reader.rows);
  const ok = verdict.ok && rows.every((count) => count === events);
  return { ok, cases, outcomes, events, verdict };
}

/** Lets commit after commit meet trouble, each in turn, begun at a random moment of the commit before it. */
export async function meetTroubles(
  product: Product,
  { server, cases: wanted, random, say }: Troubles,
): Promise<Readonly<Record<string, number>>> {
  const cases: Record<string, number> = {};
  for (let index = 0; index < wanted; index++) {
    const { troubles } = server;
    const trouble = troubles[index % troubles.length];
    if (trouble === undefined) throw new Error("there is no trouble");
    const before = sum(await commitOutcomes(product));
    const { committed = 0 } = Object.fromEntries(await commitOutcomes(product));
    await Bun.sleep(random.unit() * 150);
    await trouble.begin();
    await until(
      `a commit after "${trouble.name}"`,
      async () => {
        const now = await commitOutcomes(product);
        return (Object.fromEntries(now)["committed"] ?? 0) > committed && sum(now) > before + 1;
      },
      CASE_MS_MAX,
    );
    cases[trouble.name] = (cases[trouble.name] ?? 0) + 1;
    if (index % 20 === 19) say(`${index + 1} of ${wanted} cases`);
  }
  return cases;
}

function sum(outcomes: readonly (readonly [string, number])[]): number {
  return outcomes.reduce((total, [, times]) => total + times, 0);
}

/** Events, until the signal; how many. */
export async function flowing(
  bootstrap: string,
  topic: string,
  signal: AbortSignal,
): Promise<number> {
  let events = 0;
  while (!signal.aborted) {
    await produceEvents({ bootstrap, topic, count: CHUNK, rate: RATE, first: events });
    events += CHUNK;
  }
  return events;
}
