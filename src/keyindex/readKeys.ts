/**
 * The keys of a data file's live rows, a row group at a time.
 */
import { fail } from "#base/errors.ts";
import { deletedFrom } from "#iceberg/deletes/deleteIndex.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import {
  type AppliedDeletes,
  deletesOf,
  type HeadFiles,
  type LiveData,
} from "#iceberg/io/headFiles.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { LEFT_PER_VALUE } from "#parquet/readColumns.ts";
import type { DeletedKeys, EqualityDeletes } from "./equalityDeletes.ts";
import type { KeyColumn, KeyField, KeyHasher } from "./keyHasher.ts";
import { ordersOf } from "./orders.ts";
import type { KeySet } from "./port.ts";
import type { DeleteStore, PositionDeletes } from "./positionDeletes.ts";
import { readKeyColumns } from "./storedKeys.ts";

/** Where the keys of a table's files are read. */
export interface KeySource {
  readonly storage: DeleteStore;
  readonly metadata: TableMetadata;
  readonly hasher: KeyHasher;
  readonly positionDeletes: PositionDeletes;
  readonly equalityDeletes: EqualityDeletes;
  /** Told of bytes that were left behind. Default: nobody is. */
  readonly leave?: ((bytes: number) => void) | undefined;
}

/** Some live rows of a file and their keys. */
export interface KeyedRows {
  /** With orders where their column was asked for. */
  readonly keys: KeySet;
  /** Positions, ascending, one for each key. */
  readonly rows: Uint32Array;
}

/**
 * Reads the keys of the rows that live.
 * @param order the column of their orders; default: nobody asks for them
 * @throws AppError `table_unsupported` for files that are no Parquet and columns that cannot be compared;
 *   `storage_corrupt`; what the store throws
 */
export async function* readLiveKeys(
  source: KeySource,
  data: LiveData,
  deletes: AppliedDeletes,
  order: KeyField | null = null,
): AsyncGenerator<KeyedRows> {
  const hidden = await hiddenRows(source, data, deletes);
  const equality = await source.equalityDeletes.of(deletes.equality);
  const fields = fieldsToRead([...source.hasher.fields, order], equality);
  let first = 0;
  for await (const { rows, columns } of readKeyColumns(source, data, fields)) {
    const columnsOf = (hasher: KeyHasher): KeyColumn[] =>
      hasher.fields.flatMap(({ id }) => columns.get(id) ?? []);
    for (const { hasher, numbers } of equality) {
      const deleted = numbers.above(hasher.hashAll(columnsOf(hasher), rows), data.sequenceNumber);
      deleted.forEach((row) => {
        hidden.add(first + row);
      });
    }
    const keys = source.hasher.hashAll(columnsOf(source.hasher), rows);
    yield liveOf({ ...keys, orders: ordersIn(columns, order) }, hidden, first);
    first += rows;
    source.leave?.(LEFT_PER_VALUE * fields.length * rows);
  }
  if (first !== data.rows) {
    const sentence = `${data.path} has ${first} rows, its manifest says ${data.rows}`;
    throw fail("storage_corrupt", sentence, { file: data.path });
  }
}

function ordersIn(
  columns: ReadonlyMap<number, KeyColumn>,
  order: KeyField | null,
): BigInt64Array | null {
  const column = order === null ? undefined : columns.get(order.id);
  return column === undefined ? null : ordersOf(column);
}

/** Rows of a data file that are deleted by position. @throws AppError as {@link readLiveKeys} */
export async function hiddenRows(
  { positionDeletes }: Pick<KeySource, "positionDeletes">,
  data: Pick<LiveData, "path" | "rows">,
  { vector, positions }: Pick<AppliedDeletes, "vector" | "positions">,
): Promise<RowSet> {
  const hidden = new RowSet(data.rows);
  for (const live of vector === null ? positions : [vector]) {
    await positionDeletes.addTo(hidden, data, live);
  }
  return hidden;
}

/** Rows of a file that are live at most, roughly: what is known of its deletes without reading them. */
export function rowsLeft({ index }: HeadFiles, file: LiveData): number {
  const { vector, positions } = deletesOf(index, file);
  const own = positions.filter((live) => deletedFrom(live.file) === file.path);
  const deletes = vector === null ? own : [vector];
  const deleted = deletes.reduce((sum, live) => sum + Number(live.file.recordCount), 0);
  return Math.max(0, file.rows - deleted);
}

function liveOf(keys: KeySet, hidden: RowSet, first: number): KeyedRows {
  const rows = new Uint32Array(keys.count);
  let count = 0;
  for (let row = 0; row < keys.count; row++) {
    if (hidden.has(first + row)) continue;
    rows[count] = first + row;
    if (count !== row) {
      keys.words.copyWithin(2 * count, 2 * row, 2 * row + 2);
      keys.orders?.copyWithin(count, row, row + 1);
    }
    count++;
  }
  const live = { ...keys, count };
  return { keys: live, rows: rows.subarray(0, count) };
}

function fieldsToRead(
  key: readonly (KeyField | null)[],
  equality: readonly DeletedKeys[],
): KeyField[] {
  const wanted = key.filter((field) => field !== null);
  const fields = [...wanted, ...equality.flatMap(({ hasher }) => hasher.fields)];
  return [...new Map(fields.map((field) => [field.id, field])).values()];
}
