/**
 * Single values in memory and as bytes: bounds of columns and partitions (Iceberg spec, "Appendix
 * D: Single-value serialization", binary), and the order in which bounds are compared.
 *
 * In memory ({@link PartitionValue}): int, date, float, double are numbers; long, time, timestamps
 * and the unscaled value of a decimal are bigints; uuid (16 bytes, big-endian), fixed and binary
 * are byte arrays; null is null everywhere.
 */

import { fail } from "#base/errors.ts";
import { utf8Text } from "#base/text.ts";
import { type PrimitiveType, primitiveName } from "#columns/schema.ts";
import type { PartitionValue } from "./manifest/manifest.ts";

/** Serializes a value that is not null. Throws `internal` when it is not of the type. */
export function encodeSingleValue(type: PrimitiveType, value: PartitionValue): Uint8Array {
  switch (type.kind) {
    case "boolean":
      return Uint8Array.of(value === true ? 1 : 0);
    case "int":
    case "date":
      return view(4, (bytes) => bytes.setInt32(0, numberOf(type, value), true));
    case "float":
      return view(4, (bytes) => bytes.setFloat32(0, numberOf(type, value), true));
    case "double":
      return view(8, (bytes) => bytes.setFloat64(0, numberOf(type, value), true));
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return view(8, (bytes) => bytes.setBigInt64(0, bigintOf(type, value), true));
    case "decimal":
      return encodeDecimal(bigintOf(type, value));
    case "string":
      if (typeof value !== "string") throw mismatch(type, value);
      return new TextEncoder().encode(value);
    case "uuid":
    case "fixed":
    case "binary":
      if (!(value instanceof Uint8Array)) throw mismatch(type, value);
      return value;
  }
}

/**
 * Reads a serialized value. Bytes of the type before a promotion (int to long, float to double)
 * are taken too. Throws `storage_corrupt` when the length is wrong.
 */
export function decodeSingleValue(
  type: PrimitiveType,
  bytes: Uint8Array,
): Exclude<PartitionValue, null> {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const expectLength = (...lengths: number[]): void => {
    if (lengths.includes(bytes.length)) return;
    throw fail(
      "storage_corrupt",
      `A bound of type ${primitiveName(type)} has ${bytes.length} bytes`,
    );
  };
  switch (type.kind) {
    case "boolean":
      expectLength(1);
      return bytes[0] !== 0;
    case "int":
    case "date":
      expectLength(4);
      return data.getInt32(0, true);
    case "float":
      expectLength(4);
      return data.getFloat32(0, true);
    case "double":
      expectLength(4, 8);
      return bytes.length === 4 ? data.getFloat32(0, true) : data.getFloat64(0, true);
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      expectLength(4, 8);
      return bytes.length === 4 ? BigInt(data.getInt32(0, true)) : data.getBigInt64(0, true);
    case "decimal":
      return decodeDecimal(bytes);
    case "string":
      return utf8Text(bytes);
    case "uuid":
    case "fixed":
    case "binary":
      return bytes;
  }
}

/**
 * Orders two values of one type that are not null: numbers by value (NaN last, -0 before 0),
 * strings by their UTF-8 bytes, bytes unsigned.
 */
export function compareValues(
  type: PrimitiveType,
  left: Exclude<PartitionValue, null>,
  right: Exclude<PartitionValue, null>,
): number {
  if (type.kind === "float" || type.kind === "double") {
    return compareFloats(Number(left), Number(right));
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right);
  if (typeof left === "string" && typeof right === "string") {
    const encoder = new TextEncoder();
    return compareBytes(encoder.encode(left), encoder.encode(right));
  }
  return left < right ? -1 : Number(left > right);
}

function compareFloats(left: number, right: number): number {
  if (Number.isNaN(left) || Number.isNaN(right)) {
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  }
  if (left === 0 && right === 0) {
    return Number(Object.is(right, -0)) - Number(Object.is(left, -0));
  }
  return left < right ? -1 : Number(left > right);
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return Buffer.compare(left, right);
}

/** The shortest big-endian two's complement of an unscaled decimal. */
export function encodeDecimal(unscaled: bigint): Uint8Array {
  const magnitude = unscaled < 0n ? ~unscaled : unscaled;
  const bits = magnitude === 0n ? 0 : magnitude.toString(2).length;
  const bytes = new Uint8Array(Math.floor(bits / 8) + 1);
  let rest = unscaled;
  for (let index = bytes.length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** An unscaled decimal from big-endian two's complement of any length. */
export function decodeDecimal(bytes: Uint8Array): bigint {
  let unscaled = 0n;
  for (const byte of bytes) unscaled = (unscaled << 8n) | BigInt(byte);
  return bytes.length === 0 ? 0n : BigInt.asIntN(bytes.length * 8, unscaled);
}

function view(length: number, write: (bytes: DataView) => void): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(length));
  write(bytes);
  return new Uint8Array(bytes.buffer);
}

function numberOf(type: PrimitiveType, value: PartitionValue): number {
  if (typeof value !== "number") throw mismatch(type, value);
  return value;
}

function bigintOf(type: PrimitiveType, value: PartitionValue): bigint {
  if (typeof value !== "bigint") throw mismatch(type, value);
  return value;
}

/** The value itself stays out of the error: it may be a row's. */
function mismatch(type: PrimitiveType, value: PartitionValue): Error {
  return fail("internal", `A value of type ${primitiveName(type)} came as ${typeof value}`);
}
