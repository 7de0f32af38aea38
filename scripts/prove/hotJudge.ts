/**
 * What one process answers about a table that a topic flows into, answer by answer: each is what the topic held
 * up to one offset of each partition, and none goes back behind an earlier one.
 */
import type { OffsetRange, SumAnswer } from "../judge/judge.ts";

/** An answer of `/query`. */
export interface Body {
  readonly rows: readonly (readonly (number | string)[])[];
  readonly snapshot_id: string | null;
  readonly hot_partitions: readonly string[];
  readonly elapsed_ms: number;
  readonly error?: string;
}

/** A process that is gone in the midst of an answer may leave its client waiting. */
const ANSWER_MS = 120_000;

/** The answer of a process to a statement. Throws `TimeoutError` when none comes. */
export async function question(url: string, sql: string): Promise<Body> {
  const body = JSON.stringify({ sql });
  const signal = AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(`${url}/query`, { method: "POST", body, signal });
  return (await response.json()) as Body;
}

/**
 * What is asked: how many rows, which offsets, or sums of computed values, the last two from an offset of each
 * partition on.
 */
export type Asked =
  | { readonly kind: "count" }
  | { readonly kind: "offsets" | "sums"; readonly from: number };

const SELECTED = {
  // Nothing may be missing, or there twice.
  offsets: "count(*), min(_kafka_offset), max(_kafka_offset) + 1, sum(_kafka_offset)::BIGINT",
  // The topic's independent reader has these sums, too.
  sums: "count(*), min(_kafka_offset), max(_kafka_offset) + 1, sum(user_id * device.width)::BIGINT",
};

/** A question as SQL. */
export function sqlOf(asked: Asked, topic: string): string {
  if (asked.kind === "count") return `SELECT count(*) FROM ${topic}`;
  const where = asked.from === 0 ? "" : `WHERE _kafka_offset >= ${asked.from} `;
  return `SELECT _kafka_partition, ${SELECTED[asked.kind]} FROM ${topic} ${where}GROUP BY ALL`;
}

/** Of one partition in one answer. */
interface Held {
  readonly partition: number;
  readonly from: number;
  readonly count: number;
  readonly end: number;
  readonly sum: number;
}

/** The judge of one process. */
export class HotJudge {
  readonly violations: string[] = [];
  readonly sums: SumAnswer[] = [];
  /** By kind; `whole`: those of them that were about every row. */
  readonly counts: Record<Asked["kind"] | "whole" | "hot" | "uncovered", number> = {
    count: 0,
    offsets: 0,
    sums: 0,
    whole: 0,
    hot: 0,
    uncovered: 0,
  };
  /** Questions whose time was over: a slow machine, or one that stood still. */
  late = 0;
  /** Its process is being ended, and may refuse. */
  isEnding = false;
  readonly times: number[] = [];
  readonly snapshots: Set<string> = new Set();
  readonly #removed: readonly OffsetRange[];
  #gone = 0;
  #ends: ReadonlyMap<number, number> = new Map();
  #covered = new Set<number>();
  #leastRows = 0;

  /**
   * @param removed rows that somebody removes on purpose, in this order, added to before it is done; all of one
   * partition
   */
  constructor(removed: readonly OffsetRange[] = []) {
    this.#removed = removed;
  }

  get answers(): number {
    const { count, offsets, sums } = this.counts;
    return count + offsets + sums;
  }

  /** Partitions whose rows in memory the last answer by partitions had. */
  get covered(): number {
    return this.#covered.size;
  }

