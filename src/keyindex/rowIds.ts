/**
 * Row ids of the rows that changes replace (Iceberg spec v3, "Row Lineage"): an update keeps the id of the row
 * before it.
 *
 * Most ids are known without a look at a file: those of a file without a column of ids are the id of its first
 * row and the position, and what our own commits wrote is told when they land. Columns that others wrote
 * are read once, and the ids of rows that live are kept, up to a bound (`keptRowIds.ts`). Of files that have more
 * than the bound, or of which few rows are wanted, single pages are read, and not kept; that a file has no such
 * column is always kept.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import { othersOf, type RowSet } from "#iceberg/deletes/rowSet.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { readCells } from "#parquet/readCells.ts";
import { LEFT_PER_VALUE, parquetBytes, readStored } from "#parquet/readColumns.ts";
import { eachOf } from "#storage/gate.ts";
import { NO_ROW_ID, RowIdColumn, type RowIdColumns } from "./keptRowIds.ts";
import type { FoundPlaces } from "./keyTable.ts";
import { keysByFile, type NewestRows, newestRows } from "./newestRows.ts";
import type { KeySet } from "./port.ts";
import type { DeleteStore } from "./positionDeletes.ts";

/** Of a file with more rows than this for each that is wanted, single pages are read, and not kept. */
const ROWS_PER_WANTED = 65_536;

/** Where rows and their ids are found. */
export interface RowIdSource {
  readonly storage: DeleteStore;
  readonly locate: (keys: KeySet) => FoundPlaces;
  readonly fileOf: (number: number) => LiveData;
  /** Rows of a file that do not live. */
  readonly hiddenIn: (file: LiveData) => Promise<RowSet>;
  /** Rows that live at most, as its deletes say without being read. */
  readonly liveIn: (file: LiveData) => number;
  readonly columns: RowIdColumns;
  /** Told of bytes that reading a column left behind. Default: nobody is. */
  readonly leave?: ((bytes: number) => void) | undefined;
}

/**
 * Ids of the newest live rows of keys, {@link NO_ROW_ID} where there is no row, or none with an id.
 * @throws AppError as `RowIndex.rowIds`
 */
export async function rowIdsOf(source: RowIdSource, keys: KeySet): Promise<Float64Array> {
  const { locate, fileOf } = source;
  const ids = new Float64Array(keys.count).fill(NO_ROW_ID);
  const newest = newestRows(locate(keys), keys.count, fileOf);
  const looks = [...keysByFile(newest)].map(([number, wanted]) => {
    const file = fileOf(number);
    return { file, wanted, isByPages: isReadByPages(source, file, wanted.length) };
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
function isReadByPages({ columns, liveIn }: RowIdSource, file: LiveData, wanted: number): boolean {
  return !columns.hasRoomFor(liveIn(file)) || wanted * ROWS_PER_WANTED < file.rows;
}

/** The id that the file has for the row of the n-th of some keys. */
type OwnIds = (n: number) => number;

async function ownIds(
  source: RowIdSource,
  file: LiveData,
  { rows }: NewestRows,
  wanted: Uint32Array,
): Promise<OwnIds> {
  const { storage, columns } = source;
  const rowOf = (n: number): number => rows[wanted[n] as number] as number;
  let column = columns.of(file.path);
  const hasAll = wanted.every((_, n) => column === null || column?.of(rowOf(n)) !== undefined);
  if (!hasAll) {
    if (isReadByPages(source, file, wanted.length)) {
      const some = wanted.map((_, n) => rowOf(n));
      return await readSome(storage, file, some, () => columns.keep(file.path, null));
    }
    column = await readLive(source, file);
    columns.keep(file.path, column);
  }
  return (n) => {
    const id = column === null ? NO_ROW_ID : column?.of(rowOf(n));
    assert(id !== undefined, "rows that are located in a head live in it");
    return id;
  };
}

/** The ids that a file has for the rows that live; null: it has none. */
async function readLive(
  { storage, hiddenIn, leave }: RowIdSource,
  file: LiveData,
): Promise<RowIdColumn | null> {
  let column: RowIdColumn | null = null;
  let hidden: RowSet | null = null;
  const wanted = [{ id: ROW_ID_FIELD.id, names: [] }];
  let first = 0;
  for await (const { rows, columns } of readStored(bytesOf(storage, file), wanted)) {
    const values = columns[0]?.values;
    if (values === undefined) return null;
    hidden ??= await hiddenIn(file);
    column ??= new RowIdColumn(file.rows, othersOf(hidden));
    assert(first + rows <= file.rows, "a file has the rows that its manifest says");
    for (let row = 0; row < rows; row++) {
      if (hidden.has(first + row)) continue;
      const value = values[row];
      column.set(first + row, typeof value === "bigint" ? safe(value) : NO_ROW_ID);
    }
    first += rows;
    leave?.(LEFT_PER_VALUE * rows);
  }
  return column;
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
