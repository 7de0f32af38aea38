/**
 * What `hotQueries.ts` proves, while everything happens to the table that may: rows in memory go at the size limit,
 * snapshots are thinned, Spark rewrites every file, PyIceberg deletes rows, we compact, and another process of the
 * group takes partitions, gives them back, takes them again and is killed. Both processes are asked all along.
 */
import { join } from "node:path";
import { produceEvents } from "../events/events.ts";
import { judgeSums, type OffsetRange, readTopic } from "../judge/judge.ts";
import { until } from "../services/process.ts";
import { type Product, startProduct } from "../services/product.ts";
import type { Course, Say } from "./course.ts";
import { HotJudge } from "./hotJudge.ts";
import { Asker, PARTITIONS } from "./hotQueries.ts";
import { newSharedCourse, Others } from "./others.ts";

/** Size of the proof. */
export interface HotStormProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly rate: number;
  /** Of each act, at least. */
  readonly actSeconds: number;
  readonly say: Say;
}

/** What was found. */
export interface HotStormReport {
  readonly rows: number;
  readonly answers: number;
  readonly sumAnswers: number;
  readonly hotAnswers: number;
  readonly snapshots: number;
  /** Questions without an answer, since their time was over. */
  readonly late: number;
  /** By act: answers while it went on. */
  readonly acts: Readonly<Record<string, number>>;
  /** Times that a partition left the rows in memory of a process that was asked. */
  readonly uncovered: number;
  /** Rows in memory when as many again, none older than `ttl_seconds`, had left it. */
  readonly evictedTo: number;
  /** Snapshots that the table had at the end. */
  readonly snapshotsLeft: number;
  readonly removed: number;
  /** Of the end: rows of the table as Spark counts them, and as we do. */
  readonly spark: string;
  readonly ours: string;
  readonly ok: boolean;
  readonly violations: readonly string[];
}

const CONFIG = {
  "iceberg.commit": { interval_ms: 1000 },
  // PyIceberg writes nothing to tables of format v3.
  "iceberg.write": { format_version: 2 },
  // Committed rows would stay for ten minutes, if there were room for them.
  hot_buffer: { ttl_seconds: 600, max_size_mb: 24 },
  kafka: { session_timeout_ms: 6000, heartbeat_interval_ms: 2000 },
  maintenance: { compact_enabled: false, snapshot_keep_all_seconds: 180, snapshot_max: 10 },
} as const;
const REMOVED_ROWS = 500;
/** Machines stand still now and then. */
const WAIT_MS = 400_000;
const BY_PARTITION =
  "_kafka_partition AS p, count(*) AS n, max(_kafka_offset) AS e, sum(user_id * device.width) AS s FROM";

/** Runs the proof: an SQL catalog on SQLite, two processes, Spark, PyIceberg. */
export async function proveHotStorm(proof: HotStormProof): Promise<HotStormReport> {
  const { bootstrap, topic } = proof;
  const course = await newSharedCourse({
    bootstrap,
    topic,
    partitions: PARTITIONS,
    config: CONFIG,
  });
  return await new Storm(course, proof).run();
}

/** A process that is asked. */
interface Asked {
  readonly product: Product;
  readonly asker: Asker;
  readonly judge: HotJudge;
}

class Storm {
  readonly #course: Course;
  readonly #proof: HotStormProof;
  readonly #removed: OffsetRange[] = [];
  readonly #judges: HotJudge[] = [];
  readonly #living: Asked[] = [];
  readonly #acts: Record<string, number> = {};
  #evictedTo = Number.POSITIVE_INFINITY;
  #isOver = false;

  constructor(course: Course, proof: HotStormProof) {
    this.#course = course;
    this.#proof = proof;
  }

