/**
 * What questions over rows in memory take, and what they cost the ingest (issue 11, must show 2 and 7): for a quiet
 * machine, by the built executable.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { readersPython } from "../services/cache.ts";
import { run, until } from "../services/process.ts";
import { type Product, startProduct } from "../services/product.ts";
import { newCourse, type Say } from "./course.ts";

/** Times in milliseconds. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What {@link proveHotLatency} found. */
export interface HotLatencyReport {
  /** From producing a record to the answer of `/query` that has it, while others come at `rate` a second. */
  readonly visible: Spread & { readonly rate: number };
  /** Of it, until the broker had stored the record. */
  readonly stored: Spread;
  /** By statement, over about so many rows in memory, while others come at a tenth of the rate. */
  readonly statements: Readonly<Record<string, Spread>>;
  readonly rowsInMemory: number;
  readonly lookups: Spread;
}

const PARTITIONS = 6;
/** Code is compiled, and the engine has started. */
const WARM_UP_MS = 5000;
const ROWS_IN_MEMORY = 100_000;
const JOINED_ROWS = 1000;

const STATEMENTS = {
  filter: 'SELECT count(*), sum(amount) FROM "hot$hot_buffer" WHERE event_type = ? AND amount > 50',
  "group by":
    'SELECT country, event_type, count(*), avg(amount) FROM "hot$hot_buffer" GROUP BY ALL',
  join: 'SELECT d.country, count(*) FROM "hot$hot_buffer" h JOIN "dim$hot_buffer" d ON h.user_id % 1000 = d._kafka_offset GROUP BY ALL',
} as const;

/** Asks while records come in. @param rate of the first part, records a second */
export async function proveHotLatency(
  bootstrap: string,
  rate: number,
  seconds: number,
  say: Say,
): Promise<HotLatencyReport> {
  const slow = rate / 10;
  const config = {
    "iceberg.commit": { interval_ms: 1000 },
    kafka: { topic_pattern: "^(hot|dim)$" },
  };
  const ttl_seconds = ROWS_IN_MEMORY / slow;
  const course = await newCourse({ bootstrap, topic: "hot", partitions: PARTITIONS, config });
  await createTopic(bootstrap, { topic: "dim", partitions: 1 });
  const { topic: _, ...kafka } = course.config["kafka"] ?? {};
  const product = await startProduct({
    folder: course.folder,
    config: { ...course.config, kafka, hot_buffer: { ttl_seconds } },
  });
  try {
    await product.ready();
    await produceEvents({ bootstrap, topic: "dim", count: JOINED_ROWS });
    const flow = (perSecond: number, over: number): Promise<unknown> =>
      produceEvents({
        ...{ bootstrap, topic: "hot", count: perSecond * over, rate: perSecond },
        ...{ lingerMs: 1, codec: "lz4" },
      });
    const fast = flow(rate, seconds + WARM_UP_MS / 1000);
    await Bun.sleep(WARM_UP_MS);
    const { ms, stored } = await probe({
      bootstrap,
      topic: "hot",
      url: product.url,
      seconds: seconds - 1,
    });
    await fast;
    say(`visible: ${JSON.stringify(spreadOf(ms))}, stored: ${JSON.stringify(spreadOf(stored))}`);
    // The rows of the first part have gone when the second has as many as are wanted.
    const gentle = flow(slow, ttl_seconds + 3 * seconds);
    await Bun.sleep((ttl_seconds + 2) * 1000);
    const rowsInMemory = await count(product);
    const statements: Record<string, Spread> = {};
    for (const [name, sql] of Object.entries(STATEMENTS)) {
      const params = sql.includes("?") ? ["view"] : [];
      const body = JSON.stringify({ sql, params });
      statements[name] = await timed(`${product.url}/query`, (seconds * 1000) / 2, {
        method: "POST",
        body,
      });
      say(`${name}: ${JSON.stringify(statements[name])}`);
    }
    const lookups = await timed(`${product.url}/lookup/hot/7?by=user_id`, (seconds * 1000) / 3, {});
    say(`lookups: ${JSON.stringify(lookups)}`);
    await gentle;
    const visible = { rate, ...spreadOf(ms) };
    return { visible, stored: spreadOf(stored), statements, rowsInMemory, lookups };
  } finally {
    await product.kill();
  }
}

/** Each asked as soon as the one before is answered. */
async function timed(url: string, forMs: number, request: RequestInit): Promise<Spread> {
  const times: number[] = [];
  const ends = performance.now() + forMs;
  for (let n = 0; performance.now() < ends; n++) {
    const began = performance.now();
    const response = await fetch(url, request);
    const text = await response.text();
    // A key that has left memory meanwhile is an answer, too.
    if (!response.ok && response.status !== 404)
      throw new Error(`${url}: ${response.status} ${text}`);
    // The first ones make indexes and compile code.
    if (n >= 20) times.push(performance.now() - began);
    await Bun.sleep(5);
  }
  return spreadOf(times);
}

async function count({ url }: Product): Promise<number> {
  const body = JSON.stringify({ sql: 'SELECT count(*) FROM "hot$hot_buffer"' });
  const response = await fetch(`${url}/query`, { method: "POST", body });
  return Number(((await response.json()) as { rows: number[][] }).rows[0]?.[0]);
}

