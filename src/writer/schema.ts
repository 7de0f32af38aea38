/**
 * Schema changes are their own commit, before any file that uses the new ids (SPEC 2.9).
 */
import { assert } from "#base/assert.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { type GrowsBy, mergeFields } from "#columns/evolve.ts";
import type { Field } from "#columns/schema.ts";
import type { Drop, MetadataChange } from "#commit/change.ts";
import { columnsChange, currentSchema } from "#commit/columns.ts";
import { droppedPaths } from "#iceberg/metadata/droppedColumns.ts";
import type { PartitionSpec } from "#iceberg/metadata/metadata.ts";
import { checkColumns } from "./deleteMode.ts";
import { equalityUpdates } from "./equalityScope.ts";
import type { WriterOptions, WriterParts } from "./parts.ts";
import { awaitedUpdates } from "./pendingForms.ts";

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

/** What rows become: the columns of their files, and the spec that says into which file each goes. */
export interface FileShape {
  readonly fields: readonly Field[];
  readonly spec: PartitionSpec;
}

/** What the rows of a table become. */
export function rowShape(table: LoadedTable): FileShape {
  return { fields: currentFields(table), spec: defaultSpec(table) };
}

/**
 * The change that brings a table's columns to where every field of `wanted` has one.
 *
 * It is dropped when the fields do not fit the head's: rows are then to be decoded again with those.
 * @param options by whose word columns grow, and how rows are deleted: the table may need a spec for that
 */
export function columnsFor(
  parts: Pick<WriterParts, "catalog" | "txlog" | "logger" | "copyOnWrite">,
  wanted: readonly (readonly Field[])[],
  options: ColumnOptions,
): MetadataChange {
  const { columnsBy: by = "records" } = options;
  return columnsChange(parts, (head) => {
    const merged = merge(head, wanted, by);
    if ("kind" in merged) return merged;
    const { fields, lastColumnId, changes } = merged;
    const awaited = [
      ...awaitedUpdates(head.metadata, fields),
      ...equalityUpdates(head.metadata, fields, options),
    ];
    const { formatVersion } = head.metadata;
    if (changes > 0) checkColumns(parts, options, { name: head.name, formatVersion }, fields);
    if (changes === 0 && awaited.length === 0) return { kind: "nothing" };
    return { kind: "columns", fields, lastColumnId, awaited };
  });
}

/** What a writer's settings say of a table's columns. */
export type ColumnOptions = Pick<WriterOptions, "columnsBy" | "key" | "deletes">;

interface Merged {
  readonly fields: readonly Field[];
  readonly lastColumnId: number;
  /** 0: nothing is missing. */
  readonly changes: number;
}

/** The table's fields with everything that is wanted. */
function merge(
  head: LoadedTable,
  wanted: readonly (readonly Field[])[],
  by: GrowsBy,
): Merged | Drop {
  let fields = currentFields(head);
  let { lastColumnId } = head.metadata;
  const added: string[] = [];
  let changes = 0;
  for (const each of new Set(wanted)) {
    const result = mergeFields(fields, each, lastColumnId, by);
    if (!result.ok) return misfit(`column ${result.path} ${result.reason}`);
    ({ fields, lastColumnId } = result);
    changes += result.changes.length;
    for (const { kind, path } of result.changes) if (kind === "add") added.push(path);
  }
  // Rows that were begun before the owner dropped their column do not bring it back.
  const dropped = by === "records" && added.length > 0 ? droppedPaths(head.metadata) : [];
  const back = added.find((path) => dropped.includes(path));
  if (back !== undefined) return misfit(`column ${back} was dropped by another writer`);
  return { fields, lastColumnId, changes };
}

function misfit(reason: string): Drop {
  return { kind: "dropped", reason, by: "" };
}
