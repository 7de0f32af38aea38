/**
 * What a snapshot's rows are made of: its live data files, and the deletes that apply to each (Iceberg spec,
 * "Scan Planning").
 */
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import { isVector } from "#iceberg/deletes/deleteIndex.ts";
import { isPartitioned } from "#iceberg/deletes/equalityScope.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import { scanFiles } from "#iceberg/io/scanFiles.ts";
import type { DataFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { partitionKey } from "#iceberg/partition/partitionKey.ts";
import { specById } from "#iceberg/partition/partitionType.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import type { DataVector } from "./deletedRows.ts";
import type { Fetch, WantedFile } from "./fileCopies.ts";

/** Live files of a snapshot, with paths that the engine can open. */
export interface SnapshotFiles {
  readonly data: readonly StoredFile[];
  /** Files of position deletes, which name data files by their locations. */
  readonly positionDeletes: readonly string[];
  readonly equalityDeletes: readonly EqualityDeletes[];
  /** Of data files, by their place in `data`: at most one of each. */
  readonly vectors: readonly DataVector[];
}

/** A data file. */
export interface StoredFile {
  readonly path: string;
  /** As the metadata, and position deletes, write it. */
  readonly location: string;
  readonly sequence: bigint;
  /** Equal for files of one partition of one spec. */
  readonly partition: string;
  /** v3: row id of its first row. Default: it has none. */
  readonly firstRowId?: bigint | null;
  /** Ids of columns that its partition holds the value of, null left out. Default: none. */
  readonly partitionColumns?: readonly number[];
}

/** A file whose rows delete those of older data files that equal them in some columns. */
export interface EqualityDeletes {
  readonly path: string;
  readonly sequence: bigint;
  /** Null: of all partitions. */
  readonly partition: string | null;
  /** The columns, by id; also those that the table no longer has. */
  readonly fields: readonly Field[];
}

/** Files of a table without a snapshot. */
export const NO_FILES: SnapshotFiles = {
  data: [],
  positionDeletes: [],
  equalityDeletes: [],
  vectors: [],
};

/** A data file as manifests list it. */
export interface FoundFile {
  readonly path: string;
  readonly fileFormat: string;
  readonly specId: number;
  readonly partition: readonly PartitionValue[];
  readonly recordCount: bigint;
  readonly sequenceNumber: bigint;
  /** v3: row id of its first row; null: it has none. */
  readonly firstRowId: bigint | null;
}

/** Where the engine finds a file. @throws AppError `query` when it cannot */
export type PathOf = (file: { readonly path: string; readonly fileFormat: string }) => string;

/** How files of a store get where the engine can read them. */
export interface FetchPlan {
  readonly fetch: Fetch;
  /** Ids of the columns that are read; null: all. Those that rows are deleted by are read as well. */
  readonly columns: ReadonlySet<number> | null;
  /** Whether a data file may have a row that is needed. */
  mayHold(file: DataFile): boolean;
}

/**
 * Lists the live files of a snapshot, reads its deletion vectors, and fetches what is in a store.
 * @throws AppError `query` for files that this engine does not read: of another format, or deletes by a
 *   column within a struct; as {@link Fetch}
 */
export async function snapshotFiles(
  table: LoadedTable,
  snapshotId: SnapshotId,
  plan: FetchPlan,
): Promise<SnapshotFiles> {
  const data: (FoundFile & { readonly fileSizeBytes: bigint })[] = [];
  const deletes: LiveFile[] = [];
  for await (const live of scanFiles(table.storage, table.metadata, snapshotId)) {
    const { file, sequenceNumber } = live;
    if (file.content !== "data") deletes.push(live);
    else if (plan.mayHold(file)) data.push({ ...file, path: file.filePath, sequenceNumber });
  }
  const equalityIds = deletes.flatMap(({ file }) => file.equalityIds ?? []);
  const columns = plan.columns === null ? null : plan.columns.union(new Set(equalityIds));
  const read = deletes.map(({ file }) => file).filter((file) => !isVector(file));
  const wanted = [
    ...data.map(({ path, fileSizeBytes }) => wantedFile(path, fileSizeBytes, columns)),
    ...read.map(({ filePath, fileSizeBytes }) => wantedFile(filePath, fileSizeBytes, null)),
  ];
  for (const file of [...data, ...read]) requireParquet(table, file);
  const remote = wanted.filter(({ location }) => isRemote(location));
  const copies = await plan.fetch(table.storage, remote);
  return filesOf(table, data, deletes, ({ path }) => copies.get(path) ?? localPath(path));
}

function wantedFile(
  location: string,
  bytes: bigint,
  columns: ReadonlySet<number> | null,
): WantedFile {
  return { location, bytes: Number(bytes), columns };
}

/** Whether a table's files are in a store: of these, columns that no statement names are not fetched. */
export function isRemote(location: string): boolean {
  return schemeOf(location) !== "file";
}

/**
 * Some data files with the deletes that may apply to them; reads deletion vectors.
 * @throws as {@link snapshotFiles}
 */
export async function filesOf(
  table: LoadedTable,
  data: readonly FoundFile[],
  deletes: readonly LiveFile[],
  pathOf: PathOf,
): Promise<SnapshotFiles> {
  const isEquality = ({ file }: LiveFile): boolean => file.content === "equality-deletes";
  const path = ({ filePath, fileFormat }: DataFile): string =>
    pathOf({ path: filePath, fileFormat });
  const byPosition = deletes.filter((each) => !isEquality(each));
  return {
    data: data.map((file) => ({
      path: pathOf(file),
      location: file.path,
      sequence: file.sequenceNumber,
      partition: partitionOf(file),
      firstRowId: file.firstRowId,
      partitionColumns: partitionColumnsOf(table, file),
    })),
    positionDeletes: byPosition.filter(({ file }) => !isVector(file)).map(({ file }) => path(file)),
    equalityDeletes: deletes
      .filter(isEquality)
      .map((each) => equalityOf(table, each, path(each.file))),
    vectors: await readVectors(
      table,
      data,
      byPosition.filter(({ file }) => isVector(file)),
    ),
  };
}

function equalityOf(table: LoadedTable, live: LiveFile, path: string): EqualityDeletes {
  const { file, sequenceNumber: sequence } = live;
  const { metadata } = table;
  const ids = [...(file.equalityIds ?? [])].sort((a, b) => a - b);
  if (ids.length === 0) throw refuse(table, `${file.filePath} deletes by no column`);
  return {
    path,
    sequence,
    partition: isPartitioned(specById(metadata, file.specId)) ? partitionOf(file) : null,
    fields: ids.map((id) => fieldById(table, id)),
  };
}

/** A column of the table, or one that it had. */
function fieldById(table: LoadedTable, id: number): Field {
  const { schemas, currentSchemaId } = table.metadata;
  const newest = schemas.toSorted((a, b) => rank(b.schemaId) - rank(a.schemaId));
  const found = newest.flatMap(({ fields }) => fields).find((field) => field.id === id);
  if (found !== undefined) return found;
  throw refuse(table, `it has deletes by column ${id}, which is within another`);

  function rank(schemaId: number): number {
    return schemaId === currentSchemaId ? Number.POSITIVE_INFINITY : schemaId;
  }
}

/** Reads the vectors that apply to data files. One of a file that is no longer there deletes nothing. */
async function readVectors(
  table: LoadedTable,
  data: readonly FoundFile[],
  vectors: readonly LiveFile[],
): Promise<DataVector[]> {
  const places = new Map(data.map(({ path }, place) => [path, place]));
  const read = new Map<number, DataVector>();
  let bytes = 0;
  for (const { file, sequenceNumber } of vectors) {
    const place = places.get(file.referencedDataFile ?? "");
    const of = place === undefined ? undefined : data[place];
    if (place === undefined || of === undefined || sequenceNumber < of.sequenceNumber) continue;
    if (read.has(place)) throw refuse(table, `${of.path} has two deletion vectors`);
    const { start, length } = rangeOf(table, file);
    bytes += length;
    if (bytes > LIMITS.deletedRowsBytesMax) {
      throw refuse(table, "its deletion vectors do not fit into memory");
    }
    const { filePath: puffin } = file;
    const blob = await table.storage.getRange(puffin, start, length);
    const rows = Math.min(Number(of.recordCount), ROWS_MAX);
    read.set(place, { file: place, blob, puffin, rows, deleted: Number(file.recordCount) });
  }
  return [...read.values()];
}

/** Where a vector lies in its Puffin file. */
function rangeOf(table: LoadedTable, file: DataFile): { start: number; length: number } {
  const start = Number(file.contentOffset ?? -1);
  const length = Number(file.contentSizeBytes ?? -1);
  const isWithin = start >= 0 && length >= 0 && start + length <= Number(file.fileSizeBytes);
  if (isWithin) return { start, length };
  throw refuse(table, `its manifest does not say where in ${file.filePath} a deletion vector is`);
}

/** Rows of one file whose numbers / 32 are 32-bit integers. */
const ROWS_MAX = 2 ** 36;

/** Columns whose value the partition is: writers of Hive's layout leave them out of the file. */
function partitionColumnsOf(
  { metadata }: LoadedTable,
  { specId, partition }: Pick<FoundFile, "specId" | "partition">,
): number[] {
  return specById(metadata, specId).fields.flatMap(({ sourceId, transform }, index) =>
    transform === "identity" && (partition[index] ?? null) !== null ? [sourceId] : [],
  );
}

function partitionOf({ specId, partition }: Pick<FoundFile, "specId" | "partition">): string {
  return `${specId}:${partitionKey(partition)}`;
}

function requireParquet(table: LoadedTable, { fileFormat }: { readonly fileFormat: string }): void {
  if (fileFormat.toUpperCase() !== "PARQUET") throw refuse(table, `it has ${fileFormat} files`);
}

function refuse({ name }: LoadedTable, what: string): Error {
  const table = fullName(name);
  return fail("query", `${table} cannot be read here: ${what}. Ask another engine`, { table });
}
