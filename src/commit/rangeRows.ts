/**
 * The rows that a head has of a range of Kafka records: which records they are, and where they lie, so
 * that they can be deleted (CHANGE_RULES 13). Files whose bounds exclude the range are not read; of the others the
 * coordinates only.
 *
 * Unlike `liveRows.ts`, which asks what a table was ever given, this asks what readers see: a row that a
 * delete hides is not there.
 */
import { fail } from "#base/errors.ts";
import type { OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { deletesOf, type LiveData, liveDataOf } from "#iceberg/io/headFiles.ts";
import { type LiveFile, listDataFiles } from "#iceberg/io/scan.ts";
import type { LocatedRows } from "#keyindex/port.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import { checkedCoordinates } from "./addition.ts";
import {
  type CoordinateColumns,
  type CoordinateFields,
  type CoordinateReader,
  type CoordinateRun,
  coordinateFields,
  fileWithoutCoordinates,
  mayHaveRows,
  mayReach,
  type RowEnds,
} from "./liveRows.ts";
import { OffsetSet } from "./offsetSet.ts";
import { refOf } from "./progress.ts";
import { type ProgressDocument, sourceKey } from "./progressDocument.ts";
import { summaryDocument } from "./progressText.ts";

/** How the rows of a table say which records they are. */
export interface RowWitness {
  readonly columns: CoordinateColumns;
  readonly read: CoordinateReader;
}

/** Rows of a range in one head. */
export interface RangeRows {
  /** The records that are rows. */
  readonly offsets: OffsetSet;
  /** More than there are offsets: some stand there twice. */
  readonly count: number;
  readonly located: readonly LocatedRows[];
}

/**
 * Refuses a head with rows that do not say which record of which topic they are: a replay would write the
 * record of such a row once more, or take it for another topic's and hide it. Rows without a topic are no danger where
 * the offsets know one topic only; they never forget one.
 * @throws AppError `usage`
 */
export async function requireCoordinates(
  head: LoadedTable,
  branch: string,
  document: ProgressDocument,
  { columns, read }: RowWitness,
): Promise<void> {
  const table = fullName(head.name);
  checkedCoordinates(table, columns, document);
  const snapshotId = refOf(head.metadata, branch);
  if (snapshotId === null) return;
  const fields = fieldsOf(head, columns);
  const asked = document.sources.size > 1 ? fields : { ...fields, topic: null };
  const path = await fileWithoutCoordinates(head, snapshotId, asked, read);
  if (path === null) return;
  const { topic, partition, offset } = columns;
  const names = [asked.topic === null ? null : topic, partition, offset];
  throw fail(
    "usage",
    `Rows of table ${table} do not say which records they are: in ${path} not every row has ` +
      `${names.filter((name) => name !== null).join(", ")}, for it is older than these columns or another engine ` +
      "wrote it. They may be records of the range, or of another topic. Fill the columns in with an engine " +
      "that writes the file anew, or have a new table read the topic",
    { file: path },
  );
}

/**
 * Finds the rows of a range in a branch's head, where {@link requireCoordinates} lets it pass.
 * @throws AppError `table_unsupported` where rows of a file of the range are deleted by the values of
 *   columns: which of them live cannot be told; `usage` without coordinates; `storage_corrupt`; what the
 *   store throws
 */
export async function rowsOfRange(
  head: LoadedTable,
  branch: string,
  range: OffsetRange,
  { columns, read }: RowWitness,
): Promise<RangeRows> {
  const { storage, metadata } = head;
  const offsets = new OffsetSet();
  const located: LocatedRows[] = [];
  const fields = fieldsOf(head, columns);
  const { data, deletes } = await filesOf(head, branch, fields, range);
  const index = new DeleteIndex(metadata, deletes);
  const positionDeletes = new PositionDeletes(storage);
  let count = 0;
  for (const live of data) {
    const file = liveDataOf(live.file, live.sequenceNumber);
    const found = await rowsIn(read(storage, live.file, fields), file, range);
    if (found.rows.length === 0) continue;
    const applied = deletesOf(index, file);
    if (applied.equality.length > 0) throw deletedByEquality(head, file);
    const hidden = await hiddenRows({ positionDeletes }, file, applied);
    const rows = found.rows.filter((row) => !hidden.has(row));
    found.rows.forEach((row, at) => {
      if (!hidden.has(row)) offsets.add(found.offsets[at] ?? 0n);
    });
    if (rows.length === 0) continue;
    count += rows.length;
    located.push({ file, deletes: applied, rows: Uint32Array.from(rows) });
  }
  return { offsets, count, located };
}

/**
 * True when a head shows that it was to have the records of a feed from an offset on: it has a row at or
 * below it, or follows a snapshot whose committed offset was not above it.
 */
export async function hasBegunBy(
  head: LoadedTable,
  branch: string,
  { feed, start }: OffsetRange,
  { columns, read }: RowWitness,
): Promise<boolean> {
  if (wasBelow(head, branch, feed, start)) return true;
  const fields = fieldsOf(head, columns);
  const range = { feed, start: 0n, end: start + 1n };
  const { data } = await filesOf(head, branch, fields, range);
  for (const { file, sequenceNumber } of data) {
    const runs = read(head.storage, file, fields);
    const { rows } = await rowsIn(runs, liveDataOf(file, sequenceNumber), range);
    if (rows.length > 0) return true;
  }
  return false;
}

/** True when an ancestor of the head that says all its offsets had one of the feed at or below `offset`. */
function wasBelow(
  { metadata }: LoadedTable,
  branch: string,
  feed: OffsetRange["feed"],
  offset: bigint,
): boolean {
  const byId = new Map(metadata.snapshots.map((each) => [each.snapshotId, each]));
  let id = refOf(metadata, branch);
  for (let left = byId.size; left > 0 && id !== null; left--) {
    const snapshot = byId.get(id);
    if (snapshot === undefined) return false;
    const told = summaryDocument(snapshot);
    const source = told?.kind === "full" ? told.document.sources.get(sourceKey(feed)) : undefined;
    const then = source?.topicId === feed.topicId ? source.offsets.get(feed.partition) : undefined;
    if (then !== undefined && then <= offset) return true;
    id = snapshot.parentSnapshotId;
  }
  return false;
}

/** Data files that may have rows of a range, and all deletes of the head. */
async function filesOf(
  { storage, metadata }: LoadedTable,
  branch: string,
  fields: CoordinateFields,
  { feed, start, end }: OffsetRange,
): Promise<{ readonly data: readonly LiveFile[]; readonly deletes: readonly LiveFile[] }> {
  const data = new Map<string, LiveFile>();
  const deletes: LiveFile[] = [];
  const snapshotId = refOf(metadata, branch);
  if (snapshotId === null) return { data: [], deletes };
  const place = (offset: bigint): RowEnds =>
    new Map([[fields.topic === null ? "" : feed.topic, new Map([[feed.partition, offset]])]]);
  for await (const live of listDataFiles(storage, metadata, snapshotId)) {
    const { file } = live;
    if (file.content !== "data") deletes.push(live);
    else if (mayHaveRows(file, fields) && mayReach(file, fields, place(start), place(end - 1n)))
      data.set(file.filePath, live);
  }
  return { data: [...data.values()], deletes };
}

/** Rows of one file, hidden ones included, by position and offset. */
async function rowsIn(
  runs: AsyncIterable<CoordinateRun>,
  { path, rows: fileRows }: LiveData,
  { feed, start, end }: OffsetRange,
): Promise<{ readonly rows: number[]; readonly offsets: bigint[] }> {
  const found = { rows: [] as number[], offsets: [] as bigint[] };
  let first = 0;
  for await (const { topics, partitions, offsets } of runs) {
    for (let row = 0; row < offsets.length; row++) {
      const offset = offsets[row] ?? -1n;
      if (offset < start || offset >= end || partitions[row] !== feed.partition) continue;
      // A row without a topic is of the only one that there ever was: `requireCoordinates`.
      const topic = topics?.[row] ?? null;
      if (topic !== null && topic !== feed.topic) continue;
      found.rows.push(first + row);
      found.offsets.push(offset);
    }
    first += offsets.length;
  }
  if (found.rows.length === 0 || first === fileRows) return found;
  const sentence = `${path} has ${first} rows, its manifest says ${fileRows}`;
  throw fail("storage_corrupt", sentence, { file: path });
}

function fieldsOf({ metadata, name }: LoadedTable, columns: CoordinateColumns): CoordinateFields {
  const fields = coordinateFields(metadata, columns);
  if (fields !== null && (columns.topic === null || fields.topic !== null)) return fields;
  throw fail(
    "usage",
    `Table ${fullName(name)} lacks one of the columns by which its rows say which records they are ` +
      `(${Object.values(columns).join(", ")})`,
  );
}

function deletedByEquality({ name }: LoadedTable, { path }: LiveData): Error {
  return fail(
    "table_unsupported",
    `Rows of ${fullName(name)} that belong to the range were deleted by the values of columns (equality ` +
      `deletes), so that which of them are left is not known: run maintenance compact ${fullName(name)}, then again`,
    { file: path },
  );
}
