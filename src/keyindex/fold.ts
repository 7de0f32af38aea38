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
      const keys = pickedKeys({ words: own, orders: null }, rows, count);
      kept.push({ batch, rows: rows.subarray(0, count), keys });
    }
    first += batch.rowCount;
  }
  return kept;
}
