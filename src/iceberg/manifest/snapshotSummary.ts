/**
 * The summary of a snapshot that adds and removes files: operation and counters as Java's
 * `SnapshotSummary` writes them (Iceberg spec, "Optional Snapshot Summary Fields"). Totals continue the
 * parent's.
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

/** What a snapshot makes of the live files. */
export interface FileChanges {
  readonly added: readonly DataFile[];
  /** Files of the parent. */
  readonly removed: readonly DataFile[];
}

/**
 * Operation and counters of a snapshot.
 * @param parent the snapshot that it is built on, null for none
 * @param inherited the parent's manifests: a total that the parent's summary lacks is counted from
 *   them, or left out when they cannot tell
 */
export function snapshotSummary(
  parent: Snapshot | null,
  inherited: readonly ManifestFile[],
  { added, removed }: FileChanges,
): Record<string, string> {
  const more = tally(added);
  const less = tally(removed);
  const summary: Record<string, string> = { operation: operationOf(more, less) };
  for (const [name, value] of Object.entries(countersOf(more, ADDED))) summary[name] = value;
  for (const [name, value] of Object.entries(countersOf(less, REMOVED))) summary[name] = value;
  const changed = [...added, ...removed];
  const partitions = new Set(
    changed.map((file) => `${file.specId} ${partitionKey(file.partition)}`),
  );
  summary["changed-partition-count"] = String(partitions.size);
  const counted = parent === null ? ZERO : countTotals(inherited);
  for (const total of TOTALS) {
    const before = previous(parent, total, counted);
    if (before === null) continue;
    summary[total] = String(before + more[COUNT_OF[total]] - less[COUNT_OF[total]]);
  }
  return summary;
}

/** Files, rows and bytes of one side of a change. */
interface Tally {
  dataFiles: bigint;
  records: bigint;
  deleteFiles: bigint;
  vectors: bigint;
  positionDeleteFiles: bigint;
  positionDeletes: bigint;
  equalityDeleteFiles: bigint;
  equalityDeletes: bigint;
  bytes: bigint;
}

type Count = keyof Tally;

const COUNT_OF: Readonly<Record<Total, Count>> = {
  "total-records": "records",
  "total-files-size": "bytes",
  "total-data-files": "dataFiles",
  "total-delete-files": "deleteFiles",
  "total-position-deletes": "positionDeletes",
  "total-equality-deletes": "equalityDeletes",
};

const ADDED: Readonly<Record<Count, string>> = {
  dataFiles: "added-data-files",
  records: "added-records",
  deleteFiles: "added-delete-files",
  vectors: "added-dvs",
  positionDeleteFiles: "added-position-delete-files",
  positionDeletes: "added-position-deletes",
  equalityDeleteFiles: "added-equality-delete-files",
  equalityDeletes: "added-equality-deletes",
  bytes: "added-files-size",
};

const REMOVED: Readonly<Record<Count, string>> = {
  dataFiles: "deleted-data-files",
  records: "deleted-records",
  deleteFiles: "removed-delete-files",
  vectors: "removed-dvs",
  positionDeleteFiles: "removed-position-delete-files",
  positionDeletes: "removed-position-deletes",
  equalityDeleteFiles: "removed-equality-delete-files",
  equalityDeletes: "removed-equality-deletes",
  bytes: "removed-files-size",
};

function tally(files: readonly DataFile[]): Tally {
  const sum: Tally = {
    dataFiles: 0n,
    records: 0n,
    deleteFiles: 0n,
    vectors: 0n,
    positionDeleteFiles: 0n,
    positionDeletes: 0n,
    equalityDeleteFiles: 0n,
    equalityDeletes: 0n,
    bytes: 0n,
  };
  for (const file of files) {
    // A Puffin file holds the vectors of many data files: each counts its own bytes.
    sum.bytes += file.contentSizeBytes ?? file.fileSizeBytes;
    if (file.content !== "data") sum.deleteFiles += 1n;
    switch (file.content) {
      case "data":
        sum.dataFiles += 1n;
        sum.records += file.recordCount;
        break;
      case "position-deletes":
        sum[file.fileFormat === "PUFFIN" ? "vectors" : "positionDeleteFiles"] += 1n;
        sum.positionDeletes += file.recordCount;
        break;
      case "equality-deletes":
        sum.equalityDeleteFiles += 1n;
        sum.equalityDeletes += file.recordCount;
        break;
    }
  }
  return sum;
}

/** Zeros are left out. */
function countersOf(sum: Tally, names: Readonly<Record<Count, string>>): Record<string, string> {
  const counters: Record<string, string> = {};
  for (const [count, name] of Object.entries(names)) {
    const value = sum[count as Count];
    if (value > 0n) counters[name] = String(value);
  }
  return counters;
}

/** As Java's `RowDelta`. */
function operationOf(more: Tally, less: Tally): string {
  const removes = less.dataFiles > 0n;
  if (more.deleteFiles === 0n && !removes) return "append";
  return more.dataFiles === 0n ? "delete" : "overwrite";
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
