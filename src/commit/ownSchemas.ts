/**
 * Schemas that we made and that nothing refers to any more leave the metadata with the next schema that
 * we add: a table whose records bring new fields again and again would carry all of them for ever.
 *
 * Only schemas that a property names as ours go, so that those of other engines stay; never one that a
 * snapshot was written with, nor the newest but one; and never one with a column that the next schema has
 * no longer: it is how a table remembers what its owner dropped (`droppedColumns.ts`).
 */
import { childFields, type Field, type Schema, sameType, type Type } from "#columns/schema.ts";
import type { TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";

/** The table property with the ids of schemas that we added, e.g. `1,2,5`. */
export const OWN_SCHEMAS = "kafka-iceberg.schemas";

/**
 * Updates that go with a schema that we add to this head.
 * @param prunes false: the catalog may not know how to remove schemas; then only the mark is set
 */
export function ownSchemaUpdates(
  metadata: TableMetadata,
  next: Schema,
  prunes: boolean,
): TableUpdate[] {
  // A new partition spec alone comes with the schema that is there.
  const current = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  if (sameType(structOf(current?.fields ?? []), structOf(next.fields))) return [];
  const known = new Set(metadata.schemas.map(({ schemaId }) => schemaId));
  const own = idsIn(metadata.properties[OWN_SCHEMAS] ?? "").filter((id) => known.has(id));
  const gone = prunes ? unreferenced(metadata, next, new Set(own)) : [];
  const left = own.filter((id) => !gone.includes(id));
  const properties = { [OWN_SCHEMAS]: [...new Set([...left, next.schemaId])].join(",") };
  const mark: TableUpdate = { action: "set-properties", properties };
  return gone.length === 0 ? [mark] : [{ action: "remove-schemas", schemaIds: gone }, mark];
}

function structOf(fields: readonly Field[]): Type {
  return { kind: "struct", fields };
}

function unreferenced(
  { schemas, snapshots, currentSchemaId }: TableMetadata,
  next: Schema,
  own: ReadonlySet<number>,
): number[] {
  const referred = new Set(snapshots.map(({ schemaId }) => schemaId));
  const ids = idsOf(next.fields);
  return schemas.flatMap(({ schemaId, fields }) => {
    const isNeeded = schemaId === currentSchemaId || referred.has(schemaId) || !own.has(schemaId);
    return isNeeded || idsOf(fields).difference(ids).size > 0 ? [] : [schemaId];
  });
}

function idsOf(fields: readonly Field[]): Set<number> {
  return new Set(fields.flatMap(({ id, type }) => [id, ...idsOf(childFields(type))]));
}

function idsIn(text: string): number[] {
  return text
    .split(",")
    .filter((id) => /^\d+$/.test(id))
    .map(Number);
}