  /** Rows that the last answer by partitions reached. */
  get reached(): number {
    return [...this.#ends.values()].reduce((sum, end) => sum + end, 0);
  }

  /** The partition that is behind all others; 0 before every one of them has rows. */
  leastEnd(partitions: number): number {
    return this.#ends.size < partitions ? 0 : Math.min(...this.#ends.values());
  }

  /** Judges one answer. False: it is none, since there are no rows yet. */
  take(asked: Asked, body: Body): boolean {
    if (body.error !== undefined) {
      const isEarly = this.reached === 0 && /There is no table|_kafka_|user_id/.test(body.error);
      const isLate = body.error.includes("took longer than");
      if (isLate) this.late++;
      if (!isEarly && !isLate && !this.isEnding)
        this.violations.push(`${sqlOf(asked, "T")}: ${body.error}`);
      return false;
    }
    if (this.reached === 0 && body.rows.length === 0) return false;
    this.counts[asked.kind]++;
    this.times.push(body.elapsed_ms);
    this.snapshots.add(String(body.snapshot_id));
    if (body.hot_partitions.length > 0) this.counts.hot++;
    if (asked.kind === "count") this.#takeCount(body);
    else this.#takeHeld(asked, body);
    return true;
  }

  #takeCount({ rows, hot_partitions }: Body): void {
    const count = Number(rows[0]?.[0]);
    const isLess = [...this.#covered].some((each) => !partitionsOf(hot_partitions).has(each));
    if (!isLess && count < this.#leastRows) {
      this.violations.push(`${count} rows are fewer than ${this.#leastRows} before`);
    }
  }

  #takeHeld({ kind, from }: Exclude<Asked, { kind: "count" }>, body: Body): void {
    if (from === 0) this.counts.whole++;
    const covered = partitionsOf(body.hot_partitions);
    const ends = new Map<number, number>();
    for (const row of body.rows) {
      const [partition = -1, count = 0, least = -1, end = -1, sum = -1] = row.map(Number);
      if (least !== from) this.violations.push(`${JSON.stringify(row)} begins behind ${from}`);
      this.#judge(kind, { partition, from, count, end, sum });
      ends.set(partition, end);
    }
    for (const [partition, before] of this.#ends) {
      const isLeft = this.#covered.has(partition) && !covered.has(partition);
      if (isLeft) this.counts.uncovered++;
      const end = ends.get(partition) ?? 0;
      // A partition that another process reads now is as new as the snapshot: the answer says so.
      if (end < before && !isLeft) {
        this.violations.push(`partition ${partition} ends at ${end}, before at ${before}`);
      }
    }
    this.#ends = ends;
    this.#covered = covered;
    this.#leastRows = this.reached - this.#removedRows(this.#removed.length);
  }

  /** Removed rows are all there, or all gone, and once gone they stay so. */
  #judge(kind: "offsets" | "sums", held: Held): void {
    const { partition, from, end, sum } = held;
    const gone = this.#goneBy(held);
    if (gone === null) {
      this.violations.push(`rows are missing or double: ${kind} ${JSON.stringify(held)}`);
      return;
    }
    if (this.#removed.some((each) => each.partition === partition) && from === 0) this.#gone = gone;
    if (kind === "sums") {
      this.sums.push([partition, from, end, sum, gone]);
      return;
    }
    const removed = this.#within(held, gone).reduce((all, range) => all + sumOf(range), 0);
    if (sum !== sumOf({ from, to: end }) - removed) {
      this.violations.push(`others than the topic's offsets: ${JSON.stringify(held)}`);
    }
  }

  /** So many of the removals must have been done for these to be all rows; null: no number of them. */
  #goneBy(held: Held): number | null {
    for (let gone = this.#gone; gone <= this.#removed.length; gone++) {
      const removed = this.#within(held, gone).reduce((all, { from, to }) => all + to - from, 0);
      if (held.count === held.end - held.from - removed) return gone;
    }
    return null;
  }

  /** What of the first `gone` removals lies between an answer's offsets. */
  #within({ partition, from, end }: Held, gone: number): OffsetRange[] {
    return this.#removed.slice(0, gone).flatMap((range) => {
      const own = { partition, from: Math.max(from, range.from), to: Math.min(end, range.to) };
      return range.partition === partition && own.from < own.to ? [own] : [];
    });
  }

  #removedRows(gone: number): number {
    return this.#removed.slice(0, gone).reduce((all, { from, to }) => all + to - from, 0);
  }
}

function sumOf({ from, to }: { readonly from: number; readonly to: number }): number {
  return ((to - from) * (from + to - 1)) / 2;
}

/** Numbers of `TOPIC/NUMBER`. */
export function partitionsOf(names: readonly string[]): Set<number> {
  return new Set(names.map((name) => Number(name.split("/").at(-1))));
}
