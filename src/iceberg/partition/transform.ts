/**
 * Partition transforms of single values (Iceberg spec, "Partition Transforms"). Whole columns are
 * transformed in `partition.ts`, names in paths are made in `humanValue.ts`.
 */
import { fail } from "#base/errors.ts";
import { type PrimitiveType, primitiveName } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { encodeDecimal } from "#iceberg/singleValue.ts";
import { bucketOf, murmur3, murmur3Long } from "./bucketHash.ts";

/** A parsed transform. */
export type Transform =
  | { readonly kind: "identity" | "year" | "month" | "day" | "hour" | "void" }
  | { readonly kind: "bucket"; readonly buckets: number }
  | { readonly kind: "truncate"; readonly width: number };

/** Parses `identity`, `bucket[16]`, `day`, ... Throws `table_unsupported` for any other text. */
export function parseTransform(text: string): Transform {
  switch (text) {
    case "identity":
    case "year":
    case "month":
    case "day":
    case "hour":
    case "void":
      return { kind: text };
  }
  const match = /^(bucket|truncate)\[(\d+)\]$/.exec(text);
  const parameter = Number(match?.[2] ?? 0);
  if (match !== null && parameter > 0 && parameter <= 0x7fff_ffff) {
    return match[1] === "bucket"
      ? { kind: "bucket", buckets: parameter }
      : { kind: "truncate", width: parameter };
  }
  throw fail("table_unsupported", `Partition transform ${text} is not known`, { transform: text });
}

const SOURCES: Readonly<Record<Transform["kind"], readonly PrimitiveType["kind"][] | null>> = {
  identity: null,
  void: null,
  bucket: [
    "int",
    "long",
    "decimal",
    "date",
    "time",
    "timestamp",
    "timestamp_ns",
    "string",
    "uuid",
    "fixed",
    "binary",
  ],
  truncate: ["int", "long", "decimal", "string", "binary"],
  year: ["date", "timestamp", "timestamp_ns"],
  month: ["date", "timestamp", "timestamp_ns"],
  day: ["date", "timestamp", "timestamp_ns"],
  hour: ["timestamp", "timestamp_ns"],
};

/** True when the specification allows the transform on a column of that type. */
export function transformAllows(transform: Transform, source: PrimitiveType): boolean {
  return SOURCES[transform.kind]?.includes(source.kind) ?? true;
}

/**
 * The widest `truncate` of a decimal column whose results all fit into the bytes of its type; null for
 * other types. Truncating goes towards minus infinity: -1 becomes -W, which a manifest writes in as
 * few bytes as the precision takes.
 */
export function truncateWidthMax(source: PrimitiveType): bigint | null {
  if (source.kind !== "decimal") return null;
  const most = 10n ** BigInt(source.precision) - 1n;
  const bits = 8 * encodeDecimal(most).length;
  return (1n << BigInt(bits - 1)) - most;
}

/** The type of the transform's results. Throws `table_unsupported` when it does not fit `source`. */
export function resultType(transform: Transform, source: PrimitiveType): PrimitiveType {
  if (!transformAllows(transform, source)) {
    const type = primitiveName(source);
    throw fail("table_unsupported", `Transform ${transform.kind} is not defined for ${type}`, {
      transform: transform.kind,
      type,
    });
  }
  const widthMax = transform.kind === "truncate" ? truncateWidthMax(source) : null;
  if (transform.kind === "truncate" && widthMax !== null && transform.width > widthMax) {
    const type = primitiveName(source);
    const text = `truncate[${transform.width}]`;
    const sentence = `Partition transform ${text} has results that ${type} cannot hold: use a width of at most ${widthMax}`;
    throw fail("table_unsupported", sentence, { transform: text, type });
  }
  switch (transform.kind) {
    case "identity":
    case "truncate":
    case "void":
      return source;
    case "day":
      return { kind: "date" };
    default:
      return { kind: "int" };
  }
}

/**
 * Transforms one value of type `source`; null stays null.
 * @param value in the form that `singleValue.ts` describes
 */
export function applyTransform(
  transform: Transform,
  source: PrimitiveType,
  value: PartitionValue,
): PartitionValue {
  if (value === null) return null;
  switch (transform.kind) {
    case "void":
      return null;
    case "identity":
      return value;
    case "bucket":
      return bucketOf(hashValue(source, value), transform.buckets);
    case "truncate":
      return truncate(source, value, transform.width);
    case "year":
      return Math.floor(monthOfDay(dayOf(source, value)) / 12);
    case "month":
      return monthOfDay(dayOf(source, value));
    case "day":
      return dayOf(source, value);
    case "hour":
      return Number(floorDivide(BigInt(value as bigint), unitsPerHour(source)));
  }
}

/** The hash of a value that is not null (Iceberg spec, "Appendix B"). */
export function hashValue(source: PrimitiveType, value: Exclude<PartitionValue, null>): number {
  if (value instanceof Uint8Array) return murmur3(value);
  if (typeof value === "string") return murmur3(new TextEncoder().encode(value));
  if (source.kind === "decimal") return murmur3(encodeDecimal(BigInt(value)));
  const long = BigInt(value);
  const hashed = source.kind === "timestamp_ns" ? floorDivide(long, 1000n) : long;
  return murmur3Long(Number(BigInt.asIntN(32, hashed)), Number(BigInt.asIntN(32, hashed >> 32n)));
}

/** Integers are cut down to a multiple of the width and wrap around, as Java's do. */
function truncate(
  source: PrimitiveType,
  value: Exclude<PartitionValue, null>,
  width: number,
): PartitionValue {
  if (typeof value === "number") return (value - (((value % width) + width) % width)) | 0;
  if (typeof value === "bigint") {
    const multiple = floorDivide(value, BigInt(width)) * BigInt(width);
    return source.kind === "long" ? BigInt.asIntN(64, multiple) : multiple;
  }
  if (value instanceof Uint8Array) return value.subarray(0, width);
  return typeof value === "string" ? [...value].slice(0, width).join("") : value;
}

/** Months since January 1970 of a day since 1970-01-01, by the proleptic Gregorian calendar. */
export function monthOfDay(day: number): number {
  // Counted from 0000-03-01, so that leap days end a year (Hinnant, "chrono-compatible dates").
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  return (era * 400 + yearOfEra - 1970) * 12 + monthFromMarch + 2;
}

function dayOf(source: PrimitiveType, value: Exclude<PartitionValue, null>): number {
  if (typeof value === "number") return value;
  return Number(floorDivide(BigInt(value as bigint), 24n * unitsPerHour(source)));
}

function unitsPerHour(source: PrimitiveType): bigint {
  return source.kind === "timestamp_ns" ? 3_600_000_000_000n : 3_600_000_000n;
}

function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor < 0n ? quotient - 1n : quotient;
}
