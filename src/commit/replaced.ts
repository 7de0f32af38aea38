/**
 * A table that another engine replaced in place: `CREATE OR REPLACE TABLE` keeps identity, properties
 * and old snapshots, and begins the branch anew (SPEC section 10, "table dropped or replaced").
 */
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { progressProperty, visibleChain } from "./progress.ts";
import { propertySequenceNumber } from "./progressText.ts";

/**
 * True when `main` holds nothing that was there at our last commit: it is gone, or its history begins
 * behind that commit, which our property still tells. A rollback leaves older snapshots, an expiry a
 * parent that is not visible.
 */
export function isReplaced(metadata: TableMetadata): boolean {
  const written = Object.entries(metadata.properties)
    .filter(([name]) => name.startsWith(progressProperty("")))
    .map(([, text]) => propertySequenceNumber(text) ?? 0n);
  if (written.length === 0) return false;
  const oldest = visibleChain(metadata, "main").at(-1);
  if (oldest === undefined) return true;
  const isFirst = oldest.parentSnapshotId === null;
  return isFirst && written.every((number) => number < oldest.sequenceNumber);
}
