/**
 * What Parquet's statistics do not say of float and double columns: how many NaN there are, and
 * bounds in which -0.0 lies below +0.0 (Iceberg spec, "Manifests": `nan_value_counts` and bounds).
 */
import { assert } from "#base/assert.ts";
import { childFields, type Field } from "#columns/schema.ts";
import type { BatchData, ColumnData } from "./columnData.ts";

/** Of one float or double field, over all rows seen so far. */
export interface FloatSummary {
  nanCount: number;
  /** NaN left out; `min` above `max`: no value was seen. */
  min: number;
  max: number;
}

/** Adds a batch to the summaries, by field id; null lists must hold no elements. */
export function summarizeFloats(
  summaries: Map<number, FloatSummary>,
  fields: readonly Field[],
  batch: BatchData,
): void {
  fields.forEach((field, index) => {
    visit(summaries, field, batch.columns[index], []);
  });
}

/** `above`: validity of the structs around, where a value of the child may be meaningless. */
function visit(
  summaries: Map<number, FloatSummary>,
  field: Field,
  column: ColumnData | undefined,
  above: readonly Uint8Array[],
): void {
  assert(column !== undefined, `column ${field.name} is there`);
  const validities = column.validity === null ? above : [...above, column.validity];
  const { kind } = field.type;
  if (kind === "float" || kind === "double") {
    const summary = summaries.get(field.id) ?? { nanCount: 0, min: Infinity, max: -Infinity };
    summaries.set(field.id, addValues(summary, values(kind, column), validities));
    return;
  }
  const around = kind === "struct" ? validities : [];
  childFields(field.type).forEach((child, index) => {
    visit(summaries, child, column.children[index], around);
  });
}

function values(kind: "float" | "double", column: ColumnData): Float32Array | Float64Array {
  const { data, length } = column;
  assert(data !== null, "a float column has values");
  const width = kind === "float" ? 4 : 8;
  const bytes = data.byteOffset % width === 0 ? data : data.slice(0, width * length);
  return kind === "float"
    ? new Float32Array(bytes.buffer, bytes.byteOffset, length)
    : new Float64Array(bytes.buffer, bytes.byteOffset, length);
}

function addValues(
  summary: FloatSummary,
  numbers: Float32Array | Float64Array,
  validities: readonly Uint8Array[],
): FloatSummary {
  let { nanCount, min, max } = summary;
  for (let row = 0; row < numbers.length; row++) {
    if (!validities.every((bits) => ((bits[row >> 3] ?? 0) >> (row & 7)) & 1)) continue;
    const value = numbers[row] ?? Number.NaN;
    if (value < min || (value === 0 && min === 0 && Object.is(value, -0))) min = value;
    if (value > max || (value === 0 && max === 0 && Object.is(value, 0))) max = value;
    if (Number.isNaN(value)) nanCount++;
  }
  return { nanCount, min, max };
}
