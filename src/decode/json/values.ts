/**
 * The usual text forms of declared types (SPEC section 5): text in, one appended value out, or
 * `false` when the text does not fit: never a null, a wrap or a rounded decimal instead.
 *
 * | type | text |
 * | --- | --- |
 * | decimal(P,S) | a JSON number or a string of one; digits beyond the scale must be zeros |
 * | date | `2026-01-31` |
 * | time | `23:59:59`, with up to 9 fraction digits; with a zone, as RFC 3339 has it, the time of day in UTC |
 * | timestamp | `2026-01-31T23:59:59`, `T` or a space, seconds optional, no zone |
 * | timestamptz | the same with `Z`, `+01:00`, `+0100` or `+01` |
 * | uuid | 36 characters with hyphens, either case |
 * | fixed, binary | base64 (RFC 4648 section 4, padded) |
 *
 * Fraction digits finer than the column's unit are cut off, as Spark and Flink do.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import { TIMESTAMP_MICROS_MAX, TIMESTAMP_MICROS_MIN } from "#columns/times.ts";

/** Appends a value from its text; false (and nothing appended) when it does not fit. */
export type TextParser = (text: string, column: ColumnBuilder) => boolean;

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/;
const ZONED_TIME = /^(.*?)(Z|z|[+-]\d\d(?::?\d\d)?)?$/;
const ZONED = /^(.{10})[T ](.*?)(Z|z|[+-]\d\d(?::?\d\d)?)?$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const NUMBER = /^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

const DAY_MS = 86_400_000;
const DAY_NANOS = 86_400_000_000_000n;
const MINUTE_NANOS = 60_000_000_000n;
/** Least and greatest times of a column, by its unit. */
const NANOS = [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn] as const;
const MICROS = [TIMESTAMP_MICROS_MIN, TIMESTAMP_MICROS_MAX] as const;

/** The parser of a type's text; null for types that JSON writes without quotes, and strings. */
export function textParser(type: PrimitiveType): TextParser | null {
  switch (type.kind) {
    case "decimal":
      return (text, column) => appendDecimal(text, type.precision, type.scale, column);
    case "date":
      return appendDate;
    case "time":
      return appendTime;
    case "timestamp":
      return (text, column) => appendTimestamp(text, type.zone, 1000n, column);
    case "timestamp_ns":
      return (text, column) => appendTimestamp(text, type.zone, 1n, column);
    case "uuid":
      return appendUuid;
    case "fixed":
      return (text, column) => appendBase64(text, type.length, column);
    case "binary":
      return (text, column) => appendBase64(text, -1, column);
    default:
      return null;
  }
}

/**
 * The same of a text behind which a `Z` may stand that is no part of it: Debezium writes so dates, and times
 * of no zone (`time.precision.mode = isostring`).
 * @param dropsZone false: as `textParser`
 */
export function zonedParser(type: PrimitiveType, dropsZone: boolean): TextParser | null {
  const parse = textParser(type);
  if (parse === null || !dropsZone || !hasNoZone(type)) return parse;
  return (text, column) => parse(text.endsWith("Z") ? text.slice(0, -1) : text, column);
}

/** True for a type of times whose values are in no zone. */
export function hasNoZone(type: PrimitiveType): boolean {
  if (type.kind === "timestamp" || type.kind === "timestamp_ns") return !type.zone;
  return type.kind === "date";
}

function appendDecimal(
  text: string,
  precision: number,
  scale: number,
  column: ColumnBuilder,
): boolean {
  const unscaled = scaledInteger(text, scale, false);
  if (unscaled === null) return false;
  const magnitude = unscaled < 0n ? -unscaled : unscaled;
  if (magnitude >= 10n ** BigInt(precision)) return false;
  column.appendBigInt(unscaled);
  return true;
}

/**
 * A decimal number's text times 10^scale.
 * @param cut digits beyond the scale are cut towards minus infinity; otherwise they must be zeros
 * @returns null when the text is no number, not exact, or absurdly long
 */
