/**
 * Creating a missing table.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata, UNPARTITIONED } from "#iceberg/metadata/newTable.ts";
import { missingColumns, partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";
import type { WriterOptions, WriterParts } from "./parts.ts";
import { pendingProperties } from "./pendingPartitions.ts";

/**
 * Creates the table, or finds that somebody else just did.
 * @throws AppError `table_missing` when creation is not allowed
 */
export async function createTable(
  parts: WriterParts,
  options: WriterOptions,
  fields: readonly Field[],
): Promise<LoadedTable> {
  const { name, create } = options;
  const full = fullName(name);
  if (!create.allowed) {
    throw fail(
      "table_missing",
      `Table ${full} does not exist and iceberg.table_management.auto_create_if_missing is false`,
      { table: full },
    );
  }
  // Columns that are still to be learned may be partitioned by when they are there.
  const waits = create.learnsColumns && missingColumns(fields, create.partitionForms).length > 0;
  const pending = waits ? pendingProperties(create.partitionForms) : {};
  const uuid = parts.random.uuid();
  const timestampMs = parts.clock.nowMs();
  const metadataAt = (location: string): TableMetadata =>
    newTableMetadata({
      uuid,
      location,
      fields,
      spec: (own) => (waits ? UNPARTITIONED : partitionSpecOf(own, create.partitionForms)),
      formatVersion: create.formatVersion,
      properties: { ...create.properties, ...pending },
      timestampMs,
    });
  const outcome = await parts.catalog.create({ name, metadataAt });
  if (outcome.kind === "committed") {
    const { location } = outcome.table.metadata;
    parts.logger.log("info", "Table created", { table: full, location });
    return outcome.table;
  }
  const found = await parts.catalog.load(name);
  if (found !== null) return found;
  throw fail("catalog_unreachable", `Table ${full} could not be created`, {}, outcome.cause);
}
