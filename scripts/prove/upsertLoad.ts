/**
 * Proof of upserts under load: a table of many keys, then changes of keys chosen evenly at a steady rate for
 * minutes, a restart with its index, a restart without it, and all rows by two readers against the model.
 *
 * ```text
 * bun scripts/prove/upsertLoad.ts [load | change | restart | read]...   default: all, in this order
 *   --folder F        where a later call goes on with other steps (default: a temporary one)
 *   --keys 10000000 --rate 100000 --seconds 600 --interval 5000 --memory 1024 --profile FILE
 * ```
 * What is said of memory is of the process and the children of its maintenance, by Linux, once a second; of
 * CPU the same, without producer and broker, which share the machine.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom, systemRandom } from "#base/random.ts";
import { type PartitionBatch, produceRequest } from "#consumer/produce/produceRequest.ts";
import type { Cluster } from "#consumer/wire/cluster.ts";
import { produce } from "#loadtest/producer.ts";
import { openCluster, topicLeaders } from "#loadtest/scratchTopic.ts";
import { type Meter, meterOf } from "../bench/peers/meter.ts";
import { FIRST_ID, FIRST_N, KeyedChanges, type KeyedModel } from "../events/keyedChanges.ts";
import { readersPython } from "../services/cache.ts";
import { startKafka } from "../services/kafka.ts";
import { run, temporaryFolder, until } from "../services/process.ts";
import type { Product } from "../services/product.ts";
import { type Course, newCourse, readHead, runToEnd, start, total } from "./course.ts";

const { values: flags, positionals } = parseArgs({
  options: {
    folder: { type: "string" },
    keys: { type: "string", default: "10000000" },
    rate: { type: "string", default: "100000" },
    seconds: { type: "string", default: "600" },
    interval: { type: "string", default: "5000" },
    memory: { type: "string", default: "1024" },
    profile: { type: "string", default: "" },
  },
  allowPositionals: true,
});
const [KEYS, RATE, SECONDS] = [Number(flags.keys), Number(flags.rate), Number(flags.seconds)];
const TOPIC = "changes";
const PARTITIONS = 4;
const ROWS_PER_BATCH = 500;
const MB = 2 ** 20;
/** Keys are loaded as fast as everybody can. */
const LOAD_RATE = 1_000_000;
const AFTER_RESTART = 20_000;
const CATCH_UP_MS = 15 * 60_000;

const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

const STEPS: Readonly<Record<string, () => Promise<unknown>>> = { load, change, restart, read };
const folder = flags.folder ?? (await temporaryFolder(TOPIC));
const modelFile = join(folder, "model.u32");
// On a machine that has no time for it a broker would lose its session, and producing fail.
const properties = { "broker.session.timeout.ms": "120000" };
const broker = await startKafka({ dataDir: join(folder, "kafka"), properties });
const { bootstrap } = broker;
const hasTopic = existsSync(modelFile);
const course = await newCourse({
  ...{ bootstrap, topic: TOPIC, partitions: hasTopic ? 0 : PARTITIONS },
  folder: join(folder, "course"),
  config: {
    source: { mode: "ktable", key_field: ["id"], key_format: "json" },
    "iceberg.commit": { interval_ms: Number(flags.interval) },
    "iceberg.write": { format_version: 3 },
    memory: { limit_mb: Number(flags.memory) },
    server: { profile_enabled: flags.profile !== "" },
  },
});
const cluster = openCluster(
  { bootstrapServers: [bootstrap], groupId: "producer" },
  { clock: systemClock, random: systemRandom, log: silentLogger },
);
const before = hasTopic ? await readModel() : { last: new Uint32Array(KEYS), sent: 0 };
const [random, partitions, rowsPerBatch] = [
  seededRandom(13 + before.sent),
  PARTITIONS,
  ROWS_PER_BATCH,
];
const changes = new KeyedChanges({ keys: KEYS, partitions, rowsPerBatch, random, before });

const report: Record<string, unknown> = { keys: KEYS };
for (const name of positionals.length > 0 ? positionals : Object.keys(STEPS)) {
  const step = STEPS[name];
  if (step === undefined) throw new Error(`no step ${name}`);
  report[name] = await step();
  await writeModel();
}
console.log(JSON.stringify(report, null, 1));
cluster.close();
await broker.stop();
process.exit(0);

