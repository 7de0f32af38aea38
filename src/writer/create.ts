/**
 * Creating a missing table.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable, TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { LATEST_PROPERTY, writeLatest } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { newTableMetadata, UNPARTITIONED, UNSORTED } from "#iceberg/metadata/newTable.ts";
import { missingSortColumns, sortOrderOf } from "#iceberg/metadata/sortOrder.ts";
import { missingColumns, partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";
import { checkColumns } from "./deleteMode.ts";
import type { WriterOptions, WriterParts } from "./parts.ts";
import { PENDING_PARTITIONS, PENDING_SORT, pendingProperty } from "./pendingForms.ts";

/**
 * Creates the table, or finds that somebody else just did.
 * @throws AppError `table_missing` when creation is not allowed, `usage` for a name that another table
 * has but for case
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
  checkColumns(parts, options, { name, formatVersion: create.formatVersion }, fields);
  await refuseTwin(parts, name, create.twins?.() ?? []);
  // Columns that are still to be learned may be partitioned and sorted by when they are there.
  const { partitionForms, sortForms } = create;
  const waits = create.learnsColumns && missingColumns(fields, partitionForms).length > 0;
  const sortWaits = create.learnsColumns && missingSortColumns(fields, sortForms).length > 0;
  const pending = {
    ...(waits ? pendingProperty(PENDING_PARTITIONS, partitionForms) : {}),
    ...(sortWaits ? pendingProperty(PENDING_SORT, sortForms) : {}),
  };
  const latest = options.latest ? { [LATEST_PROPERTY]: writeLatest(options.latest) } : {};
  const uuid = parts.random.uuid();
  const timestampMs = parts.clock.nowMs();
  const metadataAt = (location: string): TableMetadata =>
    newTableMetadata({
      uuid,
      location,
      fields,
      identifiers: options.key ?? [],
      spec: (own) => (waits ? UNPARTITIONED : partitionSpecOf(own, partitionForms)),
      sortOrder: (own) => (sortWaits ? UNSORTED : sortOrderOf(own, sortForms)),
      formatVersion: create.formatVersion,
      properties: { ...create.properties, ...latest, ...pending },
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

/**
 * Catalogs and engines that fold names would take two such tables for one. The one that is there stays;
 * where none is, the first by name is made, whoever comes first.
 */
async function refuseTwin(
  { catalog }: Pick<WriterParts, "catalog">,
  name: TableName,
  twins: readonly TableName[],
): Promise<void> {
  const full = fullName(name);
  for (const twin of twins) {
    const other = fullName(twin);
    if (other > full && (await catalog.load(twin)) === null) continue;
    const sentence =
      `Table ${full} is not made: its name differs from that of ${other} by upper and lower case ` +
      "only, and many catalogs and engines take both for one. Read its topic in a pipeline of its " +
      "own, with another iceberg.table_prefix";
    throw fail("usage", sentence, { table: full });
  }
}
