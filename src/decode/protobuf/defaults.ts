/**
 * What a field that is missing in its message says: its type's default where presence is not kept, the
 * default that the schema spells out, or nothing.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Filler } from "#decode/json/defaults.ts";
import type { ProtoDefault, ProtoField } from "./model.ts";
import { appendBigInteger } from "./scalars.ts";
import type { SlotKind } from "./slots.ts";

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);

/** What a single field's column gets where the field is missing; null: null. */
export function defaultFiller(
  field: ProtoField,
  column: ColumnBuilder,
  value: SlotKind,
): Filler | null {
  if (value.kind !== "scalar" && value.kind !== "enum") return null;
  const own = field.oneof === null ? field.defaultValue : null;
  if (own === null && field.presence !== "implicit") return null;
  return value.kind === "enum"
    ? enumFiller(column, value, own === null ? value.type.first : Number(own))
    : scalarFiller(column, own ?? zeroOf(value.scalar));
}

function zeroOf(scalar: string): ProtoDefault {
  if (scalar === "string") return "";
  if (scalar === "bytes") return NO_BYTES;
  return scalar === "bool" ? false : 0;
}

function enumFiller(
  column: ColumnBuilder,
  { names }: Extract<SlotKind, { kind: "enum" }>,
  number: number,
): Filler {
  if (column.field.type.kind !== "string") return scalarFiller(column, number);
  const name = names.get(number) ?? encoder.encode(String(number));
  return (to) => to.appendBytes(name, 0, name.length);
}

function scalarFiller(column: ColumnBuilder, value: ProtoDefault): Filler {
  const { kind } = column.field.type;
  if (typeof value === "boolean") return (to) => to.appendBoolean(value);
  if (typeof value === "string" || value instanceof Uint8Array) {
    const bytes = typeof value === "string" ? encoder.encode(value) : value;
    if (column.width > 0 && bytes.length !== column.width) return (to) => to.appendNull();
    return (to) => to.appendBytes(bytes, 0, bytes.length);
  }
  if (kind === "float" || kind === "double") return (to) => to.appendFloat(Number(value));
  return (to) => {
    appendBigInteger(to, BigInt(value));
  };
}
