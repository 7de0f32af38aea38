/** What a catalog keeps that has no history of its own, as Nessie. */
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";

/** The heads of branches and tags, without their parents. */
export function headOnly(metadata: TableMetadata): TableMetadata {
  const heads = new Set(Object.values(metadata.refs).map(({ snapshotId }) => snapshotId));
  const snapshots = metadata.snapshots
    .filter(({ snapshotId }) => heads.has(snapshotId))
    .map((snapshot) => ({ ...snapshot, parentSnapshotId: null }));
  return { ...metadata, snapshots };
}
