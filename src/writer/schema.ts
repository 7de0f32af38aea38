/**
 * Schema changes are their own commit, before any file that uses the new ids (SPEC 2.9).
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { writeJson } from "#base/json.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { mergeFields } from "#columns/evolve.ts";
import type { Field } from "#columns/schema.ts";
import { schemaToJson } from "#iceberg/metadata/json.ts";
import type {
  PartitionSpec,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import type { WriterOptions, WriterParts } from "./parts.ts";

/** Tries before a contended schema change gives up for this flush. */
const SCHEMA_TRIES_MAX = 10;

/** The fields of a table's current schema. */
export function currentFields(table: LoadedTable): readonly Field[] {
  return currentSchema(table.metadata).fields;
}

function currentSchema(metadata: TableMetadata): TableMetadata["schemas"][number] {
  const schema = metadata.schemas.find((each) => each.schemaId === metadata.currentSchemaId);
  assert(schema !== undefined, "a table has its current schema");
  return schema;
}

/** The partition spec that new files use. */
export function defaultSpec(table: LoadedTable): PartitionSpec {
  const { partitionSpecs, defaultSpecId } = table.metadata;
  const spec = partitionSpecs.find((each) => each.specId === defaultSpecId);
  assert(spec !== undefined, "a table has its default partition spec");
  return spec;
}

/**
 * Brings the table's schema to where every field of `wanted` has a column, and returns the table
 * that has it. On a conflict, or without an answer, the schema is resolved again by name.
 * @param loadHead the head, identity checked
 * @returns `outdated` when another writer gave a column that we had inferred another type: the rows
 * are to be decoded again with the table's
 * @throws AppError `table_schema` when a type cannot be reached by promotion, or changes are refused
 */
export async function ensureColumns(
  parts: WriterParts,
  options: WriterOptions,
  loadHead: () => Promise<LoadedTable>,
  wanted: readonly (readonly Field[])[],
): Promise<LoadedTable | "outdated"> {
  for (let tries = 0; tries < SCHEMA_TRIES_MAX; tries++) {
    const head = await loadHead();
    const merged = merge(head, wanted);
    if (merged === null) return head;
    if (merged === "outdated") return merged;
    if (options.schemaChanges === "refuse") throw refused(head, merged.changes);
    const outcome = await parts.catalog.commit(
      options.name,
      schemaRequirements(head.metadata),
      schemaUpdates(head.metadata, merged),
    );
    if (outcome.kind === "committed") {
      await logEvolution(parts, head, outcome.table);
      return outcome.table;
    }
    await parts.clock.sleep(20 * 2 ** tries * parts.random.unit());
  }
  throw fail("catalog_unreachable", "A schema change was refused too often in a row");
}

interface Merged {
  readonly fields: readonly Field[];
  readonly lastColumnId: number;
  readonly changes: readonly string[];
}

/** The table's fields with everything that the batches need; null when nothing is missing. */
function merge(
  head: LoadedTable,
  wanted: readonly (readonly Field[])[],
): Merged | "outdated" | null {
  let fields = currentFields(head);
  let lastColumnId = head.metadata.lastColumnId;
  const changes: string[] = [];
  for (const each of new Set(wanted)) {
    const result = mergeFields(fields, each, lastColumnId);
    if (!result.ok) {
      const name = fullName(head.name);
      if (result.isProvisional) return "outdated";
      throw fail(
        "table_schema",
        `Rows do not fit table ${name}: column ${result.path}: ${result.reason}`,
        {
          table: name,
        },
      );
    }
    fields = result.fields;
    lastColumnId = result.lastColumnId;
    changes.push(...result.changes.map((change) => change.description));
  }
  return changes.length === 0 ? null : { fields, lastColumnId, changes };
}

function schemaRequirements(metadata: TableMetadata): TableRequirement[] {
  return [
    { type: "assert-table-uuid", uuid: metadata.tableUuid },
    { type: "assert-current-schema-id", id: metadata.currentSchemaId },
    { type: "assert-last-assigned-field-id", id: metadata.lastColumnId },
  ];
}

function schemaUpdates(metadata: TableMetadata, merged: Merged): TableUpdate[] {
  const schemaId = Math.max(...metadata.schemas.map((schema) => schema.schemaId)) + 1;
  const { identifierFieldIds } = currentSchema(metadata);
  const schema = { schemaId, fields: merged.fields, identifierFieldIds };
  return [
    { action: "add-schema", schema, lastColumnId: merged.lastColumnId },
    { action: "set-current-schema", schemaId: -1 },
  ];
}

function refused(head: LoadedTable, changes: readonly string[]): Error {
  const name = fullName(head.name);
  return fail(
    "table_schema",
    `Table ${name} lacks what the topic's schema has (${changes.join("; ")}). Add it to the table, ` +
      'or set iceberg.table_management.schema_mismatch_action = "evolve"',
    { table: name },
  );
}

async function logEvolution(
  parts: WriterParts,
  before: LoadedTable,
  after: LoadedTable,
): Promise<void> {
  const table = fullName(after.name);
  parts.logger.log("info", "Table schema evolved", {
    table,
    schema_id: after.metadata.currentSchemaId,
  });
  await parts.txlog.append({
    type: "SchemaEvolution",
    table,
    old: writeJson(schemaToJson(currentSchema(before.metadata))),
    new: writeJson(schemaToJson(currentSchema(after.metadata))),
  });
}
