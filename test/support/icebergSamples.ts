/** Small tables, snapshots and updates for tests of `iceberg/`. */
import type { Field } from "#columns/schema.ts";
import type { Snapshot, TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata, UNPARTITIONED } from "#iceberg/metadata/newTable.ts";
import { branchAt } from "#iceberg/metadata/tableMetadataJson.ts";

/** Columns of {@link sampleTable}: `id long`, `ts timestamptz`, `name string`. */
export const SAMPLE_FIELDS: readonly Field[] = [
  { id: 0, name: "id", required: true, type: { kind: "long" } },
  { id: 0, name: "ts", required: false, type: { kind: "timestamp", zone: true } },
  { id: 0, name: "name", required: false, type: { kind: "string" } },
];

/** UUID of {@link sampleTable}. */
export const SAMPLE_UUID = "9c12d441-03fe-4693-9a96-a0705ddf69c1";

/** An empty table. */
export function sampleTable(
  location: string,
  options: { formatVersion?: 2 | 3; uuid?: string; properties?: Record<string, string> } = {},
): TableMetadata {
  return newTableMetadata({
    uuid: options.uuid ?? SAMPLE_UUID,
    location,
    fields: SAMPLE_FIELDS,
    spec: () => UNPARTITIONED,
    formatVersion: options.formatVersion ?? 2,
    properties: options.properties ?? {},
    timestampMs: 1_000,
  });
}

/** The next snapshot of `main`, without files. */
export function nextSnapshot(
  metadata: TableMetadata,
  snapshotId: bigint,
  timestampMs = 2_000,
): Snapshot {
  return {
    snapshotId,
    parentSnapshotId: metadata.currentSnapshotId,
    sequenceNumber: metadata.lastSequenceNumber + 1n,
    timestampMs,
    manifestList: `${metadata.location}/metadata/snap-${snapshotId}.avro`,
    summary: { operation: "append" },
    schemaId: metadata.currentSchemaId,
    firstRowId: metadata.nextRowId,
    addedRows: metadata.nextRowId === null ? null : 0n,
  };
}

/** Updates that add a snapshot and make it the head of a branch. */
export function appendOf(snapshot: Snapshot, ref = "main"): TableUpdate[] {
  return [
    { action: "add-snapshot", snapshot },
    { action: "set-snapshot-ref", ref, value: branchAt(snapshot.snapshotId) },
  ];
}
