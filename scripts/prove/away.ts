/**
 * Proof of a catalog that is away for minutes (SPEC section 10): ingest buffers to its limit and pauses,
 * `/health` and metrics say so, the circuit breaker opens and tries again at each reset, readers of the
 * table are answered from memory, and when the catalog is back the lag shrinks faster than events come.
 */
import { produceEvents } from "../events/events.ts";
import { judgeTable, readTopic, type Verdict } from "../judge/judge.ts";
import type { CatalogServer } from "../services/catalogServers.ts";
import { until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import { merge, newCourse, runToEnd, start } from "./course.ts";

/** Size and place of the proof. */
export interface AwayProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly server: CatalogServer;
  readonly awayMs: number;
  /** Events a second, all the time. */
  readonly rate: number;
}

/** What was found. */
export interface AwayReport {
  readonly ok: boolean;
  /** While it was away. */
  readonly held: {
    readonly health: string;
    readonly healthCode: number;
    readonly ready: number;
    readonly pausedPartitions: number;
    /** Seen at once: 0 closed, 1 half open, 2 open. */
    readonly circuitStates: readonly number[];
    readonly bufferBytesMax: number;
    readonly residentBytesMax: number;
    /** Operations that the catalog did not answer: those before the circuit opened, then one a reset. */
    readonly catalogErrors: number;
    readonly openings: number;
    readonly reads: Reads;
  };
  /** Before it went, while commits landed. */
  readonly steady: Reads;
  readonly lagRecords: number;
  /** From the catalog's return to a lag below one second's events, seconds. */
  readonly recoverySeconds: number;
  /** How fast the lag shrank, events a second: at least twice the rate is wanted. */
  readonly shrinksBy: number;
  readonly events: number;
  readonly verdict: Verdict;
}

/** Answers to `GET /tables/NAME`, up to forty a second, and one to SQL. */
interface Reads {
  /** By status and whether the answer says that it may be old: `200 stale`. */
  readonly answers: Readonly<Record<string, number>>;
  /** Share of the cache's answers that came from memory. */
  readonly hitRate: number;
  readonly p99Ms: number;
}

const BUFFER_MB = 8;
const RESET_MS = 10_000;
const SAMPLE_MS = 100;
const STEADY_MS = 5000;
const READS_A_SAMPLE = 4;

/** Runs the proof. */
export async function proveAway(proof: AwayProof): Promise<AwayReport> {
  const { bootstrap, topic, server, awayMs, rate } = proof;
  const { away } = server;
  if (away === undefined) throw new Error("this server cannot be away");
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 3,
    env: server.env,
    config: merge(server.config, {
      hot_buffer: { max_size_mb: BUFFER_MB },
      "iceberg.commit": { interval_ms: 1000 },
      "iceberg.catalog_manager": { circuit_breaker_reset_ms: RESET_MS },
    }),
  });
  const product = await start(course);
  await product.ready();
  const events = Math.round(rate * (awayMs / 1000 + FLOWS_ON_S));
  const flow = produceEvents({ bootstrap, topic, count: events, rate, codec: "lz4" });
  const lag = (): Promise<number> => gauge(product, "commit_lag_records");
  const isCommitting = async (): Promise<boolean> => product.log().includes("Flush committed");
  await until("a first commit", isCommitting, 60_000);
  const { reads: steady } = await watch(product, topic, Date.now() + STEADY_MS);
  await away.stop();
  const held = await watch(product, topic, Date.now() + awayMs);
  const lagRecords = await lag();
  await away.start();
  const began = Date.now();
  await until("the lag to shrink", async () => (await lag()) < rate, 300_000, SAMPLE_MS);
  const recoverySeconds = (Date.now() - began) / 1000;
  await flow;
  await product.terminate();
  await runToEnd(course);
  const verdict = await judgeTable({
    table: await server.table(topic),
    topics: [await readTopic(bootstrap, topic)],
    readers: ["duckdb"],
    ...(server.s3 && { s3: server.s3 }),
  });
  const shrinksBy = Math.round((lagRecords - rate) / recoverySeconds);
  const ok =
    verdict.ok &&
    verdict.readers.duckdb?.rows === events &&
    held.pausedPartitions === 3 &&
    held.circuitStates.includes(2) &&
    isAnswered(steady) &&
    steady.hitRate >= 0.95 &&
    isAnswered(held.reads) &&
    shrinksBy >= 2 * rate;
  return { ok, held, steady, lagRecords, recoverySeconds, shrinksBy, events, verdict };
}

