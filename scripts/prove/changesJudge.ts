/**
 * What one process answers about a table that follows changes, while they come: each answer is what a fold of the topic has
 * up to one offset of each partition, and none goes back behind an earlier one.
 */
import type { FoldedState, FoldedTopic } from "./foldedTopic.ts";
import { type Body, partitionsOf } from "./hotJudge.ts";

/** What is asked: the state of each partition, how many rows there are, or the rows of some keys. */
export type AskedChanges =
  | { readonly kind: "states" | "count" }
  | { readonly kind: "keys"; readonly from: number; readonly to: number };

/** A question as SQL. */
export function changesSql(asked: AskedChanges, topic: string): string {
  if (asked.kind === "count") return `SELECT count(*) FROM ${topic}`;
  if (asked.kind === "keys") {
    return `SELECT id, n FROM ${topic} WHERE id >= ${asked.from} AND id < ${asked.to}`;
  }
  // The values of a row are those of one change.
  const isTorn = "text <> 'change ' || n || ' of ' || id";
  return (
    "SELECT _kafka_partition, count(*), count(DISTINCT id), sum(n)::BIGINT, sum(n * (id + 1))::BIGINT, " +
    `count(*) FILTER (${isTorn}) FROM ${topic} GROUP BY ALL`
  );
}

/** The judge of one process. */
export class ChangesJudge {
  readonly violations: string[] = [];
  /** By kind; `hot`: with rows in memory; `uncovered`: times that a partition left them. */
  readonly counts: Record<AskedChanges["kind"] | "hot" | "uncovered", number> = {
    ...{ states: 0, count: 0, keys: 0, hot: 0, uncovered: 0 },
  };
  /** Questions whose time was over: a slow machine. */
  late = 0;
  /** Its process is being ended, and may refuse. */
  isEnding = false;
  readonly times: number[] = [];
  readonly snapshots: Set<string> = new Set();
  readonly #topic: FoldedTopic;
  readonly #committed: readonly number[];
  /** Of each partition the least end that its last answer can have been of. */
  readonly #ends: number[];
  /** And the last such end of the last states: what changed nothing may have been behind the least. */
  #lastEnds: readonly number[] = [];
  #covered: ReadonlySet<number> = new Set();
  /** Counts that came since the last states, which lie between those and the next. */
  #pending: { readonly count: number; readonly from: readonly number[] }[] = [];

  /** @param committed ends that the table has had when the process began: nothing shows less */
  constructor(topic: FoldedTopic, committed: readonly number[]) {
    this.#topic = topic;
    this.#committed = committed;
    this.#ends = [...committed];
  }

  get answers(): number {
    const { states, count, keys } = this.counts;
    return states + count + keys;
  }

  /** Partitions whose rows in memory the last answer had. */
  get covered(): number {
    return this.#covered.size;
  }

  /** True when the last answers can be of everything that was produced. */
  get isAtEnd(): boolean {
    return this.#lastEnds.every((end, partition) => end === this.#topic.end(partition));
  }

  take(asked: AskedChanges, body: Body): void {
    if (body.error !== undefined) {
      const isLate = body.error.includes("took longer than");
      if (isLate) this.late++;
      if (!isLate && !this.isEnding)
        this.violations.push(`${changesSql(asked, "T")}: ${body.error}`);
      return;
    }
    this.counts[asked.kind]++;
    this.times.push(body.elapsed_ms);
    this.snapshots.add(String(body.snapshot_id));
    if (body.hot_partitions.length > 0) this.counts.hot++;
    this.#cover(partitionsOf(body.hot_partitions));
    if (asked.kind === "count") {
      this.#pending.push({ count: Number(body.rows[0]?.[0]), from: [...this.#ends] });
    } else if (asked.kind === "keys") this.#takeKeys(asked, body);
    else this.#takeStates(body);
  }

  /** A partition that another process reads now is as new as the snapshot: the answer says so. */
  #cover(covered: ReadonlySet<number>): void {
    for (const partition of this.#covered) {
      if (covered.has(partition)) continue;
      this.counts.uncovered++;
      this.#ends[partition] = this.#committed[partition] ?? 0;
      this.#pending = [];
    }
    this.#covered = covered;
  }

  #takeStates({ rows }: Body): void {
    const states = new Map<number, FoldedState>();
    for (const row of rows) {
      const [partition = -1, count = 0, keys = 0, sum = 0, weighed = 0, torn = 0] = row.map(Number);
      states.set(partition, { count, sum, weighed });
      if (keys !== count)
        this.violations.push(`partition ${partition}: ${count} rows, ${keys} keys`);
      if (torn > 0) this.violations.push(`partition ${partition}: ${torn} rows of two changes`);
    }
    this.#lastEnds = this.#ends.map((from, partition) => {
      const state = states.get(partition) ?? { count: 0, sum: 0, weighed: 0 };
      const found = this.#topic.endsOf(partition, from, state);
      if (found !== null) this.#ends[partition] = found.first;
      else this.#wrong(partition, `from end ${from} on no fold has ${JSON.stringify(state)}`);
      return found?.last ?? from;
    });
    for (const { count, from } of this.#pending) this.#judgeCount(count, from, this.#lastEnds);
    this.#pending = [];
  }

  #judgeCount(count: number, from: readonly number[], to: readonly number[]): void {
    const ranges = from.map((end, at) => this.#topic.countsBetween(at, end, to[at] ?? end));
    const [least, most] = [0, 1].map((side) =>
      ranges.reduce((sum, range) => sum + (range[side] ?? 0), 0),
    );
    if (count < (least ?? 0) || count > (most ?? 0)) {
      this.violations.push(`${count} rows, where folds have ${least} to ${most}`);
    }
  }

  #takeKeys({ from, to }: { readonly from: number; readonly to: number }, { rows }: Body): void {
    const seen = new Map<number, number>(rows.map(([id, n]) => [Number(id), Number(n)]));
    if (seen.size !== rows.length)
      this.violations.push(`keys are there twice: ${JSON.stringify(rows)}`);
    const ids = Array.from({ length: to - from }, (_, at) => from + at);
    for (const [partition, end] of this.#ends.entries()) {
      const found = this.#topic.endOfKeys(partition, end, ids, seen);
      if (found !== null) this.#ends[partition] = found;
      else
        this.#wrong(
          partition,
          `from end ${end} on no fold has of keys ${from} to ${to} these: ${JSON.stringify(rows)}`,
        );
    }
  }

  #wrong(partition: number, what: string): void {
    this.violations.push(`partition ${partition}: ${what}`.slice(0, 2000));
  }
}