async function readModel(): Promise<KeyedModel> {
  const words = new Uint32Array(await Bun.file(modelFile).arrayBuffer());
  return { last: words.subarray(0, KEYS), sent: words[KEYS] ?? 0 };
}

/** All keys, and behind them how many records were sent. */
async function writeModel(): Promise<void> {
  const { last, sent } = changes.model;
  await Bun.write(
    modelFile,
    Buffer.concat([
      new Uint8Array(last.buffer, last.byteOffset, last.byteLength),
      new Uint8Array(Uint32Array.of(sent).buffer),
    ]),
  );
}

/** Every key once. */
async function load(): Promise<object> {
  await send(cluster, LOAD_RATE, KEYS, (at, partition) => changes.insert(at, partition));
  say(`${KEYS} keys are in the topic`);
  const began = performance.now();
  await runToEnd(course);
  const seconds = (performance.now() - began) / 1000;
  say(`and in the table after ${seconds.toFixed(1)} s`);
  return { seconds: round(seconds), rowsPerSecond: Math.round(KEYS / seconds) };
}

async function change(): Promise<object> {
  const product = await start(course);
  await product.ready();
  await Bun.sleep(2000);
  const meter = meterOf({ pid: product.pid, resourceUsage: () => undefined });
  const before = meter.cost().cpuSeconds;
  const watch = watchOf(product, meter);
  if (flags.profile !== "") void profile(product, flags.profile);
  const began = performance.now();
  const from = changes.model.sent;
  await send(cluster, RATE, RATE * SECONDS, (at, partition) => changes.change(at, partition));
  const sentSeconds = (performance.now() - began) / 1000;
  const lag = changes.model.sent - total(await readHead(course));
  say(
    `${changes.model.sent - from} changes in ${sentSeconds.toFixed(1)} s; ${lag} of them not committed`,
  );
  await until(
    "the last change",
    async () => total(await readHead(course)) >= changes.model.sent,
    CATCH_UP_MS,
  );
  const seconds = (performance.now() - began) / 1000;
  const cpuSeconds = meter.cost().cpuSeconds - before;
  const count = changes.model.sent - from;
  const memory = watch.stop();
  meter.stop();
  const { peakBytes } = product.usage();
  const threads = threadsOf(product.pid);
  await product.terminate();
  const flushes = product.logLines().filter(({ message }) => message === "Flush committed");
  return {
    ...{ changes: count, producedPerSecond: Math.round(count / sentSeconds) },
    ...{ lagAtEnd: lag, committedPerSecond: Math.round(count / seconds) },
    ...{ cpuSeconds: round(cpuSeconds), changesPerCpuSecond: Math.round(count / cpuSeconds) },
    ...{ threads, peakMiB: Math.round(peakBytes / MB), memory },
    flushes: spread(flushes.map(({ duration_ms = 0 }) => duration_ms)),
    rowsOfFlush: spread(flushes.map(({ records_flushed = 0 }) => records_flushed)),
    warnings: [...new Set(warningsOf(product))].slice(0, 10),
  };
}

/** Starts with the index as it was kept, and without it; ms. */
async function restart(): Promise<object> {
  const withIndex = await startAgain();
  rmSync(join(course.folder, "state", "keyindex"), { recursive: true });
  return { withIndex, rebuilt: await startAgain() };
}

/** A start with some changes to be made, until all are committed and it has ended. */
async function startAgain(): Promise<object> {
  await send(cluster, LOAD_RATE, AFTER_RESTART, (at, partition) => changes.change(at, partition));
  const began = performance.now();
  const { peakBytes } = (await runToEnd(course)).usage();
  const ms = Math.round(performance.now() - began);
  say(`restarted, ${AFTER_RESTART} changes committed and ended after ${ms} ms`);
  return { ms, peakMiB: Math.round(peakBytes / MB) };
}