const isAnswered = ({ answers }: Reads): boolean =>
  Object.keys(answers).every((answer) => answer.startsWith("200"));

/** Events come on for so long after the catalog's return. */
const FLOWS_ON_S = 60;

async function watch(
  product: Product,
  topic: string,
  untilMs: number,
): Promise<AwayReport["held"]> {
  const states = new Set<number>();
  let [bufferBytesMax, residentBytesMax] = [0, 0];
  const answers: Record<string, number> = {};
  const tookMs: number[] = [];
  const before = cacheCounts(await product.metrics());
  while (Date.now() < untilMs) {
    for (let read = 0; read < READS_A_SAMPLE; read++) {
      const began = performance.now();
      const answer = await readTable(product, topic);
      answers[answer] = (answers[answer] ?? 0) + 1;
      tookMs.push(performance.now() - began);
    }
    const text = await product.metrics().catch(() => "");
    states.add(sample(text, "circuit_breaker_state"));
    bufferBytesMax = Math.max(bufferBytesMax, sample(text, "hot_buffer_size_bytes") || 0);
    residentBytesMax = Math.max(residentBytesMax, product.usage().peakBytes);
    await Bun.sleep(SAMPLE_MS);
  }
  answers[await readRows(product, topic)] = 1;
  const after = cacheCounts(await product.metrics());
  const [hits, misses] = [after.hits - before.hits, after.misses - before.misses];
  const p99Ms = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? 0;
  const health = await fetch(`${product.url}/health`);
  const ready = await fetch(`${product.url}/ready`);
  return {
    health: (await health.text()).slice(0, 600),
    healthCode: health.status,
    ready: ready.status,
    pausedPartitions: await gauge(product, "partitions_paused"),
    circuitStates: [...states].filter(Number.isFinite).sort(),
    bufferBytesMax,
    residentBytesMax,
    catalogErrors: await gauge(product, 'catalog_error_total{[^}]*"catalog_unreachable"'),
    openings: product.logLines().filter(({ message }) => message === OPENED).length,
    reads: { answers, hitRate: hits / (hits + misses), p99Ms: Math.round(p99Ms) },
  };
}

async function readTable({ url }: Product, table: string): Promise<string> {
  const answer = await fetch(`${url}/tables/${table}`);
  const { stale } = (await answer.json()) as { readonly stale?: boolean };
  return `${answer.status} ${stale === true ? "stale" : "table"}`;
}

async function readRows({ url }: Product, table: string): Promise<string> {
  const sql = `SELECT count(*) FROM ${table}`;
  const answer = await fetch(`${url}/query`, { method: "POST", body: JSON.stringify({ sql }) });
  await answer.text();
  return `${answer.status} rows`;
}

function cacheCounts(text: string): { readonly hits: number; readonly misses: number } {
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^\\w*metadata_cache_${name}_total\\{[^}]*\\} (\\S+)$`, "gm"))]
      .map(([, value]) => Number(value))
      .reduce((total, value) => total + value, 0);
  return { hits: sum("hits"), misses: sum("misses") };
}

const OPENED = "The catalog is left alone for a while: it does not answer";

async function gauge(product: Product, name: string): Promise<number> {
  return sample(await product.metrics().catch(() => ""), name);
}

/** The first sample whose name ends so. */
function sample(text: string, name: string): number {
  const labels = name.includes("{") ? "" : "(?:\\{)?";
  return Number(new RegExp(`^\\w*${name}${labels}[^}]*\\} (\\S+)$`, "m").exec(text)?.[1]);
}
