/**
 * Which Kafka records are rows of a snapshot: the coordinates (partition, offset) of its live data
 * files, as sets of offsets per feed (SPEC 2.2, "the rows are the witness"). Files are read once each
 * and never held; a set takes a bit an offset, and nothing where all of 65,536 are there.
 *
 * Rows that delete files hide count as there: whoever deleted them meant it, and their file shows
 * that nothing was lost. Rows without coordinates are another engine's.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { columnNamesInFiles } from "#iceberg/metadata/nameMapping.ts";
import { decodeSingleValue } from "#iceberg/singleValue.ts";
import type { Storage } from "#storage/storage.ts";
import { OffsetSet } from "./offsetSet.ts";
import { refOf } from "./progress.ts";

/** Names of the columns that hold Kafka's coordinates; topic null: the table has no such column. */
export interface CoordinateColumns {
  readonly topic: string | null;
  readonly partition: string;
  readonly offset: string;
}

/** Field ids of those columns. */
export interface CoordinateFields {
  readonly topic: number | null;
  readonly partition: number;
  readonly offset: number;
  /** Names of fields in files without field ids, by the table's name mapping; default: none. */
  readonly names?: ReadonlyMap<number, readonly string[]>;
}

/** Coordinates of some rows of a file, row by row; null: the row has none. */
export interface CoordinateRun {
  /** Null when the table has no column for them. */
  readonly topics: ArrayLike<string | null> | null;
  readonly partitions: ArrayLike<number | null>;
  readonly offsets: ArrayLike<bigint | null>;
}

/** Reads the coordinates of one data file, a part at a time. */
export type CoordinateReader = (
  storage: Storage,
  file: DataFile,
  fields: CoordinateFields,
) => AsyncIterable<CoordinateRun>;

/**
 * Where the rows of each partition of our topics must end, by topic. A partition that is not there was
 * never read: no row of it may be in the table.
 */
export type RowEnds = ReadonlyMap<string, ReadonlyMap<number, bigint>>;

/** Columns of the coordinates in the table's schema; null when one of them is missing. */
export function coordinateFields(
  metadata: TableMetadata,
  columns: CoordinateColumns | null,
): CoordinateFields | null {
  const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const idOf = (name: string | null): number | null =>
    schema?.fields.find((field) => field.name === name)?.id ?? null;
  const [partition, offset] = [idOf(columns?.partition ?? null), idOf(columns?.offset ?? null)];
  if (partition === null || offset === null) return null;
  const names = columnNamesInFiles(metadata.properties);
  return { topic: idOf(columns?.topic ?? null), partition, offset, names };
}

/** Offsets of rows by topic and partition. */
export type LiveOffsets = ReadonlyMap<string, ReadonlyMap<number, OffsetSet>>;

/**
 * The offsets that are rows of a snapshot, by topic (empty without its column) and partition.
 * @param from files whose bounds show only smaller offsets are not read
 */
export async function liveOffsets(
  table: LoadedTable,
  snapshotId: SnapshotId,
  fields: CoordinateFields,
  read: CoordinateReader,
  from = 0n,
): Promise<LiveOffsets> {
  const sets = new Map<string, Map<number, OffsetSet>>();
  const seen = new Set<string>();
  for await (const { file } of listDataFiles(table.storage, table.metadata, snapshotId)) {
    if (file.content !== "data" || seen.has(file.filePath)) continue;
    seen.add(file.filePath);
    if (!mayHaveRows(file, fields)) continue;
    const last = longBound(file.upperBounds.get(fields.offset));
    if (last !== null && last < from) continue;
    for await (const run of read(table.storage, file, fields)) addRun(sets, run);
  }
  return sets;
}

/**
 * A data file of a snapshot with a row that lacks one of these coordinates; null: there is none.
 * @param read how files are read whose manifests do not tell; null: they are not, and count as such a file
 */
export async function fileWithoutCoordinates(
  { storage, metadata }: LoadedTable,
  snapshotId: SnapshotId,
  fields: CoordinateFields,
  read: CoordinateReader | null,
): Promise<string | null> {
  const ids = [fields.partition, fields.offset, ...(fields.topic === null ? [] : [fields.topic])];
  for await (const { file } of listDataFiles(storage, metadata, snapshotId)) {
    if (file.content !== "data" || file.recordCount === 0n) continue;
    const counts = ids.map((id) => file.nullValueCounts.get(id));
    if (counts.every((count) => count === 0n)) continue;
    const isTold = counts.some((count) => count !== undefined && count > 0n);
    if (isTold || read === null) return file.filePath;
    if (!(await hasAll(read(storage, file, fields), file, fields))) return file.filePath;
  }
  return null;
}

/** True when every row of a file has its coordinates. */
async function hasAll(
  runs: AsyncIterable<CoordinateRun>,
  { recordCount }: DataFile,
  fields: CoordinateFields,
): Promise<boolean> {
  let rows = 0;
  for await (const { topics, partitions, offsets } of runs) {
    const columns: (ArrayLike<unknown> | null)[] = [
      partitions,
      offsets,
      ...(fields.topic === null ? [] : [topics]),
    ];
    const isWhole = columns.every(
      (column) => column !== null && !Array.from(column).includes(null),
    );
    if (!isWhole) return false;
    rows += offsets.length;
  }
  return BigInt(rows) === recordCount;
}

