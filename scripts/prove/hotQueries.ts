/**
 * Every answer over hot rows and the table together is what the topic held up to one offset of each
 * partition: nothing is missing, nothing is there twice, and no answer goes back behind an earlier one.
 */
import { tableFromIPC } from "apache-arrow";
import { produceEvents } from "../events/events.ts";
import { judgeSums, readTopic } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";
import { type Course, newCourse, newS3Course, type Say } from "./course.ts";

/** How long, and how much. */
export interface HotQueriesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly rate: number;
  readonly seconds: number;
  /** Where the table lies; default: on this machine. */
  readonly s3?: S3Service | undefined;
  readonly say: Say;
}

/** What was found. */
export interface HotQueriesReport {
  readonly rows: number;
  readonly answers: number;
  /** Of them, sums of computed values, each compared with the topic's independent reader. */
  readonly sumAnswers: number;
  /** Answers that had rows of which the newest snapshot knew nothing. */
  readonly hotAnswers: number;
  readonly snapshots: number;
  readonly violations: readonly string[];
  /** At the end, all rows committed: the sum of `sync_points`, and the rows of `hot_buffer`. */
  readonly synced: number;
  readonly inMemory: number;
  /** Of the table, as an Arrow stream. */
  readonly arrowRows: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

const PARTITIONS = 3;
/** Offsets: nothing may be missing, or there twice. */
const OFFSETS =
  "SELECT _kafka_partition, count(*), min(_kafka_offset), max(_kafka_offset), sum(_kafka_offset)::BIGINT " +
  "FROM TOPIC GROUP BY ALL";
/** Computed values, whose sums the topic's independent reader has too. */
const SUMS =
  "SELECT _kafka_partition, count(*), max(_kafka_offset) + 1, sum(user_id * device.width)::BIGINT FROM TOPIC GROUP BY ALL";
const SYNCED =
  "SELECT coalesce(sum(sync_value::BIGINT), 0)::BIGINT FROM sync_points WHERE source_name = 'TOPIC' AND table_name LIKE '%.TOPIC'";

interface Body {
  readonly rows: readonly (readonly (number | string)[])[];
  readonly snapshot_id: string | null;
  readonly hot_partitions: readonly string[];
  readonly elapsed_ms: number;
  readonly error?: string;
}

/** Ingests at a rate, commits every second, and asks without a pause. */
export async function proveHotQueries(proof: HotQueriesProof): Promise<HotQueriesReport> {
  const { bootstrap, topic, rate, seconds, say } = proof;
  const course = await courseOf(proof);
  const product = await startProduct({ config: course.config, folder: course.folder });
  const count = rate * seconds;
  const judge = new Judge();
  try {
    await product.ready();
    let isProduced = false;
    const produced = produceEvents({ bootstrap, topic, count, rate, lingerMs: 5 });
    void produced.then(() => (isProduced = true));
    const query = async (sql: string): Promise<Body> => {
      const body = JSON.stringify({ sql });
      const response = await fetch(`${product.url}/query`, { method: "POST", body });
      return (await response.json()) as Body;
    };
    const number = async (sql: string): Promise<number> => Number((await query(sql)).rows[0]?.[0]);
    const ask = async (): Promise<void> => judge.take(await query(OFFSETS.replace("TOPIC", topic)));
    const askSums = async (): Promise<void> =>
      judge.takeSums(await query(SUMS.replace("TOPIC", topic)));
    let saidMs = performance.now();
    while (!isProduced) {
      await ask();
      await askSums();
      if (performance.now() - saidMs < 10_000) continue;
      saidMs = performance.now();
      say(`${judge.rows} rows, ${judge.answers} answers, ${judge.violations.length} violations`);
    }
    await produced;
    const isWhole = async (): Promise<boolean> => {
      await ask();
      return judge.rows === count;
    };
    await until("the last row is seen", isWhole, 60_000);
    const synced = (): Promise<number> => number(SYNCED.replaceAll("TOPIC", topic));
    await until("every row is committed", async () => (await synced()) === count, 60_000);
    const inMemory = await number(`SELECT count(*) FROM "${topic}$hot_buffer"`);
    const arrowRows = await arrowCount(product.url, topic);
    const report = { ...judge.report(), synced: await synced(), inMemory, arrowRows };
    const wrong = await judgeSums(await readTopic(bootstrap, topic), judge.sums);
    const sentences = wrong.map((each) => `not what the topic held: ${JSON.stringify(each)}`);
    return { ...report, violations: [...report.violations, ...sentences] };
  } finally {
    await product.terminate();
  }
}

async function arrowCount(url: string, topic: string): Promise<number> {
  const response = await fetch(`${url}/query`, {
    method: "POST",
    headers: { accept: "application/vnd.apache.arrow.stream" },
    body: JSON.stringify({ sql: `SELECT _kafka_offset FROM ${topic} LIMIT 100000` }),
  });
  return tableFromIPC(await response.arrayBuffer()).numRows;
}

function courseOf({ bootstrap, topic, s3 }: HotQueriesProof): Promise<Course> {
  const config = { "iceberg.commit": { interval_ms: 1000 } };
  const options = { bootstrap, topic, partitions: PARTITIONS, config };
  return s3 === undefined ? newCourse(options) : newS3Course(options, s3, "", s3.port);
}

class Judge {
  readonly violations: string[] = [];
  readonly sums: (readonly [partition: number, end: number, sum: number])[] = [];
  readonly #times: number[] = [];
  readonly #snapshots = new Set<string>();
  #ends = new Map<number, number>();
  #hot = 0;
  answers = 0;
  sumAnswers = 0;
  rows = 0;

