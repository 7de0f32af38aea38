/**
 * What of the changes of one flush is written: the last change of each key, if it is no delete
 * (SPEC 6; CHANGE_RULES 10f: folded before anything is looked up).
 */
import { assert } from "#base/assert.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE, type SplitChanges } from "#columns/changes.ts";
import { keyColumnsOf } from "./keyColumns.ts";
import type { KeyField, KeyHasher } from "./keyHasher.ts";
import { LastRows, pickedKeys } from "./lastRows.ts";
import { ordersOf } from "./orders.ts";
import { PartialChain, type PartialRows } from "./partialRows.ts";
import type { KeySet } from "./port.ts";

/** Some rows of a batch. */
export interface RowsOfBatch {
  readonly batch: ColumnBatch;
  /** Ascending; at least one. */
  readonly rows: Uint32Array;
}

/** Rows of a batch that are written. */
export interface KeptRows extends RowsOfBatch {
  /** Key n is of row `rows[n]`. */
  readonly keys: KeySet;
  /** 1 for each row whose key the flush deletes before: it is another row than the table's. Null: there are none. */
  readonly isNew: Uint8Array | null;
}

/** A flush without what it overwrites itself. */
export interface FoldedChanges {
  /** All keys that were changed, each once: their rows in the table are deleted. */
  readonly keys: KeySet;
  /** Batches of which rows are left, in order. */
  readonly kept: readonly KeptRows[];
  /** The last change of each key, deletes included. */
  readonly changed: readonly RowsOfBatch[];
  /** A change empties the table of all rows; those that came before it in the flush are neither in `keys` nor in `kept`. */
  readonly empties: boolean;
  /** By batch: rows that are left as well, but lack values. */
  readonly partial: ReadonlyMap<ColumnBatch, PartialRows>;
}

/** Rows between two turns of the event loop: about 2 ms. */
const ROWS_PER_TURN = 16_384;

/**
 * Folds the changes of a flush, given in the order of their records.
 * @param order the column of their orders; default: changes of one key are in order, as in one feed they are
 * @param turn lets others run
 */
export async function fold(
  flush: readonly SplitChanges[],
  hasher: KeyHasher,
  turn: () => Promise<void>,
  order: KeyField | null = null,
): Promise<FoldedChanges> {
  const total = flush.reduce((sum, { rows }) => sum + rows.rowCount, 0);
  const words = new BigUint64Array(2 * total);
  const orders = order === null ? null : flushOrders(flush, order, total);
  const last = new LastRows(words, total, orders);
  const cleared = clearedBy(flush);
  const chain = new PartialChain(flush, cleared > 0);
  let first = 0;
  for (const split of flush) {
    const { rows: batch } = split;
    const columns = keyColumnsOf(batch, hasher.fields);
    const left = Math.max(0, cleared - first);
    for (let from = left; from < batch.rowCount; from += ROWS_PER_TURN) {
      const to = Math.min(batch.rowCount, from + ROWS_PER_TURN);
      hasher.hash(columns, from, to, words, first + from);
      chain.add(last, split, first, from, to);
      await turn();
    }
    first += batch.rowCount;
  }
  const found = { words, last, deleted: await deletedBefore(flush, words, last, cleared, turn) };
  const partial = await partialRows(flush, found, chain, turn);
  return { keys: last.keys(), ...lastChanges(flush, found), partial, empties: cleared > 0 };
}

/** How many rows of a flush the last truncate of it ends, itself included; 0: there is none. */
function clearedBy(flush: readonly SplitChanges[]): number {
  let [cleared, first] = [0, 0];
  for (const { rows, changes } of flush) {
    const at = changes?.lastIndexOf(CHANGE.truncate, rows.rowCount - 1) ?? -1;
    if (at >= 0) cleared = first + at + 1;
    first += rows.rowCount;
  }
  return cleared;
}

/** What is known of the rows of a flush, which have numbers from batch to batch. */
interface FoldedRows {
  /** Of their keys. */
  readonly words: BigUint64Array;
  readonly last: LastRows;
  /** Keys that are deleted before their last change; null: there are none. */
  readonly deleted: LastRows | null;
}

