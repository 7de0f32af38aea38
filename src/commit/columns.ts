/**
 * A table's columns: their own commit, before any file that uses the new ids (SPEC 2.9).
 *
 * The requirements make a late request harmless: once any request has assigned ids, none that was
 * built before can be applied.
 */
import { isDeepStrictEqual } from "node:util";
import { assert } from "#base/assert.ts";
import { writeJson } from "#base/json.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { Field } from "#columns/schema.ts";
import { schemaToJson } from "#iceberg/metadata/json.ts";
import type { TableMetadata, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { nameMappingUpdates } from "#iceberg/metadata/nameMapping.ts";
import type { Drop, MetadataChange, Nothing } from "./change.ts";
import { ownSchemaUpdates } from "./ownSchemas.ts";
import type { CommitParts } from "./parts.ts";

/** All columns that the table is to have, those that it has included. */
export interface WantedColumns {
  readonly kind: "columns";
  readonly fields: readonly Field[];
  readonly lastColumnId: number;
  /** What waited for them and comes in the same commit: partitions, a sort order. */
  readonly awaited: readonly TableUpdate[];
}

/** The ports of a change of columns. */
export type ColumnsParts = Pick<CommitParts, "catalog" | "txlog" | "logger">;

/** The current schema of a table. */
export function currentSchema(metadata: TableMetadata): TableMetadata["schemas"][number] {
  const schema = metadata.schemas.find((each) => each.schemaId === metadata.currentSchemaId);
  assert(schema !== undefined, "a table has its current schema");
  return schema;
}

/**
 * A change of columns.
 * @param resolve what is wanted of a head, by name; it is asked again after a conflict
 */
export function columnsChange(
  parts: ColumnsParts,
  resolve: (head: LoadedTable) => WantedColumns | Nothing | Drop,
): MetadataChange {
  let table: LoadedTable | null = null;
  return {
    makes: "metadata",
    kind: "columns",
    stage: (head) => {
      const wanted = resolve(head);
      if (wanted.kind !== "columns") return wanted;
      table = head;
      const { tableUuid, currentSchemaId, lastColumnId, schemas } = head.metadata;
      const schemaId = Math.max(...schemas.map((schema) => schema.schemaId)) + 1;
      const { identifierFieldIds, fields: before } = currentSchema(head.metadata);
      const schema = { schemaId, fields: wanted.fields, identifierFieldIds };
      return {
        kind: "staged",
        requirements: [
          { type: "assert-table-uuid", uuid: tableUuid },
          { type: "assert-current-schema-id", id: currentSchemaId },
          { type: "assert-last-assigned-field-id", id: lastColumnId },
        ],
        updates: [
          { action: "add-schema", schema, lastColumnId: wanted.lastColumnId },
          { action: "set-current-schema", schemaId: -1 },
          ...ownSchemaUpdates(head.metadata, schema, parts.catalog.traits.removesSchemas),
          ...wanted.awaited,
          ...nameMappingUpdates(head.metadata.properties, before, wanted.fields),
        ],
      };
    },
    landed: async (after) => {
      if (table !== null) await logEvolution(parts, table, after);
    },
  };
}

/** Writes down what has changed of the columns: perhaps nothing, where only what waited for them came. */
async function logEvolution(
  { txlog, logger }: ColumnsParts,
  before: LoadedTable,
  after: LoadedTable,
): Promise<void> {
  const old = currentSchema(before.metadata);
  const now = currentSchema(after.metadata);
  if (isDeepStrictEqual(old.fields, now.fields)) return;
  const table = fullName(after.name);
  logger.log("info", "Table schema evolved", { table, schema_id: now.schemaId });
  await txlog.append({
    type: "SchemaEvolution",
    table,
    old: writeJson(schemaToJson(old)),
    new: writeJson(schemaToJson(now)),
  });
}
