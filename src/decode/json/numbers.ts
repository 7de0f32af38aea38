/**
 * JSON numbers into number columns: exact, or not at all.
 *
 * Up to 15 digits are read in registers; anything longer, with an exponent, or otherwise rare is
 * left to `appendNumber`, which goes by the text: `Number(text)` for doubles (what `JSON.parse`
 * gives), exact integers otherwise. A whole number beyond 2^53 is in a double with every digit, or as
 * doubles are printed, or not at all (SPEC section 5). An integer column takes `1.0` and `1e3`, which are integers
 * written otherwise, and no `1.5`.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { nearestFloat } from "./floats.ts";
import { CHAR } from "./scan.ts";
import { scaledInteger } from "./values.ts";

/** The fast way does not apply here; nothing was appended. */
export const SLOW = -9;

const POWERS: Float64Array = Float64Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);
/** Up to here a double holds every whole number. */
const DOUBLE_EXACT = 2 ** 53;
const LONG_MIN = -0x8000_0000_0000_0000n;
const LONG_MAX = 0x7fff_ffff_ffff_ffffn;

/**
 * Appends the integer at `at`, times `scale`, to a column of 64-bit integers.
 * @returns the position after it, or SLOW
 */
export function readLong(
  bytes: Uint8Array,
  at: number,
  column: ColumnBuilder,
  scale: number,
): number {
  const first = bytes[at] === CHAR.minus ? at + 1 : at;
  // Two runs of at most 9 and 6 digits stay within int32, and their sum within 2^53.
  const headStop = first + 9;
  const tailStop = headStop + 6;
  let i = first;
  let head = 0;
  let digit = digitAt(bytes, i);
  while (digit >= 0 && i < headStop) {
    head = (Math.imul(head, 10) + digit) | 0;
    digit = digitAt(bytes, ++i);
  }
  let value = head;
  if (i === headStop) {
    let tail = 0;
    while (digit >= 0 && i < tailStop) {
      tail = (Math.imul(tail, 10) + digit) | 0;
      digit = digitAt(bytes, ++i);
    }
    value = head * (POWERS[i - headStop] as number) + tail;
  }
  if (endsOtherwise(bytes, first, i)) return SLOW;
  value *= scale;
  if (value > Number.MAX_SAFE_INTEGER) return SLOW;
  column.appendSafeLong(first === at ? value : -value);
  return i;
}

/** Appends the integer at `at` to a column of 32-bit integers; the position after it, or SLOW. */
export function readInt(bytes: Uint8Array, at: number, column: ColumnBuilder): number {
  const first = bytes[at] === CHAR.minus ? at + 1 : at;
  const stop = first + 9;
  let i = first;
  let value = 0;
  let digit = digitAt(bytes, i);
  while (digit >= 0 && i < stop) {
    value = (Math.imul(value, 10) + digit) | 0;
    digit = digitAt(bytes, ++i);
  }
  if (endsOtherwise(bytes, first, i)) return SLOW;
  column.appendInt(first === at ? value : -value);
  return i;
}

/** Appends the number at `at` to a double column; the position after it, or SLOW. */
export function readDouble(bytes: Uint8Array, at: number, column: ColumnBuilder): number {
  const first = bytes[at] === CHAR.minus ? at + 1 : at;
  const stop = first + 15;
  let i = first;
  let value = 0;
  let digit = digitAt(bytes, i);
  while (digit >= 0 && i < stop) {
    value = value * 10 + digit;
    digit = digitAt(bytes, ++i);
  }
  if (i === first || (bytes[first] === CHAR.zero && i > first + 1)) return SLOW;
  if (bytes[i] === CHAR.dot) {
    const fraction = i + 1;
    i = fraction;
    digit = digitAt(bytes, i);
    while (digit >= 0 && i <= stop) {
      value = value * 10 + digit;
      digit = digitAt(bytes, ++i);
    }
    if (i === fraction) return SLOW;
    // At most 15 digits and a power of ten below 10^16: one correctly rounded division.
    value /= POWERS[i - fraction] as number;
  }
  if (continues(bytes[i])) return SLOW;
  column.appendFloat(first === at ? value : -value);
  return i;
}

/** The digit at a position, -1 when there is none. */
function digitAt(bytes: Uint8Array, at: number): number {
  const digit = (bytes[at] as number) - CHAR.zero;
  return digit >= 0 && digit <= 9 ? digit : -1;
}

/** True when `bytes[first, end)` is not the whole of a plain integer. */
function endsOtherwise(bytes: Uint8Array, first: number, end: number): boolean {
  if (end === first || (bytes[first] === CHAR.zero && end > first + 1)) return true;
  return bytes[end] === CHAR.dot || continues(bytes[end]);
}

function continues(c: number | undefined): boolean {
  if (c === undefined) return false;
  return (c >= CHAR.zero && c <= 0x39) || (c | 0x20) === CHAR.lowerE;
}

/** Appends a number from its text; false when the column cannot hold it. */
export function appendNumber(text: string, column: ColumnBuilder): boolean {
  const { kind } = column.field.type;
  if (kind === "double" || kind === "float") {
    const value = kind === "float" ? nearestFloat(text) : Number(text);
    // A float is asked for by name only, never inferred: whoever does knows that it rounds.
    if (!Number.isFinite(value) || (kind === "double" && losesDigits(text, value))) return false;
    column.appendFloat(value);
    return true;
  }
  const integer = scaledInteger(text, 0, false);
  if (integer === null) return false;
  if (kind === "int") {
    const value = Number(integer);
    if (value !== (value | 0)) return false;
    column.appendInt(value);
    return true;
  }
  if (kind !== "long" || integer < LONG_MIN || integer > LONG_MAX) return false;
  column.appendBigInt(integer);
  return true;
}

/**
 * True for a whole number, written as one, of which a double keeps not every digit: an identifier, most
 * likely. What a double prints of itself (`123456789012345680000`) came from a double.
 */
function losesDigits(text: string, value: number): boolean {
  if (Math.abs(value) < DOUBLE_EXACT || !/^-?\d+$/.test(text) || text === String(value))
    return false;
  const whole = BigInt(text);
  return (whole > DOUBLE_EXACT || whole < -DOUBLE_EXACT) && whole !== BigInt(value);
}

/** True when a JSON value that begins with `c` is a number. */
export function isNumberAt(c: number): boolean {
  return c === CHAR.minus || (c >= CHAR.zero && c <= 0x39);
}
