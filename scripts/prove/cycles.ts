/**
 * Proof: a table that is written, deleted from by others, compacted, expired, cleaned and has its manifests
 * rewritten, cycle after cycle, with `kill -9` at any moment of each of them (issue 12, must show 3).
 *
 * A cycle: events flow into the topic, `run` ingests them, Spark deletes by position or PyIceberg by rewriting, or it
 * appends, while `maintenance compact`, `manifests` and `expire` run beside them; each of our processes is killed at
 * random. Then, alone, with all files aged by four days, `maintenance orphans`, killed and run again. PyIceberg judges
 * every snapshot that it has not seen, in which Spark counts as many rows, and which files the table has: nothing that
 * is listed is missing, nothing else is left. In the end Spark's own maintenance finds nothing to do behind ours.
 */
import { type Random, seededRandom } from "#base/random.ts";
import { produceEvents } from "../events/events.ts";
import { type Course, runToEnd, type Say, start } from "./course.ts";
import { newSharedCourse, Others } from "./others.ts";
import { AGE_MS, EXPIRY, NO_MAINTENANCE, OPERATIONS, Tally, Upkeep } from "./upkeep.ts";

/** Size of {@link proveCycles}. */
export interface CyclesProof {
  readonly bootstrap: string;
  readonly topic: string;
  readonly cycles: number;
  /** Events of each cycle. */
  readonly events: number;
  readonly formatVersion: 2 | 3;
  readonly seed: number;
  /** The proof begins no cycle after so long. Default: without a limit. */
  readonly minutes?: number;
  readonly say: Say;
}

/** What was found. */
export interface CyclesReport {
  readonly cycles: number;
  /** Processes that were killed, by what they did. */
  readonly kills: Readonly<Record<string, number>>;
  /** Runs of maintenance that came to their end, and what they did in all. */
  readonly done: Readonly<Record<string, number>>;
  readonly foreign: Readonly<Record<string, number>>;
  /** Snapshots whose rows PyIceberg read and Spark counted. */
  readonly snapshots: number;
  readonly rows: number;
  /** What Spark's own maintenance still found to do at the end. */
  readonly left: readonly string[];
  readonly ok: boolean;
  readonly violations: readonly string[];
}

const PARTITIONS = 2;

/** Runs the proof: the executable, an SQL catalog on SQLite, PyIceberg, Spark. */
export async function proveCycles(proof: CyclesProof): Promise<CyclesReport> {
  const { bootstrap, topic, formatVersion } = proof;
  const config = {
    "iceberg.write": { format_version: formatVersion },
    maintenance: NO_MAINTENANCE,
  };
  const course = await newSharedCourse({ bootstrap, topic, partitions: PARTITIONS, config });
  return await new Cycles(course, proof).run();
}

/** `<partition>/<offset>` of a range. */
function places(partition: number, from: number, to: number): string[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, n) => `${partition}/${from + n}`);
}

/** What PyIceberg says of a snapshot. */
interface SnapshotRows {
  readonly partitions: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  readonly doubled: number;
  readonly foreign: readonly string[];
}

/** What PyIceberg says of the table. */
interface TableSeen {
  readonly head: string;
  readonly snapshots: readonly string[];
  readonly files: readonly string[];
  readonly deletes: number;
  readonly rows: Readonly<Record<string, SnapshotRows>>;
}

class Cycles {
  readonly #course: Course;
  readonly #proof: CyclesProof;
  readonly #random: Random;
  readonly #upkeep: Upkeep;
  readonly #foreign = new Tally();
  readonly #violations: string[];
  /** Rows whose deletion was answered, and those of which somebody tried it. */
  readonly #deleted = new Set<string>();
  readonly #tried = new Set<string>();
  readonly #appended = new Set<string>();
  readonly #judged = new Set<string>();
  #ends: number[] = [];
  #cycle = 0;
  #rows = 0;

