/**
 * What a table is, beside what the configuration asks for: columns and partitions.
 */
import { declaredDifferences } from "#columns/evolve.ts";
import { joinPath } from "#columns/paths.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { missingColumns, partitionSpecOf } from "#iceberg/partition/partitionSpec.ts";

/** A table in two words. */
export function describeTable(metadata: TableMetadata): { partitioned: string; rows: string } {
  const current = metadata.snapshots.find((each) => each.snapshotId === metadata.currentSnapshotId);
  const rows = current?.summary["total-records"] ?? "0";
  return { partitioned: specTexts(metadata, defaultSpec(metadata)).join(", ") || "none", rows };
}

/** Declared columns that the table has not, or has with another type. */
export function fieldDifferences(metadata: TableMetadata, declared: readonly Field[]): string[] {
  return declaredDifferences(currentFields(metadata), declared);
}

/** Where the table's partitions are others than asked for: the table's stay. */
export function partitionDifferences(metadata: TableMetadata, forms: readonly string[]): string[] {
  const has = specTexts(metadata, defaultSpec(metadata));
  const missing = missingColumns(currentFields(metadata), forms);
  if (missing.length > 0) return [`no column ${missing.join(", ")} to partition by yet`];
  const wanted = specTexts(metadata, partitionSpecOf(currentFields(metadata), forms));
  if (has.join() === wanted.join()) return [];
  const shown = (texts: readonly string[]): string => texts.join(", ") || "none";
  return [`partitioned by ${shown(has)}, configured ${shown(wanted)}; the table's own stays`];
}

function defaultSpec({ partitionSpecs, defaultSpecId }: TableMetadata): PartitionSpec {
  const found = partitionSpecs.find(({ specId }) => specId === defaultSpecId);
  return found ?? { specId: 0, fields: [] };
}

function currentFields({ schemas, currentSchemaId }: TableMetadata): readonly Field[] {
  return schemas.find(({ schemaId }) => schemaId === currentSchemaId)?.fields ?? [];
}

function specTexts(metadata: TableMetadata, spec: PartitionSpec): string[] {
  const fields = currentFields(metadata);
  return spec.fields.map(({ sourceId, transform, name }) => {
    const source = pathOf(fields, sourceId, "") ?? name;
    return transform === "identity" ? source : `${transform}(${source})`;
  });
}

/** The dotted path of the field with an id, structs searched; null: there is none. */
function pathOf(fields: readonly Field[], id: number, parent: string): string | null {
  for (const field of fields) {
    const path = joinPath(parent, field.name);
    if (field.id === id) return path;
    const below = field.type.kind === "struct" ? pathOf(field.type.fields, id, path) : null;
    if (below !== null) return below;
  }
  return null;
}
