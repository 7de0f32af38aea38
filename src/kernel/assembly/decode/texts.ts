/**
 * Declared types by their usual text (SPEC section 5): the strict common forms. Others are given up,
 * and the host's parsers (`decode/json/values.ts`) decide.
 */
import { append16, append4, append8 } from "./columns";
import { GIVE_UP, Op, Slot } from "./layout";

const QUOTE: u8 = 0x22;
const DAY_MICROS: i64 = 86_400_000_000;
const MINUTE_MICROS: i64 = 60_000_000;

/** Days since 1970-01-01 of the date read last. */
let days: i32 = 0;
/** Nanoseconds since midnight of the time read last. */
let nanos: i64 = 0;
/** Minutes east of UTC of the zone read last; 0 where there was none. */
let minutes: i32 = 0;

/** The two digits at `at` as a number; 100 or more when they are none. */
// @ts-ignore: decorator
@inline
function two(at: usize): u32 {
  const tens = <u32>load<u8>(at) - 0x30;
  const ones = <u32>load<u8>(at, 1) - 0x30;
  return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

function isLeap(year: i32): bool {
  return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0);
}

function monthDays(year: i32, month: u32): u32 {
  if (month == 2) return isLeap(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/** Reads `2026-01-31` into `days`; false when it is none. */
function date(at: usize): bool {
  const century = two(at);
  const rest = two(at + 2);
  const month = two(at + 5);
  const day = two(at + 8);
  if (century > 99 || rest > 99 || load<u8>(at, 4) != 0x2d || load<u8>(at, 7) != 0x2d) return false;
  const year = <i32>(century * 100 + rest);
  if (month < 1 || month > 12 || day < 1 || day > monthDays(year, month)) return false;
  // Years begin in March, so that the leap day is their last (Hinnant, "chrono-compatible dates").
  const shifted = year - <i32>(month <= 2);
  const era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  const ofEra = shifted - era * 400;
  const ofYear = (153 * (<i32>month + (month > 2 ? -3 : 9)) + 2) / 5 + <i32>day - 1;
  days = era * 146097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719468;
  return true;
}

/** Reads `23:59:59.123456789`, the fraction optional, into `nanos`; the position after it. */
function time(at: usize): usize {
  const hour = two(at);
  const minute = two(at + 3);
  const second = two(at + 6);
  if (load<u8>(at, 2) != 0x3a || load<u8>(at, 5) != 0x3a) return GIVE_UP;
  if (hour > 23 || minute > 59 || second > 59) return GIVE_UP;
  let i = at + 8;
  let fraction: i64 = 0;
  if (load<u8>(i) == 0x2e) {
    let size: u32 = 0;
    for (i++; size < 10; i++, size++) {
      const digit = <u32>load<u8>(i) - 0x30;
      if (digit > 9) break;
      fraction = fraction * 10 + digit;
    }
    if (size < 1 || size > 9) return GIVE_UP;
    for (; size < 9; size++) fraction *= 10;
  }
  nanos = <i64>((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction;
  return i;
}

/** Reads `Z` or `+01:00` into `minutes`; the position after it, `at` itself where there is no zone. */
function zone(at: usize): usize {
  minutes = 0;
  const c = load<u8>(at);
  if (c == 0x5a) return at + 1;
  if (c != 0x2b && c != 0x2d) return at;
  const hours = two(at + 1);
  const rest = two(at + 4);
  if (load<u8>(at, 3) != 0x3a || hours > 18 || rest > 59) return GIVE_UP;
  minutes = <i32>(hours * 60 + rest);
  if (c == 0x2d) minutes = -minutes;
  return at + 6;
}

/** Appends a date. @param form 1: a `Z` may stand behind it */
function readDate(column: usize, at: usize, form: u32): usize {
  if (!date(at)) return GIVE_UP;
  const i = at + 10 + <usize>(form != 0 && load<u8>(at, 10) == 0x5a);
  if (load<u8>(i) != QUOTE) return GIVE_UP;
  append4(column, <u32>days);
  return i + 1;
}

/** Appends a time of day in microseconds; with a zone, the time of day in UTC. */
function readTime(column: usize, at: usize): usize {
  let i = time(at);
  if (i == GIVE_UP) return GIVE_UP;
  i = zone(i);
  if (i == GIVE_UP || load<u8>(i) != QUOTE) return GIVE_UP;
  let micros = nanos / 1000 - <i64>minutes * MINUTE_MICROS;
  if (micros < 0) micros += DAY_MICROS;
  else if (micros >= DAY_MICROS) micros -= DAY_MICROS;
  append8(column, <u64>micros);
  return i + 1;
}

/**
 * Appends a timestamp.
 * @param form bit 0: it has a zone; bit 1: nanoseconds; bit 2: without a zone it is UTC; bit 3: it has none,
 * but a `Z` may stand behind it
 */
function readTimestamp(column: usize, at: usize, form: u32): usize {
  const separator = load<u8>(at, 10);
  if (!date(at) || (separator != 0x54 && separator != 0x20)) return GIVE_UP;
  const day = <i64>days;
  let i = time(at + 11);
  if (i == GIVE_UP) return GIVE_UP;
  const zoned = load<u8>(i) != QUOTE;
  const isDropped = load<u8>(i) == 0x5a && (form & 8) != 0;
  i = zone(i);
  if (i == GIVE_UP) return GIVE_UP;
  const isFit = zoned == ((form & 1) != 0) || (!zoned && (form & 4) != 0) || isDropped;
  if (load<u8>(i) != QUOTE || !isFit) return GIVE_UP;
  const micros = day * DAY_MICROS - <i64>minutes * MINUTE_MICROS;
  if ((form & 2) == 0) {
    append8(column, <u64>(micros + nanos / 1000));
    return i + 1;
  }
  // 64 bits of nanoseconds reach from 1677 to 2262.
  if (micros > 9_200_000_000_000_000 || micros < -9_200_000_000_000_000) return GIVE_UP;
  append8(column, <u64>(micros * 1000 + nanos));
  return i + 1;
}

/** Appends a UUID of 36 characters. */
function readUuid(column: usize, at: usize): usize {
  let high: u64 = 0;
  let low: u64 = 0;
  let i = at;
  for (let byte: u32 = 0; byte < 16; byte++) {
    if (byte == 4 || byte == 6 || byte == 8 || byte == 10) {
      if (load<u8>(i++) != 0x2d) return GIVE_UP;
    }
    const first = hexDigit(<u32>load<u8>(i));
    const second = hexDigit(<u32>load<u8>(i, 1));
    if ((first | second) > 15) return GIVE_UP;
    // Big endian, whose first byte is the lowest here.
    const value = <u64>((first << 4) | second) << (<u64>(byte & 7) << 3);
    if (byte < 8) high |= value;
    else low |= value;
    i += 2;
  }
  if (load<u8>(i) != QUOTE) return GIVE_UP;
  append16(column, high, low);
  return i + 1;
}

/** What a hexadecimal digit stands for; 16: it is none. */
export function hexDigit(c: u32): u32 {
  if (c - 0x30 <= 9) return c - 0x30;
  const lower = (c | 0x20) - 0x61;
  return lower <= 5 ? lower + 10 : 16;
}

/**
 * Appends a decimal from a number, or a string of one, without an exponent.
 * @param form precision * 256 + scale; precision at most 18
 */
function readDecimal(column: usize, at: usize, form: u32): usize {
  const quoted = load<u8>(at) == QUOTE;
  const scale = form & 0xff;
  let i = at + <usize>quoted;
  const negative = load<u8>(i) == 0x2d;
  i += <usize>negative;
  const first = i;
  let value: u64 = 0;
  let whole: u32 = 0;
  for (; <u32>load<u8>(i) - 0x30 <= 9; i++) {
    value = value * 10 + (load<u8>(i) - 0x30);
    if (++whole > 18) return GIVE_UP;
  }
  if (whole == 0 || (load<u8>(first) == 0x30 && whole > 1)) return GIVE_UP;
  let fraction: u32 = 0;
  if (load<u8>(i) == 0x2e) {
    for (i++; <u32>load<u8>(i) - 0x30 <= 9; i++) {
      value = value * 10 + (load<u8>(i) - 0x30);
      if (++fraction > scale) return GIVE_UP;
    }
    if (fraction == 0) return GIVE_UP;
  }
  if (whole + scale > 19 || (load<u8>(i) | 0x20) == 0x65) return GIVE_UP;
  for (; fraction < scale; fraction++) value *= 10;
  if (value >= tenTo(form >> 8)) return GIVE_UP;
  if (quoted && load<u8>(i++) != QUOTE) return GIVE_UP;
  const signed = negative ? -(<i64>value) : <i64>value;
  append16(column, <u64>signed, <u64>(signed >> 63));
  return i;
}

function tenTo(exponent: u32): u64 {
  let value: u64 = 1;
  for (let k: u32 = 0; k < exponent; k++) value *= 10;
  return value;
}

/** Appends the value at `at`, which begins with `c`, of a slot of a declared type; the position after it, or GIVE_UP. */
export function readText(slot: usize, op: u32, column: usize, c: u8, at: usize): usize {
  const parameter = load<u32>(slot, Slot.PARAMETER);
  if (op == Op.DECIMAL) return readDecimal(column, at, parameter);
  if (c != QUOTE) return GIVE_UP;
  switch (op) {
    case Op.TIMESTAMP:
      return readTimestamp(column, at + 1, parameter);
    case Op.DATE:
      return readDate(column, at + 1, parameter);
    case Op.UUID:
      return readUuid(column, at + 1);
    case Op.TIME:
      return readTime(column, at + 1);
  }
  return GIVE_UP;
}
