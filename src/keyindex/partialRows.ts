/**
 * Changes that lack values, which stay as they were (`columns/unavailable.ts`), among the changes of one
 * flush: where their values may stand, in changes of the same key before them, or in the table.
 */
import { assert } from "#base/assert.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE, type SplitChanges } from "#columns/changes.ts";
import type { LastRows } from "./lastRows.ts";
import type { KeySet } from "./port.ts";

/** One change of a key. */
export interface RowVersion {
  readonly batch: ColumnBatch;
  readonly row: number;
}

/** The last change of a key, which lacks values. */
export interface PartialRow {
  /** It, and what came before it, the newest first. */
  readonly versions: readonly RowVersion[];
  /** `flush`: the last version has all values; `table`: the table's row is older still; `nothing`: a delete or truncate is. */
  readonly base: "flush" | "table" | "nothing";
}

/** Partial rows of a batch that are written. */
export interface PartialRows {
  /** Key n is of row n. */
  readonly keys: KeySet;
  readonly rows: readonly PartialRow[];
  /** As those of other rows (`fold.ts`). */
  readonly isNew: Uint8Array | null;
}

/** Notes what stands before the partial rows of a flush, whose rows have numbers from batch to batch. */
export class PartialChain {
  readonly #flush: readonly SplitChanges[];
  /** Number of the first row of each batch. */
  readonly #firsts: readonly number[];
  /** Of a partial row the row of its key before it; -1: the flush has none. */
  readonly #before = new Map<number, number>();
  /** What stands before the first change of a key. */
  readonly #oldest: PartialRow["base"];

  /** @param isEmptied the table is emptied before those of the changes that count */
  constructor(flush: readonly SplitChanges[], isEmptied = false) {
    this.#flush = flush;
    this.#oldest = isEmptied ? "nothing" : "table";
    let first = 0;
    this.#firsts = flush.map(({ rows: { rowCount } }) => {
      first += rowCount;
      return first - rowCount;
    });
  }

  /** Adds rows `[from, to)` of a batch to the last ones; `first` is the number of the batch's first row. */
  add(last: LastRows, { changes }: SplitChanges, first: number, from: number, to: number): void {
    let start = from;
    let row = changes?.indexOf(CHANGE.partial, from) ?? -1;
    for (; row >= 0 && row < to; row = changes?.indexOf(CHANGE.partial, row + 1) ?? -1) {
      last.add(first + start, first + row);
      this.#before.set(first + row, last.lastOf(first + row));
      start = row;
    }
    last.add(first + start, first + to);
  }

  /** The partial rows of a batch that are the last of their keys, and their numbers there; null: there are none. */
  rowsOf(
    { rows: { rowCount }, changes }: SplitChanges,
    first: number,
    last: LastRows,
  ): { readonly numbers: Uint32Array; readonly rows: readonly PartialRow[] } | null {
    const found: number[] = [];
    let row = changes?.indexOf(CHANGE.partial) ?? -1;
    for (; row >= 0 && row < rowCount; row = changes?.indexOf(CHANGE.partial, row + 1) ?? -1) {
      if (last.has(first + row)) found.push(row);
    }
    if (found.length === 0) return null;
    return {
      numbers: Uint32Array.from(found),
      rows: found.map((each) => this.#rowOf(first + each)),
    };
  }

  #rowOf(number: number): PartialRow {
    const versions: RowVersion[] = [];
    for (let at = number; at >= 0; at = this.#before.get(at) ?? -1) {
      const { batch, row, change } = this.#versionOf(at);
      if (change === CHANGE.delete) return { versions, base: "nothing" };
      versions.push({ batch, row });
      if (change !== CHANGE.partial) return { versions, base: "flush" };
    }
    return { versions, base: this.#oldest };
  }

  #versionOf(number: number): RowVersion & { readonly change: number } {
    let [low, high] = [0, this.#firsts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#firsts[middle] ?? 0) <= number) low = middle;
      else high = middle - 1;
    }
    const split = this.#flush[low];
    assert(split !== undefined, "a row is of a batch");
    const row = number - (this.#firsts[low] ?? 0);
    return { batch: split.rows, row, change: split.changes?.[row] ?? CHANGE.put };
  }
}
