/**
 * Iceberg's column metrics of a written file (Iceberg spec, "Manifests": `column_sizes` to
 * `upper_bounds`), from its footer and, for floats, from the values.
 *
 * As in Iceberg's Java writers: counts come from the column chunks, so a null or an empty list
 * counts one value and one null in the leaves below it; leaves inside lists and maps have no bounds.
 */
import { assert } from "#base/assert.ts";
import { childFields, type Field, isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import { type Bounds, boundsOf, floatBound, NO_BOUNDS } from "./bounds.ts";
import type { ColumnMetrics } from "./encoder.ts";
import type { FloatSummary } from "./floats.ts";
import type { ChunkMetadata, Footer } from "./footer.ts";

/** A primitive field, wherever it stands; the order of leaves is that of Parquet's columns. */
export interface Leaf {
  readonly fieldId: number;
  readonly type: PrimitiveType;
  /** Inside a list or map. */
  readonly repeated: boolean;
}

/** The leaves below these fields, depth first. */
export function leavesOf(fields: readonly Field[], repeated = false): Leaf[] {
  return fields.flatMap(({ id, type }) => {
    if (isPrimitive(type)) return [{ fieldId: id, type, repeated }];
    return leavesOf(childFields(type), repeated || type.kind !== "struct");
  });
}

/** The metrics of every leaf. `floats`: by field id, for each float and double leaf. */
export function columnMetrics(
  leaves: readonly Leaf[],
  footer: Footer,
  floats: ReadonlyMap<number, FloatSummary>,
): ColumnMetrics[] {
  return leaves.map((leaf, index) => {
    const chunks = footer.rowGroups.map((group) => {
      const chunk = group.chunks[index];
      assert(chunk !== undefined, "every row group has every leaf");
      return chunk;
    });
    const bounds = leafBounds(leaf, chunks, floats);
    return {
      fieldId: leaf.fieldId,
      sizeBytes: sum(chunks, (chunk) => chunk.compressedBytes),
      valueCount: sum(chunks, (chunk) => chunk.valueCount),
      nullCount: sum(chunks, (chunk) => chunk.nullCount),
      nanCount: nanCount(leaf, floats),
      lowerBound: bounds.lower,
      upperBound: bounds.upper,
    };
  });
}

function leafBounds(
  leaf: Leaf,
  chunks: readonly ChunkMetadata[],
  floats: ReadonlyMap<number, FloatSummary>,
): Bounds {
  if (leaf.repeated) return NO_BOUNDS;
  // A writer may leave bounds out, of long texts for example: then nobody knows those of the file.
  const isUnknown = (chunk: ChunkMetadata): boolean =>
    (chunk.min === null || chunk.max === null) && chunk.valueCount > chunk.nullCount;
  const { kind } = leaf.type;
  if (kind !== "float" && kind !== "double") {
    return chunks.some(isUnknown) ? NO_BOUNDS : boundsOf(leaf.type, chunks);
  }
  const summary = floats.get(leaf.fieldId);
  if (summary === undefined || summary.min > summary.max) return NO_BOUNDS;
  return { lower: floatBound(kind, summary.min), upper: floatBound(kind, summary.max) };
}

function nanCount(leaf: Leaf, floats: ReadonlyMap<number, FloatSummary>): bigint | null {
  if (leaf.type.kind !== "float" && leaf.type.kind !== "double") return null;
  return BigInt(floats.get(leaf.fieldId)?.nanCount ?? 0);
}

function sum(chunks: readonly ChunkMetadata[], part: (chunk: ChunkMetadata) => bigint): bigint {
  return chunks.reduce((total, chunk) => total + part(chunk), 0n);
}
