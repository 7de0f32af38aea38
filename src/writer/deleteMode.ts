/**
 * How older rows of a table's keys go, or stay: whether a table that is there goes together with it, and what orders changes.
 */
import { type AppError, fail } from "#base/errors.ts";
import type { TableName } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { LATEST_PROPERTY, latestOf, writeLatest } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { followsChanges, type WriterOptions, type WriterParts } from "./parts.ts";

/**
 * The error of a table that is of another format than the way that was asked for by its name, or in which rows of a key
 * stand side by side for one writer and not for another; null: they go together.
 */
export function deleteModeRefusal(
  table: string,
  { formatVersion, properties }: Pick<TableMetadata, "formatVersion" | "properties">,
  {
    deletesAs = null,
    key = [],
    latest = null,
  }: Pick<WriterOptions, "deletesAs" | "key" | "latest">,
): AppError | null {
  // Rows of logs of changes and of side tables are never deleted, whatever their table is.
  if (key.length > 0 && deletesAs !== null && deletesAs.formatVersion !== formatVersion) {
    return fail(
      "table_unsupported",
      `Table ${table} is of format v${formatVersion}, and iceberg.write.delete_mode = "${deletesAs.mode}" is for ` +
        `v${deletesAs.formatVersion}: "auto" deletes as the table's format says`,
      { table },
    );
  }
  const stored = latestOf(properties);
  const wanted = latest === null ? null : writeLatest(latest);
  if ((stored === null ? null : writeLatest(stored)) === wanted) return null;
  const sentence =
    wanted === null
      ? `Table ${table} keeps every change as a row (its property ${LATEST_PROPERTY}), so that it is written with ` +
        'iceberg.write.delete_mode = "append-dedupe" only: give it back, or write a new table'
      : `Table ${table} was not made for iceberg.write.delete_mode = "append-dedupe" with this key and order: write a ` +
        "new table; or, where it has one row for each key, in these columns, set its property " +
        `${LATEST_PROPERTY} to ${wanted}`;
  return fail("table_unsupported", sentence, { table });
}

/** True when rows are deleted by writing the files anew that hold them. */
export function deletesByCopies({
  deletes,
  key = [],
}: Pick<WriterOptions, "deletes" | "key">): boolean {
  return deletes === "copy-on-write" && key.length > 0;
}

/**
 * Why rows of a table with these columns could not be written with the ids of those that they replace; null: they could, or
 * have none. Columns are found by their names, and that of the ids has one (Iceberg spec v3, "Row Lineage").
 */
export function rowIdRefusal(
  table: string,
  formatVersion: 2 | 3,
  { key = [], deletes = "position" }: Pick<WriterOptions, "deletes" | "key">,
  fields: readonly Field[],
): AppError | null {
  const keepsIds = formatVersion === 3 && key.length > 0 && deletes !== "equality";
  const column = ROW_ID_FIELD.name;
  if (!keepsIds || fields.every(({ name }) => name !== column)) return null;
  const sentence =
    `Updates of ${table} keep row ids (format v3), and its column ${column} has the name that Iceberg reserves for them: give ` +
    "the column another name, in the table and in its records (or iceberg.write.format_version = 2 for a new table)";
  return fail("table_unsupported", sentence, { table, column });
}

/**
 * Asked before a table of this format has these columns.
 * @throws AppError `table_unsupported` for one that has the name of row ids where they are kept; as `CopyOnWrite.check` where
 * files are to be written anew
 */
export function checkColumns(
  { copyOnWrite }: Pick<WriterParts, "copyOnWrite">,
  options: Pick<WriterOptions, "deletes" | "key">,
  { name, formatVersion }: { readonly name: TableName; readonly formatVersion: 2 | 3 },
  fields: readonly Field[],
): void {
  const refusal = rowIdRefusal(fullName(name), formatVersion, options, fields);
  if (refusal !== null) throw refusal;
  if (deletesByCopies(options)) copyOnWrite?.check(name, fields);
}

/** True where only their partition says which of two changes is later. */
export function isInFeedOrder(options: Pick<WriterOptions, "key" | "order" | "latest">): boolean {
  const { order = null, latest = null } = options;
  return followsChanges(options) && (latest === null ? order : latest.orderField) === null;
}
