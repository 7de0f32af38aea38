/**
 * The partition spec that a table needs before its rows are deleted by equality.
 */
import type { Field } from "#columns/schema.ts";
import { equalitySpec } from "#iceberg/deletes/equalityScope.ts";
import type { TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import type { WriterOptions } from "./parts.ts";

/**
 * What a table needs before rows are deleted by equality: an unpartitioned spec beside its own, where no other
 * reaches every row; else nothing. New files go by the table's own spec as before.
 * @param fields of the table as they will be
 */
export function equalityUpdates(
  metadata: TableMetadata,
  fields: readonly Field[],
  { key = [], deletes }: Pick<WriterOptions, "key" | "deletes">,
): TableUpdate[] {
  if (deletes !== "equality" || key.length === 0) return [];
  const ids = fields.filter(({ name }) => key.includes(name)).map(({ id }) => id);
  if (equalitySpec(metadata, ids) !== null) return [];
  const specId = 1 + Math.max(...metadata.partitionSpecs.map((spec) => spec.specId));
  return [{ action: "add-spec", spec: { specId, fields: [] } }];
}
