/**
 * Row ids of files in memory: four bytes for each row that lives, and a bit for each row that the file has.
 *
 * A column need not have the id of every row. Rows that die leave it, and it is made smaller when a quarter of
 * what it has are theirs; of a row that it does not have, nothing is said, also when that lives again, as after a
 * rollback: whoever asks for it reads the file.
 */
import { assert } from "#base/assert.ts";
import { LIMITS } from "#base/limits.ts";
import { type Random, seededRandom } from "#base/random.ts";
import { eachRowIn, RowSet } from "#iceberg/deletes/rowSet.ts";
import { Ranks } from "./ranks.ts";

/** In place of a row's id: it has none. */
export const NO_ROW_ID = -1;

/** In place of a step: the row has no id; nothing is said of the row. */
const NONE = -(2 ** 31);
const UNKNOWN = NONE + 1;
const STEP_MAX = 2 ** 31 - 1;
/** Rows of which nothing is said, as a share of all places, from which on a column is packed. */
const UNKNOWN_SHARE = 1 / 4;
/** Ids of some rows of a file: as distances from one of them, in four bytes where they allow it. */
export class RowIdColumn {
  readonly #fileRows: number;
  /** Null: every row has the place of its number. */
  #ranks: Ranks | null;
  #base: number | null = null;
  #steps: Int32Array | Float64Array;
  /** Places of which nothing is said. */
  #unknown: number;

  /**
   * Of no row anything is said.
   * @param fileRows of the file
   * @param rows that have a place; null: all
   */
  constructor(fileRows: number, rows: RowSet | null) {
    this.#fileRows = fileRows;
    this.#ranks = rows === null ? null : new Ranks(rows);
    this.#unknown = rows === null ? fileRows : rows.size;
    this.#steps = new Int32Array(this.#unknown).fill(UNKNOWN);
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.#steps.byteLength + (this.#ranks?.bytes ?? 0);
  }

  /** The id of a row, {@link NO_ROW_ID} where it has none; undefined: nothing is said. */
  of(row: number): number | undefined {
    const place = this.#placeOf(row);
    const step = place < 0 ? UNKNOWN : (this.#steps[place] ?? UNKNOWN);
    if (step === UNKNOWN) return undefined;
    return step === NONE ? NO_ROW_ID : (this.#base ?? 0) + step;
  }

  /** Says the id of a row that has a place, once. */
  set(row: number, id: number): void {
    const place = this.#placeOf(row);
    assert(this.#steps[place] === UNKNOWN, "a row that has a place is told its id once");
    const step = id === NO_ROW_ID ? NONE : this.#stepTo(id);
    this.#steps[place] = step;
    this.#unknown--;
  }

  /** Rows that died: nothing is said of them any more. */
  leave(rows: Uint32Array): void {
    rows.forEach((row) => {
      const place = this.#placeOf(row);
      if (place < 0 || this.#steps[place] === UNKNOWN) return;
      this.#steps[place] = UNKNOWN;
      this.#unknown++;
    });
    this.pack();
  }

  /** Takes places away of which nothing is said, where they are many. */
  pack(): void {
    const steps = this.#steps;
    if (this.#unknown === 0 || this.#unknown < UNKNOWN_SHARE * steps.length) return;
    const rows = new RowSet(this.#fileRows);
    const left = steps instanceof Int32Array ? Int32Array : Float64Array;
    const packed = new left(steps.length - this.#unknown);
    let [at, place] = [0, 0];
    const take = (row: number): void => {
      const step = steps[place++] as number;
      if (step === UNKNOWN) return;
      rows.add(row);
      packed[at++] = step;
    };
    if (this.#ranks === null) for (let row = 0; row < this.#fileRows; row++) take(row);
    else eachRowIn(this.#ranks.rows.words, take);
    this.#ranks = new Ranks(rows);
    this.#steps = packed;
    this.#unknown = 0;
  }

  #placeOf(row: number): number {
    return this.#ranks === null ? row : this.#ranks.of(row);
  }

  #stepTo(id: number): number {
    this.#base ??= id;
    const step = id - this.#base;
    if (this.#steps instanceof Float64Array || (step > UNKNOWN && step <= STEP_MAX)) return step;
    this.#widen();
    return id;
  }

  /** Ids that are far apart are kept as they are. */
  #widen(): void {
    const base = this.#base ?? 0;
    const isStep = (step: number): boolean => step !== NONE && step !== UNKNOWN;
    this.#steps = Float64Array.from(this.#steps, (step) => (isStep(step) ? base + step : step));
    this.#base = 0;
  }
}

/** A column that has the id of every row. */
export function wholeColumn(ids: Float64Array): RowIdColumn {
  const column = new RowIdColumn(ids.length, null);
  for (let row = 0; row < ids.length; row++) column.set(row, ids[row] as number);
  return column;
}

/**
 * Columns of ids, up to a bound. Beyond it any of them is let go of: changes of keys that are chosen evenly ask each
 * file in turn, of which the one that was asked for longest ago would be the next.
 */
export class RowIdColumns {
  readonly #bytesMax: () => number;
  readonly #random: Pick<Random, "unit"> = seededRandom(1);
  readonly #columns = new Map<string, RowIdColumn>();
  /** Files that have none. */
  readonly #without = new Set<string>();
  #bytes = 0;

  /** @param bytesMax as it is now */
  constructor(bytesMax: () => number = (): number => LIMITS.rowIdsBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Memory of all columns. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the ids of so many rows of a file are kept, unless they are far apart. */
  hasRoomFor(rows: number): boolean {
    return rows * Int32Array.BYTES_PER_ELEMENT <= this.#bytesMax();
  }

  /** Null: the file has none; undefined: not known. */
  of(path: string): RowIdColumn | null | undefined {
    return this.#without.has(path) ? null : this.#columns.get(path);
  }

  /** A column above the bound is not kept, and no other is let go of for it. */
  keep(path: string, column: RowIdColumn | null): void {
    this.forget(path);
    if (column === null) {
      this.#without.add(path);
      return;
    }
    column.pack();
    if (column.bytes > this.#bytesMax()) return;
    this.#columns.set(path, column);
    this.#bytes += column.bytes;
    while (this.#bytes > this.#bytesMax()) this.#letOneGo();
  }

  /** Rows of a file that died. */
  leave(path: string, rows: Uint32Array): void {
    const column = this.#columns.get(path);
    if (column === undefined) return;
    const before = column.bytes;
    column.leave(rows);
    this.#bytes += column.bytes - before;
  }

  forget(path: string): void {
    this.#without.delete(path);
    this.#bytes -= this.#columns.get(path)?.bytes ?? 0;
    this.#columns.delete(path);
  }

  #letOneGo(): void {
    const paths = [...this.#columns.keys()];
    this.forget(paths[Math.floor(this.#random.unit() * paths.length)] ?? "");
  }
}
