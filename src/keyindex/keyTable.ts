/**
 * The table from key to rows, as the index uses it. Implementations: the WebAssembly one, and, to judge it
 * by, one over a JavaScript map (`test/fakes/mapKeyTable.ts`).
 */
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { KeySet } from "./port.ts";

/** Places of rows, in no order: row `rows[n]` of the file that has number `files[n]`. */
export interface Places {
  readonly files: Uint32Array;
  readonly rows: Uint32Array;
}

/** Rows by key. A key may have several rows; a row has one key. Files have numbers from 1 on. */
export interface KeyTable {
  /** Rows in the table. */
  readonly size: number;
  /** Makes room for so many more rows at once. */
  reserve(rows: number): void;
  /** Adds rows, none of which is there: key n is of row `rows[n]`. */
  add(keys: KeySet, file: number, rows: Uint32Array): void;
  /** All rows of these keys; of a key that is asked for twice, twice. */
  locate(keys: KeySet): Places;
  /** Removes all rows of these keys, and says which they were. */
  remove(keys: KeySet): Places;
  /** Removes rows of files: those in the set, or, where it is null, all. How many, by file. */
  drop(files: ReadonlyMap<number, RowSet | null>): ReadonlyMap<number, number>;
  /** Removes everything. */
  clear(): void;
}
