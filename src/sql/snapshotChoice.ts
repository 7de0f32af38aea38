/**
 * Which snapshot of a table is asked for, and what its columns are.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { RelationName } from "./admit.ts";

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

/** What a statement says behind a table's name. @throws AppError `query` */
export function choiceOf({ unit, value }: NonNullable<RelationName["at"]>): SnapshotChoice {
  if (unit === "version") {
    if (/^\d+$/.test(value)) return { kind: "id", id: BigInt(value) };
    throw fail("query", `AT (VERSION => ${value}): a snapshot id is a number`);
  }
  return { kind: "time", timeMs: timeOf(value) };
}

/**
 * Milliseconds of a time as people write it, UTC where it names no zone.
 * @throws AppError `query`
 */
export function timeOf(text: string): number {
  const written =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
  const [, day = "", time = "00:00", zone = "Z"] = written.exec(text.trim()) ?? [];
  const ms = Date.parse(`${day}T${time}${zone.length === 3 ? `${zone}:00` : zone}`);
  if (Number.isFinite(ms)) return ms;
  throw fail("query", `${text} is no time: write 2026-01-08 or 2026-01-08 12:30:00`);
}
