/**
 * Proof: ranges of a live table are replayed while replays are killed with SIGKILL in every phase, another engine
 * doubles, deletes and changes rows before and meanwhile, our own compaction runs, and events flow. PyIceberg and
 * DuckDB then find in the snapshot of every replay, beside its parent: each record of the range is a row once, but
 * for dead letters, and every other row is as it was.
 */
import { join } from "node:path";
import { type Random, seededRandom } from "#base/random.ts";
import { type ExactRecord, produceValues } from "../events/events.ts";
import { type OffsetRange, readTopic } from "../judge/judge.ts";
import { readersPython } from "../services/cache.ts";
import { run, until } from "../services/process.ts";
import { startProduct } from "../services/product.ts";
import { type Course, newCourse, runToEnd, type Say, start } from "./course.ts";

/** Size of the proof. */
export interface ReplayProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly formatVersion: 2 | 3;
  readonly ranges: number;
  /** Events a second. */
  readonly rate: number;
  readonly seed: number;
  readonly say: Say;
}

/** What was found. */
export interface ReplayVerdict {
  /** Snapshots of replays that were judged. */
  readonly snapshots: number;
  /** Looks, one a reader and snapshot, at which rows differed from the parent's. */
  readonly changed: number;
  readonly violations: readonly string[];
  readonly kills: number;
  /** What others did, by what it was. */
  readonly acts: Readonly<Record<string, number>>;
  readonly ok: boolean;
}

const PARTITIONS = 3;
const CATALOG = "shared";
/** A record that is a dead letter. */
const BAD = "{";
const BAD_EVERY = 97;
const RANGE_MAX = 400;
const KILLS_MAX = 2;
const POINTS = ["write", "upload", "manifest", "commit_before", "commit_after"];

/** Runs the proof. */
export async function proveReplay(proof: ReplayProof): Promise<ReplayVerdict> {
  const course = await sqlCourse(proof);
  const ranges = new Ranges(proof, course);
  let flows = true;
  const flow = produceWhile(proof, () => flows);
  const product = await start(course);
  try {
    await until("rows of every partition", () => ranges.areThere(), 120_000);
    for (let n = 1; n <= proof.ranges; n++) await ranges.next(n);
  } finally {
    flows = false;
    await flow;
    await product.terminate();
  }
  await runToEnd(course);
  return ranges.judge();
}

async function sqlCourse(proof: ReplayProof): Promise<Course> {
  const { bootstrap, topic, formatVersion } = proof;
  const sql = { uri: "sqlite:catalog.db", name: CATALOG };
  const config = {
    iceberg: { catalog_type: "sql", warehouse_path: "warehouse", sql },
    "iceberg.commit": { interval_ms: 2000 },
    "iceberg.write": { format_version: formatVersion },
    // PyIceberg computes partition values only with a package of its own that the readers lack.
    partitioning: { partition_strategy: "none" },
    dead_letter: { action: "table" },
  };
  return newCourse({ bootstrap, topic, partitions: PARTITIONS, config });
}

async function produceWhile(proof: ReplayProof, flows: () => boolean): Promise<void> {
  const { bootstrap, topic, rate } = proof;
  const began = Date.now();
  for (let n = 0; flows(); ) {
    const records: ExactRecord[] = [];
    for (const end = n + rate; n < end; n++) {
      const value = n % BAD_EVERY === 0 ? BAD : JSON.stringify({ n, text: `event ${n}` });
      records.push({ partition: n % PARTITIONS, value });
    }
    await produceValues({ bootstrap, topic }, records);
    await Bun.sleep(Math.max(0, began + (n / rate) * 1000 - Date.now()));
  }
}

/** A range with the snapshots that its replays have made. */
type Replayed = OffsetRange & { readonly snapshots: readonly string[] };

/** Replays one range after the other. */
class Ranges {
  readonly #proof: ReplayProof;
  readonly #course: Course;
  readonly #random: Random;
  readonly #runs: Replayed[] = [];
  readonly #acts: Record<string, number> = {};
  #seen = 0;
  #kills = 0;

  constructor(proof: ReplayProof, course: Course) {
    this.#proof = proof;
    this.#course = course;
    this.#random = seededRandom(proof.seed);
  }

  async areThere(): Promise<boolean> {
    try {
      const offsets = await this.#committed();
      return offsets.size === PARTITIONS && [...offsets.values()].every((end) => end > RANGE_MAX);
    } catch {
      return false;
    }
  }

