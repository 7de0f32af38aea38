/**
 * Which names a new column may have, besides being free (`paths.ts`).
 */
import { LIMITS } from "#base/limits.ts";

/**
 * Top-level names of Iceberg's metadata columns (Java's `MetadataColumns`, change-log columns
 * included), in lower case: a table with a column of such a name cannot be read with `SELECT *` in Spark.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...["_file", "_pos", "_deleted", "_spec_id", "_partition", "_row_id"],
  ...["_last_updated_sequence_number", "_change_type", "_change_ordinal", "_commit_snapshot_id"],
]);

/** True for a column of the row, by its full name, that Iceberg keeps for itself, in any case. */
export function isReservedName(path: string): boolean {
  return path.startsWith("_") && RESERVED.has(path.toLowerCase());
}

/** True for a field's own name that is too short or too long for a column. */
export function isUnusableName(name: string): boolean {
  return name === "" || name.length > LIMITS.columnNameLengthMax;
}
