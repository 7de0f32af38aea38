/**
 * Statistics of a snapshot: a change of the metadata alone, which names files that are durable. It holds
 * whatever others commit meanwhile, as long as the snapshot is there.
 */

import type { TableUpdate } from "#iceberg/metadata/metadata.ts";
import {
  type PartitionStatistics,
  statisticsFiles,
  type TableStatistics,
} from "#iceberg/metadata/statistics.ts";
import type { MetadataChange } from "./change.ts";

/** Files of statistics of one snapshot. */
export interface SnapshotStatistics {
  /** Null: what the snapshot has stays. */
  readonly columns: TableStatistics | null;
  readonly partitions: PartitionStatistics | null;
}

/** Names the files in the metadata. */
export function statisticsChange({ columns, partitions }: SnapshotStatistics): MetadataChange {
  return {
    makes: "metadata",
    kind: "statistics",
    stage: ({ metadata }) => {
      const named = new Set(statisticsFiles(metadata).map(({ path }) => path));
      const updates: TableUpdate[] = [];
      if (columns !== null && !named.has(columns.path)) {
        updates.push({ action: "set-statistics", file: columns });
      }
      if (partitions !== null && !named.has(partitions.path)) {
        updates.push({ action: "set-partition-statistics", file: partitions });
      }
      if (updates.length === 0) return { kind: "nothing" };
      const id = (columns ?? partitions)?.snapshotId;
      if (!metadata.snapshots.some(({ snapshotId }) => snapshotId === id)) {
        return { kind: "dropped", reason: "its snapshot has left the table", by: "" };
      }
      const requirements = [{ type: "assert-table-uuid", uuid: metadata.tableUuid }] as const;
      return { kind: "staged", requirements, updates };
    },
    landed: () => Promise.resolve(),
  };
}
