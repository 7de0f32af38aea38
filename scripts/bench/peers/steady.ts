/**
 * Ours alone at a steady rate, and idle: the share of a core, memory, and freshness.
 *
 * Kafka's own performance producer (Java) sends the same events as elsewhere at a fixed rate; it
 * needs less CPU for that than a producer in Python.
 */
import { join } from "node:path";
import { createTopic, deleteTopic } from "../../events/topics.ts";
import { kafkaClassPath, readersPython } from "../../services/cache.ts";
import { run } from "../../services/process.ts";
import { rowsOf } from "./ingest.ts";
import { launch, type Running, withFolder } from "./observe.ts";
import { type Job, peerFile, type Side } from "./side.ts";
import { checkRows, type Freshness } from "./tables.ts";
import { topicRange } from "./topic.ts";

/** What is produced. */
export interface SteadyLoad {
  /** Records a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly partitions: number;
  /** How long the producer waits for a batch to fill, ms. */
  readonly lingerMs: number;
}

/** Figures at a steady rate. */
export interface SteadyRun {
  /** What the producer really sent, records a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Share of one core, 1 = a whole one. */
  readonly cores: number;
  readonly residentMaxMiB: number;
  readonly freshness: Freshness;
  /** Absent in figures of before 2026-11-29. */
  readonly flushes?: FlushTimes;
}

/** How long flushes took, from sealed to committed, by the side's own log. Of fewer than a hundred p99 is the longest. */
export interface FlushTimes {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Figures while nothing arrives. */
export interface IdleRun {
  readonly seconds: number;
  readonly cores: number;
  readonly residentMaxMiB: number;
}

/** Share of record batches whose oldest record was queryable within so many ms of its timestamp. */
export interface HotRun {
  /** Records a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly batches: number;
  readonly within5: number;
  readonly within10: number;
  readonly within25: number;
  readonly within50: number;
}

const PAYLOADS = 100_000;
/** Both the producer and the side are warm after this. */
const WARM_SECONDS = 10;
/** A fresh process has settled after this. */
const SETTLE_MS = 5000;

/** Produces at a rate for a warm-up and `seconds`, and measures the side in the latter. */
export function measureSteady(
  side: Side,
  job: Omit<Job, "folder" | "topic">,
  load: SteadyLoad,
): Promise<SteadyRun> {
  return onNewTopic(side, job, load.partitions, async (running, topic, folder) => {
    const count = load.rate * (WARM_SECONDS + load.seconds);
    const producing = produceSteadily({ ...job, ...load, topic, folder, count });
    await Bun.sleep(WARM_SECONDS * 1000);
    const sinceMs = Date.now();
    const before = rowsOf(await topicRange(job.bootstrap, topic));
    const share = watchShare(running);
    await producing;
    const { seconds, ...usage } = share();
    const partitions = await topicRange(job.bootstrap, topic);
    const rate = Math.round((rowsOf(partitions) - before) / seconds);
    await running.finished(FIRST_RECORDS + count);
    running.head?.stop();
    const commits = running.head?.commits ?? [];
    const seen = Object.fromEntries(commits.map(({ sequence, seenMs }) => [sequence, seenMs]));
    const metadata = running.head?.metadata() ?? "";
    const check = { metadata, partitions, coordinates: true, codec: job.codec, seen, sinceMs };
    const { freshness, violations } = await checkRows(check);
    if (freshness === undefined || violations.length > 0) {
      throw new Error(`wrong rows:\n${violations.join("\n")}`);
    }
    const flushes = flushTimes(await Bun.file(running.logFile).text(), sinceMs);
    return { rate, seconds: Math.round(seconds), ...usage, freshness, flushes };
  });
}

/** Of the flushes that a log in JSON lines says were committed since then. */
export function flushTimes(log: string, sinceMs: number): FlushTimes {
  const durations = log
    .split("\n")
    .filter((line) => line.includes('"Flush committed"'))
    .map((line) => JSON.parse(line) as { readonly timestamp: string; readonly duration_ms: number })
    .filter(({ timestamp }) => Date.parse(timestamp) >= sinceMs)
    .map(({ duration_ms: ms }) => ms)
    .toSorted((a, b) => a - b);
  const at = (share: number): number =>
    durations[Math.max(0, Math.ceil(durations.length * share) - 1)] ?? Number.NaN;
  return { count: durations.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

/** Produces as {@link measureSteady} does, and asks the side's metrics how soon rows were queryable. */
export function measureHot(
  side: Side,
  job: Omit<Job, "folder" | "topic">,
  load: SteadyLoad,
): Promise<HotRun> {
  return onNewTopic(side, job, load.partitions, async (running, topic, folder) => {
    const count = load.rate * (WARM_SECONDS + load.seconds);
    const producing = produceSteadily({ ...job, ...load, topic, folder, count });
    await Bun.sleep(WARM_SECONDS * 1000);
    const before = rowsOf(await topicRange(job.bootstrap, topic));
    const earlier = await queryableCounts(running);
    const began = performance.now();
    await producing;
    const later = await queryableCounts(running);
    const seconds = (performance.now() - began) / 1000;
    const rows = rowsOf(await topicRange(job.bootstrap, topic)) - before;
    const gained = (bound: string): number => (later.get(bound) ?? 0) - (earlier.get(bound) ?? 0);
    const batches = gained("+Inf");
    const share = (bound: string): number => Number((gained(bound) / batches).toFixed(4));
    return {
      rate: Math.round(rows / seconds),
      seconds: Math.round(seconds),
      batches,
      within5: share("0.005"),
      within10: share("0.01"),
      within25: share("0.025"),
      within50: share("0.05"),
    };
  });
}

/** Cumulative counts of `freshness_seconds{stage="queryable"}` by upper bound. */
async function queryableCounts({ launch: { metricsUrl } }: Running): Promise<Map<string, number>> {
  if (metricsUrl === undefined) throw new Error("a side without metrics");
  const text = await (await fetch(metricsUrl)).text();
  const lines = text.matchAll(/^freshness_seconds_bucket\{([^}]*stage="queryable"[^}]*)\} (\d+)/gm);
  return new Map(
    [...lines].map(([, labels = "", count]) => [
      /le="([^"]+)"/.exec(labels)?.[1] ?? "",
      Number(count),
    ]),
  );
}