  async run(): Promise<HotStormReport> {
    const first = await this.#start("a");
    const flow = this.#flow();
    const asking = this.#ask();
    // Whoever fails is heard where it is waited for.
    asking.catch(() => undefined);
    try {
      await until("rows", () => first.judge.reached > 0, 120_000);
      const others = await Others.open(this.#course);
      try {
        await this.#storm(others, first);
        this.#isOver = true;
        await asking;
        const count = await flow;
        return await this.#report(others, first, count);
      } finally {
        await others.close();
      }
    } finally {
      this.#isOver = true;
      await Promise.all(this.#living.map(({ product }) => product.terminate()));
      await flow;
    }
  }

  async #storm(others: Others, { judge }: Asked): Promise<void> {
    await this.#act("rows in memory evicted, snapshots thinned", () => this.#evict());
    const rewrite =
      "CALL C.system.rewrite_data_files(table => N, options => map('rewrite-all', 'true'))";
    await this.#act("Spark rewrites every file", () => again(() => others.bySpark(rewrite)));
    await this.#act("PyIceberg deletes rows", async () => {
      const to = Math.floor(judge.leastEnd(PARTITIONS) / 2);
      const range = { partition: 0, from: to - REMOVED_ROWS, to };
      this.#removed.push(range);
      await again(() => others.pyiceberg.write({ do: "delete", ...range }));
    });
    await this.#act("our compaction", () => this.#compact());
    await this.#act("Spark rewrites what we compacted", () => again(() => others.bySpark(rewrite)));
    const second = await this.#act("another process joins", () => this.#join("b"));
    await this.#act("it leaves", () => this.#leave(second, "SIGTERM"));
    const third = await this.#act("it joins again", () => this.#join("c"));
    await this.#act("it is killed", () => this.#leave(third, "SIGKILL"));
  }

  /** Does something while questions are asked, and after it for a while. */
  async #act<T>(name: string, act: () => Promise<T>): Promise<T> {
    const { actSeconds, say } = this.#proof;
    const before = this.#answers();
    say(name);
    const done = await act();
    await Bun.sleep(actSeconds * 1000);
    this.#acts[name] = this.#answers() - before;
    const found = this.#judges.flatMap(({ violations }) => violations);
    say(
      `  ${this.#acts[name]} answers, ${found.length} violations ${found.slice(0, 3).join("; ")}`,
    );
    return done;
  }

  #answers(): number {
    return this.#judges.reduce((sum, { answers }) => sum + answers, 0);
  }

  /** Produces until the storm is over; how many. */
  async #flow(): Promise<number> {
    const { bootstrap, topic, rate } = this.#proof;
    const piece = rate * 3;
    let count = 0;
    for (; !this.#isOver; count += piece) {
      await produceEvents({ bootstrap, topic, count: piece, rate, first: count, lingerMs: 5 });
    }
    return count;
  }

  /** Asks all that live by turns. */
  async #ask(): Promise<void> {
    while (!this.#isOver) {
      const rounds = this.#living.map(async ({ asker, product }) => {
        try {
          await asker.round();
        } catch (error) {
          // One that was ended answers nobody.
          if (this.#living.some((each) => each.product === product)) throw error;
        }
      });
      await Promise.all(rounds);
    }
  }

  async #start(name: string): Promise<Asked> {
    const { config, folder, topic } = this.#course;
    const warehouse = { ...config["iceberg"], warehouse_path: join(folder, "warehouse") };
    const product = await startProduct({
      config: { ...config, iceberg: warehouse },
      folder: join(folder, `instance-${name}`),
    });
    await product.ready();
    const judge = new HotJudge(this.#removed);
    const asker = new Asker(product.url, topic, judge, 3 * this.#proof.rate);
    const asked = { product, asker, judge };
    this.#judges.push(judge);
    this.#living.push(asked);
    return asked;
  }

  /** Another process, once it has some of the partitions. */
  async #join(name: string): Promise<Asked> {
    const uncovered = (): number => this.#living[0]?.judge.counts.uncovered ?? 0;
    const before = uncovered();
    const joined = await this.#start(name);
    await until("the first gives partitions up", () => uncovered() > before, WAIT_MS);
    return joined;
  }

  async #leave(asked: Asked, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#living.splice(this.#living.indexOf(asked), 1);
    asked.judge.isEnding = true;
    await (signal === "SIGTERM" ? asked.product.terminate() : asked.product.kill());
    const hasAll = (): boolean => this.#living[0]?.judge.covered === PARTITIONS;
    await until("the first has all partitions again", hasAll, WAIT_MS);
  }

  /** Waits until rows are no longer in memory, though none of them is old. */
  async #evict(): Promise<void> {
    const { topic } = this.#course;
    const [first] = this.#living;
    const isEvicted = async (): Promise<boolean> => {
      const sql = `SELECT count(*) FROM "${topic}$hot_buffer"`;
      this.#evictedTo = (await first?.asker.number(sql)) ?? 0;
      return this.#evictedTo < (first?.judge.reached ?? 0) / 2;
    };
    await until("rows leave memory for want of room", isEvicted, WAIT_MS, 500);
  }

  async #compact(): Promise<void> {
    const { config, folder, topic } = this.#course;
    const run = async (): Promise<boolean> => {
      const product = await startProduct({
        ...{ config, folder: join(folder, "upkeep") },
        command: ["maintenance", "compact", `default.${topic}`, "--yes"],
      });
      return (await product.exited) === 0;
    };
    await again(run);
  }

  async #report(others: Others, { asker, judge }: Asked, count: number): Promise<HotStormReport> {
    const { bootstrap, topic } = this.#course;
    const isWhole = async (): Promise<boolean> => {
      await asker.whole();
      return judge.reached === count;
    };
    await until("the last row is seen", isWhole, WAIT_MS);
    const synced = "SELECT sum(sync_value::BIGINT)::BIGINT FROM sync_points";
    await until("all is committed", async () => (await asker.number(synced)) === count, WAIT_MS);
    const [spark, ours] = await Promise.all([
      others.textBySpark(`SELECT ${BY_PARTITION} T GROUP BY 1 ORDER BY 1`),
      asker.text(`SELECT ${BY_PARTITION} ${topic} GROUP BY 1 ORDER BY 1`),
    ]);
    const snapshotsLeft = await asker.number(`SELECT count(*) FROM "${topic}$snapshots"`);
    const sums = this.#judges.flatMap((each) => each.sums);
    const wrong = await judgeSums(await readTopic(bootstrap, topic), sums, this.#removed);
    const violations = [
      ...this.#judges.flatMap((each) => each.violations),
      ...wrong.map((each) => `not what the topic held: ${JSON.stringify(each)}`),
      ...(spark === ours ? [] : [`Spark reads ${spark}, we ${ours}`]),
    ];
    const total = (of: (judge: HotJudge) => number): number =>
      this.#judges.reduce((sum, each) => sum + of(each), 0);
    return {
      rows: judge.reached,
      answers: this.#answers(),
      sumAnswers: total(({ counts }) => counts.sums),
      hotAnswers: total(({ counts }) => counts.hot),
      snapshots: new Set(this.#judges.flatMap((each) => [...each.snapshots])).size,
      late: this.#judges.reduce((sum, each) => sum + each.late, 0),
      acts: this.#acts,
      uncovered: total(({ counts }) => counts.uncovered),
      evictedTo: this.#evictedTo,
      snapshotsLeft,
      removed: this.#removed.length * REMOVED_ROWS,
      spark,
      ours,
      ok: violations.length === 0,
      violations: violations.slice(0, 20),
    };
  }
}

/** Others lose against commits of ours: they try again, as people do. */
async function again(act: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await act()); tries++) {
    if (tries === 30) throw new Error("others came first thirty times");
    await Bun.sleep(300);
  }
}
