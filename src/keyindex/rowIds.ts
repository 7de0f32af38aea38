/**
 * Row ids of the rows that changes replace (Iceberg spec v3, "Row Lineage"): an update keeps the id of the row
 * before it.
 *
 * Most ids are known without a look at a file: those of a file without a column of ids are the id of its first
 * row and the position, and what our own commits wrote is told when they land. Columns that others wrote,
 * compaction above all, are read once and kept, up to a bound. Of files that are larger than the bound, or of which
 * few rows are wanted, single pages are read, and not kept; that a file has no such column is always kept.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { readCells } from "#parquet/readCells.ts";
import { parquetBytes, readStored } from "#parquet/readColumns.ts";
import { eachOf } from "#storage/gate.ts";
import type { FoundPlaces } from "./keyTable.ts";
import { keysByFile, type NewestRows, newestRows } from "./newestRows.ts";
import type { KeySet } from "./port.ts";
import type { DeleteStore } from "./positionDeletes.ts";

/** In place of a row's id: it has none. */
export const NO_ROW_ID = -1;

/** Of a file with more rows than this for each that is wanted, single pages are read, and not kept. */
const ROWS_PER_WANTED = 65_536;

/** Where rows and their ids are found. */
export interface RowIdSource {
  readonly storage: DeleteStore;
  readonly locate: (keys: KeySet) => FoundPlaces;
  readonly fileOf: (number: number) => LiveData;
  readonly columns: RowIdColumns;
}

/**
 * Ids of the newest live rows of keys, {@link NO_ROW_ID} where there is no row, or none with an id.
 * @throws AppError as `RowIndex.rowIds`
 */
export async function rowIdsOf(source: RowIdSource, keys: KeySet): Promise<Float64Array> {
  const { locate, fileOf, columns } = source;
  const ids = new Float64Array(keys.count).fill(NO_ROW_ID);
  const newest = newestRows(locate(keys), keys.count, fileOf);
  const looks = [...keysByFile(newest)].map(([number, wanted]) => {
    const file = fileOf(number);
    return { file, wanted, isByPages: isReadByPages(columns, file, wanted.length) };
  });
  const look = async ({ file, wanted }: FileLook): Promise<void> => {
    const first = file.firstRowId === null ? null : safe(file.firstRowId);
    const own = await ownIds(source, file, newest, wanted);
    for (let n = 0; n < wanted.length; n++) {
      const key = wanted[n] as number;
      const id = own(n);
      if (id !== NO_ROW_ID) ids[key] = id;
      else if (first !== null) ids[key] = first + (newest.rows[key] as number);
    }
  };
  await eachOf(
    looks.filter(({ isByPages }) => isByPages),
    look,
  );
  // A whole column takes memory while it is read: one after the other.
  for (const each of looks) if (!each.isByPages) await look(each);
  return ids;
}

/** A file, and the numbers of the keys whose rows are there. */
interface FileLook {
  readonly file: LiveData;
  readonly wanted: Uint32Array;
}

/** Whether single pages of a column that is not known are read, instead of all of it. */
function isReadByPages(columns: RowIdColumns, { rows }: LiveData, wanted: number): boolean {
  return !columns.hasRoomFor(rows) || wanted * ROWS_PER_WANTED < rows;
}

/** The id that the file has for the row of the n-th of some keys. */
type OwnIds = (n: number) => number;

async function ownIds(
  { storage, columns }: RowIdSource,
  file: LiveData,
  { rows }: NewestRows,
  wanted: Uint32Array,
): Promise<OwnIds> {
  const rowOf = (n: number): number => rows[wanted[n] as number] as number;
  let column = columns.of(file.path);
  if (column === undefined) {
    if (isReadByPages(columns, file, wanted.length)) {
      const some = Uint32Array.from(wanted, (_, n) => rowOf(n));
      return await readSome(storage, file, some, () => columns.keep(file.path, null));
    }
    const ids = await readAll(storage, file);
    column = ids === null ? null : packed(ids);
    columns.keep(file.path, column);
  }
  if (column === null) return () => NO_ROW_ID;
  const { base, steps } = column;
  return (n) => {
    const step = steps[rowOf(n)] as number;
    return step === 0 ? NO_ROW_ID : base + step;
  };
}

