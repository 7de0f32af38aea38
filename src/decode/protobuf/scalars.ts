/**
 * Scalars from the wire into columns: a value that its column cannot hold is refused, never wrapped.
 *
 * A 32-bit field of more than 32 bits was written by another type: it is refused. Only an int32 that
 * was written as if it were unsigned is taken, since its 32 bits are all there.
 */

import { utf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { Aside } from "#decode/aside.ts";
import { isUtf8 } from "#decode/json/strings.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { type Scalar, WIRE } from "./model.ts";
import type { Slot, SlotKind } from "./slots.ts";
import type { WireReader } from "./wire.ts";

const encoder = new TextEncoder();
const float = new Float32Array(1);
const double = new Float64Array(1);
const floatWords = new Int32Array(float.buffer);
const doubleWords = new Int32Array(double.buffer);

/** Moves behind a scalar and leaves its number in the reader; false: the bytes end before. */
export function readScalar(wire: WireReader, scalar: Scalar): boolean {
  switch (scalar) {
    case "string":
    case "bytes":
      if (!wire.length()) return false;
      wire.at += wire.size;
      return true;
    case "float":
    case "fixed32":
    case "sfixed32":
      return wire.fixed32();
    case "double":
    case "fixed64":
    case "sfixed64":
      return wire.fixed64();
    default:
      return wire.varint();
  }
}

/** Appends the scalar that was read last; null, or why it is refused. */
export function appendScalar(
  wire: WireReader,
  scalar: Scalar,
  column: ColumnBuilder,
): RejectReason | null {
  switch (scalar) {
    case "string":
    case "bytes":
      return appendSized(wire, scalar, column);
    case "float":
    case "double":
      column.appendFloat(floating(wire, scalar));
      return null;
    case "bool":
      column.appendBoolean((wire.low | wire.high) !== 0);
      return null;
    default:
      return settle(wire, scalar) && appendInteger(wire, isUnsigned(scalar), column)
        ? null
        : "type_conflict";
  }
}

function appendSized(
  { bytes, at, size }: WireReader,
  scalar: "string" | "bytes",
  column: ColumnBuilder,
): RejectReason | null {
  if (scalar === "string" && !isUtf8(bytes, at - size, at)) return "bad_utf8";
  if (column.width > 0 && size !== column.width) return "type_conflict";
  column.appendBytes(bytes, at - size, at);
  return null;
}

/** The float or double that was read last. */
export function floating({ low, high }: WireReader, scalar: "float" | "double"): number {
  if (scalar === "float") {
    floatWords[0] = low;
    return float[0] as number;
  }
  doubleWords[0] = low;
  doubleWords[1] = high;
  return double[0] as number;
}

/** True for a scalar whose numbers have no sign. */
export function isUnsigned(scalar: Scalar): boolean {
  return ["uint32", "uint64", "fixed32", "fixed64"].includes(scalar);
}

/** Makes the raw number that was read last the whole number that it means; false: it is none. */
export function settle(wire: WireReader, scalar: Scalar): boolean {
  const { low, high } = wire;
  switch (scalar) {
    case "int32":
      wire.high = low >> 31;
      return high === 0 || high === wire.high;
    case "sint32":
      wire.low = (low >>> 1) ^ -(low & 1);
      wire.high = wire.low >> 31;
      return high === 0;
    case "sint64": {
      const sign = -(low & 1);
      wire.low = ((low >>> 1) | (high << 31)) ^ sign;
      wire.high = (high >>> 1) ^ sign;
      return true;
    }
    case "sfixed32":
      wire.high = low >> 31;
      return true;
    case "uint32":
      return high === 0;
    default:
      return true;
  }
}

/**
 * Appends the name of the number that was read last, digits where an open enum has none; a closed one
 * gets nothing then. False: it is no number of an enum.
 */
export function appendEnum(
  wire: WireReader,
  { names, type }: Extract<SlotKind, { kind: "enum" }>,
  column: ColumnBuilder,
): boolean {
  if (!settle(wire, "int32")) return false;
  const name = names.get(wire.low);
  if (name === undefined && type.closed) return true;
  if (column.field.type.kind !== "string") return appendInteger(wire, false, column);
  const text = name ?? encoder.encode(String(wire.low));
  column.appendBytes(text, 0, text.length);
  return true;
}

/** True when the number that was read last is no value of the slot's enum, but an unknown field. */
export function isUnnamed({ value }: Slot, wire: WireReader): boolean {
  if (value.kind !== "enum" || !value.type.closed || wire.wire !== WIRE.varint) return false;
  return settle(wire, "int32") && !value.type.names.has(wire.low);
}

/** The whole number that was read last, and settled. */
export function integerOf({ low, high }: WireReader, unsigned: boolean): bigint {
  const value = (BigInt(high) << 32n) | BigInt(low >>> 0);
  return unsigned ? BigInt.asUintN(64, value) : value;
}

/** The scalar that was read last as text; null: it has none. */
export function scalarText(wire: WireReader, scalar: Scalar): string | null {
  switch (scalar) {
    case "string":
      return utf8Text(wire.bytes.subarray(wire.at - wire.size, wire.at));
    case "float":
    case "double":
      return String(floating(wire, scalar));
    case "bytes":
    case "bool":
      return null;
    default:
      return settle(wire, scalar) ? String(integerOf(wire, isUnsigned(scalar))) : null;
  }
}

/** The scalar that was read last, not settled, as JSON in the words of `/query`'s answers. */
export function scalarJson(wire: WireReader, scalar: Scalar): string {
  switch (scalar) {
    case "bool":
      return String((wire.low | wire.high) !== 0);
    case "bytes": {
      const aside = new Aside({ kind: "binary" });
      aside.column.appendBytes(wire.bytes, wire.at - wire.size, wire.at);
      return aside.takeJson() ?? "";
    }
    case "string":
      return JSON.stringify(scalarText(wire, scalar));
    case "float":
    case "double": {
      const number = floating(wire, scalar);
      return Number.isFinite(number) ? String(number) : JSON.stringify(String(number));
    }
    default: {
      const raw = integerOf(wire, false);
      return scalarText(wire, scalar) ?? String(raw);
    }
  }
}

/** Appends the whole number that was read last; false when the column cannot hold it. */
function appendInteger(wire: WireReader, unsigned: boolean, column: ColumnBuilder): boolean {
  const { low, high } = wire;
  switch (column.field.type.kind) {
    case "int":
      if (high !== (unsigned ? 0 : low >> 31) || (unsigned && low < 0)) return false;
      column.appendInt(low);
      return true;
    case "long":
      if (unsigned && high < 0) return false;
      column.appendLong(low, high);
      return true;
    default:
      return appendBigInteger(column, integerOf(wire, unsigned));
  }
}

/** Appends a whole number to a number's column; false when it cannot hold it. */
export function appendBigInteger(column: ColumnBuilder, value: bigint): boolean {
  const { type } = column.field;
  switch (type.kind) {
    case "int":
      if (BigInt.asIntN(32, value) !== value) return false;
      column.appendInt(Number(value));
      return true;
    case "long":
      if (BigInt.asIntN(64, value) !== value) return false;
      column.appendBigInt(value);
      return true;
    case "double":
      if (!Number.isSafeInteger(Number(value))) return false;
      column.appendFloat(Number(value));
      return true;
    case "decimal": {
      const scaled = value * 10n ** BigInt(type.scale);
      if ((scaled < 0n ? -scaled : scaled) >= 10n ** BigInt(type.precision)) return false;
      column.appendBigInt(scaled);
      return true;
    }
    default:
      return false;
  }
}
