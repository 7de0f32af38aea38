/**
 * How values go into columns of their own and of other types.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import { zonedParser } from "#decode/json/values.ts";
import type { ProtoEnum, Scalar } from "./model.ts";
import type { SlotKind } from "./slots.ts";
import type { WellKnown } from "./wellKnown.ts";

/** The names of an enum, as bytes. */
export function enumKind(type: ProtoEnum): SlotKind {
  const encoder = new TextEncoder();
  const names = new Map([...type.names].map(([number, name]) => [number, encoder.encode(name)]));
  return { kind: "enum", type, names };
}

/** True for a scalar that is a whole number. */
export function holdsWhole(scalar: Scalar): boolean {
  return !["float", "double", "bool", "string", "bytes"].includes(scalar);
}

/** How a scalar goes into a column of another type than its own, too: where no value is lost. */
export function scalarKind(scalar: Scalar, to: PrimitiveType, dropsZone: boolean): SlotKind {
  const fits = (yes: boolean): SlotKind =>
    yes ? { kind: "scalar", scalar } : { kind: "conflict" };
  if (scalar === "string") {
    const parse = zonedParser(to, dropsZone);
    if (parse !== null) return { kind: "parsed", scalar, parse };
    return fits(to.kind === "string");
  }
  if (scalar === "bytes") return fits(["binary", "fixed", "uuid"].includes(to.kind));
  if (scalar === "bool") return fits(to.kind === "boolean");
  if (scalar === "double") return fits(to.kind === "double");
  if (scalar === "float") return fits(to.kind === "float" || to.kind === "double");
  return fits(["int", "long", "decimal", "double"].includes(to.kind));
}

/** Whether a column holds messages of a type of its own. */
export function holds(
  special: Exclude<WellKnown, { kind: "wrapper" }>,
  to: ColumnBuilder["field"]["type"],
): boolean {
  if (special.kind === "timestamp") return to.kind === "timestamp" || to.kind === "timestamp_ns";
  if (special.kind === "duration") return to.kind === "decimal" && to.scale === 9;
  return to.kind === special.type.kind;
}
