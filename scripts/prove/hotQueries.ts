/**
 * Every answer over hot rows and the table together is what the topic held up to one offset of each
 * partition: nothing is missing, nothing is there twice, and no answer goes back behind an earlier one.
 */
import { produceEvents } from "../events/events.ts";
import { until } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import { newCourse, type Say } from "./course.ts";

/** How long, and how much. */
export interface HotQueriesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly rate: number;
  readonly seconds: number;
  readonly say: Say;
}

/** What was found. */
export interface HotQueriesReport {
  readonly rows: number;
  readonly answers: number;
  /** Answers that had rows of which the newest snapshot knew nothing. */
  readonly hotAnswers: number;
  readonly snapshots: number;
  readonly violations: readonly string[];
  readonly medianMs: number;
  readonly p99Ms: number;
}

const PARTITIONS = 3;
const SQL =
  "SELECT _kafka_partition, count(*), min(_kafka_offset), max(_kafka_offset), sum(_kafka_offset), " +
  "count(DISTINCT _kafka_offset) FROM TOPIC GROUP BY ALL";

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
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: PARTITIONS,
    config: { "iceberg.commit": { interval_ms: 1000 } },
  });
  const product = await startProduct({ config: course.config, folder: course.folder });
  const count = rate * seconds;
  const judge = new Judge();
  try {
    await product.ready();
    let isProduced = false;
    const produced = produceEvents({ bootstrap, topic, count, rate, lingerMs: 5 });
    void produced.then(() => (isProduced = true));
    const ask = async (): Promise<void> => {
      const response = await fetch(`${product.url}/query`, {
        method: "POST",
        body: JSON.stringify({ sql: SQL.replace("TOPIC", topic) }),
      });
      judge.take((await response.json()) as Body);
    };
    let saidMs = performance.now();
    while (!isProduced) {
      await ask();
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
    return judge.report();
  } finally {
    await product.terminate();
  }
}

class Judge {
  readonly violations: string[] = [];
  readonly #times: number[] = [];
  readonly #snapshots = new Set<string>();
  #ends = new Map<number, number>();
  #hot = 0;
  answers = 0;
  rows = 0;

  take(body: Body): void {
    if (body.error !== undefined) {
      // Before the first record there is no table.
      if (this.rows > 0 || !body.error.includes("There is no table"))
        this.violations.push(body.error);
      return;
    }
    this.answers++;
    this.#times.push(body.elapsed_ms);
    this.#snapshots.add(String(body.snapshot_id));
    if (body.hot_partitions.length > 0) this.#hot++;
    const ends = new Map<number, number>();
    this.rows = 0;
    for (const row of body.rows) {
      const [partition = -1, count = 0, least = -1, greatest = -1, sum = -1, distinct = -1] =
        row.map(Number);
      const isWhole =
        least === 0 &&
        count === greatest + 1 &&
        distinct === count &&
        sum === (greatest * (greatest + 1)) / 2;
      const isBack = greatest + 1 < (this.#ends.get(partition) ?? 0);
      if (!isWhole) this.violations.push(`rows are missing or double: ${JSON.stringify(row)}`);
      if (isBack) this.violations.push(`${JSON.stringify(row)} is behind an earlier answer`);
      ends.set(partition, greatest + 1);
      this.rows += count;
    }
    if (ends.size < this.#ends.size) this.violations.push("a partition is gone");
    this.#ends = ends;
  }

  report(): HotQueriesReport {
    const times = this.#times.toSorted((a, b) => a - b);
    return {
      rows: this.rows,
      answers: this.answers,
      hotAnswers: this.#hot,
      snapshots: this.#snapshots.size,
      violations: this.violations.slice(0, 20),
      medianMs: times[Math.floor(times.length / 2)] ?? 0,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
    };
  }
}
