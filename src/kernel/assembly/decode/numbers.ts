/**
 * JSON numbers, exactly or not at all: whatever is not plain is given up, and the host reads it.
 */
import { append4, append8 } from "./columns";
import { exactDouble } from "./doubles";
import { GIVE_UP } from "./layout";

/** Powers of ten that a double holds exactly. */
const TENS = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
  1e18, 1e19, 1e20, 1e21, 1e22,
]);
/** Where they lie. */
export function tens(): usize {
  return TENS;
}

const TENS_MAX: i32 = 22;
const SMALL_TENS = memory.data<u64>([1, 10, 100, 1000, 10000, 100000, 1000000, 10000000]);

/** Where powers of ten up to 10^7 lie as integers. */
export function wholeTens(): usize {
  return SMALL_TENS;
}

const DOUBLE_EXACT: u64 = 1 << 53;

/** The digits read last: their value (of up to 19 digits). */
export let digits: u64 = 0;

/**
 * Reads digits from `at` on into `digits`, after `head`, which they follow.
 * @returns the position after them
 */
export function readDigits(at: usize, head: u64): usize {
  let i = at;
  let value = head;
  while (true) {
    const each = load<u64>(i) ^ 0x3030303030303030;
    const others = ((each + 0x7676767676767676) | each) & 0x8080808080808080;
    if (others == 0) {
      value = value * 100000000 + eight(each);
      i += 8;
      if (i - at > 24) break;
      continue;
    }
    const count = <usize>(ctz(others) >> 3);
    if (count > 0) {
      value = value * load<u64>(SMALL_TENS + (count << 3)) + eight(each << (64 - (<u64>count << 3)));
    }
    i += count;
    break;
  }
  digits = value;
  return i;
}

