/**
 * The statistics files that a table's metadata names (Iceberg spec, "Table Statistics", "Partition
 * Statistics"). Both lists are kept as they are (`TableMetadata.unknown`), other engines' entries too.
 */
import type { Json } from "#base/json.ts";
import type { JsonObject } from "./json.ts";
import type { SnapshotId, TableMetadata } from "./metadata.ts";

/** What the metadata says of a blob of a statistics file. */
export interface BlobMetadata {
  readonly type: string;
  readonly snapshotId: SnapshotId;
  readonly sequenceNumber: bigint;
  /** Field ids. */
  readonly fields: readonly number[];
  readonly properties: Readonly<Record<string, string>>;
}

/** A file of statistics of columns, one for a snapshot at most. */
export interface TableStatistics {
  readonly snapshotId: SnapshotId;
  readonly path: string;
  readonly bytes: number;
  readonly footerBytes: number;
  readonly blobs: readonly BlobMetadata[];
}

/** A file of statistics of partitions, one for a snapshot at most. */
export interface PartitionStatistics {
  readonly snapshotId: SnapshotId;
  readonly path: string;
  readonly bytes: number;
}

/** A statistics file of either kind. */
export interface StatisticsFile {
  /** Null where the metadata does not say whose it is. */
  readonly snapshotId: SnapshotId | null;
  readonly path: string;
  readonly bytes: number;
}

/** Where the metadata has them. */
type StatisticsKey = "statistics" | "partition-statistics";

const KEYS: readonly StatisticsKey[] = ["statistics", "partition-statistics"];

/** Every statistics file, of all snapshots. */
export function statisticsFiles(metadata: Pick<TableMetadata, "unknown">): StatisticsFile[] {
  return KEYS.flatMap((key) => filesOf(metadata, key));
}

/** The files of one kind, oldest entry first. */
export function filesOf(
  { unknown }: Pick<TableMetadata, "unknown">,
  key: StatisticsKey,
): StatisticsFile[] {
  return entriesOf(unknown, key).flatMap((file) => {
    const path = file["statistics-path"];
    const bytes = Number(file["file-size-in-bytes"] ?? 0);
    return typeof path === "string" ? [{ snapshotId: idOf(file), path, bytes }] : [];
  });
}

function entriesOf(unknown: TableMetadata["unknown"], key: StatisticsKey): JsonObject[] {
  const files = unknown[key];
  return Array.isArray(files) ? (files as JsonObject[]) : [];
}

function idOf(file: JsonObject): SnapshotId | null {
  const id = file["snapshot-id"];
  return typeof id === "bigint" || typeof id === "number" ? BigInt(id) : null;
}

/** As the metadata, and the REST protocol, write it. */
export function statisticsToJson(file: TableStatistics): JsonObject {
  return {
    ...partitionStatisticsToJson(file),
    "file-footer-size-in-bytes": file.footerBytes,
    "blob-metadata": file.blobs.map((blob) => ({
      ...{ type: blob.type, "snapshot-id": blob.snapshotId },
      ...{ "sequence-number": blob.sequenceNumber, fields: [...blob.fields] },
      properties: { ...blob.properties },
    })),
  };
}

/** As the metadata, and the REST protocol, write it. */
export function partitionStatisticsToJson(file: PartitionStatistics): JsonObject {
  const { snapshotId, path, bytes } = file;
  return { "snapshot-id": snapshotId, "statistics-path": path, "file-size-in-bytes": bytes };
}

/** The members with a file in the place of what its snapshot had. */
export function withStatistics(
  unknown: TableMetadata["unknown"],
  key: StatisticsKey,
  file: JsonObject,
): TableMetadata["unknown"] {
  const others = entriesOf(unknown, key).filter((each) => idOf(each) !== idOf(file));
  return { ...unknown, [key]: [...others, file] satisfies Json[] };
}

/** The members without what belongs to these snapshots: statistics go with theirs. */
export function withoutStatistics(
  unknown: TableMetadata["unknown"],
  gone: ReadonlySet<SnapshotId>,
): TableMetadata["unknown"] {
  const next: Record<string, unknown> = { ...unknown };
  for (const key of KEYS) {
    if (!Array.isArray(next[key])) continue;
    next[key] = entriesOf(unknown, key).filter((file) => {
      const id = idOf(file);
      return id === null || !gone.has(id);
    });
  }
  return next;
}
