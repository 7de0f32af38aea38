/**
 * Whether a table is of the format that the way to delete its rows was asked for.
 */
import { type AppError, fail } from "#base/errors.ts";
import type { WriterOptions } from "./parts.ts";

/**
 * The error of a table of the other format; null: they go together, or nobody has asked for a way by its name, or
 * none is needed: rows of logs of changes and of side tables are never deleted, whatever their table is.
 */
export function deleteModeRefusal(
  table: string,
  formatVersion: number,
  { deletesAs = null, key = [] }: Pick<WriterOptions, "deletesAs" | "key">,
): AppError | null {
  if (key.length === 0 || deletesAs === null || deletesAs.formatVersion === formatVersion)
    return null;
  return fail(
    "table_unsupported",
    `Table ${table} is of format v${formatVersion}, and iceberg.write.delete_mode = "${deletesAs.mode}" is for ` +
      `v${deletesAs.formatVersion}: "auto" deletes as the table's format says`,
    { table },
  );
}
