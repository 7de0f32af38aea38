/**
 * Rows in memory under questions (issue 11, must show 5): what a full buffer of 500 MB and the SQL engine take
 * together while large statements run over all of it, and when committed rows go.
 */
import { readdirSync, readFileSync } from "node:fs";
import { produceEvents } from "../events/events.ts";
import { startFaultProxy } from "../services/faultProxy.ts";
import { until } from "../services/process.ts";
import { type Product, startProduct } from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";
import { newCourse, newS3Course, type Say, start } from "./course.ts";

/** Size of the proof. */
export interface HotMemoryProof {
  readonly bootstrap: string;
  /** More than fit into the buffer. */
  readonly events: number;
  readonly bufferMb: number;
  readonly ttlSeconds: number;
  readonly say: Say;
}

/** What was found; memory in MiB. */
export interface HotMemoryReport {
  /** Memory of all rows by the process's own gauge, and how many these are, when reading was held back. */
  readonly heldMb: number;
  readonly rowsInMemory: number;
  /** Resident memory at most of the process, of the engine, and of both at one time. */
  readonly peakMb: { readonly process: number; readonly engine: number; readonly both: number };
  /** By statement: what became of it, and after how many ms. */
  readonly statements: Readonly<Record<string, string>>;
  /** Rows of the table when the store was back. */
  readonly rows: number;
  /** Whether there was an engine before the first question. */
  readonly engineBefore: boolean;
  /** So long after their commit, less `ttl_seconds`, the last committed rows were gone, ms. */
  readonly expiredLateMs: number;
  readonly ok: boolean;
}

const MB = 2 ** 20;
const LOOK_MS = 50;
const BOTH_MB_MAX = 2048;
const EXPIRED_LATE_MS_MAX = 1000;

const STATEMENTS = [
  "SELECT count(*), sum(user_id), min(event_id), max(url) FROM T",
  "SELECT user_id, count(*) AS n, sum(amount) FROM T GROUP BY ALL ORDER BY n DESC LIMIT 10",
  "SELECT count(DISTINCT event_id) FROM T",
  "SELECT * FROM T ORDER BY url DESC, event_id LIMIT 100",
  "SELECT event_id, url, row_number() OVER (ORDER BY event_id) AS n FROM T ORDER BY n DESC LIMIT 10",
  "SELECT count(*) FROM T a JOIN T b USING (event_id)",
  "SELECT list(event_id || url) FROM T",
  "SELECT * FROM T LIMIT 100000",
];

/** Runs the proof. */
export async function proveHotMemory(
  proof: HotMemoryProof,
  s3: S3Service,
): Promise<HotMemoryReport> {
  const { bootstrap, events, bufferMb, say } = proof;
  const expiredLateMs = await proveExpiry(proof);
  say(`committed rows are gone ${expiredLateMs} ms after their time`);
  const proxy = startFaultProxy(`127.0.0.1:${s3.port}`);
  const config = {
    hot_buffer: { max_size_mb: bufferMb },
    // Twice a flush is what is in use while commits go through.
    "iceberg.commit": { max_size_mb: bufferMb },
    server: { query_timeout_ms: 60_000 },
  };
  const options = { bootstrap, topic: "filled", partitions: 4, config };
  const course = await newS3Course(options, s3, "", proxy.port);
  const product = await start(course);
  const memory = new Memory(product.pid);
  try {
    await product.ready();
    const engineBefore = memory.engine > 0;
    proxy.set({ kind: "stall" });
    await produceEvents({ bootstrap, topic: "filled", count: events, codec: "lz4" });
    const isHeld = async (): Promise<boolean> => (await gauge(product, "partitions_paused")) > 0;
    await until("a full buffer", isHeld, 300_000);
    const heldMb = Math.round((await gauge(product, "hot_buffer_size_bytes")) / MB);
    const rowsInMemory = Number((await ask(product, COUNT)).text);
    say(`${heldMb} MiB, ${rowsInMemory} rows`);
    const statements: Record<string, string> = {};
    for (const sql of STATEMENTS) {
      const began = performance.now();
      const { status, text } = await ask(product, sql);
      const what = status === 200 ? `${text.length} bytes` : text.slice(0, 120);
      statements[sql] = `${status} after ${Math.round(performance.now() - began)} ms: ${what}`;
      say(`${sql}: ${statements[sql]}`);
    }
    const peakMb = memory.stop();
    proxy.set({ kind: "pass" });
    const rows = async (): Promise<number> => Number((await ask(product, COUNT)).text);
    await until("every row", async () => (await rows()) === events, 300_000, 1000);
    const ok =
      peakMb.both <= BOTH_MB_MAX &&
      expiredLateMs <= EXPIRED_LATE_MS_MAX &&
      heldMb >= bufferMb * 0.9;
    return {
      ...{ heldMb, rowsInMemory, peakMb, statements, rows: await rows() },
      ...{ engineBefore, expiredLateMs, ok },
    };
  } finally {
    memory.stop();
    proxy.stop();
    await product.kill();
  }
}