  constructor(course: Course, proof: CyclesProof) {
    this.#course = course;
    this.#proof = proof;
    this.#random = seededRandom(proof.seed);
    this.#upkeep = new Upkeep(course, this.#random, proof.say);
    this.#violations = this.#upkeep.violations;
  }

  async run(): Promise<CyclesReport> {
    const { cycles, minutes = Number.POSITIVE_INFINITY, say } = this.#proof;
    const endMs = performance.now() + minutes * 60_000;
    await this.#produce();
    await runToEnd(this.#course);
    const others = await Others.open(this.#course);
    try {
      await others.set(EXPIRY);
      await this.#judge(others);
      while (this.#cycle < cycles && performance.now() < endMs) {
        this.#cycle++;
        await this.#live(others);
        await this.#upkeep.clean();
        const { snapshots, deletes } = await this.#judge(others);
        say(
          `cycle ${this.#cycle}: ${snapshots.length} snapshots, ${this.#rows} rows, ${deletes} delete files, ` +
            `kills ${JSON.stringify(this.#upkeep.kills.counts)}, ${this.#violations.length} violations`,
        );
        if (this.#violations.length > 0) break;
      }
      await runToEnd(this.#course);
      await this.#judge(others);
      const read = this.#ends.reduce((sum, end) => sum + end, 0);
      const produced = this.#proof.events * (this.#cycle + 1);
      // The newest rows may be deleted ones.
      if (read > produced || read < produced - 80) {
        this.#violations.push(`${produced} events were produced, the table ends at ${read}`);
      }
      return this.#report(await this.#leftForSpark(others));
    } finally {
      await others.close();
    }
  }

  #report(left: readonly string[]): CyclesReport {
    return {
      ...{ cycles: this.#cycle, kills: this.#upkeep.kills.counts, done: this.#upkeep.done.counts },
      ...{ foreign: this.#foreign.counts, snapshots: this.#judged.size, rows: this.#rows, left },
      ok: this.#violations.length === 0 && left.length === 0,
      violations: this.#violations,
    };
  }

  /** Ours once more, when every snapshot may go that is not the newest two; then Spark's. */
  async #leftForSpark(others: Others): Promise<readonly string[]> {
    await Bun.sleep(AGE_MS);
    const olderThanMs = Date.now() - AGE_MS;
    for (const operation of OPERATIONS) await this.#upkeep.run(operation, 0);
    await this.#upkeep.clean();
    await this.#judge(others);
    return await others.leftForSpark(olderThanMs);
  }

  /** Everybody at once; ingest is dead at the end. */
  async #live(others: Others): Promise<void> {
    const product = await start(this.#course);
    const flow = this.#produce();
    const upkeep = this.#upkeep.beside();
    await this.#act(others);
    if (this.#chance(0.5)) await this.#act(others);
    await flow;
    await upkeep;
    await Bun.sleep(800 * this.#random.unit());
    if (this.#chance(0.8)) {
      await product.kill();
      this.#upkeep.kills.add("run");
    } else await product.terminate();
  }

  async #produce(): Promise<void> {
    const { bootstrap, topic } = this.#course;
    await produceEvents({ bootstrap, topic, count: this.#proof.events, seed: this.#cycle + 1 });
  }

  /** Somebody else writes to the table. */
  async #act(others: Others): Promise<void> {
    const dice = this.#random.unit();
    if (dice < 0.3) {
      const id = `foreign-${this.#cycle}-${this.#appended.size}`;
      this.#appended.add(id);
      const isDone = this.#writesByPython
        ? await others.pyiceberg.write({ do: "append", ids: [id] })
        : await others.bySpark(`insert into T (event_id) values ('${id}')`);
      return this.#foreign.add(isDone ? "append" : "append: refused");
    }
    const partition = Math.floor(this.#random.unit() * PARTITIONS);
    const end = this.#ends[partition] ?? 0;
    const from = Math.floor(this.#random.unit() * end);
    const to = Math.min(end, from + 1 + Math.floor(40 * this.#random.unit()));
    if (to <= from) return;
    const range = places(partition, from, to);
    for (const place of range) this.#tried.add(place);
    const isByPython = dice < 0.5 && this.#writesByPython;
    const name = isByPython ? "PyIceberg deletes" : "Spark deletes";
    const where = `_kafka_partition = ${partition} and _kafka_offset >= ${from} and _kafka_offset < ${to}`;
    const isDone = isByPython
      ? await others.pyiceberg.write({ do: "delete", partition, from, to })
      : await others.bySpark(`delete from T where ${where}`);
    if (isDone) for (const place of range) this.#deleted.add(place);
    this.#foreign.add(isDone ? name : `${name}: refused`);
  }

  async #judge(others: Others): Promise<TableSeen> {
    const seen = await others.pyiceberg.see<TableSeen>({ do: "judge", known: [...this.#judged] });
    const counts = await others.countsBySpark(Object.keys(seen.rows));
    for (const [id, rows] of Object.entries(seen.rows)) {
      this.#judged.add(id);
      this.#judgeRows(id, rows, id === seen.head);
      const count = countOf(rows);
      if (counts.get(id) !== count) {
        this.#violations.push(
          `snapshot ${id}: ${counts.get(id)} rows by Spark, ${count} by PyIceberg`,
        );
      }
    }
    this.#upkeep.judgeFiles(seen.files);
    return seen;
  }

  #judgeRows(id: string, { partitions, doubled, foreign }: SnapshotRows, isHead: boolean): void {
    const tell = (what: string): void => void this.#violations.push(`snapshot ${id}: ${what}`);
    if (doubled > 0) tell(`${doubled} rows twice`);
    if (new Set(foreign).size !== foreign.length) tell("a foreign row twice");
    for (const each of foreign) if (!this.#appended.has(each)) tell(`${each} was never written`);
    if (isHead) this.#rows = foreign.length;
    for (const [name, ranges] of Object.entries(partitions)) {
      const partition = Number(name);
      const ends = ranges.map(([, to]) => to);
      const gaps = ranges.map(([from], at) => this.#untried(partition, ends[at - 1] ?? 0, from));
      for (const lost of gaps.flat()) tell(`${lost} is lost`);
      if (isHead) for (const what of this.#headProblems(partition, ranges)) tell(what);
    }
  }

  /** Takes the head's rows of a partition; what nobody deleted from one head to the next is still there. */
  #headProblems(
    partition: number,
    ranges: readonly (readonly [number, number])[],
  ): readonly string[] {
    this.#rows += ranges.reduce((sum, [from, to]) => sum + to - from, 0);
    const [before, end] = [this.#ends[partition] ?? 0, ranges.at(-1)?.[1] ?? 0];
    this.#ends[partition] = Math.max(before, end);
    const back = ranges.flatMap(([from, to]) => this.#deletedOf(partition, from, to));
    return [
      ...this.#untried(partition, end, before).map((row) => `${row} is lost at the end`),
      ...back.map((row) => `${row} is back`),
    ];
  }

  /** Rows that nobody has tried to delete. */
  #untried(partition: number, from: number, to: number): string[] {
    return places(partition, from, to).filter((place) => !this.#tried.has(place));
  }

  #deletedOf(partition: number, from: number, to: number): string[] {
    return places(partition, from, to).filter((place) => this.#deleted.has(place));
  }

  /** PyIceberg reads format v3, and does not write it. */
  get #writesByPython(): boolean {
    return this.#proof.formatVersion === 2;
  }

  #chance(share: number): boolean {
    return this.#random.unit() < share;
  }
}

function countOf({ partitions, doubled, foreign }: SnapshotRows): number {
  const ranges = Object.values(partitions).flat();
  return ranges.reduce((sum, [from, to]) => sum + to - from, doubled + foreign.length);
}
