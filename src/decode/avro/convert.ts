/**
 * Which step turns values of an Avro type without members into values of a column (Avro 1.12, "Schema
 * Resolution", and SPEC section 5). A logical type that the column does not have is its bytes.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import type { EventTime } from "#decode/eventTime.ts";
import { zonedParser } from "#decode/json/values.ts";
import type { AvroEnum, AvroFixed, AvroPrimitive, Logical } from "./schema.ts";
import { STEP, type Step, step } from "./steps.ts";

const encoder = new TextEncoder();

/** A step, and whether some values of the type do not fit the column. */
export interface Conversion {
  readonly step: Step;
  readonly narrows: boolean;
}

/**
 * The step of a type without members; null: no value of it fits.
 * @param time how the column's times are read, where it is the event time's
 * @param dropsZone texts of times of no zone may end with a `Z`
 */
export function convert(
  type: AvroPrimitive | AvroFixed | AvroEnum,
  column: ColumnBuilder,
  path: string,
  { time: eventTime, dropsZone }: { readonly time: EventTime | null; readonly dropsZone: boolean },
): Conversion | null {
  const target = column.field.type;
  if (!isPrimitive(target)) return null;
  const base = { column, path, type };
  if (type.kind === "enum") {
    const words = type.symbols.map((symbol) => encoder.encode(symbol));
    return target.kind === "string" ? whole(STEP.enum, { ...base, words }) : null;
  }
  const logical = ofLogical(type, target, base);
  if (logical !== null) return logical;
  const time = eventTime === null ? null : ofEventTime(type, eventTime, base);
  if (time !== null) return time;
  const op = OPS[type.kind]?.[target.kind];
  if (op !== undefined) {
    const isFixed = type.kind === "fixed" && !fits(type, target);
    const size = type.kind === "fixed" ? type.size : sizeOf(target);
    return isFixed ? null : { step: step(op, { ...base, size }), narrows: op === STEP.longToInt };
  }
  const parse = type.kind === "string" ? zonedParser(target, dropsZone) : null;
  return parse === null ? null : whole(STEP.parse, { ...base, parse });
}

/** Steps of types by what they mean in bytes alone. */
const OPS: Readonly<
  Record<string, Readonly<Partial<Record<PrimitiveType["kind"], number>>> | undefined>
> = {
  boolean: { boolean: STEP.boolean },
  int: { int: STEP.int, long: STEP.long, float: STEP.toFloat, double: STEP.toFloat },
  long: { int: STEP.longToInt, long: STEP.long, float: STEP.toFloat, double: STEP.toFloat },
  float: { float: STEP.float, double: STEP.floatToDouble },
  double: { double: STEP.double },
  bytes: { binary: STEP.bytes, string: STEP.text, fixed: STEP.bytesToFixed },
  string: { string: STEP.text, binary: STEP.bytes },
  fixed: { fixed: STEP.fixed, binary: STEP.fixed, uuid: STEP.fixed },
};

function fits(type: AvroFixed, target: PrimitiveType): boolean {
  if (target.kind === "fixed") return target.length === type.size;
  return target.kind === "binary" || type.size === 16;
}

function sizeOf(target: PrimitiveType): number {
  return target.kind === "fixed" ? target.length : 0;
}

/** A step by which every value fits, as far as its type tells. */
function whole(op: number, more: Partial<Step>): Conversion {
  return { step: step(op, more), narrows: false };
}

/** The step of the event time; null: the type is no time by `source.event_time_format`. */
function ofEventTime(
  { kind }: AvroPrimitive | AvroFixed,
  { parse, microsPerUnit }: EventTime,
  base: Partial<Step>,
): Conversion | null {
  if (kind === "string") return whole(STEP.parse, { ...base, parse });
  if (kind !== "int" && kind !== "long") return null;
  return whole(STEP.eventTime, { ...base, parse, size: microsPerUnit });
}

/** The step of a logical type into a column of its own kind; null: the bytes alone count. */
function ofLogical(
  type: AvroPrimitive | AvroFixed,
  target: PrimitiveType,
  base: Partial<Step>,
): Conversion | null {
  const { logical } = type;
  switch (logical?.kind) {
    case "date":
      return target.kind === "date" ? whole(STEP.date, base) : null;
    case "time":
      if (target.kind !== "time") return null;
      return whole(logical.unit === "millis" ? STEP.timeMillis : STEP.timeMicros, base);
    case "timestamp": {
      const isNanos = target.kind === "timestamp_ns";
      if ((target.kind !== "timestamp" && !isNanos) || target.zone !== logical.zone) return null;
      const size = FACTORS[isNanos ? "nanos" : "micros"][logical.unit];
      return whole(STEP.timestamp, { ...base, size });
    }
    case "decimal":
      return ofDecimal(logical, type, target, base);
    default:
      return null;
  }
}

function ofDecimal(
  { precision, scale }: Extract<Logical, { readonly kind: "decimal" }>,
  type: AvroPrimitive | AvroFixed,
  target: PrimitiveType,
  base: Partial<Step>,
): Conversion | null {
  if (target.kind !== "decimal" || target.scale < scale) return null;
  const shift = target.scale - scale;
  const isFixed = type.kind === "fixed";
  const more = { ...base, shift, size: isFixed ? type.size : 0 };
  const made = step(isFixed ? STEP.fixedDecimal : STEP.decimal, more);
  return { step: made, narrows: target.precision < precision + shift };
}

/** What a timestamp is multiplied with, negative: divided by, to be in the column's unit. */
const FACTORS = {
  micros: { millis: 1000, micros: 1, nanos: -1000 },
  nanos: { millis: 1_000_000, micros: 1000, nanos: 1 },
} as const;
