/**
 * Proof: every answer over a table that follows changes (`ktable`, format v3, deletion vectors) and the changes in memory is
 * what a fold of the topic has up to one offset of each partition, while rows are updated and deleted, we compact (killed now
 * and then), and the processes of a group come, leave, are killed and come back. All that live are asked all along.
 */
import { join } from "node:path";
import { type Random, seededRandom } from "#base/random.ts";
import { produceValues } from "../events/events.ts";
import { until } from "../services/process.ts";
import { type Product, startProduct } from "../services/product.ts";
import { type ChangesVerdict, judgeChanges } from "./changes.ts";
import { type AskedChanges, ChangesJudge, changesSql } from "./changesJudge.ts";
import { type Course, newCourse, readHead, type Say, total } from "./course.ts";
import { FoldedTopic } from "./foldedTopic.ts";
import { question } from "./hotJudge.ts";
import { NO_MAINTENANCE, OPERATIONS, Upkeep } from "./upkeep.ts";

/** Size of the proof. */
export interface HotChangesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly keys: number;
  /** Changes a second; one in five deletes. */
  readonly rate: number;
  /** Of each act, at least. */
  readonly actSeconds: number;
  /** Begins no round of acts after so long; the first is always done. */
  readonly minutes: number;
  readonly seed: number;
  readonly say: Say;
}

/** What was found. */
export interface HotChangesReport {
  readonly seconds: number;
  readonly changes: number;
  /** Of a fold of all changes. */
  readonly rows: number;
  readonly answers: number;
  /** By what was asked; `hot`: with rows in memory; `uncovered`: times that a partition left those. */
  readonly counts: Readonly<Record<string, number>>;
  readonly snapshots: number;
  /** Questions without an answer, since their time was over, or their connection was closed. */
  readonly late: number;
  /** By act: answers while it went on. */
  readonly acts: Readonly<Record<string, number>>;
  /** Of maintenance: runs that were killed, and what the others did. */
  readonly kills: Readonly<Record<string, number>>;
  readonly done: Readonly<Record<string, number>>;
  readonly medianMs: number;
  readonly p99Ms: number;
  /** What foreign readers say of the table's snapshots. */
  readonly verdict: ChangesVerdict;
  readonly ok: boolean;
  readonly violations: readonly string[];
}

const PARTITIONS = 3;
const CONFIG = {
  source: { mode: "ktable" },
  "iceberg.commit": { interval_ms: 1000 },
  "iceberg.write": { format_version: 3 },
  kafka: { session_timeout_ms: 6000, heartbeat_interval_ms: 2000 },
  maintenance: { ...NO_MAINTENANCE, snapshot_keep_all_seconds: 180 },
} as const;
/** Keys whose rows one question wants. */
const KEYS_ASKED = [1, 60] as const;
/** Snapshots that foreign readers read, about. */
const JUDGED = 20;
/** Machines stand still now and then. */
const WAIT_MS = 400_000;

/** Runs the proof. */
export async function proveHotChanges(proof: HotChangesProof): Promise<HotChangesReport> {
  const { bootstrap, topic } = proof;
  const options = { bootstrap, topic, partitions: PARTITIONS, config: CONFIG };
  return await new HotChangesRun(await newCourse(options), proof).run();
}

/** A process that is asked. */
interface Asked {
  readonly name: string;
  readonly product: Product;
  readonly judge: ChangesJudge;
}

class HotChangesRun {
  readonly #course: Course;
  readonly #proof: HotChangesProof;
  readonly #folded = new FoldedTopic(PARTITIONS);
  readonly #random: Random;
  readonly #upkeep: Upkeep;
  readonly #judges: ChangesJudge[] = [];
  #living: Asked[] = [];
  readonly #asking: Promise<void>[] = [];
  readonly #acts: Record<string, number> = {};
  #isOver = false;