const COUNT = "SELECT count(*) FROM T";

/** How long after their time committed rows are seen to be gone, ms. */
async function proveExpiry({ bootstrap, ttlSeconds }: HotMemoryProof): Promise<number> {
  const config = { hot_buffer: { ttl_seconds: ttlSeconds } };
  const course = await newCourse({ bootstrap, topic: "expired", partitions: 1, config });
  const product = await startProduct({ config: course.config, folder: course.folder });
  try {
    await product.ready();
    await produceEvents({ bootstrap, topic: "expired", count: 3000 });
    const number = async (sql: string): Promise<number> =>
      Number((await ask(product, sql, "expired")).text);
    const synced = "SELECT coalesce(sum(sync_value::BIGINT), 0)::BIGINT FROM sync_points";
    await until("all is committed", async () => (await number(synced)) === 3000, 60_000, 20);
    const committedMs = await number("SELECT epoch_ms(max(committed_at)) FROM sync_points");
    const left = 'SELECT count(*) FROM "T$hot_buffer"';
    await until("the rows are gone", async () => (await number(left)) === 0, 60_000, 20);
    return Math.round(Date.now() - committedMs - ttlSeconds * 1000);
  } finally {
    await product.terminate();
  }
}

async function ask(
  { url }: Product,
  sql: string,
  table = "filled",
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${url}/query`, {
    method: "POST",
    body: JSON.stringify({ sql: sql.replaceAll(/\bT\b/g, table) }),
    headers: { accept: "text/csv" },
  });
  const text = await response.text();
  // Without the columns' names.
  return { status: response.status, text: response.ok ? text.slice(text.indexOf("\n") + 1) : text };
}

async function gauge(product: Product, name: string): Promise<number> {
  const text = await product.metrics().catch(() => "");
  const found = new RegExp(`^\\w*${name}(?:{[^}]*})? (\\S+)$`, "m").exec(text);
  return Number(found?.[1] ?? Number.NaN);
}

/** Resident memory of a process and its children, looked at all along. */
class Memory {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  readonly #peak = { process: 0, engine: 0, both: 0 };

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Of the children now. */
  get engine(): number {
    return childrenOf(this.#pid).reduce((sum, pid) => sum + residentMb(pid), 0);
  }

  stop(): HotMemoryReport["peakMb"] {
    clearInterval(this.#timer);
    return { ...this.#peak };
  }

  #look(): void {
    const [own, engine] = [residentMb(this.#pid), this.engine];
    this.#peak.process = Math.max(this.#peak.process, own);
    this.#peak.engine = Math.max(this.#peak.engine, engine);
    this.#peak.both = Math.max(this.#peak.both, own + engine);
  }
}

function childrenOf(pid: number): number[] {
  const tasks = readText(`/proc/${pid}/task`, (path) => readdirSync(path)) ?? [];
  return tasks.flatMap((task) => {
    const path = `/proc/${pid}/task/${task}/children`;
    const text = readText(path, (each) => readFileSync(each, "utf8")) ?? "";
    return text
      .split(" ")
      .filter((each) => each !== "")
      .map(Number);
  });
}

function residentMb(pid: number): number {
  const text = readText(`/proc/${pid}/status`, (path) => readFileSync(path, "utf8")) ?? "";
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024);
}

/** Null: the process has gone. */
function readText<T>(path: string, read: (path: string) => T): T | null {
  try {
    return read(path);
  } catch {
    return null;
  }
}
