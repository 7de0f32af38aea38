/**
 * Rows of a data file, by their numbers in the file that took its place (CHANGE_RULES 10h, position map): those
 * that were not deleted follow each other there, in their order. Pure.
 */
import { bitCount } from "#iceberg/deletes/deletionVector.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";

/** Where the rows of a file are in another. */
export interface MovedRows {
  /** What became of its first row that was left. */
  readonly first: number;
  /** Its rows that are not there, whatever hid them. */
  readonly hidden: RowSet;
}

/** The new numbers of some rows, ascending; those that are not there are passed over. */
export function rowsMoved({ first, hidden }: MovedRows, rows: RowSet): Uint32Array {
  const moved: number[] = [];
  let next = first;
  for (const [index, gone] of hidden.words.entries()) {
    for (let bits = (rows.words[index] ?? 0) & ~gone; bits !== 0; bits &= bits - 1) {
      const lowest = bits & -bits;
      // Of the rows of this word before that one, those that are there.
      moved.push(next + bitCount(~gone & (lowest - 1)));
    }
    next += 32 - bitCount(gone);
  }
  return Uint32Array.from(moved);
}

/** True when every row of the first is in the second. */
export function isWithin(rows: RowSet, others: RowSet): boolean {
  return rows.words.every((word, index) => (word & ~(others.words[index] ?? 0)) === 0);
}
