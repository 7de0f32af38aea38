/**
 * Columns that a table had and has no longer, from the schemas in its metadata.
 */
import { joinPath, TakenPaths } from "#columns/paths.ts";
import { childFields, type Field } from "#columns/schema.ts";
import type { TableMetadata } from "./metadata.ts";

/**
 * Paths of columns that an earlier schema of the table had and no column has now: their owner dropped
 * them, and the data does not bring them back. The name of a column that was renamed is free.
 */
export function droppedPaths({ schemas, currentSchemaId }: TableMetadata): readonly string[] {
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId)?.fields ?? [];
  const ids = new Set<number>();
  const collect = (fields: readonly Field[]): void => {
    for (const { id, type } of fields) {
      ids.add(id);
      collect(childFields(type));
    }
  };
  collect(current);
  const taken = new TakenPaths(current);
  const dropped = new Set<string>();
  const search = (fields: readonly Field[], parent: string): void => {
    for (const { id, name, type } of fields) {
      const path = joinPath(parent, name);
      if (ids.has(id)) search(childFields(type), path);
      else if (taken.find(path) === undefined) dropped.add(path);
    }
  };
  for (const { schemaId, fields } of schemas) if (schemaId !== currentSchemaId) search(fields, "");
  return [...dropped];
}
