/**
 * Chooses by a sample which columns get a dictionary: one of nearly unique values costs time and
 * room and is thrown away by the writer in the end.
 */
import { type Field, isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import { type BatchData, type ColumnData, usedDataBytes } from "./columnData.ts";

/** Rows that a sample should have. */
export const SAMPLE_ROWS = 2048;

/** Fewer distinct values than this share of a full sample: about 9,600 in the whole column. */
const DISTINCT_SHARE_MAX = 0.9;

/**
 * Names of the top-level columns that should have no dictionary, judged by the first
 * {@link SAMPLE_ROWS} rows. A sample below a quarter of that decides nothing. Nested columns keep
 * theirs: `parquet-wasm` cannot name them.
 */
export function columnsWithoutDictionary(
  fields: readonly Field[],
  batches: readonly BatchData[],
): string[] {
  return fields
    .filter(({ type }, index) => {
      if (!isPrimitive(type) || type.kind === "boolean") return false;
      const columns = batches.flatMap((batch) => batch.columns[index] ?? []);
      return isNearlyUnique(type, columns);
    })
    .map((field) => field.name);
}

function isNearlyUnique(type: PrimitiveType, columns: readonly ColumnData[]): boolean {
  const seen = new Set<number>();
  let sampled = 0;
  for (const column of columns) {
    if (column.data === null) continue;
    const rows = Math.min(column.length, SAMPLE_ROWS - sampled);
    const width = column.length === 0 ? 0 : usedDataBytes(type, column) / column.length;
    for (let row = 0; row < rows; row++) {
      const start = column.offsets?.[row] ?? row * width;
      const end = column.offsets?.[row + 1] ?? start + width;
      seen.add(hashOf(column.data, start, end));
    }
    sampled += rows;
  }
  return sampled >= SAMPLE_ROWS / 4 && seen.size > DISTINCT_SHARE_MAX * sampled;
}

/** FNV-1a of `bytes[start, end)`: no object per value. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash;
}
