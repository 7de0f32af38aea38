/**
 * What of the changes of one flush is written: the last change of each key, if it is no delete
 * (SPEC 6; CHANGE_RULES 10f: folded before anything is looked up).
 */
import { assert } from "#base/assert.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE, type SplitChanges } from "#columns/changes.ts";
import { keyColumnsOf } from "./keyColumns.ts";
import type { KeyHasher } from "./keyHasher.ts";
import type { KeySet } from "./port.ts";

/** Rows of a batch that are written. */
export interface KeptRows {
  readonly batch: ColumnBatch;
  /** Ascending. */
  readonly rows: Uint32Array;
  /** Key n is of row `rows[n]`. */
  readonly keys: KeySet;
}

/** A flush without what it overwrites itself. */
export interface FoldedChanges {
  /** All keys that were changed, each once: their rows in the table are deleted. */
  readonly keys: KeySet;
  /** Batches of which rows are left, in order. */
  readonly kept: readonly KeptRows[];
}

/** Rows between two turns of the event loop: about 2 ms. */
const ROWS_PER_TURN = 16_384;

/**
 * Folds the changes of a flush, given in the order of their records. Changes of one key must be in their order: in one feed they are.
 * @param turn lets others run
 */
export async function fold(
  flush: readonly SplitChanges[],
  hasher: KeyHasher,
  turn: () => Promise<void>,
): Promise<FoldedChanges> {
  const total = flush.reduce((sum, { rows }) => sum + rows.rowCount, 0);
  const words = new BigUint64Array(2 * total);
  const last = new LastRows(words, total);
  let first = 0;
  for (const { rows: batch } of flush) {
    const columns = keyColumnsOf(batch, hasher.fields);
    for (let from = 0; from < batch.rowCount; from += ROWS_PER_TURN) {
      const to = Math.min(batch.rowCount, from + ROWS_PER_TURN);
      hasher.hash(columns, from, to, words, first + from);
      last.add(first + from, first + to);
      await turn();
    }
    first += batch.rowCount;
  }
  return { keys: last.keys(), kept: keptRows(flush, words, last) };
}

function keptRows(
  flush: readonly SplitChanges[],
  words: BigUint64Array,
  last: LastRows,
): KeptRows[] {
  const kept: KeptRows[] = [];
  let first = 0;
  for (const { rows: batch, changes } of flush) {
    assert(changes === null || changes.length >= batch.rowCount, "each row says what it does");
    const rows = new Uint32Array(batch.rowCount);
    let count = 0;
    for (let row = 0; row < batch.rowCount; row++) {
      if (!last.has(first + row) || changes?.[row] === CHANGE.delete) continue;
      rows[count++] = row;
    }
    if (count > 0) {
      const own = words.subarray(2 * first, 2 * (first + batch.rowCount));
      kept.push({ batch, rows: rows.subarray(0, count), keys: picked(own, rows, count) });
    }
    first += batch.rowCount;
  }
  return kept;
}

function picked(words: BigUint64Array, rows: Uint32Array, count: number): KeySet {
  const keys = new BigUint64Array(2 * count);
  const [from, to] = [halves(words), halves(keys)];
  for (let n = 0; n < count; n++) copyKey(from, rows[n] ?? 0, to, n);
  return { count, words: keys };
}

/** The last row of each key: a hash table with linear probing over rows, half full at most. */
class LastRows {
  readonly #words: BigUint64Array;
  /** Four a key: 64-bit numbers would be an object each. */
  readonly #halves: Uint32Array;
  /** The last row of a key + 1; 0: free. */
  readonly #slots: Int32Array;
  readonly #mask: number;

  constructor(words: BigUint64Array, rows: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2 * rows, 2)));
    this.#words = words;
    this.#halves = halves(words);
    this.#slots = new Int32Array(slots);
    this.#mask = slots - 1;
  }

  /** Takes rows, whose keys are there. */
  add(from: number, to: number): void {
    for (let row = from; row < to; row++) this.#slots[this.#slotOf(row)] = row + 1;
  }

  /** True for the last row of its key. */
  has(row: number): boolean {
    return this.#slots[this.#slotOf(row)] === row + 1;
  }

  /** Every key once. */
  keys(): KeySet {
    const rows = new Uint32Array(this.#slots.length >> 1);
    let count = 0;
    for (const row of this.#slots) if (row > 0) rows[count++] = row - 1;
    return picked(this.#words, rows, count);
  }

  /** The slot of the row's key, or the free one where it belongs. */
  #slotOf(row: number): number {
    const halves = this.#halves;
    const mask = this.#mask;
    // The upper half of the first word: it is as good as random for every kind of key.
    let slot = (halves[4 * row + 1] as number) & mask;
    for (;;) {
      const other = (this.#slots[slot] as number) - 1;
      if (other < 0 || isSameKey(halves, row, other)) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

function halves({ buffer, byteOffset, length }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, 2 * length);
}

function isSameKey(halves: Uint32Array, a: number, b: number): boolean {
  return (
    halves[4 * a] === halves[4 * b] &&
    halves[4 * a + 1] === halves[4 * b + 1] &&
    halves[4 * a + 2] === halves[4 * b + 2] &&
    halves[4 * a + 3] === halves[4 * b + 3]
  );
}

function copyKey(from: Uint32Array, key: number, to: Uint32Array, at: number): void {
  for (let half = 0; half < 4; half++) to[4 * at + half] = from[4 * key + half] as number;
}
