/**
 * Reads values out of columns one by one, by the Arrow layout and nothing else: slow, simple, and
 * independent of the builders that tests judge with it.
 */
import type { Column, ColumnBatch } from "#columns/batch.ts";

/** A column's value in plain JavaScript: 64-bit integers are bigints, bytes are hex. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Value[]
  | { readonly [name: string]: Value }
  | Map<Value, Value>;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The value of one row. */
export function valueAt(column: Column, row: number): Value {
  const { validity, field } = column;
  if (validity !== null && (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0) return null;
  const { type } = field;
  if (type.kind === "struct") {
    const members = column.children.map((child) => [child.field.name, valueAt(child, row)]);
    return Object.fromEntries(members) as { [name: string]: Value };
  }
  const range = column.offsets === null ? [0, 0] : column.offsets.subarray(row, row + 2);
  const [start = 0, end = 0] = range;
  const indexes = Array.from({ length: end - start }, (_, index) => start + index);
  const [first, second] = column.children;
  if (type.kind === "list" && first !== undefined) return indexes.map((i) => valueAt(first, i));
  if (type.kind === "map" && first !== undefined && second !== undefined) {
    return new Map(indexes.map((i) => [valueAt(first, i), valueAt(second, i)]));
  }
  return primitiveAt(column, row, start, end);
}

function primitiveAt(column: Column, row: number, start: number, end: number): Value {
  const data = column.data ?? new Uint8Array(0);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const { type } = column.field;
  const bytes = (from: number, to: number): string => data.slice(from, to).toHex();
  switch (type.kind) {
    case "boolean":
      return (((data[row >> 3] ?? 0) >> (row & 7)) & 1) === 1;
    case "int":
    case "date":
      return view.getInt32(row * 4, true);
    case "float":
      return view.getFloat32(row * 4, true);
    case "double":
      return view.getFloat64(row * 8, true);
    case "decimal":
      return (view.getBigInt64(row * 16 + 8, true) << 64n) | view.getBigUint64(row * 16, true);
    case "string":
      return decoder.decode(data.subarray(start, end));
    case "binary":
      return bytes(start, end);
    case "uuid":
      return bytes(row * 16, row * 16 + 16);
    case "fixed":
      return bytes(row * type.length, (row + 1) * type.length);
    default:
      return view.getBigInt64(row * 8, true);
  }
}

/** All rows of a batch, by column name. */
export function rowsOf(batch: ColumnBatch): { [name: string]: Value }[] {
  return Array.from({ length: batch.rowCount }, (_, row) =>
    Object.fromEntries(batch.columns.map((column) => [column.field.name, valueAt(column, row)])),
  );
}

/** Checks the layout of a batch: lengths, offsets, null counts, children. Throws at the first fault. */
export function checkLayout(batch: ColumnBatch): void {
  for (const column of batch.columns) checkColumn(column, batch.rowCount);
}

function checkColumn(column: Column, length: number): void {
  const { offsets, field } = column;
  const rows = Array.from({ length }, (_, row) => row);
  const nulls = rows.filter((row) => valueAt(column, row) === null).length;
  const faults = [
    [column.length !== length, `length ${column.length}, expected ${length}`],
    [nulls !== column.nullCount, `null count ${column.nullCount}, found ${nulls}`],
    [offsets !== null && offsets[0] !== 0, "offsets do not begin at 0"],
    [rows.some((row) => offsets !== null && offsetSize(offsets, row) < 0), "offsets go back"],
  ] as const;
  for (const [isFault, what] of faults) {
    if (isFault) throw new Error(`column ${field.name}: ${what}`);
  }
  const childLength = field.type.kind === "struct" ? length : (offsets?.[length] ?? 0);
  for (const child of column.children) checkColumn(child, childLength);
}

function offsetSize(offsets: Int32Array, row: number): number {
  return (offsets[row + 1] ?? -1) - (offsets[row] ?? 0);
}
