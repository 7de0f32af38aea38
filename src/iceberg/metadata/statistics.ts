/**
 * The statistics files that a table's metadata names (Iceberg spec, "Table Statistics", "Partition
 * Statistics"). We keep both lists as they are (`TableMetadata.unknown`) and read only names and sizes.
 */
import type { SnapshotId, TableMetadata } from "./metadata.ts";

/** A statistics file. */
export interface StatisticsFile {
  /** Null where the metadata does not say whose it is. */
  readonly snapshotId: SnapshotId | null;
  readonly path: string;
  readonly bytes: number;
}

/** Every statistics file, of all snapshots. */
export function statisticsFiles({ unknown }: Pick<TableMetadata, "unknown">): StatisticsFile[] {
  return ["statistics", "partition-statistics"].flatMap((key) => {
    const files = unknown[key];
    if (!Array.isArray(files)) return [];
    return files.flatMap((file: Readonly<Record<string, unknown>>) => {
      const path = file["statistics-path"];
      const id = file["snapshot-id"];
      const bytes = Number(file["file-size-in-bytes"] ?? 0);
      const snapshotId = typeof id === "bigint" || typeof id === "number" ? BigInt(id) : null;
      return typeof path === "string" ? [{ snapshotId, path, bytes }] : [];
    });
  });
}