/** Measures the side on a quiet topic whose first records it has committed. */
export function measureIdle(
  side: Side,
  job: Omit<Job, "folder" | "topic">,
  seconds: number,
  partitions: number,
): Promise<IdleRun> {
  return onNewTopic(side, job, partitions, async (running) => {
    await Bun.sleep(SETTLE_MS);
    const share = watchShare(running);
    await Bun.sleep(seconds * 1000);
    return { ...share(), seconds };
  });
}

/** Before measuring, a thousand records are committed. */
const FIRST_RECORDS = 1000;

function onNewTopic<T>(
  side: Side,
  job: Omit<Job, "folder" | "topic">,
  partitions: number,
  work: (running: Running, topic: string, folder: string) => Promise<T>,
): Promise<T> {
  return withFolder(side.name, async (folder) => {
    const { bootstrap } = job;
    const topic = `steady-${crypto.randomUUID()}`;
    await createTopic(bootstrap, { topic, partitions });
    const [rate, count] = [FIRST_RECORDS, FIRST_RECORDS];
    await produceSteadily({ bootstrap, topic, folder, rate, count, lingerMs: 5 });
    const running = await launch(side, { ...job, folder, topic });
    try {
      await running.finished(FIRST_RECORDS);
      return await work(running, topic, folder);
    } finally {
      await running.kill();
      await deleteTopic(bootstrap, topic);
    }
  });
}

/** Share of a core since the call, and the largest resident memory of one sample a second. */
function watchShare(running: Running): () => IdleRun {
  const began = performance.now();
  const { cpuSeconds } = running.meter.cost();
  let resident = 0;
  const timer = setInterval(() => {
    resident = Math.max(resident, running.meter.cost().residentBytes);
  }, 1000);
  return () => {
    clearInterval(timer);
    const used = running.meter.cost().cpuSeconds - cpuSeconds;
    const seconds = (performance.now() - began) / 1000;
    const cores = Number((used / seconds).toFixed(4));
    return { seconds, cores, residentMaxMiB: Math.round(resident / 2 ** 20) };
  };
}

interface SteadyProduce {
  readonly bootstrap: string;
  readonly topic: string;
  readonly folder: string;
  readonly rate: number;
  readonly count: number;
  readonly lingerMs: number;
}

async function produceSteadily(wanted: SteadyProduce): Promise<void> {
  const { bootstrap, topic, folder, rate, count, lingerMs } = wanted;
  const payloads = join(folder, "payloads");
  await run([await readersPython(), peerFile("payloads.py"), payloads, String(PAYLOADS)]);
  await run([
    "java",
    "-Xmx256m",
    "-cp",
    await kafkaClassPath(),
    "org.apache.kafka.tools.ProducerPerformance",
    "--topic",
    topic,
    "--num-records",
    String(count),
    "--payload-file",
    payloads,
    "--throughput",
    String(rate),
    "--producer-props",
    `bootstrap.servers=${bootstrap}`,
    "compression.type=lz4",
    "batch.size=65536",
    `linger.ms=${lingerMs}`,
  ]);
}
