/**
 * Rows of a data file, by their numbers in the file that took its place (CHANGE_RULES 10h, position map): those
 * that were not deleted follow each other there, in their order, or are sorted. Pure.
 */
import { assert } from "#base/assert.ts";
import { bitCount } from "#iceberg/deletes/deletionVector.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";

/** Where the rows of a file are in another. */
export interface MovedRows {
  /** What became of its first row that was left, where the others follow it; else of each of them, in their order. */
  readonly places: number | Uint32Array;
  /** Its rows that are not there, whatever hid them. */
  readonly hidden: RowSet;
}

/** The new numbers of some rows, ascending; those that are not there are passed over. */
export function rowsMoved({ places, hidden }: MovedRows, rows: RowSet): Uint32Array {
  // Among the rows that were left, which ones they are.
  const found: number[] = [];
  let before = 0;
  for (let index = 0; index < hidden.words.length; index++) {
    const gone = hidden.words[index] as number;
    for (let bits = (rows.words[index] ?? 0) & ~gone; bits !== 0; bits &= bits - 1) {
      const lowest = bits & -bits;
      found.push(before + bitCount(~gone & (lowest - 1)));
    }
    before += 32 - bitCount(gone);
  }
  if (typeof places === "number") return Uint32Array.from(found, (nth) => places + nth);
  return Uint32Array.from(found, (nth) => placeOf(places, nth)).sort();
}

function placeOf(places: Uint32Array, nth: number): number {
  const place = places[nth];
  assert(place !== undefined, "each row that was left has its place");
  return place;
}

/** True when every row of the first is in the second. */
export function isWithin(rows: RowSet, others: RowSet): boolean {
  return rows.words.every((word, index) => (word & ~(others.words[index] ?? 0)) === 0);
}
