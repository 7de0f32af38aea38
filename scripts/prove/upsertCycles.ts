/**
 * Proof: two instances of one group follow changes into a table whose files a third process compacts, rewrites the
 * manifests of and expires, while other engines overwrite, merge, delete, rewrite, roll back and expire, all of ours
 * killed at random (issue 13, must show 4). After each cycle PyIceberg and Spark read every new snapshot: it has of each
 * key the last change below its offsets, but for what others did to it (upsertModel.ts).
 */
import { join } from "node:path";
import { type Random, seededRandom } from "#base/random.ts";
import { produceValues } from "../events/events.ts";
import { type Course, merge, runToEnd, type Say, start } from "./course.ts";
import { newSharedCourse, Others, timestampOf } from "./others.ts";
import { EXPIRY, NO_MAINTENANCE, Tally, Upkeep } from "./upkeep.ts";
import { type ChangedSnapshot, UpsertModel } from "./upsertModel.ts";

/** Size of {@link proveUpsertCycles}. */
export interface UpsertCyclesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly cycles: number;
  /** Changes of each cycle. */
  readonly changes: number;
  readonly keys: number;
  readonly formatVersion: 2 | 3;
  readonly seed: number;
  /** The proof begins no cycle after so long. Default: without a limit. */
  readonly minutes?: number;
  readonly say: Say;
}

/** What was found. */
export interface UpsertCyclesReport {
  readonly cycles: number;
  /** Processes that were killed, by what they did. */
  readonly kills: Readonly<Record<string, number>>;
  /** Runs of maintenance that came to their end, and what they did in all. */
  readonly done: Readonly<Record<string, number>>;
  /** What other engines did, and how often they came too late. */
  readonly foreign: Readonly<Record<string, number>>;
  /** Snapshots whose rows PyIceberg read and Spark counted, and those of which it is known up to which change they are. */
  readonly snapshots: number;
  readonly folded: number;
  readonly rows: number;
  readonly ok: boolean;
  readonly violations: readonly string[];
}

const PARTITIONS = 4;
const INSTANCES = ["a", "b"] as const;
/** A dead member's partitions wait so long. */
const SESSION_MS = 6000;
/** Ids that an act of another engine covers at most. */
const COVERED_MAX = 40;

/** Runs the proof: the executable, an SQL catalog on SQLite, PyIceberg, Spark. */
export async function proveUpsertCycles(proof: UpsertCyclesProof): Promise<UpsertCyclesReport> {
  const { bootstrap, topic, formatVersion } = proof;
  const config = {
    source: { mode: "ktable" },
    "iceberg.write": { format_version: formatVersion },
    maintenance: NO_MAINTENANCE,
  };
  const course = await newSharedCourse({ bootstrap, topic, partitions: PARTITIONS, config });
  return await new UpsertCycles(course, proof).run();
}

/** What PyIceberg says of the table. */
interface TableSeen {
  readonly head: string;
  readonly snapshots: readonly string[];
  readonly files: readonly string[];
  readonly rows: Readonly<Record<string, ChangedSnapshot>>;
}

class UpsertCycles {
  readonly #course: Course;
  readonly #proof: UpsertCyclesProof;
  readonly #random: Random;
  readonly #upkeep: Upkeep;
  readonly #foreign = new Tally();
  readonly #model: UpsertModel;
  readonly #judged = new Set<string>();
  #cycle = 0;

  constructor(course: Course, proof: UpsertCyclesProof) {
    this.#course = course;
    this.#proof = proof;
    this.#random = seededRandom(proof.seed);
    this.#upkeep = new Upkeep(course, this.#random, proof.say);
    this.#model = new UpsertModel(PARTITIONS);
  }