  take(body: Body): void {
    if (!this.#accept(body)) return;
    const ends = new Map<number, number>();
    this.rows = 0;
    for (const row of body.rows) {
      const [partition = -1, count = 0, least = -1, greatest = -1, sum = -1] = row.map(Number);
      const isWhole =
        least === 0 && count === greatest + 1 && sum === (greatest * (greatest + 1)) / 2;
      const isBack = greatest + 1 < (this.#ends.get(partition) ?? 0);
      if (!isWhole) this.violations.push(`rows are missing or double: ${JSON.stringify(row)}`);
      if (isBack) this.violations.push(`${JSON.stringify(row)} is behind an earlier answer`);
      ends.set(partition, greatest + 1);
      this.rows += count;
    }
    if (ends.size < this.#ends.size) this.violations.push("a partition is gone");
    this.#ends = ends;
  }

  takeSums(body: Body): void {
    if (!this.#accept(body)) return;
    this.sumAnswers++;
    for (const row of body.rows) {
      const [partition = -1, count = 0, end = -1, sum = -1] = row.map(Number);
      if (count !== end) this.violations.push(`rows are missing or double: ${JSON.stringify(row)}`);
      if (end < (this.#ends.get(partition) ?? 0)) {
        this.violations.push(`${JSON.stringify(row)} is behind an earlier answer`);
      }
      this.#ends.set(partition, end);
      this.sums.push([partition, end, sum]);
    }
  }

  /** False before the first record: there is no table, or none of its columns, or no row. */
  #accept(body: Body): boolean {
    if (body.error !== undefined) {
      const isEarly = this.rows === 0 && /There is no table|user_id/.test(body.error);
      if (!isEarly) this.violations.push(body.error);
      return false;
    }
    if (this.rows === 0 && body.rows.length === 0) return false;
    this.answers++;
    this.#times.push(body.elapsed_ms);
    this.#snapshots.add(String(body.snapshot_id));
    if (body.hot_partitions.length > 0) this.#hot++;
    return true;
  }

  report(): Omit<HotQueriesReport, "synced" | "inMemory" | "arrowRows"> {
    const times = this.#times.toSorted((a, b) => a - b);
    return {
      rows: this.rows,
      answers: this.answers,
      sumAnswers: this.sumAnswers,
      hotAnswers: this.#hot,
      snapshots: this.#snapshots.size,
      violations: this.violations.slice(0, 20),
      medianMs: times[Math.floor(times.length / 2)] ?? 0,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
    };
  }
}
