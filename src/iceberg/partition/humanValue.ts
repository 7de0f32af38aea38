/**
 * Partition values as people read them in paths: what Java's `Transform.toHumanString` gives.
 */
import type { PrimitiveType } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { Transform } from "./transform.ts";

/**
 * The text of a partition value; `null` for null.
 * @param source type of the source column
 */
export function humanValue(
  transform: Transform,
  source: PrimitiveType,
  value: PartitionValue,
): string {
  if (value === null) return "null";
  switch (transform.kind) {
    case "year":
      return yearText(Number(value) + 1970);
    case "month":
      return monthText(Number(value));
    case "day":
      return dayText(Number(value));
    case "hour": {
      const hour = Number(value);
      const day = Math.floor(hour / 24);
      return `${dayText(day)}-${pad(hour - day * 24, 2)}`;
    }
    case "bucket":
    case "void":
      return String(value);
    default:
      return plainText(source, value);
  }
}

function plainText(type: PrimitiveType, value: Exclude<PartitionValue, null>): string {
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value);
    if (type.kind !== "uuid") return bytes.toString("base64");
    return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }
  switch (type.kind) {
    case "date":
      return dayText(Number(value));
    case "time":
      return timeText(BigInt(value));
    case "timestamp":
    case "timestamp_ns":
      return timestampText(type, BigInt(value));
    case "decimal":
      return decimalText(BigInt(value), type.scale);
    case "float":
      return floatText(Number(value), shortestFloat);
    case "double":
      return floatText(Number(value), String);
    default:
      return String(value);
  }
}

/** Java's `ISO_OFFSET_DATE_TIME`: seconds always, as many digits of the fraction as needed. */
function timestampText(
  type: { readonly kind: "timestamp" | "timestamp_ns"; readonly zone: boolean },
  value: bigint,
): string {
  const unitsPerSecond = type.kind === "timestamp_ns" ? 1_000_000_000n : 1_000_000n;
  const unitsPerDay = 86_400n * unitsPerSecond;
  const ofDay = ((value % unitsPerDay) + unitsPerDay) % unitsPerDay;
  const [year, rest] = civil(Number((value - ofDay) / unitsPerDay));
  const sign = year > 9999 ? "+" : "";
  const yearDigits = year < 0 ? `-${pad(-year, 4)}` : sign + pad(year, 4);
  const { minutes, seconds, nanos } = clock(ofDay, unitsPerSecond);
  const fraction = nanos === 0n ? "" : `.${nineDigits(nanos).replace(/0+$/, "")}`;
  return `${yearDigits}-${rest}T${minutes}:${seconds}${fraction}${type.zone ? "+00:00" : ""}`;
}

/** Java's `LocalTime.toString`: seconds only when needed, fractions in groups of three digits. */
function timeText(micros: bigint): string {
  const { minutes, seconds, nanos } = clock(micros, 1_000_000n);
  if (nanos === 0n) return seconds === "00" ? minutes : `${minutes}:${seconds}`;
  return `${minutes}:${seconds}.${nineDigits(nanos).replace(/(000)+$/, "")}`;
}

function clock(
  ofDay: bigint,
  unitsPerSecond: bigint,
): { readonly minutes: string; readonly seconds: string; readonly nanos: bigint } {
  const seconds = Number(ofDay / unitsPerSecond);
  return {
    minutes: `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}`,
    seconds: pad(seconds % 60, 2),
    nanos: (ofDay % unitsPerSecond) * (1_000_000_000n / unitsPerSecond),
  };
}

function nineDigits(nanos: bigint): string {
  return nanos.toString().padStart(9, "0");
}

function dayText(day: number): string {
  const [year, rest] = civil(day);
  return `${yearText(year)}-${rest}`;
}

/** The year, and month and day as `MM-DD`. */
function civil(day: number): readonly [number, string] {
  // The calendar repeats every 400 years; Date is exact near its epoch only.
  const cycles = Math.floor(day / 146_097);
  const date = new Date((day - cycles * 146_097) * 86_400_000);
  const rest = `${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
  return [date.getUTCFullYear() + cycles * 400, rest];
}

function monthText(month: number): string {
  const year = Math.floor(month / 12);
  return `${yearText(year + 1970)}-${pad(month - year * 12 + 1, 2)}`;
}

/** Java's `%04d`: the sign counts. */
function yearText(year: number): string {
  return year < 0 ? `-${pad(-year, 3)}` : pad(year, 4);
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

/** Java's `BigDecimal.toString`: scientific below 10^-6. */
function decimalText(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? "-" : "";
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString();
  const exponent = digits.length - 1 - scale;
  if (scale === 0) return sign + digits;
  if (exponent < -6) {
    const mantissa = digits.length === 1 ? digits : `${digits.charAt(0)}.${digits.slice(1)}`;
    return `${sign}${mantissa}E${exponent}`;
  }
  const padded = digits.padStart(scale + 1, "0");
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

/** Java's `Double.toString`: a fraction always, scientific outside [10^-3, 10^7). */
function floatText(value: number, shortest: (value: number) => string): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [digits = "", exponentText = "0"] = Number(shortest(value)).toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent < -3 || exponent >= 7) {
    return `${digits.includes(".") ? digits : `${digits}.0`}E${exponent}`;
  }
  const plain = Number(shortest(value)).toString();
  return plain.includes(".") ? plain : `${plain}.0`;
}

/** The shortest digits that give the same 32-bit float again. */
function shortestFloat(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toPrecision(9);
}
