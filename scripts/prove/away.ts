/**
 * Proof of a catalog that is away for minutes (SPEC section 10): ingest buffers to its limit and pauses,
 * `/health` and metrics say so, the circuit breaker opens and tries again at each reset, and when the
 * catalog is back the lag shrinks faster than events come.
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
  };
  readonly lagRecords: number;
  /** From the catalog's return to a lag below one second's events, seconds. */
  readonly recoverySeconds: number;
  /** How fast the lag shrank, events a second: at least twice the rate is wanted. */
  readonly shrinksBy: number;
  readonly events: number;
  readonly verdict: Verdict;
}

const BUFFER_MB = 8;
const RESET_MS = 10_000;
const SAMPLE_MS = 100;

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
  await away.stop();
  const held = await watch(product, Date.now() + awayMs);
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
    shrinksBy >= 2 * rate;
  return { ok, held, lagRecords, recoverySeconds, shrinksBy, events, verdict };
}

/** Events come on for so long after the catalog's return. */
const FLOWS_ON_S = 60;

async function watch(product: Product, untilMs: number): Promise<AwayReport["held"]> {
  const states = new Set<number>();
  let [bufferBytesMax, residentBytesMax] = [0, 0];
  while (Date.now() < untilMs) {
    const text = await product.metrics().catch(() => "");
    states.add(sample(text, "circuit_breaker_state"));
    bufferBytesMax = Math.max(bufferBytesMax, sample(text, "hot_buffer_size_bytes") || 0);
    residentBytesMax = Math.max(residentBytesMax, product.usage().peakBytes);
    await Bun.sleep(SAMPLE_MS);
  }
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
  };
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
