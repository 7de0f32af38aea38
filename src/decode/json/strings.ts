/**
 * JSON strings into string columns: the bytes are copied while they are checked, escapes become
 * UTF-8. No JavaScript string is made.
 */
import { strictUtf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { BAD_JSON, BAD_UTF8, CHAR, escapeBytes, escapedPoint, sequenceBytes } from "./scan.ts";

const encoder = new TextEncoder();

/**
 * Appends the string whose content begins at `at` to a string column.
 * @returns the position after its closing quote, or a negative code; then nothing is appended
 */
export function readString(
  bytes: Uint8Array,
  at: number,
  end: number,
  column: ColumnBuilder,
): number {
  let { data } = column;
  let i = at;
  let o = column.dataLength;
  for (;;) {
    // What is written is never longer than what was read: this is where room may end.
    const stop = Math.min(end, i + data.length - o);
    const shift = o - i;
    while (i < stop && isPlain(bytes[i] as number)) {
      data[i + shift] = bytes[i] as number;
      i++;
    }
    o = i + shift;
    if (i >= end) return BAD_JSON;
    if (bytes[i] === CHAR.quote) {
      column.endBytes(o);
      return i + 1;
    }
    if (stop - i < SPECIAL_BYTES_MAX && stop < end) {
      column.growData(o - column.dataLength + SPECIAL_BYTES_MAX);
      data = column.data;
    } else {
      const sizes = readSpecial(bytes, i, end, data, o);
      if (sizes < 0) return sizes;
      i += sizes >> 3;
      o += sizes & 7;
    }
  }
}

/** The longest escape: a surrogate pair. */
const SPECIAL_BYTES_MAX = 12;

/** True for ASCII that stands for itself in a JSON string. */
function isPlain(c: number): boolean {
  return c >= 0x20 && c <= 0x7f && c !== CHAR.quote && c !== CHAR.backslash;
}

/**
 * Reads one escape or one multi-byte sequence at `at` and writes it at `o`.
 * @returns bytes read times 8, plus bytes written; or a negative code
 */
function readSpecial(
  bytes: Uint8Array,
  at: number,
  end: number,
  data: Uint8Array,
  o: number,
): number {
  const c = bytes[at] as number;
  if (c === CHAR.backslash) {
    const point = escapedPoint(bytes, at, end);
    if (point < 0) return point;
    return (escapeBytes(bytes, at, point) << 3) + writePoint(point, data, o);
  }
  if (c < 0x80) return BAD_JSON;
  const size = sequenceBytes(bytes, at, end);
  if (size === 0) return BAD_UTF8;
  for (let k = 0; k < size; k++) data[o + k] = bytes[at + k] as number;
  return (size << 3) + size;
}

/** Writes a code point as UTF-8; returns its size. */
function writePoint(point: number, data: Uint8Array, o: number): number {
  if (point < 0x80) {
    data[o] = point;
    return 1;
  }
  if (point < 0x800) {
    data[o] = 0xc0 | (point >> 6);
    data[o + 1] = 0x80 | (point & 0x3f);
    return 2;
  }
  if (point < 0x10000) {
    data[o] = 0xe0 | (point >> 12);
    data[o + 1] = 0x80 | ((point >> 6) & 0x3f);
    data[o + 2] = 0x80 | (point & 0x3f);
    return 3;
  }
  data[o] = 0xf0 | (point >> 18);
  data[o + 1] = 0x80 | ((point >> 12) & 0x3f);
  data[o + 2] = 0x80 | ((point >> 6) & 0x3f);
  data[o + 3] = 0x80 | (point & 0x3f);
  return 4;
}

/** Longer text is decoded through a view, which costs more than a short text itself. */
const SHORT_TEXT = 64;
const latin1 = Buffer.prototype.latin1Slice;

/** The text of the JSON string whose content begins at `at` and whose end is known to be good. */
export function textOf(bytes: Uint8Array, at: number, afterQuote: number): string {
  if (isShortAscii(bytes, at, afterQuote - 1)) return latin1.call(bytes, at, afterQuote - 1);
  const content = bytes.subarray(at, afterQuote - 1);
  if (!content.includes(CHAR.backslash)) return strictUtf8Text(content);
  return JSON.parse(strictUtf8Text(bytes.subarray(at - 1, afterQuote))) as string;
}

/** True for short text that stands for itself, byte by byte. */
function isShortAscii(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > SHORT_TEXT) return false;
  for (let i = start; i < end; i++) {
    const c = bytes[i] as number;
    if (c >= 0x80 || c === CHAR.backslash) return false;
  }
  return true;
}

/** The text of the value in `bytes[at, after)`: of a string what it says, of any other how it is written. */
export function valueText(bytes: Uint8Array, at: number, after: number): string {
  if (bytes[at] === CHAR.quote) return textOf(bytes, at + 1, after);
  return strictUtf8Text(bytes.subarray(at, after));
}

/** True when `bytes[start, end)` is well-formed UTF-8. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; ) {
    if ((bytes[i] as number) < 0x80) i++;
    else {
      const size = sequenceBytes(bytes, i, end);
      if (size === 0) return false;
      i += size;
    }
  }
  return true;
}

/**
 * The usual JSON text of a key, quotes included. Text that begins with these bytes has this key and
 * no other, because they are one whole JSON string; the same key written with other escapes is found
 * by its name.
 */
export function keyBytes(name: string): Uint8Array {
  return encoder.encode(JSON.stringify(name));
}
