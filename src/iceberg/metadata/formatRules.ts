/**
 * What a table's format version can hold (Iceberg spec, "Format Versioning").
 */
import { fail } from "#base/errors.ts";
import { childFields, type Field, type Schema } from "#columns/schema.ts";

/** Throws `table_schema` for a column that the format version cannot hold (Iceberg spec, v3). */
export function checkSchemaFormat(schema: Schema, formatVersion: 2 | 3): void {
  if (formatVersion >= 3) return;
  const visit = (field: Field, path: string): void => {
    if (field.type.kind === "timestamp_ns" || (field.initialDefault ?? null) !== null) {
      const what = field.type.kind === "timestamp_ns" ? "nanosecond timestamps" : "default values";
      throw fail(
        "table_schema",
        `Column ${path}: ${what} need format version 3, the table has ${formatVersion}`,
        { column: path },
      );
    }
    for (const child of childFields(field.type)) visit(child, `${path}.${child.name}`);
  };
  for (const field of schema.fields) visit(field, field.name);
}