  /** Spoils a range, replays it through kills and others' commits, and notes what was committed. */
  async next(n: number): Promise<void> {
    const range = await this.#pick();
    await this.#spoil(range);
    const kills = this.#below(KILLS_MAX + 1);
    for (let kill = 0; kill < kills; kill++) await this.#killed(range);
    const meanwhile = this.#random.unit() < 0.5 ? this.#spoil(range) : Promise.resolve();
    const [{ code, log }] = await Promise.all([this.#replay(range), meanwhile]);
    if (code !== 0) throw new Error(`replay ended with ${code}: ${log}`);
    const { replays } = await this.#python("look", range);
    const snapshots = replays.slice(this.#seen);
    this.#seen = replays.length;
    this.#runs.push({ ...range, snapshots });
    this.#proof.say(`range ${n} of ${this.#proof.ranges}: ${JSON.stringify(this.#runs.at(-1))}`);
  }

  /** What the readers say of all of them. */
  async judge(): Promise<ReplayVerdict> {
    const { bootstrap, topic } = this.#course;
    const { file } = await readTopic(bootstrap, topic);
    const { location } = await this.#python("look", { partition: 0, from: 0, to: 1 });
    const columns = ["_kafka_partition", "_kafka_offset", "text"];
    const table = { metadata: location };
    const job = { table, file, columns, field: "text", bad: BAD, runs: this.#runs };
    const script = join(import.meta.dir, "..", "judge", "replay.py");
    const stdin = JSON.stringify(job);
    const found = JSON.parse(await run([await readersPython(), script], { stdin }));
    const ok = found.violations.length === 0 && found.snapshots >= this.#proof.ranges;
    return { ...found, kills: this.#kills, acts: this.#acts, ok };
  }

  #below(count: number): number {
    return Math.floor(this.#random.unit() * count);
  }

  async #pick(): Promise<OffsetRange> {
    const partition = this.#below(PARTITIONS);
    const end = (await this.#committed()).get(partition) ?? 1;
    const from = this.#below(end);
    return { partition, from, to: Math.min(end, from + 1 + this.#below(RANGE_MAX)) };
  }

  /** Another engine, or our compaction, changes the table where a range is, and around it. */
  async #spoil({ partition, from, to }: OffsetRange): Promise<void> {
    const foreign = this.#proof.formatVersion === 2 ? ["double", "delete", "change"] : [];
    const what = [...foreign, "compact", "nothing"][this.#below(foreign.length + 2)] ?? "nothing";
    this.#acts[what] = (this.#acts[what] ?? 0) + 1;
    if (what === "nothing") return;
    if (what === "compact") return void (await this.#cli("maintenance", "compact", this.#name));
    const first = Math.max(0, from - 50 + this.#below(100));
    await this.#python(what, { partition, from: first, to: first + this.#below(to - from + 50) });
  }

  /** A replay that dies at a failpoint, or after a while. */
  async #killed(range: OffsetRange): Promise<void> {
    const point = POINTS[this.#below(POINTS.length)];
    const isTimed = this.#random.unit() < 0.4;
    const env: Record<string, string> = isTimed
      ? {}
      : { KAFKA_ICEBERG_FAILPOINT: `${point}=crash@1` };
    const killAfterMs = isTimed ? 300 + this.#below(1500) : null;
    const { code } = await this.#replay(range, env, killAfterMs);
    if (code !== 0) this.#kills++;
  }

  async #replay(
    { partition, from, to }: OffsetRange,
    env: Readonly<Record<string, string>> = {},
    killAfterMs: number | null = null,
  ): Promise<{ readonly code: number; readonly log: string }> {
    const { config, folder } = this.#course;
    const words = ["--partition", partition, "--from", from, "--to", to].map(String);
    const command = ["replay", this.#name, ...words];
    const product = await startProduct({ command, config, folder, env });
    if (killAfterMs !== null) {
      await Promise.race([product.exited, Bun.sleep(killAfterMs)]);
      await product.kill();
    }
    return { code: await product.exited, log: product.log().slice(-2000) };
  }

  async #committed(): Promise<ReadonlyMap<number, number>> {
    const rows = JSON.parse(await this.#cli("offsets", this.#name, "--json")) as readonly {
      readonly partition: number;
      readonly offset: number;
    }[];
    return new Map(rows.map(({ partition, offset }) => [partition, offset]));
  }

  async #cli(...command: readonly string[]): Promise<string> {
    const { config, folder } = this.#course;
    const product = await startProduct({ command, config, folder });
    const code = await product.exited;
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${product.log()}`);
    return product.log();
  }

  async #python(
    what: string,
    { partition, from, to }: OffsetRange,
  ): Promise<{ readonly replays: readonly string[]; readonly location: string }> {
    const { folder } = this.#course;
    const warehouse = `file://${join(folder, "warehouse")}`;
    const catalog = { uri: `sqlite:///${join(folder, "catalog.db")}`, warehouse };
    const filter =
      `_kafka_partition = ${partition} and _kafka_offset >= ${from} and ` + `_kafka_offset < ${to}`;
    const job = { catalog, name: CATALOG, table: this.#name, what, filter, column: "text" };
    const script = join(import.meta.dir, "..", "judge", "spoil.py");
    const stdin = JSON.stringify(job);
    return JSON.parse(await run([await readersPython(), script], { stdin }));
  }

  get #name(): string {
    return `default.${this.#course.topic}`;
  }
}
