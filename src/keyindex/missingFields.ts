/** Fields that a data file lacks: null in its rows, unless the table's metadata says what they are. */
import { fail } from "#base/errors.ts";
import { childFields, type Field } from "#columns/schema.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { specById } from "#iceberg/partition/partitionType.ts";

/** Fields of the current schema, then those that the table once had: each id is found first as it is now. */
export function allFields({ schemas, currentSchemaId }: TableMetadata): readonly Field[] {
  const current = schemas.filter(({ schemaId }) => schemaId === currentSchemaId);
  return [...current, ...schemas].flatMap(({ fields }) => fields);
}

/**
 * @throws AppError `table_unsupported` for a field that has a default, or is required, or that the file's
 *   partition has the value of: none of them is null (Iceberg's specification, "Column projection")
 */
export function refuseUnlessNull(
  metadata: TableMetadata,
  { path, specId }: Pick<LiveData, "path" | "specId">,
  { id, name }: Pick<Field, "id" | "name">,
): void {
  const field = fieldById(allFields(metadata), id);
  const fromPartition = specById(metadata, specId).fields.some(
    ({ sourceId, transform }) => sourceId === id && transform === "identity",
  );
  const isNull = (field?.initialDefault ?? null) === null && field?.required !== true;
  if (isNull && !fromPartition) return;
  const sentence = `Column ${name} is not in ${path}, and only the table's metadata says what it is there: rewrite the file with another engine`;
  throw fail("table_unsupported", sentence, { column: name, file: path });
}

/** At any depth. */
function fieldById(fields: readonly Field[], id: number): Field | null {
  for (const field of fields) {
    const found = field.id === id ? field : fieldById(childFields(field.type), id);
    if (found !== null) return found;
  }
  return null;
}
