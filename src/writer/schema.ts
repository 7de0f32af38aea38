/**
 * Schema changes are their own commit, before any file that uses the new ids (SPEC 2.9).
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { mergeFields } from "#columns/evolve.ts";
import type { Field } from "#columns/schema.ts";
import type { MetadataChange } from "#commit/change.ts";
import { columnsChange, currentSchema } from "#commit/columns.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import type { WriterOptions, WriterParts } from "./parts.ts";

/** The fields of a table's current schema. */
export function currentFields(table: LoadedTable): readonly Field[] {
  return currentSchema(table.metadata).fields;
}

/** The partition spec that new files use. */
export function defaultSpec(table: LoadedTable): PartitionSpec {
  const { partitionSpecs, defaultSpecId } = table.metadata;
  const spec = partitionSpecs.find((each) => each.specId === defaultSpecId);
  assert(spec !== undefined, "a table has its default partition spec");
  return spec;
}

/**
 * The change that brings a table's columns to where every field of `wanted` has one.
 *
 * It is dropped when another writer gave a column that we had inferred another type: the rows are to
 * be decoded again with the table's. Staging it throws `table_schema` when a type cannot be reached by
 * promotion, or changes are refused.
 */
export function columnsFor(
  parts: Pick<WriterParts, "txlog" | "logger">,
  options: Pick<WriterOptions, "schemaChanges">,
  wanted: readonly (readonly Field[])[],
): MetadataChange {
  return columnsChange(parts, (head) => {
    const merged = merge(head, wanted);
    if (merged === null) return { kind: "nothing" };
    if (merged === "outdated") {
      return { kind: "dropped", reason: "another writer gave a new column another type", by: "" };
    }
    if (options.schemaChanges === "refuse") throw refused(head, merged.changes);
    return { kind: "columns", ...merged };
  });
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

function refused(head: LoadedTable, changes: readonly string[]): Error {
  const name = fullName(head.name);
  return fail(
    "table_schema",
    `Table ${name} lacks what the topic's schema has (${changes.join("; ")}). Add it to the table, ` +
      'or set iceberg.table_management.schema_mismatch_action = "evolve"',
    { table: name },
  );
}
