/**
 * What a table that follows changes must hold, beside other engines that write to it: of each key the last change below
 * the offsets, but for rows that somebody deleted since, and with marks behind the texts that somebody changed. What was so
 * at the end of a cycle is so at the end of the next one, unless the key changed, was touched, or the table was rolled back.
 */
import type { ExactRecord } from "../events/events.ts";

/** What PyIceberg read of a snapshot. */
export interface ChangedSnapshot {
  /** Next offset by partition; null: nobody can say any more. */
  readonly offsets: Readonly<Record<string, number>> | null;
  /** Key, number of the change, text. */
  readonly rows: readonly (readonly [id: number, n: number, text: string])[];
}

interface Change {
  readonly id: number;
  readonly n: number;
  readonly cycle: number;
  readonly isDelete: boolean;
}

/** What a key's row says. */
type Row = readonly [n: number, text: string];

/** At most so many sentences of one snapshot. */
const TOLD_MAX = 5;

/** The changes that were produced, and what others did. */
export class UpsertModel {
  /** By partition, at their offsets: nobody else produces, and there are no transactions. */
  readonly #changes: readonly Change[][];
  #cycle = 0;
  #count = 0;
  /** In which cycle others were at a key last, and in which one they may have deleted its row. */
  readonly #touched = new Map<number, number>();
  readonly #deleteTried = new Map<number, number>();
  /** In which cycle a row may have been away for one snapshot, whose child has it again. */
  readonly #halfway = new Map<number, number>();
  #rolledBackIn = -1;
  /** The head at the end of the last cycle, by key. */
  #before: ReadonlyMap<number, Row> | null = null;
  #rows = 0;
  #folded = 0;

  constructor(partitions: number) {
    this.#changes = Array.from({ length: partitions }, () => []);
  }

  /** Rows of the last head that was judged. */
  get rows(): number {
    return this.#rows;
  }

  /** Snapshots that were compared with the changes below their offsets. */
  get folded(): number {
    return this.#folded;
  }

  /** Another cycle begins. */
  begin(cycle: number): void {
    this.#cycle = cycle;
  }

  /** One more change of a key, to be produced in this order. */
  change(id: number, isDelete: boolean): ExactRecord {
    const partition = id % this.#changes.length;
    const n = this.#count++;
    this.#changes[partition]?.push({ id, n, cycle: this.#cycle, isDelete });
    const value = isDelete ? null : JSON.stringify({ id, n, text: textOf(id, n) });
    return { partition, key: `key-${id}`, value };
  }

  /** Somebody changes texts of these keys, or tries to. */
  touch(from: number, to: number): void {
    for (let id = from; id < to; id++) this.#touched.set(id, this.#cycle);
  }

  /** Somebody writes rows of these keys again, in two snapshots of one commit: PyIceberg deletes, then appends. */
  overwrite(from: number, to: number): void {
    this.touch(from, to);
    for (let id = from; id < to; id++) this.#halfway.set(id, this.#cycle);
  }

  /** Somebody deletes rows of these keys, or tries to. */
  tryDelete(from: number, to: number): void {
    for (let id = from; id < to; id++) this.#deleteTried.set(id, this.#cycle);
  }

  /** Somebody rolls the table back, or tries to; to half of a commit as well. */
  rolledBack(): void {
    this.#rolledBackIn = this.#cycle;
    for (const [id, cycle] of this.#halfway) {
      this.#deleteTried.set(id, Math.max(cycle, this.#deleteTried.get(id) ?? -1));
    }
  }

  /** What is wrong with a snapshot. @param isHead nobody writes, and everything is committed */
  judge({ offsets, rows }: ChangedSnapshot, isHead: boolean): readonly string[] {
    const found: string[] = [];
    const byId = new Map<number, Row>(rows.map(([id, n, text]) => [id, [n, text]]));
    if (byId.size !== rows.length) found.push(`${rows.length - byId.size} keys twice`);
    if (isHead) {
      const ends = this.#changes.map(({ length }) => length);
      const committed = ends.map((_, partition) => offsets?.[partition] ?? null);
      if (committed.join() !== ends.join()) found.push(`offsets ${committed} instead of ${ends}`);
    }
    if (offsets !== null) {
      this.#folded++;
      found.push(...this.#problems(this.#fold(offsets), byId, isHead));
    }
    if (isHead) {
      found.push(...this.#unchanged(byId));
      this.#before = byId;
      this.#rows = rows.length;
    }
    return found.slice(0, TOLD_MAX);
  }

  /** The last change of each key below offsets; deleted ones included. */
  #fold(offsets: Readonly<Record<string, number>>): ReadonlyMap<number, Change> {
    const last = new Map<number, Change>();
    for (const [partition, changes] of this.#changes.entries()) {
      for (const change of changes.slice(0, offsets[partition] ?? 0)) last.set(change.id, change);
    }
    return last;
  }

  #problems(
    fold: ReadonlyMap<number, Change>,
    rows: ReadonlyMap<number, Row>,
    isHead: boolean,
  ): string[] {
    const wrong = [...fold.values()].map((change) => {
      const isHalf = !isHead && (this.#halfway.get(change.id) ?? -1) >= change.cycle;
      const row = rows.get(change.id);
      return row === undefined && isHalf ? null : this.#problem(change, row);
    });
    const early = [...rows.keys()].filter((id) => !fold.has(id));
    return [
      ...wrong.filter((what) => what !== null),
      ...early.map((id) => `key ${id} has not come yet`),
    ];
  }

  /** What is wrong with the row of a key whose last change this is; null: nothing. */
  #problem({ id, n, cycle, isDelete }: Change, row: Row | undefined): string | null {
    const isSince = (at: ReadonlyMap<number, number>): boolean => (at.get(id) ?? -1) >= cycle;
    if (row === undefined) {
      return isDelete || isSince(this.#deleteTried) ? null : `key ${id} is lost (change ${n})`;
    }
    if (isDelete) return `key ${id} is there, deleted by change ${n}`;
    const [number, text] = row;
    if (number !== n) return `key ${id} is change ${number}, not ${n}`;
    const [said, marks] = [text.slice(0, textOf(id, n).length), text.slice(textOf(id, n).length)];
    const isMarked = marks !== "" && isSince(this.#touched) && /^(\+[mp])+$/.test(marks);
    const isRight = said === textOf(id, n) && (marks === "" || isMarked);
    return isRight ? null : `key ${id} says ${text}`;
  }

  /** Keys that are not as they were, although nobody has been at them in this cycle. */
  #unchanged(now: ReadonlyMap<number, Row>): string[] {
    const before = this.#before;
    if (before === null || this.#rolledBackIn === this.#cycle) return [];
    const changed = new Set(
      this.#changes.flat().flatMap(({ id, cycle }) => (cycle === this.#cycle ? [id] : [])),
    );
    const ids = new Set([...before.keys(), ...now.keys()]);
    const quiet = [...ids].filter(
      (id) => !changed.has(id) && this.#touched.get(id) !== this.#cycle,
    );
    return quiet.flatMap((id) => {
      const [was, is] = [before.get(id), now.get(id)];
      return was?.join() === is?.join()
        ? []
        : [`key ${id} was ${was ?? "gone"}, is ${is ?? "gone"}`];
    });
  }
}

function textOf(id: number, n: number): string {
  return `change ${n} of ${id}`;
}