  async run(): Promise<UpsertCyclesReport> {
    const { cycles, minutes = Number.POSITIVE_INFINITY, say } = this.#proof;
    const endMs = performance.now() + minutes * 60_000;
    const { violations } = this.#upkeep;
    await this.#produce();
    await this.#toEnd();
    const others = await Others.open(this.#course);
    try {
      await others.set(EXPIRY);
      await this.#judge(others);
      while (this.#cycle < cycles && performance.now() < endMs && violations.length === 0) {
        this.#model.begin(++this.#cycle);
        await this.#live(others);
        await this.#toEnd();
        await this.#upkeep.clean();
        const { snapshots } = await this.#judge(others);
        say(
          `cycle ${this.#cycle}: ${snapshots.length} snapshots, ${this.#model.rows} rows, ` +
            `kills ${JSON.stringify(this.#upkeep.kills.counts)}, foreign ${JSON.stringify(this.#foreign.counts)}, ` +
            `${violations.length} violations`,
        );
      }
    } finally {
      await others.close();
    }
    return {
      ...{ cycles: this.#cycle, kills: this.#upkeep.kills.counts, done: this.#upkeep.done.counts },
      ...{ foreign: this.#foreign.counts, snapshots: this.#judged.size },
      ...{ folded: this.#model.folded, rows: this.#model.rows },
      ...{ ok: violations.length === 0, violations },
    };
  }

  /** Everybody at once; both instances are dead at the end. */
  async #live(others: Others): Promise<void> {
    const flow = this.#produce();
    const upkeep = this.#upkeep.beside();
    const lives = INSTANCES.map((name) => this.#lives(name));
    await Bun.sleep(1500 * this.#random.unit());
    for (let act = 0; act < 2; act++) await this.#act(others);
    await Promise.all([flow, upkeep, ...lives]);
  }

  /** One instance: it is killed and comes back, or stays to the end of the cycle. */
  async #lives(name: string): Promise<void> {
    for (let life = 0; life < 2; life++) {
      const product = await start(this.#instance(name));
      await Bun.sleep(1000 + 4000 * this.#random.unit());
      if (this.#chance(0.8)) {
        await product.kill();
        this.#upkeep.kills.add(`run ${name}`);
      } else await product.terminate();
    }
  }

  /** Both at once, so that none waits for the session of a dead one to end. */
  async #toEnd(): Promise<void> {
    await Promise.all(INSTANCES.map((name) => runToEnd(this.#instance(name))));
  }

  #instance(name: string): Course {
    const kafka = { session_timeout_ms: SESSION_MS, heartbeat_interval_ms: 2000 };
    const config = merge(this.#course.config, { kafka, "iceberg.commit": { interval_ms: 300 } });
    return { ...this.#course, config, folder: join(this.#course.folder, `instance-${name}`) };
  }

  /** Half of the changes at once, the others a while later; one in five deletes. */
  async #produce(): Promise<void> {
    const { bootstrap, topic, changes, keys } = this.#proof;
    for (const half of [0, 1]) {
      if (half === 1) await Bun.sleep(2000 * this.#random.unit());
      const records = Array.from({ length: changes / 2 }, () => {
        const id = Math.floor(this.#random.unit() * keys);
        return this.#model.change(id, this.#chance(0.2));
      });
      await produceValues({ bootstrap, topic }, records);
    }
  }

  /** Somebody else writes to the table. */
  async #act(others: Others): Promise<void> {
    const from = Math.floor(this.#random.unit() * this.#proof.keys);
    const to = from + 1 + Math.floor(COVERED_MAX * this.#random.unit());
    const acts: [string, () => Promise<boolean>][] = [
      ["Spark merges", () => this.#merge(others, from, to)],
      ["Spark rewrites", () => others.bySpark(REWRITE)],
      ["Spark expires", () => others.bySpark(expiry(Date.now() - 3000))],
      ["Spark rolls back", () => this.#rollBack(others)],
    ];
    // PyIceberg reads format v3, and does not write it.
    if (this.#proof.formatVersion === 2) {
      acts.push(["PyIceberg overwrites", () => this.#overwrite(others, from, to)]);
    }
    const [name, act] = acts[Math.floor(this.#random.unit() * acts.length)] ?? [];
    if (name === undefined || act === undefined) return;
    this.#foreign.add((await act()) ? name : `${name}: too late`);
  }

  /** A tenth of the rows is deleted, the others change their text. */
  async #merge(others: Others, from: number, to: number): Promise<boolean> {
    this.#model.touch(from, to);
    this.#model.tryDelete(from, to);
    return await others.bySpark(
      `merge into T t using (select id from T where id >= ${from} and id < ${to}) s on t.id = s.id ` +
        "when matched and t.n % 10 = 0 then delete when matched then update set text = concat(t.text, '+m')",
    );
  }

  async #overwrite(others: Others, from: number, to: number): Promise<boolean> {
    this.#model.overwrite(from, to);
    return await others.pyiceberg.write({ do: "overwrite", from, to, mark: "+p" });
  }

  /** To the parent of the head, or one of the two before it. */
  async #rollBack(others: Others): Promise<boolean> {
    this.#model.rolledBack();
    const back = 1 + Math.floor(3 * this.#random.unit());
    return await others.rollBack(back);
  }

  async #judge(others: Others): Promise<TableSeen> {
    const { topic } = this.#course;
    const { violations } = this.#upkeep;
    const job = { do: "changes", known: [...this.#judged], topic };
    const seen = await others.pyiceberg.see<TableSeen>(job);
    const counts = await others.countsBySpark(Object.keys(seen.rows));
    for (const [id, snapshot] of Object.entries(seen.rows)) {
      this.#judged.add(id);
      const { length } = snapshot.rows;
      const found = this.#model.judge(snapshot, id === seen.head);
      violations.push(...found.map((what) => `snapshot ${id}: ${what}`));
      if (counts.get(id) !== length) {
        violations.push(`snapshot ${id}: ${counts.get(id)} rows by Spark, ${length} by PyIceberg`);
      }
    }
    this.#upkeep.judgeFiles(seen.files);
    return seen;
  }

  #chance(share: number): boolean {
    return this.#random.unit() < share;
  }
}

const REWRITE =
  "call C.system.rewrite_data_files(table => N, options => map('rewrite-all', 'true'))";

function expiry(olderThanMs: number): string {
  return `call C.system.expire_snapshots(table => N, older_than => ${timestampOf(olderThanMs)}, retain_last => 2)`;
}
