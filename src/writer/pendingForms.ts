/**
 * Partitions and sort order of a new table over columns that are not known yet: a table is created
 * before its columns are learned (decision 0091), so they are set in the commit that brings the last of
 * their columns.
 *
 * Until then their forms stand in table properties, so that every process knows them, and what an
 * adopted table has itself is never touched. Rows that are written before are in no partition, and unsorted.
 */
import { parseJson } from "#base/json.ts";
import type { Field } from "#columns/schema.ts";
import type { TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { missingSortColumns, sortOrderOf } from "#iceberg/metadata/sortOrder.ts";
import { missingColumns, partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";

/** Table property: a JSON list of forms, `["region"]`; removed when the spec is set. */
export const PENDING_PARTITIONS = "kafka-iceberg.pending-partitions";
/** The same for forms of the sort order. */
export const PENDING_SORT = "kafka-iceberg.pending-sort-order";

/** The property that keeps forms for later. */
export function pendingProperty(
  key: typeof PENDING_PARTITIONS | typeof PENDING_SORT,
  forms: readonly string[],
): Readonly<Record<string, string>> {
  return { [key]: JSON.stringify(forms) };
}

/**
 * What a table waits for, once these columns have all that it names; empty: nothing, or not yet.
 * Throws `usage` as `partitionSpecOf` and `sortOrderOf`, for instance for a column of a type that cannot be
 * partitioned by.
 */
export function awaitedUpdates(
  { properties }: TableMetadata,
  fields: readonly Field[],
): TableUpdate[] {
  return [
    ...updatesFor(properties, PENDING_PARTITIONS, fields, missingColumns, (forms) => [
      { action: "add-spec", spec: partitionSpecOf(fields, forms) },
      { action: "set-default-spec", specId: -1 },
    ]),
    ...updatesFor(properties, PENDING_SORT, fields, missingSortColumns, (forms) => [
      { action: "add-sort-order", sortOrder: sortOrderOf(fields, forms) },
      { action: "set-default-sort-order", sortOrderId: -1 },
    ]),
  ];
}

function updatesFor(
  properties: TableMetadata["properties"],
  key: string,
  fields: readonly Field[],
  missing: (fields: readonly Field[], forms: readonly string[]) => readonly string[],
  updates: (forms: readonly string[]) => TableUpdate[],
): TableUpdate[] {
  const text = properties[key];
  if (text === undefined) return [];
  const forms = parseJson(text) as readonly string[];
  if (missing(fields, forms).length > 0) return [];
  return [...updates(forms), { action: "remove-properties", keys: [key] }];
}
