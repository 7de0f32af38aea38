/**
 * Integers of Avro as dates, times, timestamps and numbers of another kind. Each appends the integer that
 * was read last, or nothing, and is false, when its column cannot hold it.
 */
import { TIMESTAMP_MICROS_MAX, TIMESTAMP_MICROS_MIN } from "#columns/times.ts";
import type { AvroBytes } from "./bytes.ts";
import { STEP, type Step } from "./steps.ts";

const DAY_MICROS = 86_400_000_000;
/** Dates beyond could not be partitioned, as times beyond could not. */
const DAYS_MAX = Number(TIMESTAMP_MICROS_MAX / BigInt(DAY_MICROS));
const MICROS_HIGH_MAX = Number(TIMESTAMP_MICROS_MAX >> 32n);
const NANOS_MAX = 2n ** 63n - 1n;

/** A date, or a time of day in microseconds. */
export function appendCalendar(input: AvroBytes, { op, column }: Step): boolean {
  const value = input.number;
  if (op === STEP.date) {
    if (Math.abs(value) > DAYS_MAX) return false;
    column.appendInt(value);
    return true;
  }
  const micros = op === STEP.timeMillis ? value * 1000 : value;
  if (micros < 0 || micros >= DAY_MICROS) return false;
  column.appendSafeLong(micros);
  return true;
}

/** A timestamp, in the column's unit; what is finer is cut towards the past. */
export function appendTimestamp(input: AvroBytes, { column, size: factor }: Step): boolean {
  if (factor === 1 && Math.abs(input.high) < MICROS_HIGH_MAX) {
    column.appendLong(input.low, input.high);
    return true;
  }
  const scaled = input.number * factor;
  if (factor === 1000 && Number.isSafeInteger(scaled)) {
    column.appendSafeLong(scaled);
    return true;
  }
  const value = factor > 0 ? input.bigint * BigInt(factor) : floorDivide(input.bigint, -factor);
  const isNanos = column.field.type.kind === "timestamp_ns";
  const [least, most] = isNanos
    ? [-NANOS_MAX - 1n, NANOS_MAX]
    : [TIMESTAMP_MICROS_MIN, TIMESTAMP_MICROS_MAX];
  if (value < least || value > most) return false;
  column.appendBigInt(value);
  return true;
}

/** A float or double, or an int of a long. */
export function appendInteger(input: AvroBytes, { op, column }: Step): boolean {
  if (op === STEP.toFloat) {
    column.appendFloat(Number(input.bigint));
    return true;
  }
  if (input.high !== input.low >> 31) return false;
  column.appendInt(input.low);
  return true;
}

function floorDivide(value: bigint, by: number): bigint {
  const divisor = BigInt(by);
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}
