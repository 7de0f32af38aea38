/**
 * The table from key to rows, as the index uses it. Implementations: the WebAssembly one, and, to judge it
 * by, one over a JavaScript map (`test/fakes/mapKeyTable.ts`).
 */
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { Move } from "./moves.ts";
import type { KeySet } from "./port.ts";

/** Places of rows, in no order: row `rows[n]` of the file that has number `files[n]`. */
export interface Places {
  readonly files: Uint32Array;
  readonly rows: Uint32Array;
}

/** Places of keys that were asked for: place n is of key `keys[n]`, those of one key one behind the other. */
export interface FoundPlaces extends Places {
  readonly keys: Uint32Array;
}

/** Rows with their keys: key n is of row `rows[n]` of file `files[n]`. */
export interface Entries extends Places {
  readonly keys: KeySet;
}

/** Rows by key. A key may have several rows; a row has one key. Files have numbers from 1 on. */
export interface KeyTable {
  /** Rows in the table. */
  readonly size: number;
  /** Makes room for so many more rows at once, as far as there may be room: fewer may come. */
  reserve(rows: number): void;
  /** Adds rows, none of which is there: key n is of row `rows[n]`. */
  add(keys: KeySet, file: number, rows: Uint32Array): void;
  /** All rows of these keys; of a key that is asked for twice, twice. */
  locate(keys: KeySet): FoundPlaces;
  /** Removes all rows of these keys, and says which they were. */
  remove(keys: KeySet): Places;
  /** Removes rows of files: those in the set, or, where it is null, all. How many, by file. */
  drop(files: ReadonlyMap<number, RowSet | null>): ReadonlyMap<number, number>;
  /**
   * Moves rows of files into others; those that do not live there go. All moves are one walk through the table.
   * @param moves none two of them from one file
   * @returns how many rows each of them has moved
   */
  move(moves: readonly Move[]): Uint32Array;
  /** Removes everything. */
  clear(): void;
}

/** Parts of a table by the highest byte of their keys' first word. */
export const RANGES = 256;

/** A table that can be written down, and loaded, range by range. */
export interface RangedKeyTable extends KeyTable {
  /** The rows of a range. */
  range(range: number): Entries;
  /** How many rows each file has. */
  countRows(): ReadonlyMap<number, number>;
  /** Adds rows of any files. */
  addEntries(entries: Entries): void;
  /** {@link KeyTable.drop} in some ranges. */
  dropIn(files: ReadonlyMap<number, RowSet | null>, isRange: (range: number) => boolean): void;
  /** {@link KeyTable.move} in some ranges. */
  moveIn(moves: readonly Move[], isRange: (range: number) => boolean): void;
}

/** The range of each key. */
export function rangesOf({ count, words }: KeySet): Uint8Array {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, 16 * count);
  const ranges = new Uint8Array(count);
  for (let key = 0; key < count; key++) ranges[key] = bytes[16 * key + 7] as number;
  return ranges;
}
