/**
 * A thousand topics of a real broker, matched by a pattern, into a thousand tables of one process: what it
 * costs while nothing comes, how far the table that waits longest is behind under load, what one topic
 * whose record is no row does to the others, and whether every row is in its table.
 */
import { Kafka, logLevel, type Producer } from "kafkajs";
import { createTopics } from "../events/topics.ts";
import { temporaryFolder, until } from "../services/process.ts";
import { type Product, startProduct } from "../services/product.ts";

/** How much. */
export interface PatternSize {
  readonly bootstrap: string;
  readonly topics: number;
  /** Over all topics. */
  readonly rowsPerSecond: number;
  readonly idleSeconds: number;
  readonly loadSeconds: number;
  readonly say: (line: string) => void;
}

/** What {@link provePattern} found. */
export interface PatternReport {
  readonly readySeconds: number;
  /** Share of one core while nothing comes: to be below 0.05. */
  readonly idleCores: number;
  readonly loadCores: number;
  readonly rows: number;
  /** Tables that hold every row of their topic. */
  readonly tablesComplete: number;
  /** What the table says whose topic got a record that is no row. */
  readonly broken: string;
  /** The longest that any other topic had rows without a commit: to be below 60. */
  readonly behindSecondsMax: number;
  /** To be below 1024. */
  readonly peakMb: number;
  readonly exitCode: number;
}

const BROKEN = 7;
const LOOK_MS = 2000;
const ROWS_A_MESSAGE_SET = 10;

interface Status {
  readonly pipelines: readonly {
    readonly tables: readonly {
      table: string;
      state: string;
      rowsCommitted: number;
      lastError: string | null;
    }[];
    readonly partitions: readonly { topic: string; committedOffset: number | string }[];
  }[];
}

/** Fills the topics while one process reads them. */
export async function provePattern(size: PatternSize): Promise<PatternReport> {
  const { bootstrap, topics: count, say } = size;
  const topics = Array.from({ length: count }, (_, n) => `many.t${n}`);
  for (let at = 0; at < count; at += 100) await createTopics(bootstrap, topics.slice(at, at + 100));
  say(`${count} topics are there`);
  const folder = await temporaryFolder("pattern");
  const began = performance.now();
  const product = await startProduct({
    folder,
    config: {
      kafka: { bootstrap_servers: bootstrap, topic_pattern: "many\\..*", consumer_group: "many" },
      iceberg: { warehouse_path: "warehouse", table_name: "{table}", database_name: "{schema}" },
      dead_letter: { action: "fail" },
    },
  });
  await product.ready(600_000);
  const readySeconds = secondsSince(began);
  say(`ready after ${readySeconds} s`);
  await Bun.sleep(5000);
  const idleCores = await coresOf(product, () => Bun.sleep(size.idleSeconds * 1000));
  say(`idle: ${idleCores} cores`);
  const producer = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  const load = new Load(product, producer, topics);
  const loadCores = await coresOf(product, () => load.run(size));
  say(`load: ${loadCores} cores, ${load.rows} rows`);
  await load.settle();
  await producer.disconnect();
  const status = await statusOf(product);
  const tables = new Map(status.tables.map((table) => [table.table, table]));
  const complete = topics.filter(
    (topic, n) => tables.get(topic)?.rowsCommitted === load.perTopic[n],
  );
  const broken = tables.get(topics[BROKEN] ?? "");
  const exitCode = await product.terminate();
  return {
    readySeconds,
    idleCores,
    loadCores,
    rows: load.rows,
    tablesComplete: complete.length,
    broken: `${broken?.state}: ${broken?.lastError}`,
    behindSecondsMax: load.behindSecondsMax,
    peakMb: Math.round(product.usage().peakBytes / 1024 / 1024),
    exitCode,
  };
}

/** Rows for every topic in turn, and how long each has waited for a commit. */
class Load {
  rows = 0;
  behindSecondsMax = 0;
  /** Good rows of each topic; of the broken one those in front of the bad record. */
  readonly perTopic: number[];
  readonly #product: Product;
  readonly #producer: Producer;
  readonly #topics: readonly string[];
  /** What was sent and is not seen committed yet, by topic: when, and the topic's end by then. */
  readonly #waiting: { readonly ms: number; readonly end: number }[][];
  #isBroken = false;

