/**
 * Lower and upper bounds of a column: from Parquet's PLAIN statistics to Iceberg's single-value
 * serialization (Iceberg spec, Appendix D), cut as the default metrics mode `truncate(16)` says.
 *
 * An upper bound that was cut is incremented, so that it still lies above every value.
 */

import { assert } from "#base/assert.ts";
import { codePointsEnd, utf8Text } from "#base/text.ts";
import type { PrimitiveType } from "#columns/schema.ts";

/** Code points of a string, bytes of a binary or fixed value, that a bound keeps. */
const BOUND_LENGTH_MAX = 16;

const CODE_POINT_MAX = 0x10ffff;

/** Types whose values are ordered by their bytes; all others are numbers. */
const BYTES_KINDS: ReadonlySet<string> = new Set(["boolean", "string", "uuid", "fixed", "binary"]);

/** A column's bounds; null: none is known or possible. */
export interface Bounds {
  readonly lower: Uint8Array | null;
  readonly upper: Uint8Array | null;
}

/** No bounds: only nulls, only NaN, or a column that gets none. */
export const NO_BOUNDS: Bounds = { lower: null, upper: null };

/**
 * The bounds over the row groups' statistics. Those may be cut (lower) or cut and incremented
 * (upper) at 64 bytes, which no bound of 16 code points sees.
 */
export function boundsOf(
  type: PrimitiveType,
  chunks: readonly { readonly min: Uint8Array | null; readonly max: Uint8Array | null }[],
): Bounds {
  const present = chunks.filter((chunk) => chunk.min !== null && chunk.max !== null);
  const lower = extreme(
    type,
    present.map((chunk) => chunk.min),
    -1,
  );
  const upper = extreme(
    type,
    present.map((chunk) => chunk.max),
    1,
  );
  if (lower === null || upper === null) return NO_BOUNDS;
  return { lower: serializeLower(type, lower), upper: serializeUpper(type, upper) };
}

/** Iceberg's bytes of a float or double bound. */
export function floatBound(kind: "float" | "double", value: number): Uint8Array {
  return new Uint8Array(
    (kind === "float" ? new Float32Array([value]) : new Float64Array([value])).buffer,
  );
}

function extreme(
  type: PrimitiveType,
  values: readonly (Uint8Array | null)[],
  sign: 1 | -1,
): Uint8Array | null {
  let best: Uint8Array | null = null;
  for (const value of values) {
    if (value === null) continue;
    if (best === null || compareValues(type, value, best) * sign > 0) best = value;
  }
  return best;
}

/** Orders two PLAIN values: numbers by value, everything else by unsigned bytes. */
export function compareValues(type: PrimitiveType, a: Uint8Array, b: Uint8Array): number {
  if (BYTES_KINDS.has(type.kind)) return Buffer.compare(a, b);
  const left = integerOf(type, a);
  const right = integerOf(type, b);
  return left < right ? -1 : Number(left > right);
}

/** An INT32, INT64 (little endian) or decimal FIXED_LEN_BYTE_ARRAY (big endian) as a number. */
function integerOf(type: PrimitiveType, value: Uint8Array): bigint {
  const bigEndian = type.kind === "decimal" && type.precision > 18 ? value : value.toReversed();
  const digits = bigEndian.toHex();
  return BigInt.asIntN(8 * value.length, BigInt(`0x${digits}`));
}

function serializeLower(type: PrimitiveType, value: Uint8Array): Uint8Array {
  const { kind } = type;
  if (kind === "decimal") return minimalTwosComplement(integerOf(type, value));
  if (kind === "string") return keptText(value).slice();
  if (kind === "binary" || kind === "fixed") return value.slice(0, BOUND_LENGTH_MAX);
  return value.slice();
}

function serializeUpper(type: PrimitiveType, value: Uint8Array): Uint8Array | null {
  const { kind } = type;
  if (kind === "string") return upperString(value);
  if (kind === "binary" || kind === "fixed") return upperBytes(value);
  return serializeLower(type, value);
}

/** The bytes of the code points that a bound keeps. */
function keptText(value: Uint8Array): Uint8Array {
  return value.subarray(0, codePointsEnd(value, 0, value.length, BOUND_LENGTH_MAX));
}

function upperString(value: Uint8Array): Uint8Array | null {
  let kept = keptText(value);
  if (kept.length === value.length) return kept.slice();
  while (kept.length > 0) {
    const last = kept.findLastIndex((byte) => (byte & 0xc0) !== 0x80);
    const next = nextCodePoint(utf8Text(kept.subarray(last)).codePointAt(0) ?? CODE_POINT_MAX);
    kept = kept.subarray(0, last);
    if (next === null) continue;
    return Uint8Array.of(...kept, ...new TextEncoder().encode(String.fromCodePoint(next)));
  }
  return null;
}

/** The next code point that is a character, surrogates left out; null after the last. */
function nextCodePoint(codePoint: number): number | null {
  if (codePoint >= CODE_POINT_MAX) return null;
  return codePoint + 1 === 0xd800 ? 0xe000 : codePoint + 1;
}

function upperBytes(value: Uint8Array): Uint8Array | null {
  if (value.length <= BOUND_LENGTH_MAX) return value.slice();
  const kept = value.slice(0, BOUND_LENGTH_MAX);
  const at = kept.findLastIndex((byte) => byte !== 0xff);
  if (at < 0) return null;
  const upper = kept.slice(0, at + 1);
  upper[at] = (upper[at] ?? 0) + 1;
  return upper;
}

/** Two's complement, big endian, of the fewest bytes: as Java's `BigInteger.toByteArray`. */
function minimalTwosComplement(value: bigint): Uint8Array {
  let bytes = 1;
  while (BigInt.asIntN(8 * bytes, value) !== value) bytes++;
  assert(bytes <= 16, "a decimal has at most 16 bytes");
  return Uint8Array.fromHex(
    BigInt.asUintN(8 * bytes, value)
      .toString(16)
      .padStart(2 * bytes, "0"),
  );
}