/** Sends so many at this rate; goes on until it has, where the machine does not keep up. */
async function send(
  to: Cluster,
  rate: number,
  rows: number,
  batch: (timestampMs: number, partition: number) => Uint8Array,
): Promise<void> {
  const leaders = await topicLeaders(to, TOPIC);
  const parts = {
    clock: systemClock,
    batch,
    send: (leader: number, batches: readonly PartitionBatch[]) =>
      to.send(leader, "produce", produceRequest(TOPIC, batches)),
    progress: () => undefined,
  };
  for (let left = rows; left > 0; ) {
    const job = { rate, seconds: (left + 0.5) / rate, leaders, rowsPerBatch: ROWS_PER_BATCH };
    const sent = await produce(job, parts, new AbortController().signal);
    left -= sent.rows;
  }
}

/** Memory of the process and its children, once a second. */
interface MemoryOverTime {
  /** The highest of each ten seconds, MiB. */
  readonly mostMiB: readonly number[];
  readonly seconds: number;
  /** Of them, those above `--memory`. */
  readonly secondsAbove: number;
}

/** Watches memory; says a line now and then. */
function watchOf(product: Product, meter: Meter): { stop: () => MemoryOverTime } {
  const samples: number[] = [];
  let seconds = 0;
  const timer = setInterval(() => {
    const { residentBytes, cpuSeconds } = meter.cost();
    // What process and child share is in memory once.
    samples.push(Math.round((meter.proportionalBytes() ?? residentBytes) / MB));
    if (++seconds % 10 !== 0) return;
    void readHead(course).then((head) => {
      const flush = product.logLines().findLast(({ message }) => message === "Flush committed");
      const [files, live] = filesOf(course);
      const parts = [`${seconds} s`, `${samples.at(-1)} MiB`, `${cpuSeconds.toFixed(1)} CPU-s`];
      parts.push(
        `committed ${total(head)}`,
        `flush ${flush?.duration_ms} ms of ${flush?.records_flushed}`,
      );
      say(`${parts.join(", ")}, ${files} files, ${live} MB on disk`);
    });
  }, 1000);
  return {
    stop: () => {
      clearInterval(timer);
      const mostMiB = Array.from({ length: Math.ceil(samples.length / 10) }, (_, n) =>
        Math.max(...samples.slice(10 * n, 10 * n + 10)),
      );
      const above = samples.filter((each) => each > Number(flags.memory));
      return { mostMiB, seconds: samples.length, secondsAbove: above.length };
    },
  };
}

/** Data files of the table and all bytes below its folder. */
function filesOf({ tableFolder }: Course): [files: number, mb: number] {
  let [files, bytes] = [0, 0];
  for (const name of readdirSync(tableFolder, { recursive: true, encoding: "utf8" })) {
    if (/^data.*\.parquet$/.test(name)) files++;
    bytes += statSync(join(tableFolder, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return [files, Math.round(bytes / MB)];
}

/** CPU seconds of the threads that used some, by their names. */
function threadsOf(pid: number): Record<string, number> {
  const threads: Record<string, number> = {};
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
    const [name = ""] = /(?<=\().*(?=\))/.exec(stat) ?? [];
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (Number(fields[11]) + Number(fields[12])) / 100;
    if (seconds >= 0.5) threads[`${name} ${task}`] = seconds;
  }
  return threads;
}

/** A profile of the event loop in the midst of the changes. */
async function profile({ url }: Product, file: string): Promise<void> {
  await Bun.sleep((SECONDS / 2) * 1000);
  const answer = await fetch(`${url}/profile?seconds=${Math.min(30, Math.floor(SECONDS / 3))}`);
  await Bun.write(file, await answer.text());
}

function warningsOf(product: Product): string[] {
  return product
    .logLines()
    .filter(({ level }) => level === "warn" || level === "error")
    .map(({ message = "", cause = "" }) => `${message}: ${String(cause)}`);
}

/** The whole table against the model, by DuckDB and by PyIceberg. */
async function read(): Promise<unknown> {
  await writeModel();
  const { version } = await readHead(course);
  const metadata = `${course.metadataRoot}/v${version}.metadata.json`;
  const script = join(import.meta.dir, "upsertLoad.py");
  const stdin = JSON.stringify({
    metadata,
    model: modelFile,
    keys: KEYS,
    firstId: FIRST_ID,
    firstN: Number(FIRST_N),
  });
  return JSON.parse(await run([await readersPython(), script], { stdin }));
}

function spread(values: readonly number[]): Record<string, number> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), max: at(1) };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
