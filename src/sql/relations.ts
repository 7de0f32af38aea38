/**
 * The rows of an Iceberg snapshot as a SELECT: every live data file, read by field id, without the
 * rows that position deletes hide.
 *
 * Files of the same columns are read together. What a file's columns are is asked once a file: its
 * name never has other content (SPEC section 2).
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { localPath, schemeOf } from "#storage/location.ts";
import { sqlText } from "./duckdb/instance.ts";
import { type ParquetNode, shapeOf } from "./parquetNodes.ts";
import { noRows, projectColumns } from "./projection.ts";

/** Live files of a snapshot, as paths that the engine can open. */
export interface SnapshotFiles {
  readonly data: readonly string[];
  /** Files of position deletes, which name the data files by their locations. */
  readonly positionDeletes: readonly string[];
  /** The location of each data file in the metadata, by path, where it differs. */
  readonly locations: ReadonlyMap<string, string>;
}

/** The snapshot that is asked for: the newest, one by its id, or the one that was current at a time. */
export type SnapshotChoice =
  | { readonly kind: "current" }
  | { readonly kind: "id"; readonly id: SnapshotId }
  | { readonly kind: "time"; readonly timeMs: number };

/** The snapshot of a choice; null for a table without any. @throws AppError `query` when there is none such */
export function chooseSnapshot(table: LoadedTable, choice: SnapshotChoice): SnapshotId | null {
  const { metadata } = table;
  if (choice.kind === "current") return metadata.currentSnapshotId;
  if (choice.kind === "id") {
    if (metadata.snapshots.some(({ snapshotId }) => snapshotId === choice.id)) return choice.id;
    throw fail("query", `${fullName(table.name)} has no snapshot ${choice.id}`);
  }
  const before = metadata.snapshotLog.filter(({ timestampMs }) => timestampMs <= choice.timeMs);
  const found = before.at(-1)?.snapshotId;
  const isKept = metadata.snapshots.some(({ snapshotId }) => snapshotId === found);
  if (found !== undefined && isKept) return found;
  const time = new Date(choice.timeMs).toISOString();
  throw fail("query", `${fullName(table.name)} keeps no snapshot that was current at ${time}`);
}

/** Columns of a snapshot's schema: the table's own for the newest, else those of its time. */
export function columnsOf(
  metadata: TableMetadata,
  snapshotId: SnapshotId | null,
): readonly Field[] {
  const snapshot = metadata.snapshots.find((each) => each.snapshotId === snapshotId);
  const isCurrent = snapshotId === metadata.currentSnapshotId;
  const wanted = isCurrent ? metadata.currentSchemaId : snapshot?.schemaId;
  const schemaId = wanted ?? metadata.currentSchemaId;
  return metadata.schemas.find((each) => each.schemaId === schemaId)?.fields ?? [];
}

/**
 * Lists the live files of a snapshot.
 * @throws AppError `query` for files that this engine does not read: of another format or store, or
 *   with deletes by equality or by vector
 */
export async function snapshotFiles(
  table: LoadedTable,
  snapshotId: SnapshotId,
): Promise<SnapshotFiles> {
  const data: string[] = [];
  const positionDeletes: string[] = [];
  const locations = new Map<string, string>();
  for await (const { file } of listDataFiles(table.storage, table.metadata, snapshotId)) {
    const path = readablePath(table, file);
    if (file.content === "position-deletes") positionDeletes.push(path);
    else {
      data.push(path);
      locations.set(path, file.filePath);
    }
  }
  return { data, positionDeletes, locations };
}

/** A SELECT of a snapshot's rows. `nodes`: each data file's columns, by path. */
export function selectRows(
  fields: readonly Field[],
  files: SnapshotFiles,
  nodes: ReadonlyMap<string, readonly ParquetNode[]>,
): string {
  const groups = new Map<string, { nodes: readonly ParquetNode[]; paths: string[] }>();
  for (const path of files.data) {
    const columns = nodes.get(path) ?? [];
    const shape = shapeOf(columns);
    const group = groups.get(shape) ?? { nodes: columns, paths: [] };
    group.paths.push(path);
    groups.set(shape, group);
  }
  const selects = [...groups.values()].map(
    (group) => `SELECT ${projectColumns(fields, group.nodes)} FROM ${source(group.paths, files)}`,
  );
  return selects.length === 0 ? noRows(fields) : selects.join(" UNION ALL ");
}

/** Names that no column of a table has: they are DuckDB's own. */
const FILE = "filename";
const POSITION = "file_row_number";

function source(paths: readonly string[], { positionDeletes, locations }: SnapshotFiles): string {
  const list = `[${paths.map(sqlText).join(", ")}]`;
  // A folder `day=007/` is no column: what DuckDB reads from it would take the place of the file's own.
  const plain = "hive_partitioning = false";
  if (positionDeletes.length === 0) return `read_parquet(${list}, ${plain})`;
  const deletes = `read_parquet([${positionDeletes.map(sqlText).join(", ")}], ${plain})`;
  const pairs = paths.map((path) => `${sqlText(path)}: ${sqlText(locations.get(path) ?? path)}`);
  // Named in full: the files of deletes have a `filename`, too.
  const location = `map_extract_value(MAP {${pairs.join(", ")}}, r.${FILE})`;
  return (
    `(SELECT * FROM read_parquet(${list}, ${plain}, filename = true, file_row_number = true) r ` +
    `WHERE NOT EXISTS (SELECT 1 FROM ${deletes} d WHERE d.pos = r.${POSITION} AND d.file_path = ${location}))`
  );
}

function readablePath(table: LoadedTable, file: DataFile): string {
  const name = fullName(table.name);
  const refuse = (what: string): Error =>
    fail("query", `${name} cannot be queried here: ${what}. Ask another engine`, { table: name });
  if (file.content === "equality-deletes") throw refuse("it has deletes by equality");
  if (file.fileFormat.toUpperCase() === "PUFFIN") throw refuse("it has deletion vectors");
  if (file.fileFormat.toUpperCase() !== "PARQUET") throw refuse(`it has ${file.fileFormat} files`);
  if (schemeOf(file.filePath) !== "file") throw refuse("its files are not on this machine");
  return localPath(file.filePath);
}
