/**
 * JSON strings: found, checked (UTF-8, escapes, no control characters) and copied in one pass,
 * sixteen bytes a step.
 */
import { endValue } from "./columns";
import { Column, GIVE_UP, NO_ROOM, Verdict } from "./layout";

const QUOTE: u32 = 0x22;
const BACKSLASH: u32 = 0x5c;

/** Bits of the bytes at `at` that do not stand for themselves in a JSON string. */
// @ts-ignore: decorator
@inline
function specials(bytes: v128): u32 {
  const quotes = i8x16.eq(bytes, i8x16.splat(0x22));
  const slashes = i8x16.eq(bytes, i8x16.splat(0x5c));
  // Signed: below 0x20 are control characters and all bytes of multi-byte sequences.
  const others = i8x16.lt_s(bytes, i8x16.splat(0x20));
  return <u32>i8x16.bitmask(v128.or(v128.or(quotes, slashes), others));
}

/**
 * Appends the string whose content begins at `at`; the position after its closing quote, GIVE_UP or
 * NO_ROOM.
 * @param end of the document
 */
// @ts-ignore: decorator
@inline
export function readString(column: usize, at: usize, end: usize): usize {
  const data = <usize>load<u32>(column, Column.DATA);
  const most = data + load<u32>(column, Column.BYTES_MAX);
  let i = at;
  let o = data + load<u32>(column, Column.USED);
  while (true) {
    const bytes = v128.load(i);
    if (o > most) return NO_ROOM;
    v128.store(o, bytes);
    const found = specials(bytes);
    if (found == 0) {
      i += 16;
      o += 16;
      if (i > end) return GIVE_UP;
      continue;
    }
    const plain = <usize>ctz(found);
    i += plain;
    o += plain;
    const c = <u32>load<u8>(i);
    if (c == QUOTE) break;
    i = c == BACKSLASH ? readEscape(i, end, o) : readSequence(i, end, o);
    if (i == GIVE_UP) return GIVE_UP;
    o += written;
  }
  if (o > most) return NO_ROOM;
  const used = <u32>(o - data);
  store<u32>(column, used, Column.USED);
  endValue(column, used);
  return i + 1;
}

/** The position after the closing quote of the string whose content begins at `at`, or GIVE_UP. */
export function skipString(at: usize, end: usize): usize {
  let i = at;
  while (true) {
    const found = specials(v128.load(i));
    if (found == 0) {
      i += 16;
      if (i > end) return GIVE_UP;
      continue;
    }
    i += <usize>ctz(found);
    const c = <u32>load<u8>(i);
    if (c == QUOTE) return i + 1;
    i = c == BACKSLASH ? readEscape(i, end, 0) : readSequence(i, end, 0);
    if (i == GIVE_UP) return GIVE_UP;
  }
}

/** What was wrong with the text that was given up last, where that is not its form: a value of Verdict, else what it was. */
export let textFault: u32 = 0;

/** Sets it back. */
export function resetTextFault(): void {
  textFault = 0;
}

/** Bytes that the last escape or run of sequences became. */
let written: usize = 0;

/**
 * Reads multi-byte sequences of UTF-8 (Unicode table 3-7) from `at` on, up to 8 bytes.
 * @param o where they are copied to; 0: nowhere
 * @returns the position after them, or GIVE_UP
 */
function readSequence(at: usize, end: usize, o: usize): usize {
  let i = at;
  while (i - at < 8) {
    const lead = <u32>load<u8>(i);
    if (lead < 0x80) break;
    const size = sequenceBytes(i, lead);
    if (size == 0) {
      textFault = Verdict.BAD_UTF8;
      return GIVE_UP;
    }
    if (o != 0) store<u32>(o + (i - at), load<u32>(i));
    i += size;
  }
  written = i - at;
  return written == 0 || i > end ? GIVE_UP : i;
}

