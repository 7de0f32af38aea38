/**
 * Proof: events flow through a catalog server into a table, the process is killed again and again while
 * the server may fail, and started again at once; `--until-end` ends; foreign readers find the table
 * through the catalog and judge it.
 */
import { seededRandom } from "#base/random.ts";
import { produceEvents } from "../events/events.ts";
import {
  type JudgeJob,
  judgeTable,
  type Reader,
  readTopic,
  type StoreAccess,
  type TableSource,
  type TopicCopy,
  type Verdict,
} from "../judge/judge.ts";
import type { Config, Product } from "../services/product.ts";
import { newCourse, runToEnd, start } from "./course.ts";

/** Size and place of the proof. */
export interface CatalogKillsProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly events: number;
  /** Events a second. */
  readonly rate: number;
  readonly kills: number;
  readonly seed: number;
  /** The catalog and its store. */
  readonly config: Config;
  /** A function: asked when all is done. */
  readonly table: TableSource | (() => TableSource | Promise<TableSource>);
  readonly s3?: StoreAccess;
  /** The catalog shows the head alone, so that it does not tell where each partition began: at 0. */
  readonly hidesAncestors?: boolean;
  /** Environment of the product. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** What no log may show. */
  readonly secrets?: readonly string[];
  /** Who reads the table at the end, default DuckDB. */
  readonly readers?: readonly Reader[];
  /** Called three times in each life: may let the server fail. Gets numbers from 0 to below 1. */
  readonly trouble?: (random: () => number) => Promise<void>;
  /** Ends all trouble. */
  readonly calm?: () => Promise<void>;
}

/** What was found. */
export interface CatalogKillsReport {
  readonly verdict: Verdict;
  /** Outcomes of commits, as the processes counted them before they were killed. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Runs the proof. */
export async function proveCatalogKills(proof: CatalogKillsProof): Promise<CatalogKillsReport> {
  const { bootstrap, topic, partitions, config, env, events: count, rate } = proof;
  const course = await newCourse({ bootstrap, topic, partitions, config, env });
  const random = seededRandom(proof.seed);
  const unit = (): number => random.unit();
  const outcomes: Record<string, number> = {};
  let flowing = true;
  const flow = produceEvents({ bootstrap, topic, count, rate }).finally(() => {
    flowing = false;
  });
  for (let kill = 0; kill < proof.kills; kill++) {
    const product = await start(course);
    const deadline = Date.now() + FIRST_COMMIT_MS_MAX;
    while (flowing && Date.now() < deadline && total(await commitOutcomes(product)) < COMMITS_MIN) {
      await Bun.sleep(50);
    }
    for (let step = 0; step < 3; step++) {
      await proof.trouble?.(unit);
      await Bun.sleep(200 + unit() * 600);
    }
    for (const [outcome, times] of await commitOutcomes(product)) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + times;
    }
    if (proof.secrets?.some((secret) => product.log().includes(secret)) === true) {
      throw new Error("a secret is in the log");
    }
    await product.kill();
  }
  await flow;
  await proof.calm?.();
  await runToEnd(course);
  const { table, s3, hidesAncestors } = proof;
  const copy = await readTopic(bootstrap, topic);
  const verdict = await judgeTable({
    table: typeof table === "function" ? await table() : table,
    topics: [copy],
    readers: proof.readers ?? ["duckdb"],
    ...(s3 && { s3 }),
    ...(hidesAncestors === true && fromTheBeginning(copy)),
  });
  return { verdict, outcomes };
}

/** First positions of a topic that is read as a whole, for a table that shows its head alone. */
export function fromTheBeginning({ topic, partitions }: TopicCopy): Pick<JudgeJob, "first"> {
  const zeros = Object.keys(partitions).map((partition) => [partition, 0] as const);
  return { first: { [topic]: Object.fromEntries(zeros) } };
}

const FIRST_COMMIT_MS_MAX = 20_000;
/** A life has tried so many commits before its trouble begins. */
const COMMITS_MIN = 3;

/** Outcomes of commits that a process has counted; none while it does not answer. */
export async function commitOutcomes(product: Product): Promise<(readonly [string, number])[]> {
  const metrics = await product.metrics().catch(() => "");
  return [...metrics.matchAll(OUTCOMES)].map(([, outcome = "", times]) => [outcome, Number(times)]);
}

function total(outcomes: readonly (readonly [string, number])[]): number {
  return outcomes.reduce((sum, [, times]) => sum + times, 0);
}

const OUTCOMES = /^kafka_iceberg_commit_outcomes_total\{[^}]*outcome="(\w+)"[^}]*\} (\d+)$/gm;