  constructor(product: Product, producer: Producer, topics: readonly string[]) {
    this.#product = product;
    this.#producer = producer;
    this.#topics = topics;
    this.perTopic = topics.map(() => 0);
    this.#waiting = topics.map(() => []);
  }

  async run({ rowsPerSecond, loadSeconds }: PatternSize): Promise<void> {
    const beganMs = performance.now();
    let lookedMs = beganMs;
    for (let next = 0; performance.now() - beganMs < loadSeconds * 1000; ) {
      const due = ((performance.now() - beganMs) / 1000) * rowsPerSecond;
      const some: number[] = [];
      while (this.rows + some.length * ROWS_A_MESSAGE_SET < due && some.length < 200) {
        some.push(next);
        next = (next + 1) % this.#topics.length;
      }
      if (some.length > 0) await this.#send(some);
      if (!this.#isBroken && performance.now() - beganMs > loadSeconds * 300) await this.#break();
      if (performance.now() - lookedMs >= LOOK_MS) {
        lookedMs = performance.now();
        await this.#look();
      }
      await Bun.sleep(10);
    }
  }

  /** Waits until every other table has what its topic holds. */
  async settle(): Promise<void> {
    await until(
      "all rows committed",
      async () => {
        await this.#look();
        return this.#waiting.every(({ length }, n) => length === 0 || n === BROKEN);
      },
      120_000,
      LOOK_MS,
    );
  }

  async #send(some: readonly number[]): Promise<void> {
    const topicMessages = some.map((n) => ({
      topic: this.#topics[n] ?? "",
      messages: Array.from({ length: ROWS_A_MESSAGE_SET }, (_, at) => ({
        value: JSON.stringify({
          id: (this.perTopic[n] ?? 0) + at,
          name: `name ${at}`,
          ok: at % 2 === 0,
        }),
      })),
    }));
    await this.#producer.sendBatch({ topicMessages });
    const nowMs = performance.now();
    for (const n of some) {
      this.rows += ROWS_A_MESSAGE_SET;
      if (n === BROKEN && this.#isBroken) continue;
      this.perTopic[n] = (this.perTopic[n] ?? 0) + ROWS_A_MESSAGE_SET;
      this.#waiting[n]?.push({ ms: nowMs, end: this.perTopic[n] ?? 0 });
    }
  }

  async #break(): Promise<void> {
    this.#isBroken = true;
    const topic = this.#topics[BROKEN] ?? "";
    await this.#producer.send({ topic, messages: [{ value: "no row" }] });
  }

  async #look(): Promise<void> {
    const { partitions } = await statusOf(this.#product);
    const committed = new Map(partitions.map((each) => [each.topic, Number(each.committedOffset)]));
    const nowMs = performance.now();
    for (const [n, waiting] of this.#waiting.entries()) {
      const end = committed.get(this.#topics[n] ?? "") ?? 0;
      while (waiting[0] !== undefined && waiting[0].end <= end) waiting.shift();
      const [oldest] = waiting;
      if (oldest === undefined || n === BROKEN) continue;
      this.behindSecondsMax = Math.max(this.behindSecondsMax, rounded((nowMs - oldest.ms) / 1000));
    }
  }
}

async function statusOf(product: Product): Promise<Status["pipelines"][number]> {
  const [pipeline] = ((await product.status()) as Status).pipelines;
  if (pipeline === undefined) throw new Error("no pipeline");
  return pipeline;
}

/** Cores that the process used meanwhile. */
async function coresOf(product: Product, action: () => Promise<void>): Promise<number> {
  const before = product.usage().cpuSeconds;
  const began = performance.now();
  await action();
  return rounded((product.usage().cpuSeconds - before) / ((performance.now() - began) / 1000));
}

function secondsSince(beganMs: number): number {
  return rounded((performance.now() - beganMs) / 1000);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