/** Bytes of the well-formed sequence at `at`, else 0. */
function sequenceBytes(at: usize, lead: u32): usize {
  const second = <u32>load<u8>(at, 1);
  if (lead < 0xc2 || lead > 0xf4 || (second & 0xc0) != 0x80) return 0;
  if (lead < 0xe0) return 2;
  if ((load<u8>(at, 2) & 0xc0) != 0x80) return 0;
  if (lead < 0xf0) {
    // Overlong forms, and surrogates.
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
    return 3;
  }
  if ((load<u8>(at, 3) & 0xc0) != 0x80) return 0;
  // Overlong forms, and beyond U+10FFFF.
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
  return 4;
}

/**
 * Reads the escape at `at` (a backslash); a surrogate pair is one escape.
 * @param o where its UTF-8 goes; 0: nowhere
 * @returns the position after it, or GIVE_UP
 */
function readEscape(at: usize, end: usize, o: usize): usize {
  const c = <u32>load<u8>(at, 1);
  if (c == 0x75) return readUnicode(at, end, o);
  const byte = simpleEscape(c);
  if (byte == 0 || at + 2 > end) return GIVE_UP;
  if (o != 0) store<u8>(o, <u8>byte);
  written = 1;
  return at + 2;
}

/** The character that a backslash and `c` stand for; 0: none. */
function simpleEscape(c: u32): u32 {
  switch (c) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return c;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
  }
  return 0;
}

function readUnicode(at: usize, end: usize, o: usize): usize {
  let point = fourHex(at + 2);
  let after = at + 6;
  if (point < 0) return GIVE_UP;
  if (point >= 0xd800 && point <= 0xdfff) {
    // Backslash and u, little endian.
    const isEscaped = load<u16>(after) == 0x755c;
    const second = isEscaped ? fourHex(after + 2) : -1;
    if (isEscaped && second < 0) return GIVE_UP;
    if (point > 0xdbff || second < 0xdc00 || second > 0xdfff) {
      textFault = Verdict.BAD_UTF8;
      return GIVE_UP;
    }
    point = 0x10000 + ((point - 0xd800) << 10) + (second - 0xdc00);
    after += 6;
  }
  if (after > end) return GIVE_UP;
  writePoint(<u32>point, o);
  return after;
}

function fourHex(at: usize): i32 {
  let value: i32 = 0;
  for (let k: usize = 0; k < 4; k++) {
    const c = <i32>load<u8>(at + k);
    const lower = c | 0x20;
    let digit: i32 = -1;
    if (c >= 0x30 && c <= 0x39) digit = c - 0x30;
    else if (lower >= 0x61 && lower <= 0x66) digit = lower - 0x57;
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

function writePoint(point: u32, o: usize): void {
  let size: usize;
  let bytes: u32;
  if (point < 0x80) {
    size = 1;
    bytes = point;
  } else if (point < 0x800) {
    size = 2;
    bytes = 0x80c0 | (point >> 6) | ((point & 0x3f) << 8);
  } else if (point < 0x10000) {
    size = 3;
    bytes = 0x8080e0 | (point >> 12) | (((point >> 6) & 0x3f) << 8) | ((point & 0x3f) << 16);
  } else {
    size = 4;
    bytes =
      0x808080f0 |
      (point >> 18) |
      (((point >> 12) & 0x3f) << 8) |
      (((point >> 6) & 0x3f) << 16) |
      ((point & 0x3f) << 24);
  }
  if (o != 0) store<u32>(o, bytes);
  written = size;
}

/** True when `[at, end)` is well-formed UTF-8. */
export function isUtf8(at: usize, end: usize): bool {
  let i = at;
  while (i < end) {
    if (i + 16 <= end && i8x16.bitmask(v128.load(i)) == 0) {
      i += 16;
      continue;
    }
    const lead = <u32>load<u8>(i);
    if (lead < 0x80) {
      i++;
      continue;
    }
    const size = sequenceBytes(i, lead);
    if (size == 0 || i + size > end) return false;
    i += size;
  }
  return true;
}