  constructor(course: Course, proof: HotChangesProof) {
    this.#course = course;
    this.#proof = proof;
    this.#random = seededRandom(proof.seed);
    this.#upkeep = new Upkeep(course, this.#random, proof.say);
  }

  async run(): Promise<HotChangesReport> {
    const began = performance.now();
    await this.#produce();
    await this.#start("a");
    const flow = this.#flow();
    flow.catch(() => undefined);
    try {
      const endsMs = began + this.#proof.minutes * 60_000;
      do await this.#acted();
      while (performance.now() < endsMs && this.#violations().length === 0);
      this.#isOver = true;
      // Whoever failed is heard here.
      await Promise.all([flow, ...this.#asking]);
      const seconds = Math.round((performance.now() - began) / 1000);
      await this.#toEnd();
      return await this.#report(seconds);
    } finally {
      this.#isOver = true;
      await Promise.all(this.#living.map(({ product }) => product.terminate()));
    }
  }

  /** One process at the begin, and at the end. */
  async #acted(): Promise<void> {
    await this.#act("changes", async () => undefined);
    await this.#act("maintenance", () => this.#maintain());
    await this.#act("another process joins", () => this.#join("b"));
    await this.#act("maintenance beside two", () => this.#maintain());
    await this.#act("the older leaves", () => this.#leave("SIGTERM"));
    await this.#act("another joins again", () => this.#join("a"));
    await this.#act("the older is killed", () => this.#leave("SIGKILL"));
    await this.#act("the only one is killed and comes back", async () => {
      const [only] = this.#living;
      if (only === undefined) return;
      await this.#end(only, "SIGKILL");
      await this.#start(only.name);
      await this.#untilCovered();
    });
  }

  /** Does something while questions are asked, and after it for a while. */
  async #act(name: string, act: () => Promise<void>): Promise<void> {
    const { actSeconds, say } = this.#proof;
    const before = this.#answers();
    await act();
    await Bun.sleep(actSeconds * 1000);
    const answers = this.#answers() - before;
    this.#acts[name] = (this.#acts[name] ?? 0) + answers;
    const found = this.#violations();
    say(`${name}: ${answers} answers, ${found.length} violations ${found.slice(0, 3).join("; ")}`);
  }