/** A row by its coordinates; topic empty without its column. */
export interface RowPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** The first row at or past its partition's end among files that these snapshots added; null: there is none. */
export async function rowPastEnd(
  table: LoadedTable,
  snapshotId: SnapshotId,
  addedBy: ReadonlySet<SnapshotId>,
  ends: RowEnds,
  fields: CoordinateFields,
  read: CoordinateReader,
): Promise<RowPosition | null> {
  for await (const live of listDataFiles(table.storage, table.metadata, snapshotId)) {
    const { file } = live;
    if (file.content !== "data" || !addedBy.has(live.snapshotId)) continue;
    if (!mayHaveRows(file, fields) || isBelow(file, fields, ends)) continue;
    for await (const run of read(table.storage, file, fields)) {
      const found = firstPast(run, ends);
      if (found !== null) return found;
    }
  }
  return null;
}

/**
 * The offsets at or past some ends that are rows of a branch's head. Files whose bounds show none are
 * not read. Partitions without an end are left out.
 * @param lasts files whose bounds show larger offsets only are not read either; default: none is larger
 */
export async function offsetsPast(
  { storage, metadata }: LoadedTable,
  branch: string,
  ends: RowEnds,
  columns: CoordinateColumns,
  read: CoordinateReader,
  lasts: RowEnds = new Map(),
): Promise<LiveOffsets> {
  const sets = new Map<string, Map<number, OffsetSet>>();
  const head = refOf(metadata, branch);
  const fields = coordinateFields(metadata, columns);
  if (head === null || fields === null) return sets;
  for await (const { file } of listDataFiles(storage, metadata, head)) {
    if (file.content !== "data") continue;
    if (!mayHaveRows(file, fields) || !mayReach(file, fields, ends, lasts)) continue;
    for await (const run of read(storage, file, fields)) addRun(sets, run, ends);
  }
  return sets;
}

/** @param ends only rows at or past them; null: all */
function addRun(
  sets: Map<string, Map<number, OffsetSet>>,
  { topics, partitions, offsets }: CoordinateRun,
  ends: RowEnds | null = null,
): void {
  for (let row = 0; row < offsets.length; row++) {
    const partition = partitions[row];
    const offset = offsets[row];
    if (partition == null || offset == null) continue;
    const topic = topics?.[row] ?? "";
    if (ends !== null) {
      const end = ends.get(topic)?.get(partition);
      if (end === undefined || offset < end) continue;
    }
    const ofTopic = sets.get(topic) ?? new Map<number, OffsetSet>();
    sets.set(topic, ofTopic);
    const set = ofTopic.get(partition) ?? new OffsetSet();
    ofTopic.set(partition, set);
    set.add(offset);
  }
}

function firstPast(
  { topics, partitions, offsets }: CoordinateRun,
  ends: RowEnds,
): RowPosition | null {
  for (let row = 0; row < offsets.length; row++) {
    const partition = partitions[row];
    const offset = offsets[row];
    if (partition == null || offset == null) continue;
    const topic = topics?.[row] ?? "";
    const byPartition = ends.get(topic);
    if (byPartition === undefined || offset < (byPartition.get(partition) ?? 0n)) continue;
    return { topic, partition, offset };
  }
  return null;
}

/** False when the manifest shows that no row of the file has an offset. */
export function mayHaveRows(file: DataFile, { offset }: CoordinateFields): boolean {
  return file.recordCount > 0n && file.nullValueCounts.get(offset) !== file.recordCount;
}

/** Partitions that the bounds of a file may span and still decide about it. */
const SPAN_MAX = 10_000;

/** True when the bounds show that no row of the file is at or past an end. */
function isBelow(file: DataFile, fields: CoordinateFields, ends: RowEnds): boolean {
  const last = longBound(file.upperBounds.get(fields.offset));
  const from = longBound(file.lowerBounds.get(fields.partition));
  const to = longBound(file.upperBounds.get(fields.partition));
  if (last === null || from === null || to === null || to - from > SPAN_MAX) return false;
  for (const byPartition of ends.values()) {
    for (let partition = Number(from); partition <= to; partition++) {
      if (last >= (byPartition.get(partition) ?? 0n)) return false;
    }
  }
  return true;
}

/** False when the bounds show that no row of the file is between the ends of one of these partitions. */
export function mayReach(
  file: DataFile,
  fields: CoordinateFields,
  ends: RowEnds,
  lasts: RowEnds,
): boolean {
  const first = longBound(file.lowerBounds.get(fields.offset));
  const last = longBound(file.upperBounds.get(fields.offset));
  const from = longBound(file.lowerBounds.get(fields.partition));
  const to = longBound(file.upperBounds.get(fields.partition));
  if (last === null || from === null || to === null) return true;
  for (const [topic, byPartition] of ends) {
    for (const [partition, end] of byPartition) {
      if (partition < from || partition > to || last < end) continue;
      const largest = lasts.get(topic)?.get(partition);
      if (largest === undefined || first === null || first <= largest) return true;
    }
  }
  return false;
}

/** A bound of an int or long column; null when there is none. */
function longBound(bytes: Uint8Array | undefined): bigint | null {
  if (bytes === undefined) return null;
  const value = decodeSingleValue({ kind: "long" }, bytes);
  return typeof value === "bigint" ? value : null;
}