/** The ids that a file has, row by row; null: it has none. */
async function readAll(storage: DeleteStore, file: LiveData): Promise<Float64Array | null> {
  let ids: Float64Array | null = null;
  const wanted = [{ id: ROW_ID_FIELD.id, names: [] }];
  let first = 0;
  for await (const { rows, columns } of readStored(bytesOf(storage, file), wanted)) {
    const values = columns[0]?.values;
    if (values === undefined) return null;
    ids ??= new Float64Array(file.rows).fill(NO_ROW_ID);
    assert(first + rows <= file.rows, "a file has the rows that its manifest says");
    for (let row = 0; row < rows; row++) {
      const value = values[row];
      if (typeof value === "bigint") ids[first + row] = safe(value);
    }
    first += rows;
  }
  return ids;
}

/** The same of some rows, in any order. @param onMissing is told that the file has no ids */
async function readSome(
  storage: DeleteStore,
  file: LiveData,
  rows: Uint32Array,
  onMissing: () => void,
): Promise<OwnIds> {
  const builder = new ColumnBuilder(ROW_ID_FIELD);
  const sink = { id: ROW_ID_FIELD.id, names: [], builder };
  const ids = new Map<number, number>();
  for await (const row of readCells(bytesOf(storage, file), [sink], rows.toSorted(), onMissing)) {
    ids.set(row, idAt(builder, builder.length - 1));
  }
  return (n) => ids.get(rows[n] as number) ?? NO_ROW_ID;
}

function idAt({ data, validity }: ColumnBuilder, at: number): number {
  const isNull = validity.length > 0 && (((validity[at >> 3] as number) >> (at & 7)) & 1) === 0;
  if (isNull) return NO_ROW_ID;
  return safe(new DataView(data.buffer, data.byteOffset).getBigInt64(8 * at, true));
}

function bytesOf(storage: DeleteStore, { path, bytes }: LiveData): ReturnType<typeof parquetBytes> {
  return parquetBytes(storage, path, bytes);
}

/** Ids count the rows that a table was ever given. */
function safe(id: bigint): number {
  const number = Number(id);
  if (id >= 0n && Number.isSafeInteger(number)) return number;
  throw fail("storage_corrupt", `A file of the table has ${id} as a row id`);
}

/** Ids of a file's rows: `base + steps[row]`; of a row without one the step is 0. */
export interface RowIdColumn {
  readonly base: number;
  readonly steps: Uint32Array | Float64Array;
}

/** Ids in four bytes each, where they lie within the range of these. */
export function packed(ids: Float64Array): RowIdColumn {
  let [least, most] = [Infinity, 0];
  for (const id of ids) {
    if (id === NO_ROW_ID) continue;
    least = Math.min(least, id);
    most = Math.max(most, id);
  }
  const base = Number.isFinite(least) ? least - 1 : 0;
  const steps = most - base < 2 ** 32 ? new Uint32Array(ids.length) : new Float64Array(ids.length);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] as number;
    steps[row] = id === NO_ROW_ID ? 0 : id - base;
  }
  return { base, steps };
}

/** Columns of ids that are known, those that were asked for last, up to a bound. */
export class RowIdColumns {
  readonly #bytesMax: number;
  readonly #columns = new Map<string, RowIdColumn>();
  /** Files that have none. */
  readonly #without = new Set<string>();
  #bytes = 0;

  constructor(bytesMax: number = LIMITS.rowIdsBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Whether the ids of a file of so many rows are kept, however far apart they are. */
  hasRoomFor(rows: number): boolean {
    return rows * Float64Array.BYTES_PER_ELEMENT <= this.#bytesMax;
  }

  /** Null: the file has none; undefined: not known. */
  of(path: string): RowIdColumn | null | undefined {
    if (this.#without.has(path)) return null;
    const column = this.#columns.get(path);
    if (column === undefined) return undefined;
    this.#columns.delete(path);
    this.#columns.set(path, column);
    return column;
  }

  /** A column above the bound is not kept, and no other is let go of for it. */
  keep(path: string, column: RowIdColumn | null): void {
    this.forget(path);
    if (column === null) {
      this.#without.add(path);
      return;
    }
    if (column.steps.byteLength > this.#bytesMax) return;
    this.#columns.set(path, column);
    this.#bytes += column.steps.byteLength;
    for (const oldest of this.#columns.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.forget(oldest);
    }
  }

  forget(path: string): void {
    this.#without.delete(path);
    this.#bytes -= this.#columns.get(path)?.steps.byteLength ?? 0;
    this.#columns.delete(path);
  }
}