  #answers(): number {
    return this.#judges.reduce((sum, { answers }) => sum + answers, 0);
  }

  #violations(): readonly string[] {
    return [...this.#judges.flatMap(({ violations }) => violations), ...this.#upkeep.violations];
  }

  async #flow(): Promise<void> {
    while (!this.#isOver) {
      const began = performance.now();
      await this.#produce();
      await Bun.sleep(Math.max(0, began + 1000 - performance.now()));
    }
  }

  /** Changes of a second. */
  async #produce(): Promise<void> {
    const { bootstrap, topic, keys, rate } = this.#proof;
    const records = Array.from({ length: rate }, () =>
      this.#folded.change(Math.floor(this.#random.unit() * keys), this.#random.unit() < 0.2),
    );
    await produceValues({ bootstrap, topic }, records);
  }

  /** Asks a process for as long as it lives. */
  async #ask(asked: Asked): Promise<void> {
    while (!this.#isOver && !asked.judge.isEnding) await this.#round(asked);
  }

  async #round({ product, judge }: Asked): Promise<void> {
    const { topic } = this.#course;
    const ask = async (asked: AskedChanges): Promise<void> =>
      judge.take(asked, await question(product.url, changesSql(asked, topic)));
    try {
      for (const width of KEYS_ASKED) {
        await ask({ kind: "states" });
        await ask({ kind: "count" });
        const from = Math.floor(this.#random.unit() * (this.#proof.keys - width));
        await ask({ kind: "keys", from, to: from + width });
      }
    } catch (error) {
      // One that was ended answers nobody.
      if (judge.isEnding) return;
      if (product.ended()) {
        const log = product.log().slice(-3000);
        throw new Error(`it ended by itself:\n${log}`, { cause: error });
      }
      this.#proof.say(`no answer: ${String(error)}`);
      judge.late++;
    }
  }

  async #start(name: string): Promise<void> {
    const { config, folder } = this.#course;
    const { offsets } = await this.#head();
    const product = await startProduct({ config, folder: join(folder, `instance-${name}`) });
    await product.ready();
    const committed = Array.from({ length: PARTITIONS }, (_, partition) => offsets[partition] ?? 0);
    const judge = new ChangesJudge(this.#folded, committed);
    const asked = { name, product, judge };
    this.#judges.push(judge);
    this.#living.push(asked);
    const hasColumns = async (): Promise<boolean> => total(await this.#head()) > 0;
    await until("the first rows", hasColumns, WAIT_MS);
    const asking = this.#ask(asked);
    asking.catch(() => undefined);
    this.#asking.push(asking);
  }

  #head(): ReturnType<typeof readHead> {
    return readHead(this.#course);
  }

  /** Another process, once it has some of the partitions. */
  async #join(name: string): Promise<void> {
    await this.#start(name);
    const hasSome = (): boolean => (this.#living.at(-1)?.judge.covered ?? 0) > 0;
    await until("the new one has partitions", hasSome, WAIT_MS);
  }

  async #leave(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const [oldest] = this.#living;
    if (oldest !== undefined) await this.#end(oldest, signal);
    await this.#untilCovered();
  }

  async #end(asked: Asked, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#living = this.#living.filter((each) => each !== asked);
    asked.judge.isEnding = true;
    await (signal === "SIGTERM" ? asked.product.terminate() : asked.product.kill());
  }

  async #untilCovered(): Promise<void> {
    const hasAll = (): boolean => this.#living[0]?.judge.covered === PARTITIONS;
    await until("one process has all partitions", hasAll, WAIT_MS);
  }

  async #maintain(): Promise<void> {
    for (const operation of OPERATIONS) await this.#upkeep.run(operation, 0.3);
    await this.#upkeep.run("compact", 0);
  }

  /** Nothing comes any more: the answers are of all that came, and all is committed. */
  async #toEnd(): Promise<void> {
    const [only] = this.#living;
    const isWhole = async (): Promise<boolean> => {
      if (only !== undefined) await this.#round(only);
      const { offsets } = await this.#head();
      const isCommitted = Object.entries(offsets).every(
        ([partition, end]) => end === this.#folded.end(Number(partition)),
      );
      return isCommitted && only?.judge.isAtEnd === true;
    };
    await until("the last change is seen and committed", isWhole, WAIT_MS);
  }

  async #report(seconds: number): Promise<HotChangesReport> {
    const verdict = await judgeChanges(this.#course, ["pyiceberg", "duckdb"], JUDGED);
    const rows = this.#folded.rows;
    const violations = [
      ...this.#violations(),
      ...verdict.violations,
      ...(verdict.rows === rows ? [] : [`the topic's fold has ${verdict.rows} rows, ours ${rows}`]),
    ];
    const counts: Record<string, number> = {};
    for (const each of this.#judges) {
      for (const [kind, count] of Object.entries(each.counts))
        counts[kind] = (counts[kind] ?? 0) + count;
    }
    const times = this.#judges.flatMap((each) => each.times).toSorted((a, b) => a - b);
    return {
      ...{ seconds, rows, answers: this.#answers(), counts, acts: this.#acts },
      changes: Array.from({ length: PARTITIONS }, (_, at) => this.#folded.end(at)).reduce(
        (a, b) => a + b,
      ),
      snapshots: new Set(this.#judges.flatMap((each) => [...each.snapshots])).size,
      late: this.#judges.reduce((sum, { late }) => sum + late, 0),
      ...{ kills: this.#upkeep.kills.counts, done: this.#upkeep.done.counts },
      medianMs: times[Math.floor(times.length / 2)] ?? 0,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
      ...{ verdict, ok: violations.length === 0, violations: violations.slice(0, 20) },
    };
  }
}
