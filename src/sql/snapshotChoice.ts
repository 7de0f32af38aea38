/**
 * Which snapshot of a table is asked for, and what its columns are.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";

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