export function scaledInteger(text: string, scale: number, cut: boolean): bigint | null {
  const match = NUMBER.exec(text);
  if (match === null) return null;
  const fraction = match[3] ?? "";
  const digits = `${match[2]}${fraction}`.replace(/^0+(?=\d)/, "");
  const shift = Number(match[4] ?? 0) - fraction.length + scale;
  const negative = match[1] === "-";
  if (digits === "0") return 0n;
  if (digits.length + Math.abs(shift) > 400) return null;
  const magnitude = BigInt(digits);
  if (shift >= 0) return (negative ? -magnitude : magnitude) * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  const quotient = magnitude / divisor;
  const exact = quotient * divisor === magnitude;
  if (!exact && !cut) return null;
  if (negative) return exact ? -quotient : -quotient - 1n;
  return quotient;
}

/** Days since 1970-01-01 of a real calendar date, else null. */
export function daysOf(text: string): number | null {
  const match = DATE.exec(text);
  if (match === null) return null;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return date.getTime() / DAY_MS;
}

/** Nanoseconds since midnight, else null. */
export function nanosOfDay(text: string): bigint | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) return null;
  const fraction = BigInt((match[4] ?? "").padEnd(9, "0"));
  return BigInt((hour * 60 + minute) * 60 + second) * 1_000_000_000n + fraction;
}

/** A date and time of day in nanoseconds since the epoch, and whether it named a zone. */
export function instantOf(text: string): { nanos: bigint; zoned: boolean } | null {
  const match = ZONED.exec(text);
  const days = daysOf(match?.[1] ?? "");
  const nanos = nanosOfDay(match?.[2] ?? "");
  const offsetMinutes = zoneMinutes(match?.[3] ?? "Z");
  if (match === null || days === null || nanos === null || offsetMinutes === null) return null;
  const minutes = BigInt(days) * 1440n - BigInt(offsetMinutes);
  return { nanos: minutes * MINUTE_NANOS + nanos, zoned: match[3] !== undefined };
}

/** Minutes east of UTC of `Z`, `+01`, `+0100`, `+01:00`; null beyond 18 hours. */
function zoneMinutes(zone: string): number | null {
  if (zone === "Z" || zone === "z") return 0;
  const digits = zone.slice(1).replace(":", "");
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2) || 0);
  if (hours > 18 || minutes > 59) return null;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

function appendDate(text: string, column: ColumnBuilder): boolean {
  const days = daysOf(text);
  if (days === null) return false;
  column.appendInt(days);
  return true;
}

function appendTime(text: string, column: ColumnBuilder): boolean {
  const [, clock = "", zone = "Z"] = ZONED_TIME.exec(text) ?? [];
  const nanos = nanosOfDay(clock);
  const east = zoneMinutes(zone);
  if (nanos === null || east === null) return false;
  const utc = nanos - BigInt(east) * MINUTE_NANOS + DAY_NANOS;
  column.appendBigInt((utc % DAY_NANOS) / 1000n);
  return true;
}

function appendTimestamp(
  text: string,
  zone: boolean,
  unitNanos: bigint,
  column: ColumnBuilder,
): boolean {
  const instant = instantOf(text);
  if (instant === null || instant.zoned !== zone) return false;
  return appendInstant(instant.nanos, unitNanos, column);
}

/** Appends nanoseconds since the epoch in units of `unitNanos`; false when no column holds them. */
export function appendInstant(nanos: bigint, unitNanos: bigint, column: ColumnBuilder): boolean {
  const floor = nanos - (((nanos % unitNanos) + unitNanos) % unitNanos);
  const value = floor / unitNanos;
  const [least, most] = unitNanos === 1n ? NANOS : MICROS;
  if (value > most || value < least) return false;
  column.appendBigInt(value);
  return true;
}

function appendUuid(text: string, column: ColumnBuilder): boolean {
  if (!UUID.test(text)) return false;
  column.appendBytes(Uint8Array.fromHex(text.replaceAll("-", "")), 0, 16);
  return true;
}

function appendBase64(text: string, length: number, column: ColumnBuilder): boolean {
  if (!BASE64.test(text)) return false;
  const bytes = Uint8Array.fromBase64(text);
  if (length >= 0 && bytes.length !== length) return false;
  column.appendBytes(bytes, 0, bytes.length);
  return true;
}
