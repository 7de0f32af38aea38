/**
 * Partitions of a new table over columns that are not known yet: a table is created before its columns
 * are learned (decision 0091), so its spec is set in the commit that brings the last of them.
 *
 * Until then the forms stand in a table property, so that every process knows them, and an adopted
 * table's own spec is never touched. Rows that are written before are in no partition.
 */
import { parseJson } from "#base/json.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { missingColumns, partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";

/** Table property: a JSON list of forms, `["region"]`; removed when the spec is set. */
export const PENDING_PARTITIONS = "kafka-iceberg.pending-partitions";

/** The properties that keep forms for later. */
export function pendingProperties(forms: readonly string[]): Readonly<Record<string, string>> {
  return { [PENDING_PARTITIONS]: JSON.stringify(forms) };
}

/**
 * The spec that a table waits for, once these columns have all that it names; null: not yet, or none.
 * Throws `usage` as `partitionSpecOf`, for instance for a column of a type that cannot be partitioned by.
 */
export function awaitedSpec(
  { properties }: TableMetadata,
  fields: readonly Field[],
): PartitionSpec | null {
  const text = properties[PENDING_PARTITIONS];
  if (text === undefined) return null;
  const forms = parseJson(text) as readonly string[];
  return missingColumns(fields, forms).length > 0 ? null : partitionSpecOf(fields, forms);
}
