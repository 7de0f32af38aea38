/**
 * Every answer over hot rows and the table together is what the topic held up to one offset of each
 * partition: nothing is missing, nothing is there twice, and no answer goes back behind an earlier one.
 *
 * Every fourth answer is a `count(*)`, every second one sums of computed values. Those and the offsets are asked of
 * the rows behind an offset that goes along with the topic, where rows go from memory into the table, and every
 * {@link WHOLE_MS} of all rows.
 */
import { tableFromIPC } from "apache-arrow";
import { produceEvents } from "../events/events.ts";
import { judgeSums, readTopic } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import type { S3Service } from "../services/versitygw.ts";
import { type Course, newCourse, newS3Course, type Say } from "./course.ts";
import { type Asked, type Body, HotJudge, question, sqlOf } from "./hotJudge.ts";

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
  /** From the first record to the last answer. */
  readonly seconds: number;
  readonly answers: number;
  /** Of them, sums of computed values, each compared with the topic's independent reader. */
  readonly sumAnswers: number;
  /** Of them, those about every row of the table. */
  readonly wholeAnswers: number;
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
  /** Of the process. */
  readonly peakMb: number;
}

/** Of the topic. */
export const PARTITIONS = 3;
/** Rows of so many seconds are asked for, between two answers about all rows. */
const TAIL_SECONDS = 10;
const WHOLE_MS = 15_000;
const SYNCED =
  "SELECT coalesce(sum(sync_value::BIGINT), 0)::BIGINT FROM sync_points WHERE source_name = 'TOPIC' AND table_name LIKE '%.TOPIC'";

/** Ingests at a rate, commits every second, and asks without a pause. */
export async function proveHotQueries(proof: HotQueriesProof): Promise<HotQueriesReport> {
  const { bootstrap, topic, rate, seconds, say } = proof;
  const course = await courseOf(proof);
  const product = await startProduct({ config: course.config, folder: course.folder });
  const count = rate * seconds;
  const judge = new HotJudge();
  try {
    await product.ready();
    const began = performance.now();
    let isProduced = false;
    const produced = produceEvents({ bootstrap, topic, count, rate, lingerMs: 5 });
    void produced.then(() => (isProduced = true));
    const asker = new Asker(product.url, topic, judge, (TAIL_SECONDS * rate) / PARTITIONS);
    let saidMs = performance.now();
    while (!isProduced) {
      await asker.round();
      if (performance.now() - saidMs < 10_000) continue;
      saidMs = performance.now();
      say(`${judge.reached} rows, ${judge.answers} answers, ${judge.violations.length} violations`);
    }
    await produced;
    const isWhole = async (): Promise<boolean> => {
      await asker.whole();
      return judge.reached === count;
    };
    await until("the last row is seen", isWhole, 60_000);
    const took = (performance.now() - began) / 1000;
    const synced = (): Promise<number> => asker.number(SYNCED.replaceAll("TOPIC", topic));
    await until("every row is committed", async () => (await synced()) === count, 60_000);
    const inMemory = await asker.number(`SELECT count(*) FROM "${topic}$hot_buffer"`);
    const arrowRows = await arrowCount(product.url, topic);
    const wrong = await judgeSums(await readTopic(bootstrap, topic), judge.sums);
    const sentences = wrong.map((each) => `not what the topic held: ${JSON.stringify(each)}`);
    const { counts, times } = judge;
    const sorted = times.toSorted((a, b) => a - b);
    return {
      rows: judge.reached,
      seconds: Math.round(took),
      answers: judge.answers,
      sumAnswers: counts.sums,
      wholeAnswers: counts.whole,
      hotAnswers: counts.hot,
      snapshots: judge.snapshots.size,
      violations: [...judge.violations.slice(0, 20), ...sentences],
      synced: await synced(),
      inMemory,
      arrowRows,
      medianMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      peakMb: Math.round(product.usage().peakBytes / 1024 ** 2),
    };
  } finally {
    await product.terminate();
  }
}

/** Asks one process, and hands its answers to a judge. */
export class Asker {
  readonly #url: string;
  readonly #topic: string;
  readonly #judge: HotJudge;
  readonly #tail: number;
  #wholeMs = 0;

  /** @param tail rows of a partition that are asked for between two answers about all of them */
  constructor(url: string, topic: string, judge: HotJudge, tail: number) {
    this.#url = url;
    this.#topic = topic;
    this.#judge = judge;
    this.#tail = tail;
  }

  /** One answer of each kind, and a second one of sums. */
  async round(): Promise<void> {
    if (performance.now() - this.#wholeMs > WHOLE_MS) {
      this.#wholeMs = performance.now();
      await this.whole();
      await this.#ask({ kind: "sums", from: 0 });
    }
    const from = Math.max(0, Math.floor(this.#judge.leastEnd(PARTITIONS) - this.#tail));
    await this.#ask({ kind: "offsets", from });
    await this.#ask({ kind: "sums", from });
    await this.#ask({ kind: "count" });
    await this.#ask({ kind: "sums", from });
  }

  /** The offsets of all rows. */
  async whole(): Promise<void> {
    await this.#ask({ kind: "offsets", from: 0 });
  }

  /** What a statement answers, whose answer is one number. */
  async number(sql: string): Promise<number> {
    return Number((await this.#query(sql)).rows[0]?.[0]);
  }

  /** The cells of an answer, a row a line. */
  async text(sql: string): Promise<string> {
    const { error, rows } = await this.#query(sql);
    return error ?? rows.map((row) => row.join(" ")).join("\n");
  }

  async #ask(asked: Asked): Promise<void> {
    this.#judge.take(asked, await this.#query(sqlOf(asked, this.#topic)));
  }

  #query(sql: string): Promise<Body> {
    return question(this.#url, sql);
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
