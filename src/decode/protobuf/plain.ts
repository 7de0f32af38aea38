/**
 * Values without members, from the wire into columns: what its column cannot hold is kept beside a null, or
 * refuses its record.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { RejectReason, TypeConflict } from "#decode/rejects.ts";
import type { BesideFields } from "./beside.ts";
import type { Scalar } from "./model.ts";
import { appendEnum, appendScalar, readScalar, scalarText } from "./scalars.ts";
import type { Slot, SlotKind } from "./slots.ts";
import type { WireReader } from "./wire.ts";

/** Who reads a record. */
export interface PlainHost {
  readonly wire: WireReader;
  readonly beside: BesideFields;
  readonly refused: boolean;
  /** What the last type conflict was. */
  conflict: TypeConflict;
  /** Refuses the record, which is read on. */
  refuse(reason: RejectReason, path: string): void;
}

/** Kinds of such values. */
type Plain = Extract<SlotKind, { readonly kind: "scalar" | "parsed" | "enum" }>;

/** Reads one into a column; false when the bytes end before. */
export function readPlain(
  host: PlainHost,
  slot: Slot,
  value: Plain,
  column: ColumnBuilder,
): boolean {
  const { wire } = host;
  const scalar = value.kind === "enum" ? "int32" : value.scalar;
  if (!readScalar(wire, scalar)) return false;
  const { low, high } = wire;
  const refusal = append(wire, value, column);
  if (refusal === null) return true;
  if (refusal === "type_conflict") {
    // As they were read: they may have been settled since.
    wire.low = low;
    wire.high = high;
    if (host.beside.keepScalar(slot, scalar, wire, column)) return true;
  }
  const isFirst = !host.refused;
  host.refuse(refusal, slot.path);
  if (isFirst && isEventTime(value, scalar, column)) host.conflict = "event_time";
  return true;
}

/** Appends what was read last; null, or why it is refused. */
function append(wire: WireReader, value: Plain, column: ColumnBuilder): RejectReason | null {
  switch (value.kind) {
    case "scalar":
      return appendScalar(wire, value.scalar, column);
    case "enum":
      return appendEnum(wire, value, column) ? null : "type_conflict";
    case "parsed": {
      const text = scalarText(wire, value.scalar);
      return text !== null && value.parse(text, column) ? null : "type_conflict";
    }
  }
}

/** Numbers are parsed as the event's time only. */
function isEventTime({ kind }: Plain, scalar: Scalar, { field }: ColumnBuilder): boolean {
  return kind === "parsed" && field.type.kind.startsWith("timestamp") && scalar !== "string";
}
