/**
 * One partition transform over a whole column: every row gets a small integer code, equal for rows
 * of the same partition value (Iceberg spec, "Partition Transforms"; same results as
 * `applyTransform` on each value).
 *
 * Transforms to int (time units, buckets, ints) give a number per row; all others give a slice of
 * bytes per row, looked up in a hash table of slices. Only distinct values become objects.
 */
import { codePointsEnd } from "#base/text.ts";
import type { Column } from "#columns/batch.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { decodeSingleValue } from "#iceberg/singleValue.ts";
import { intKeys } from "./intKeys.ts";
import { SliceTable } from "./sliceTable.ts";
import { monthOfDay, type Transform } from "./transform.ts";

/** The column that a partition field is made from. */
export interface SourceColumn {
  readonly type: PrimitiveType;
  readonly column: Column;
  /** One byte per row, 1: null; null: no row is null. */
  readonly nulls: Uint8Array | null;
}

/** Codes of rows: `values[codes[row]]` is the row's value. */
export interface CodedRows {
  /** Null: all rows have code 0. */
  readonly codes: Int32Array | null;
  /** Distinct values in order of their first rows. */
  readonly values: readonly PartitionValue[];
}

/** Transforms a column. `void` has no source and is not asked. */
export function codeRows(transform: Transform, source: SourceColumn): CodedRows {
  const keys = intKeys(transform, source);
  if (keys === null) return codeSlices(transform, source);
  if (source.nulls !== null) keepNullsApart(keys, source.nulls);
  const coded = codeNumbers(keys);
  const values = coded.distinct.map((key) => valueOfKey(transform, source.type, key));
  return transform.kind === "year" || transform.kind === "month"
    ? mergeEqual(coded.codes, values)
    : { codes: coded.codes, values };
}

/** Keys are 32-bit integers, so NaN is free to stand for null. */
function keepNullsApart(keys: Float64Array, nulls: Uint8Array): void {
  for (let row = 0; row < nulls.length; row++) if (nulls[row] === 1) keys[row] = Number.NaN;
}

function valueOfKey(transform: Transform, type: PrimitiveType, key: number): PartitionValue {
  if (Number.isNaN(key)) return null;
  if (type.kind === "boolean") return key === 1;
  if (transform.kind === "month") return monthOfDay(key);
  if (transform.kind === "year") return Math.floor(monthOfDay(key) / 12);
  return key;
}

/** Days were coded; several of them are one month or year. */
function mergeEqual(codes: Int32Array | null, values: readonly PartitionValue[]): CodedRows {
  const distinct = [...new Set(values)];
  if (codes === null || distinct.length === 1) return { codes: null, values: distinct };
  const codeOf = Int32Array.from(values, (value) => distinct.indexOf(value));
  return { codes: codes.map((code) => codeOf[code] ?? 0), values: distinct };
}

/** Codes of numbers, in order of appearance; `codes` is null when there is one number only. */
export function codeNumbers(keys: Float64Array): {
  readonly codes: Int32Array | null;
  readonly distinct: readonly number[];
} {
  const first = keys[0] ?? 0;
  let same = 0;
  while (same < keys.length && keys[same] === first) same++;
  if (same === keys.length) return { codes: null, distinct: [first] };
  const codeOf = new Map<number, number>();
  const codes = new Int32Array(keys.length);
  let lastKey: number | null = null;
  let lastCode = 0;
  for (let row = 0; row < keys.length; row++) {
    const key = keys[row] ?? 0;
    if (key !== lastKey) {
      const known = codeOf.get(key);
      lastCode = known ?? codeOf.size;
      if (known === undefined) codeOf.set(key, lastCode);
      lastKey = key;
    }
    codes[row] = lastCode;
  }
  return { codes: codeOf.size === 1 ? null : codes, distinct: [...codeOf.keys()] };
}

/** Codes of byte slices: identity and truncate of everything that is no 32-bit integer. */
function codeSlices(transform: Transform, source: SourceColumn): CodedRows {
  const { column, nulls, type } = source;
  const slices = slicesOf(transform, source);
  const table = new SliceTable(slices.data);
  const codes = new Int32Array(column.length);
  const values: PartitionValue[] = [];
  /** Code of null, then of each slice in the table. */
  const codeOf: number[] = [];
  for (let row = 0; row < column.length; row++) {
    const id = nulls?.[row] === 1 ? 0 : 1 + table.idOf(slices.start(row), slices.end(row));
    let code = codeOf[id];
    if (code === undefined) {
      code = values.push(id === 0 ? null : valueOfBytes(type, table.slice(id - 1))) - 1;
      codeOf[id] = code;
    }
    codes[row] = code;
  }
  return { codes: values.length === 1 ? null : codes, values };
}

/** Where each row's transformed value lies. */
interface Slices {
  readonly data: Uint8Array;
  readonly start: (row: number) => number;
  readonly end: (row: number) => number;
}

function slicesOf(transform: Transform, { column, type }: SourceColumn): Slices {
  const data = column.data ?? new Uint8Array();
  const width = transform.kind === "truncate" ? transform.width : null;
  const { offsets } = column;
  if (offsets === null) {
    const stride = strideOf(type);
    return {
      data: width === null ? data : truncateIntegers(data, stride, column.length, width),
      start: (row) => row * stride,
      end: (row) => (row + 1) * stride,
    };
  }
  const start = (row: number): number => offsets[row] ?? 0;
  const end = (row: number): number => offsets[row + 1] ?? 0;
  if (width === null) return { data, start, end };
  return { data, start, end: (row) => cut(data, type, start(row), end(row), width) };
}

/** Bytes per value of types without offsets (`columns/batch.ts`). */
function strideOf(type: PrimitiveType): number {
  switch (type.kind) {
    case "int":
    case "float":
    case "date":
      return 4;
    case "decimal":
    case "uuid":
      return 16;
    case "fixed":
      return type.length;
    default:
      return 8;
  }
}

function valueOfBytes(type: PrimitiveType, bytes: Uint8Array): PartitionValue {
  return decodeSingleValue(type, type.kind === "decimal" ? bytes.reverse() : bytes);
}

/** The end of the first `width` code points of UTF-8 text, or bytes of binary. */
function cut(
  data: Uint8Array,
  type: PrimitiveType,
  start: number,
  end: number,
  width: number,
): number {
  return type.kind === "string"
    ? codePointsEnd(data, start, end, width)
    : Math.min(end, start + width);
}

/**
 * `v - mod(v, width)` with a remainder that is never negative, of little-endian two's complement
 * integers of any even size, by 16-bit digits.
 */
function truncateIntegers(
  data: Uint8Array,
  size: number,
  count: number,
  width: number,
): Uint8Array {
  const result = data.slice(0, size * count);
  const digits = new DataView(result.buffer, result.byteOffset, result.byteLength);
  for (let at = 0; at < result.length; at += size) {
    const top = at + size - 2;
    let rest = digits.getInt16(top, true) % width;
    if (rest < 0) rest += width;
    for (let digit = top - 2; digit >= at; digit -= 2) {
      rest = (rest * 0x10000 + digits.getUint16(digit, true)) % width;
    }
    for (let digit = at; rest !== 0 && digit <= top; digit += 2) {
      const difference = digits.getUint16(digit, true) - (rest % 0x10000);
      digits.setUint16(digit, difference, true);
      rest = Math.floor(rest / 0x10000) + (difference < 0 ? 1 : 0);
    }
  }
  return result;
}
