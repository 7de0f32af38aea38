/**
 * The summary of an append snapshot: the counters that Java's `SnapshotSummary` writes (Iceberg
 * spec, "Optional Snapshot Summary Fields"). Totals continue the parent's.
 */

import type { Snapshot } from "#iceberg/metadata/metadata.ts";
import { partitionKey } from "#iceberg/partition/partitionKey.ts";
import type { DataFile, ManifestFile } from "./manifest.ts";

/** Totals in the order in which Java writes them. */
const TOTALS = [
  "total-records",
  "total-files-size",
  "total-data-files",
  "total-delete-files",
  "total-position-deletes",
  "total-equality-deletes",
] as const;

type Total = (typeof TOTALS)[number];

/**
 * Counters of an append.
 * @param parent the snapshot that the append is built on, null for none
 * @param inherited the parent's manifests: a total that the parent's summary lacks is counted from
 *   them, or left out when they cannot tell
 */
export function appendSummary(
  parent: Snapshot | null,
  inherited: readonly ManifestFile[],
  files: readonly DataFile[],
): Record<string, string> {
  const records = files.reduce((sum, file) => sum + file.recordCount, 0n);
  const bytes = files.reduce((sum, file) => sum + file.fileSizeBytes, 0n);
  const added: Partial<Record<Total, bigint>> = {
    "total-records": records,
    "total-files-size": bytes,
    "total-data-files": BigInt(files.length),
  };
  const summary: Record<string, string> = { operation: "append" };
  if (files.length > 0) {
    summary["added-data-files"] = String(files.length);
    summary["added-records"] = String(records);
    summary["added-files-size"] = String(bytes);
  }
  const partitions = new Set(files.map((file) => `${file.specId} ${partitionKey(file.partition)}`));
  summary["changed-partition-count"] = String(partitions.size);
  const counted = parent === null ? ZERO : countTotals(inherited);
  for (const total of TOTALS) {
    const before = previous(parent, total, counted);
    if (before !== null) summary[total] = String(before + (added[total] ?? 0n));
  }
  return summary;
}

const ZERO: Readonly<Record<Total, bigint>> = {
  "total-records": 0n,
  "total-files-size": 0n,
  "total-data-files": 0n,
  "total-delete-files": 0n,
  "total-position-deletes": 0n,
  "total-equality-deletes": 0n,
};

function previous(
  parent: Snapshot | null,
  total: Total,
  counted: Partial<Record<Total, bigint>>,
): bigint | null {
  const text = parent?.summary[total] ?? "";
  return /^\d+$/.test(text) ? BigInt(text) : (counted[total] ?? null);
}

/** What a manifest list can tell. Without delete manifests there are no deletes of any kind. */
function countTotals(manifests: readonly ManifestFile[]): Partial<Record<Total, bigint>> {
  let records = 0n;
  let dataFiles = 0;
  let deleteFiles = 0;
  for (const manifest of manifests) {
    const files = manifest.addedFilesCount + manifest.existingFilesCount;
    if (manifest.content === "deletes") {
      deleteFiles += files;
    } else {
      dataFiles += files;
      records += manifest.addedRowsCount + manifest.existingRowsCount;
    }
  }
  return {
    "total-records": records,
    "total-data-files": BigInt(dataFiles),
    "total-delete-files": BigInt(deleteFiles),
    ...(deleteFiles === 0 ? { "total-position-deletes": 0n, "total-equality-deletes": 0n } : {}),
    ...(dataFiles + deleteFiles === 0 ? { "total-files-size": 0n } : {}),
  };
}
