/**
 * Whole columns to 32-bit numbers: time units, buckets and 32-bit identities.
 *
 * 64-bit values are taken apart into their 32-bit halves and divided exactly in doubles, without
 * a bigint per row.
 */
import type { Column } from "#columns/batch.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import { bucketOf, murmur3, murmur3Long } from "./bucketHash.ts";
import type { SourceColumn } from "./partitionCodes.ts";
import type { Transform } from "./transform.ts";

/**
 * One number per row, meaningless for null rows, or one for all rows; null when the transform's result is
 * no number. For `year` and `month` it is the day, for booleans 0 or 1.
 */
export function intKeys(transform: Transform, source: SourceColumn): Float64Array | null {
  const { type, column } = source;
  switch (transform.kind) {
    case "year":
    case "month":
    case "day":
      return type.kind === "date" ? int32s(column) : timeUnits(source, 24);
    case "hour":
      return timeUnits(source, 1);
    case "bucket": {
      const hash = hasher(type, column);
      return eachRow(column, (row) => bucketOf(hash(row), transform.buckets));
    }
    case "identity":
      if (type.kind === "int" || type.kind === "date") return int32s(column);
      return type.kind === "boolean" ? bits(column) : null;
    default:
      return null;
  }
}

/**
 * Floor of a timestamp divided by so many hours. Hours are 2^10 * 3515625 microseconds or
 * 2^13 * 439453125 nanoseconds: after the shift every value is exact in a double.
 * @returns one number where all rows have the same: most segments are of one day, and none has a null
 */
function timeUnits({ type, column, nulls }: SourceColumn, hours: number): Float64Array {
  const nanos = type.kind === "timestamp_ns";
  const shift = nanos ? 13 : 10;
  const divisor = (nanos ? 439_453_125 : 3_515_625) * hours;
  const scale = 2 ** (32 - shift);
  const words = wordsOf(column, 2);
  const keyOf = (row: number): number => {
    const low = words[2 * row] ?? 0;
    const high = words[2 * row + 1] ?? 0;
    return Math.floor((high * scale + (low >>> shift)) / divisor);
  };
  if (nulls !== null || column.length === 0) return eachRow(column, keyOf);
  const first = keyOf(0);
  // Between these lies nothing but the first row's unit, whatever the lower half is.
  const highMin = Math.floor((first * divisor) / scale);
  const highMax = Math.floor(((first + 1) * divisor) / scale);
  let row = 1;
  for (; row < column.length; row++) {
    const high = words[2 * row + 1] ?? 0;
    if (!(high > highMin && high < highMax) && keyOf(row) !== first) break;
  }
  return row < column.length ? eachRow(column, keyOf) : Float64Array.of(first);
}

/** The hash of a row's value (Iceberg spec, "Appendix B"). */
function hasher(type: PrimitiveType, column: Column): (row: number) => number {
  const data = column.data ?? new Uint8Array();
  switch (type.kind) {
    case "int":
    case "date": {
      const words = wordsOf(column, 1);
      return (row) => murmur3Long(words[row] ?? 0, (words[row] ?? 0) >> 31);
    }
    case "string":
    case "binary": {
      const offsets = column.offsets ?? new Int32Array();
      return (row) => murmur3(data, offsets[row] ?? 0, offsets[row + 1] ?? 0);
    }
    case "uuid":
      return (row) => murmur3(data, row * 16, row * 16 + 16);
    case "fixed":
      return (row) => murmur3(data, row * type.length, (row + 1) * type.length);
    case "decimal": {
      const scratch = new Uint8Array(16);
      return (row) => murmur3(scratch, shortestDecimal(data, row * 16, scratch));
    }
    case "timestamp_ns": {
      const words = wordsOf(column, 2);
      return (row) => hashNanos(words[2 * row] ?? 0, words[2 * row + 1] ?? 0);
    }
    default: {
      const words = wordsOf(column, 2);
      return (row) => murmur3Long(words[2 * row] ?? 0, words[2 * row + 1] ?? 0);
    }
  }
}

/** Nanoseconds are hashed as microseconds: long division by 1000 of the two halves. */
function hashNanos(low: number, high: number): number {
  const quotientHigh = Math.floor(high / 1000);
  const rest = high - quotientHigh * 1000;
  const quotientLow = Math.floor((rest * 0x1_0000_0000 + (low >>> 0)) / 1000);
  return murmur3Long(quotientLow | 0, quotientHigh);
}

/** Turns a 16-byte decimal big-endian into `scratch`; returns where its shortest form begins. */
function shortestDecimal(data: Uint8Array, at: number, scratch: Uint8Array): number {
  for (let index = 0; index < 16; index++) scratch[index] = data[at + 15 - index] ?? 0;
  const sign = (scratch[0] ?? 0) & 0x80 ? 0xff : 0;
  let start = 0;
  while (
    start < 15 &&
    scratch[start] === sign &&
    ((scratch[start + 1] ?? 0) & 0x80) === (sign & 0x80)
  ) {
    start++;
  }
  return start;
}

function int32s(column: Column): Float64Array {
  const words = wordsOf(column, 1);
  return eachRow(column, (row) => words[row] ?? 0);
}

function bits(column: Column): Float64Array {
  const data = column.data ?? new Uint8Array();
  return eachRow(column, (row) => ((data[row >> 3] ?? 0) >> (row & 7)) & 1);
}

function eachRow(column: Column, keyOf: (row: number) => number): Float64Array {
  const keys = new Float64Array(column.length);
  for (let row = 0; row < keys.length; row++) keys[row] = keyOf(row);
  return keys;
}

/** The column's values as 32-bit words, copied only when they are not aligned. */
function wordsOf(column: Column, perRow: number): Int32Array {
  const data = column.data ?? new Uint8Array();
  const bytes = column.length * perRow * 4;
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice(0, bytes);
  return new Int32Array(aligned.buffer, aligned.byteOffset, Math.min(bytes, aligned.length) >> 2);
}
