/** Row ids as a column of a batch that is written, and back. Pure; 64-bit numbers would be an object each. */
import type { Column, ColumnBatch } from "#columns/batch.ts";
import { bitmapBytes, getBit, setBit } from "#columns/bitmap.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { NO_ROW_ID } from "#keyindex/keptRowIds.ts";

/** A column that has these ids in these rows, and null in the others. */
export function idColumn(length: number, rows: Uint32Array, ids: Float64Array): Column {
  const words = new Uint32Array(2 * length);
  const validity = new Uint8Array(bitmapBytes(length));
  let count = 0;
  for (let n = 0; n < rows.length; n++) {
    const id = ids[n] as number;
    if (id === NO_ROW_ID) continue;
    const row = rows[n] as number;
    words[2 * row] = id % 2 ** 32;
    words[2 * row + 1] = Math.floor(id / 2 ** 32);
    setBit(validity, row);
    count++;
  }
  const data = new Uint8Array(words.buffer);
  const nulls = { nullCount: length - count, validity: count === length ? null : validity };
  return { field: ROW_ID_FIELD, length, ...nulls, offsets: null, data, children: [] };
}

/** The id of each row of a batch; null: it has no column of them. */
export function idsIn({ columns }: ColumnBatch): ((row: number) => number) | null {
  const column = columns.find(({ field }) => field.id === ROW_ID_FIELD.id);
  if (column === undefined || column.data === null) return null;
  const { data, validity } = column;
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length >> 2);
  return (row) => {
    if (validity !== null && !getBit(validity, row)) return NO_ROW_ID;
    return (words[2 * row + 1] as number) * 2 ** 32 + (words[2 * row] as number);
  };
}