/** The value of eight digits, one a byte, the first in the lowest byte. */
// @ts-ignore: decorator
@inline
function eight(each: u64): u64 {
  const pairs = each * 10 + (each >> 8);
  return (
    ((pairs & 0x000000ff000000ff) * 0x000f424000000064 +
      ((pairs >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >>
    32
  );
}

/** True for bytes that would continue a plain integer. */
// @ts-ignore: decorator
@inline
function continues(c: u32): bool {
  return c == 0x2e || (c | 0x20) == 0x65;
}

/** The integer read last, when `readInteger` says so. */
export let integer: i64 = 0;

/** Reads a plain integer within 64 bits into `integer`; the position after it, or GIVE_UP. */
export function readInteger(at: usize): usize {
  const negative = load<u8>(at) == 0x2d;
  const first = at + <usize>negative;
  const i = readDigits(first, 0);
  const count = i - first;
  if (count - 1 >= 19 || (load<u8>(first) == 0x30 && count > 1)) return GIVE_UP;
  if (continues(load<u8>(i))) return GIVE_UP;
  const value = digits;
  if (value > <u64>i64.MAX_VALUE + <u64>negative) return GIVE_UP;
  integer = negative ? -(<i64>value) : <i64>value;
  return i;
}

const ZEROS: u64 = 0x3030303030303030;

/** The high bit of every byte of a word of `0`s taken away that was no digit; the lowest is right. */
// @ts-ignore: decorator
@inline
function noDigits(each: u64): u64 {
  return ((each + 0x7676767676767676) | each) & 0x8080808080808080;
}

/** Bits before the lowest byte that is no digit. */
// @ts-ignore: decorator
@inline
function digitBits(others: u64): u64 {
  return ctz(others) & ~7;
}

/** True for a number of `bits` / 8 digits that begins with a 0 it may not begin with. */
// @ts-ignore: decorator
@inline
function hasLeadingZero(word: u64, bits: u64): bool {
  return (word & 0xff) == 0x30 && bits > 8;
}

/** Appends a long. Most have no sign and at most 15 digits: two words at most, read at once. */
// @ts-ignore: decorator
@inline
export function readLong(column: usize, at: usize): usize {
  const word = load<u64>(at);
  const first = word ^ ZEROS;
  let others = noDigits(first);
  if (others != 0) {
    const bits = digitBits(others);
    if (bits != 0 && !continues(<u32>(word >> bits) & 0xff) && !hasLeadingZero(word, bits)) {
      append8(column, eight(first << (64 - bits)));
      return at + <usize>(bits >> 3);
    }
  } else {
    const rest = load<u64>(at, 8);
    others = noDigits(rest ^ ZEROS);
    const bits = others == 0 ? 0 : digitBits(others);
    if (bits != 0 && !continues(<u32>(rest >> bits) & 0xff) && (word & 0xff) != 0x30) {
      const high = eight(first) * load<u64>(SMALL_TENS + <usize>bits);
      append8(column, high + eight((rest ^ ZEROS) << (64 - bits)));
      return at + 8 + <usize>(bits >> 3);
    }
  }
  return readAnyLong(column, at);
}

function readAnyLong(column: usize, at: usize): usize {
  const after = readInteger(at);
  if (after != GIVE_UP) append8(column, <u64>integer);
  return after;
}

/** Appends an int. */
// @ts-ignore: decorator
@inline
export function readInt(column: usize, at: usize): usize {
  const after = readInteger(at);
  if (after == GIVE_UP || integer != <i64>(<i32>integer)) return GIVE_UP;
  append4(column, <u32>integer);
  return after;
}

/** Appends an integer of `micros` microseconds, when their product is below 2^53. */
export function readEpoch(column: usize, at: usize, micros: u32): usize {
  const after = readInteger(at);
  const most = <i64>(DOUBLE_EXACT - 1) / <i64>micros;
  if (after == GIVE_UP || integer > most || integer < -most) return GIVE_UP;
  append8(column, <u64>(integer * <i64>micros));
  return after;
}

/** Digits of a mantissa at most: more may not fit 64 bits. */
const DIGITS_MAX: usize = 19;

/** The exponent read last, when `readExponent` says so. */
let written: i32 = 0;

/** Reads what follows `e`: a sign and one to three digits; the position after it, or GIVE_UP. */
function readExponent(at: usize): usize {
  const sign = load<u8>(at);
  const first = at + <usize>(sign == 0x2d || sign == 0x2b);
  const i = readDigits(first, 0);
  if (i - first - 1 >= 3) return GIVE_UP;
  written = sign == 0x2d ? -(<i32>digits) : <i32>digits;
  return i;
}

/** The double read last, when `readNumber` says so. */
export let double: f64 = 0;

/**
 * Reads a JSON number of up to 19 digits into `double`, rounded to the nearest; the position after
 * it, or GIVE_UP.
 * @param powers powers of five for `exactDouble`
 */
export function readNumber(at: usize, powers: usize): usize {
  const negative = load<u8>(at) == 0x2d;
  const first = at + <usize>negative;
  const zero = load<u8>(first) == 0x30;
  let i = readDigits(first, 0);
  const whole = i - first;
  if (whole - 1 >= DIGITS_MAX || (zero && whole > 1)) return GIVE_UP;
  let exponent: i32 = 0;
  if (load<u8>(i) == 0x2e) {
    const fraction = i + 1;
    i = readDigits(fraction, digits);
    const size = i - fraction;
    if (size == 0 || size + whole > DIGITS_MAX + <usize>zero) return GIVE_UP;
    exponent = -(<i32>size);
  }
  const mantissa = digits;
  if ((load<u8>(i) | 0x20) == 0x65) {
    i = readExponent(i + 1);
    if (i == GIVE_UP) return GIVE_UP;
    exponent += written;
  }
  return setDouble(mantissa, exponent, negative, powers) ? i : GIVE_UP;
}

/** Sets `double` to mantissa * 10^exponent; false when that is rare enough for the host. */
// @ts-ignore: decorator
@inline
function setDouble(mantissa: u64, exponent: i32, negative: bool, powers: usize): bool {
  let value: f64;
  if (mantissa <= DOUBLE_EXACT && exponent >= -TENS_MAX && exponent <= TENS_MAX) {
    // Both are exact, so that one operation rounds once (Clinger).
    value = <f64>mantissa;
    if (exponent < 0) value /= load<f64>(TENS + (<usize>-exponent << 3));
    else value *= load<f64>(TENS + (<usize>exponent << 3));
  } else {
    // Whole numbers beyond 2^53: whether a double keeps every digit is the host's question.
    if (exponent == 0) return false;
    value = exactDouble(mantissa, exponent, powers);
    if (value < 0) return false;
  }
  double = negative ? -value : value;
  return true;
}

/**
 * Appends a double. Most have no sign, no exponent and at most seven digits on each side of the
 * point: together they are exact, as is the power of ten, so that one division rounds once.
 */
// @ts-ignore: decorator
@inline
export function readDouble(column: usize, at: usize, powers: usize): usize {
  const word = load<u64>(at);
  const others = noDigits(word ^ ZEROS);
  const bits = others == 0 ? 0 : digitBits(others);
  if (bits != 0 && (<u32>(word >> bits) & 0xff) == 0x2e && !hasLeadingZero(word, bits)) {
    const fraction = at + <usize>(bits >> 3) + 1;
    const rest = load<u64>(fraction);
    const after = noDigits(rest ^ ZEROS);
    const size = after == 0 ? 0 : digitBits(after);
    if (size != 0 && ((<u32>(rest >> size) | 0x20) & 0xff) != 0x65) {
      const whole = eight((word ^ ZEROS) << (64 - bits)) * load<u64>(SMALL_TENS + <usize>size);
      const mantissa = whole + eight((rest ^ ZEROS) << (64 - size));
      append8(column, reinterpret<u64>(<f64>(<i64>mantissa) / load<f64>(TENS + <usize>size)));
      return fraction + <usize>(size >> 3);
    }
  }
  return readAnyDouble(column, at, powers);
}

function readAnyDouble(column: usize, at: usize, powers: usize): usize {
  const after = readNumber(at, powers);
  if (after != GIVE_UP) append8(column, reinterpret<u64>(double));
  return after;
}

/**
 * Appends a float. The double is already rounded: where it lies halfway between two floats, only the
 * text tells which of them is nearer.
 */
export function readFloat(column: usize, at: usize, powers: usize): usize {
  const after = readNumber(at, powers);
  const value = <f32>double;
  if (after == GIVE_UP || !isFinite(value)) return GIVE_UP;
  // As far on the other side: a float only when the double is one itself, or halfway.
  const other = double + (double - <f64>value);
  if (other != double && <f64>(<f32>other) == other) return GIVE_UP;
  append4(column, reinterpret<u32>(value));
  return after;
}