async function deletedBefore(
  flush: readonly SplitChanges[],
  words: BigUint64Array,
  last: LastRows,
  cleared: number,
  turn: () => Promise<void>,
): Promise<LastRows | null> {
  const numbers = await overtakenDeletes(flush, last, cleared, turn);
  if (numbers.length === 0) return null;
  const deleted = new LastRows(words, numbers.length);
  for (let n = 0; n < numbers.length; n++) {
    const number = numbers[n] as number;
    deleted.add(number, number + 1);
    if ((n + 1) % ROWS_PER_TURN === 0) await turn();
  }
  return deleted;
}

/** Deletes behind the last truncate that are not the last change of their key. */
async function overtakenDeletes(
  flush: readonly SplitChanges[],
  last: LastRows,
  cleared: number,
  turn: () => Promise<void>,
): Promise<number[]> {
  const numbers: number[] = [];
  let [first, looked] = [0, 0];
  for (const { rows, changes } of flush) {
    let row = changes?.indexOf(CHANGE.delete) ?? -1;
    for (; row >= 0 && row < rows.rowCount; row = changes?.indexOf(CHANGE.delete, row + 1) ?? -1) {
      const number = first + row;
      if (number >= cleared && !last.has(number)) numbers.push(number);
      if (++looked % ROWS_PER_TURN === 0) await turn();
    }
    first += rows.rowCount;
  }
  return numbers;
}

/** 1 for those of the rows, which begin at number `first`, whose key is deleted before. */
function newRows(
  deleted: LastRows | null,
  first: number,
  rows: Uint32Array,
): Uint8Array<ArrayBuffer> | null {
  if (deleted === null) return null;
  return Uint8Array.from(rows, (row) => (deleted.hasKeyOf(first + row) ? 1 : 0));
}

async function partialRows(
  flush: readonly SplitChanges[],
  { words, last, deleted }: FoldedRows,
  chain: PartialChain,
  turn: () => Promise<void>,
): Promise<ReadonlyMap<ColumnBatch, PartialRows>> {
  const partial = new Map<ColumnBatch, PartialRows>();
  let first = 0;
  for (const split of flush) {
    const found = chain.rowsOf(split, first, last);
    if (found !== null) {
      const keys = pickedKeys(
        { words: words.subarray(2 * first), orders: null },
        found.numbers,
        found.numbers.length,
      );
      const isNew = newRows(deleted, first, found.numbers);
      partial.set(split.rows, { keys, rows: found.rows, isNew });
      await turn();
    }
    first += split.rows.rowCount;
  }
  return partial;
}

function flushOrders(
  flush: readonly SplitChanges[],
  order: KeyField,
  total: number,
): BigInt64Array {
  const orders = new BigInt64Array(total);
  let first = 0;
  for (const { rows: batch } of flush) {
    for (const column of keyColumnsOf(batch, [order])) {
      orders.set(ordersOf(column).subarray(0, batch.rowCount), first);
    }
    first += batch.rowCount;
  }
  return orders;
}

function lastChanges(
  flush: readonly SplitChanges[],
  { words, last, deleted }: FoldedRows,
): Pick<FoldedChanges, "kept" | "changed"> {
  const kept: KeptRows[] = [];
  const changed: RowsOfBatch[] = [];
  let first = 0;
  for (const { rows: batch, changes } of flush) {
    assert(changes === null || changes.length >= batch.rowCount, "each row says what it does");
    const lasts = picked(batch.rowCount, (row) => last.has(first + row));
    if (lasts.length > 0) changed.push({ batch, rows: lasts });
    // Of a delete no row is left; a partial one is not whole yet.
    const isPut = (row: number): boolean => changes?.[row] === CHANGE.put;
    const rows = changes === null ? lasts : lasts.filter(isPut);
    if (rows.length > 0) {
      const own = words.subarray(2 * first, 2 * (first + batch.rowCount));
      const keys = pickedKeys({ words: own, orders: null }, rows, rows.length);
      kept.push({ batch, rows, keys, isNew: newRows(deleted, first, rows) });
    }
    first += batch.rowCount;
  }
  return { kept, changed };
}

/** The rows of so many that are wanted. */
function picked(count: number, isWanted: (row: number) => boolean): Uint32Array {
  const rows = new Uint32Array(count);
  let at = 0;
  for (let row = 0; row < count; row++) if (isWanted(row)) rows[at++] = row;
  return rows.subarray(0, at);
}
