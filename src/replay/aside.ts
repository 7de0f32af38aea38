/**
 * Which records of a range the side tables of a table have: its dead letters, and its late rows. They are read
 * anew for every look at the table's head, and after it (CHANGE_RULES 13).
 */
import type { OffsetRange } from "#base/offsets.ts";
import type { Catalog, LoadedTable, TableName } from "#catalog/catalog.ts";
import type { CoordinateColumns, CoordinateReader } from "#commit/liveRows.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import { rowsOfRange } from "#commit/rangeRows.ts";
import type { PipelineOptions } from "#config/buildPipeline.ts";
import { letterTable } from "#config/letterTable.ts";
import { LETTER_COORDINATES, LETTER_MARK } from "#decode/letters.ts";
import { parquetBytes, readColumns } from "#parquet/readColumns.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { WriterOptions } from "#writer/parts.ts";
import { currentFields } from "#writer/schema.ts";

/** A side table, whose rows say by the topic's id which topic they are of. */
export interface AsideTable {
  readonly name: TableName;
  readonly branch: string;
  readonly columns: CoordinateColumns;
  /** Column that is set in rows which mark a letter as brought in; null: there are none. */
  readonly mark: string | null;
}

/** The side tables that a table of a topic may have. */
export function asideTables(
  { late }: Pick<PipelineOptions, "late">,
  topic: string,
  table: WriterOptions,
): AsideTable[] {
  const { name, branch } = letterTable(table);
  const letters = { name, branch, columns: LETTER_COORDINATES, mark: LETTER_MARK };
  const { coordinates = null } = table;
  if (late?.tableOf == null || coordinates === null) return [letters];
  const rows = late.tableOf(topic, table);
  const columns = { ...coordinates, topic: late.topicId.name };
  return [letters, { name: rows.name, branch: rows.branch, columns, mark: null }];
}

/**
 * The records of a range that only side tables may have: rows that a delete hides are none, and a letter that was
 * brought in is a row of the table, or was deleted from it.
 * @throws AppError as {@link rowsOfRange}
 */
export async function readAside(
  catalog: Pick<Catalog, "load">,
  tables: readonly AsideTable[],
  { feed, ...edges }: OffsetRange,
): Promise<OffsetSet> {
  const found = new OffsetSet();
  // Side tables know a topic by its id.
  const range = { ...edges, feed: { ...feed, topic: feed.topicId } };
  for (const { name, branch, columns, mark } of tables) {
    const side = await catalog.load(name);
    if (side === null) continue;
    const offsetsOf = async (read: CoordinateReader): Promise<OffsetSet> =>
      (await rowsOfRange(side, branch, range, { columns, read })).offsets;
    const id = mark === null ? null : fieldId(side, mark);
    const rows = await offsetsOf(id === null ? readCoordinates : readerOf(id, false));
    const brought = id === null ? null : await offsetsOf(readerOf(id, true));
    for (const offset of rows.offsets()) if (brought?.has(offset) !== true) found.add(offset);
  }
  return found;
}

function fieldId(table: LoadedTable, column: string): number | null {
  return currentFields(table).find(({ name }) => name === column)?.id ?? null;
}

/** Reads the coordinates of marks, or those of all other rows. */
function readerOf(mark: number, ofMarks: boolean): CoordinateReader {
  return async function* (storage, file, fields) {
    const bytes = parquetBytes(storage, file.filePath, Number(file.fileSizeBytes));
    const groups = readColumns(bytes, [{ id: mark, names: fields.names?.get(mark) ?? [] }]);
    for await (const run of readCoordinates(storage, file, fields)) {
      const group = await groups.next();
      const marks = group.done === true ? null : (group.value[0] ?? null);
      const isRead = (row: number): boolean => ((marks?.[row] ?? null) !== null) === ofMarks;
      const offsets = Array.from(run.offsets, (offset, row) => (isRead(row) ? offset : null));
      yield { ...run, offsets };
    }
  };
}
