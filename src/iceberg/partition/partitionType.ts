/**
 * The types of a partition spec's values, and the summaries of those values that a manifest list
 * keeps (Iceberg spec, "Partition Transforms", "Manifest Lists": `field_summary`).
 */
import { fail } from "#base/errors.ts";
import { childFields, type Field, isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import type { PartitionFieldType } from "#iceberg/manifest/avroSchemas.ts";
import type { PartitionSummary, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { compareValues, decodeSingleValue, encodeSingleValue } from "#iceberg/singleValue.ts";
import { parseTransform, resultType } from "./transform.ts";

/** The spec of that id. Throws `table_unsupported` when the table has none. */
export function specById(metadata: TableMetadata, specId: number): PartitionSpec {
  const spec = metadata.partitionSpecs.find((candidate) => candidate.specId === specId);
  if (spec !== undefined) return spec;
  throw fail("table_unsupported", `The table has no partition spec ${specId}`, { specId });
}

/**
 * Names and types of a spec's values. A source column that the current schema no longer has is
 * looked up in the table's older schemas, newest first.
 * Throws `table_unsupported` when no schema has it: {@link hasSources} asks beforehand.
 */
export function partitionTypes(
  metadata: TableMetadata,
  spec: PartitionSpec,
): readonly PartitionFieldType[] {
  return spec.fields.map(({ sourceId, fieldId, name, transform }) => {
    const source = sourceType(metadata, sourceId);
    if (source !== null) {
      return { fieldId, name, type: resultType(parseTransform(transform), source) };
    }
    throw fail("table_unsupported", `Partition field ${name} has no source column ${sourceId}`, {
      sourceId,
    });
  });
}

/** False when a source column is in none of the table's schemas: it was dropped and forgotten. */
export function hasSources(metadata: TableMetadata, spec: PartitionSpec): boolean {
  return spec.fields.every(({ sourceId }) => sourceType(metadata, sourceId) !== null);
}

function sourceType(metadata: TableMetadata, sourceId: number): PrimitiveType | null {
  const current = metadata.schemas.filter((schema) => schema.schemaId === metadata.currentSchemaId);
  const newestFirst = metadata.schemas.toSorted((a, b) => b.schemaId - a.schemaId);
  for (const { fields } of [...current, ...newestFirst]) {
    const type = primitiveById(fields, sourceId);
    if (type !== null) return type;
  }
  return null;
}

/** The type of the primitive column with that id, at any depth; null when there is none. */
export function primitiveById(fields: readonly Field[], id: number): PrimitiveType | null {
  for (const field of fields) {
    if (field.id === id) return isPrimitive(field.type) ? field.type : null;
    const found = primitiveById(childFields(field.type), id);
    if (found !== null) return found;
  }
  return null;
}

/** Collects the partition values of a manifest's entries, for one summary per field. */
export interface PartitionSummariser {
  add(partition: readonly PartitionValue[]): void;
  finish(): PartitionSummary[];
}

/** Starts a summary of no entries. */
export function createSummariser(types: readonly PartitionFieldType[]): PartitionSummariser {
  const summaries = types.map(({ type }) => new Summary(type));
  return {
    add: (partition) => {
      for (const [index, summary] of summaries.entries()) summary.add(partition[index] ?? null);
    },
    finish: () => summaries.map((summary) => summary.finish()),
  };
}

class Summary {
  private readonly type: PrimitiveType;
  private containsNull = false;
  private containsNan = false;
  private lower: Exclude<PartitionValue, null> | null = null;
  private upper: Exclude<PartitionValue, null> | null = null;

  constructor(type: PrimitiveType) {
    this.type = type;
  }

  add(value: PartitionValue): void {
    const { type } = this;
    if (value === null) {
      this.containsNull = true;
    } else if (Number.isNaN(value)) {
      this.containsNan = true;
    } else {
      if (this.lower === null || compareValues(type, value, this.lower) < 0) this.lower = value;
      if (this.upper === null || compareValues(type, value, this.upper) > 0) this.upper = value;
    }
  }

  finish(): PartitionSummary {
    const { type } = this;
    return {
      containsNull: this.containsNull,
      containsNan: this.containsNan,
      lowerBound: this.lower === null ? null : encodeSingleValue(type, this.lower),
      upperBound: this.upper === null ? null : encodeSingleValue(type, this.upper),
    };
  }
}

/** A value as read from Avro or a bound, brought to the type's form in memory. */
export function normaliseValue(
  type: PrimitiveType,
  value: PartitionValue | undefined,
): PartitionValue {
  if (value === undefined || value === null) return null;
  switch (type.kind) {
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return typeof value === "number" ? BigInt(value) : value;
    case "int":
    case "date":
      return typeof value === "bigint" ? Number(value) : value;
    case "decimal":
      return value instanceof Uint8Array ? decodeSingleValue(type, value) : value;
    default:
      return value;
  }
}