/** Times in milliseconds (`hotProbe.py`). */
interface Probed {
  readonly ms: readonly number[];
  readonly stored: readonly number[];
}

async function probe(job: object): Promise<Probed> {
  const script = join(import.meta.dir, "hotProbe.py");
  return JSON.parse(await run([await readersPython(), script], { stdin: JSON.stringify(job) }));
}

/** What {@link proveHotCost} found, by executable. */
export interface HotCostReport {
  readonly bytes: Readonly<Record<string, number>>;
  /** Of `--version`. */
  readonly start: Readonly<Record<string, Spread>>;
  /** Rows a second from the first to the last commit of a full topic, round by round. */
  readonly rowsPerSecond: Readonly<Record<string, readonly number[]>>;
  /** Rows by the CPU time of the process, its start included, the engine's not: what other programs do shows less in it. */
  readonly rowsPerCpuSecond: Readonly<Record<string, readonly number[]>>;
  /** Of all rounds with questions. */
  readonly questions: Spread;
}

const STARTS = 15;
const QUESTIONS_MS = 100;

/**
 * The same full topic by each executable in turn, the last one also while it answers ten questions a second.
 * @param executables by name; the last is the one that is asked
 */
export async function proveHotCost(
  bootstrap: string,
  size: { readonly events: number; readonly rounds: number },
  executables: Readonly<Record<string, string>>,
  say: Say,
): Promise<HotCostReport> {
  const bytes: Record<string, number> = {};
  const start: Record<string, Spread> = {};
  for (const [name, path] of Object.entries(executables)) {
    bytes[name] = statSync(path).size;
    const times: number[] = [];
    for (let n = 0; n < STARTS; n++) {
      const began = performance.now();
      await run([path, "--version"]);
      times.push(performance.now() - began);
    }
    start[name] = spreadOf(times);
    say(`${name}: ${bytes[name]} bytes, ${JSON.stringify(start[name])}`);
  }
  const course = await newCourse({ bootstrap, topic: "cost", partitions: PARTITIONS });
  await produceEvents({ bootstrap, topic: "cost", count: size.events, codec: "lz4" });
  const rowsPerSecond: Record<string, number[]> = {};
  const rowsPerCpuSecond: Record<string, number[]> = {};
  const questions: number[] = [];
  const [last = ""] = Object.keys(executables).slice(-1);
  for (let round = 0; round < size.rounds; round++) {
    for (const [name, executable] of [
      ...Object.entries(executables),
      [`${last}, ten questions a second`, executables[last] ?? ""] as const,
    ]) {
      const isAsked = name !== last && name.startsWith(last);
      const asked = isAsked ? questions : null;
      const { rate, perCpu } = await ingest(course.config, size.events, executable, asked);
      rowsPerSecond[name] = [...(rowsPerSecond[name] ?? []), rate];
      rowsPerCpuSecond[name] = [...(rowsPerCpuSecond[name] ?? []), perCpu];
      say(`${name}: ${rate} rows/s, ${perCpu} a CPU-second`);
    }
  }
  return { bytes, start, rowsPerSecond, rowsPerCpuSecond, questions: spreadOf(questions) };
}

/** Rows a second between the first and the last commit, and a CPU-second. @param questions gets their times; null: none are asked */
async function ingest(
  config: Parameters<typeof startProduct>[0]["config"],
  events: number,
  executable: string,
  questions: number[] | null,
): Promise<{ readonly rate: number; readonly perCpu: number }> {
  const group = { ...config["kafka"], consumer_group: crypto.randomUUID() };
  const commit = { interval_ms: 1000 };
  const iceberg = { warehouse_path: "warehouse" };
  const product = await startProduct({
    config: { ...config, kafka: group, iceberg, "iceberg.commit": commit },
    executable,
  });
  let isOver = false;
  const asking = (async () => {
    await product.ready();
    while (questions !== null && !isOver) {
      const began = performance.now();
      const body = JSON.stringify({
        sql: 'SELECT event_type, count(*) FROM "cost$hot_buffer" GROUP BY ALL',
      });
      const response = await fetch(`${product.url}/query`, { method: "POST", body });
      await response.text();
      const took = performance.now() - began;
      if (response.ok) questions.push(took);
      await Bun.sleep(Math.max(0, QUESTIONS_MS - took));
    }
  })();
  try {
    const commits = (): { readonly at: number; readonly rows: number }[] =>
      product.logLines().flatMap((line) => {
        const rows = line.records_flushed ?? 0;
        return rows > 0 ? [{ at: Date.parse(String(line["timestamp"])), rows }] : [];
      });
    const sum = (): number => commits().reduce((all, { rows }) => all + rows, 0);
    await until("every row", () => sum() >= events, 120_000, 100);
    const all = commits();
    const [first, last] = [all[0], all.at(-1)];
    const tookMs = (last?.at ?? 0) - (first?.at ?? 0);
    const rate = Math.round(((events - (first?.rows ?? 0)) / tookMs) * 1000);
    return { rate, perCpu: Math.round(events / product.usage().cpuSeconds) };
  } finally {
    isOver = true;
    await asking.catch(() => undefined);
    await product.kill();
  }
}

function spreadOf(times: readonly number[]): Spread {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN) * 10) / 10;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
