/**
 * Chosen rows of a batch as a new batch, in the order given: how rows are split by partition.
 */
import type { Column, ColumnBatch } from "./batch.ts";
import { bitmapBytes, getBit, setBit } from "./bitmap.ts";
import { valueBytes } from "./builder.ts";

/**
 * Copies rows out of a batch; all types, nested ones included.
 * @param rowIndexes indexes below `batch.rowCount`, in the order wanted
 */
export function takeRows(batch: ColumnBatch, rowIndexes: Int32Array): ColumnBatch {
  const columns = batch.columns.map((column) => takeColumn(column, rowIndexes));
  const rowCount = rowIndexes.length;
  return { fields: batch.fields, rowCount, columns, byteCount: columnsBytes(columns) };
}

/** Bytes that columns keep in memory, children included. */
export function columnsBytes(columns: readonly Column[]): number {
  let total = 0;
  for (const { validity, offsets, data, children } of columns) {
    total += (validity?.length ?? 0) + (offsets?.byteLength ?? 0) + (data?.length ?? 0);
    total += columnsBytes(children);
  }
  return total;
}

function takeColumn(column: Column, rows: Int32Array): Column {
  const bits = column.validity === null ? null : takeBits(column.validity, rows);
  const nullCount = bits === null ? 0 : rows.length - bits.set;
  const common = {
    field: column.field,
    length: rows.length,
    nullCount,
    validity: nullCount === 0 ? null : (bits?.bits ?? null),
  };
  const { data, offsets } = column;
  if (column.field.type.kind === "struct") {
    const children = column.children.map((child) => takeColumn(child, rows));
    return { ...common, offsets: null, data: null, children };
  }
  if (offsets !== null) {
    const taken = takeOffsets(offsets, rows);
    if (data !== null) {
      const bytes = takeRanges(data, offsets, rows, taken);
      return { ...common, offsets: taken, data: bytes, children: [] };
    }
    const elements = elementIndexes(offsets, rows, taken);
    const children = column.children.map((child) => takeColumn(child, elements));
    return { ...common, offsets: taken, data: null, children };
  }
  const values = data ?? new Uint8Array(0);
  const taken =
    column.field.type.kind === "boolean"
      ? takeBits(values, rows).bits
      : takeFixed(values, rows, valueBytes(column.field.type));
  return { ...common, offsets: null, data: taken, children: [] };
}

function takeBits(bits: Uint8Array, rows: Int32Array): { bits: Uint8Array; set: number } {
  const taken = new Uint8Array(bitmapBytes(rows.length));
  let set = 0;
  for (let i = 0; i < rows.length; i++) {
    if (getBit(bits, rows[i] as number)) {
      setBit(taken, i);
      set++;
    }
  }
  return { bits: taken, set };
}

function takeFixed(data: Uint8Array, rows: Int32Array, width: number): Uint8Array {
  const taken = new Uint8Array(rows.length * width);
  if (width % 4 === 0 && data.byteOffset % 4 === 0) {
    const perValue = width >> 2;
    const from = new Int32Array(data.buffer, data.byteOffset, data.length >> 2);
    const to = new Int32Array(taken.buffer);
    for (let i = 0, o = 0; i < rows.length; i++) {
      const at = (rows[i] as number) * perValue;
      for (let k = 0; k < perValue; k++) to[o++] = from[at + k] as number;
    }
    return taken;
  }
  for (let i = 0, o = 0; i < rows.length; i++) {
    const at = (rows[i] as number) * width;
    for (let k = 0; k < width; k++) taken[o++] = data[at + k] as number;
  }
  return taken;
}

function takeOffsets(offsets: Int32Array, rows: Int32Array): Int32Array {
  const taken = new Int32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const size = (offsets[row + 1] as number) - (offsets[row] as number);
    taken[i + 1] = (taken[i] as number) + size;
  }
  return taken;
}

function takeRanges(
  data: Uint8Array,
  offsets: Int32Array,
  rows: Int32Array,
  taken: Int32Array,
): Uint8Array {
  const bytes = new Uint8Array(taken[rows.length] as number);
  for (let i = 0, o = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const end = offsets[row + 1] as number;
    for (let at = offsets[row] as number; at < end; at++) bytes[o++] = data[at] as number;
  }
  return bytes;
}

function elementIndexes(offsets: Int32Array, rows: Int32Array, taken: Int32Array): Int32Array {
  const elements = new Int32Array(taken[rows.length] as number);
  for (let i = 0, o = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const end = offsets[row + 1] as number;
    for (let at = offsets[row] as number; at < end; at++) elements[o++] = at;
  }
  return elements;
}
