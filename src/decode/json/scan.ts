/**
 * JSON's tokens over bytes (RFC 8259): where a string or number ends, and whether it is well formed.
 *
 * Every function takes a position and returns the position after what it read, or one of the
 * negative codes of {@link BAD_JSON}. Bytes behind `end` belong to something else: a result beyond
 * `end` is an error of the caller's document.
 */

/** Not JSON: malformed, truncated, trailing bytes. */
export const BAD_JSON = -1;
/** Not UTF-8, or an escaped surrogate without its pair: no UTF-8 column could hold it. */
export const BAD_UTF8 = -2;
/** Nested deeper than `LIMITS.jsonDepthMax`. */
export const TOO_DEEP = -3;

/** More values than `LIMITS.recordValuesMax`. */
export const TOO_MANY = -4;

/** ASCII codes by name. */
export const CHAR = {
  quote: 0x22,
  plus: 0x2b,
  comma: 0x2c,
  minus: 0x2d,
  dot: 0x2e,
  zero: 0x30,
  colon: 0x3a,
  upperE: 0x45,
  openList: 0x5b,
  backslash: 0x5c,
  closeList: 0x5d,
  lowerE: 0x65,
  f: 0x66,
  n: 0x6e,
  t: 0x74,
  u: 0x75,
  open: 0x7b,
  close: 0x7d,
} as const;

/** The position of the first byte from `at` that is not JSON white space. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  let i = at;
  for (;;) {
    const c = bytes[i] as number;
    if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) return i;
    i++;
  }
}

/** The position after `null`, `true` or `false` at `at`. */
export function skipWord(bytes: Uint8Array, at: number): number {
  switch (bytes[at] as number) {
    case CHAR.n:
      return is(bytes, at + 1, 0x75, 0x6c, 0x6c) ? at + 4 : BAD_JSON;
    case CHAR.t:
      return is(bytes, at + 1, 0x72, 0x75, 0x65) ? at + 4 : BAD_JSON;
    case CHAR.f:
      return is(bytes, at + 1, 0x61, 0x6c, 0x73) && bytes[at + 4] === 0x65 ? at + 5 : BAD_JSON;
    default:
      return BAD_JSON;
  }
}

function is(bytes: Uint8Array, at: number, a: number, b: number, c: number): boolean {
  return bytes[at] === a && bytes[at + 1] === b && bytes[at + 2] === c;
}

function skipDigits(bytes: Uint8Array, at: number): number {
  let i = at;
  while ((bytes[i] as number) >= CHAR.zero && (bytes[i] as number) <= 0x39) i++;
  return i;
}

/** The position after the number at `at`. */
export function skipNumber(bytes: Uint8Array, at: number): number {
  const first = bytes[at] === CHAR.minus ? at + 1 : at;
  let i = skipDigits(bytes, first);
  if (i === first || (bytes[first] === CHAR.zero && i > first + 1)) return BAD_JSON;
  if (bytes[i] === CHAR.dot) {
    const fraction = i + 1;
    i = skipDigits(bytes, fraction);
    if (i === fraction) return BAD_JSON;
  }
  if (bytes[i] === CHAR.lowerE || bytes[i] === CHAR.upperE) {
    const sign = bytes[i + 1];
    const exponent = sign === CHAR.minus || sign === CHAR.plus ? i + 2 : i + 1;
    i = skipDigits(bytes, exponent);
    if (i === exponent) return BAD_JSON;
  }
  return i;
}

/** The position after the closing quote of the string whose content begins at `at`. */
export function skipString(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end) {
    const c = bytes[i] as number;
    if (c === CHAR.quote) return i + 1;
    const size = c === CHAR.backslash || c >= 0x80 ? skipSpecial(bytes, i, end) : 1;
    if (c < 0x20) return BAD_JSON;
    if (size < 0) return size;
    i += size;
  }
  return BAD_JSON;
}

/** Bytes of the escape or multi-byte sequence at `at`, or a negative code. */
function skipSpecial(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] !== CHAR.backslash) {
    const size = sequenceBytes(bytes, at, end);
    return size === 0 ? BAD_UTF8 : size;
  }
  const point = escapedPoint(bytes, at, end);
  return point < 0 ? point : escapeBytes(bytes, at, point);
}

/** Bytes of the well-formed UTF-8 sequence of 2 to 4 bytes at `at` (Unicode table 3-7), else 0. */
export function sequenceBytes(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] as number;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + size > end || !isSecond(lead, bytes[at + 1] as number)) return 0;
  for (let k = 2; k < size; k++) if (!isContinuation(bytes[at + k] as number)) return 0;
  return size;
}

/** Overlong forms, surrogates and code points beyond U+10FFFF show in the second byte. */
function isSecond(lead: number, second: number): boolean {
  switch (lead) {
    case 0xe0:
      return second >= 0xa0 && second <= 0xbf;
    case 0xed:
      return second >= 0x80 && second <= 0x9f;
    case 0xf0:
      return second >= 0x90 && second <= 0xbf;
    case 0xf4:
      return second >= 0x80 && second <= 0x8f;
    default:
      return isContinuation(second);
  }
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** The code point of the escape at `at` (a backslash); a surrogate pair is one escape. */
export function escapedPoint(bytes: Uint8Array, at: number, end: number): number {
  switch (bytes[at + 1] as number) {
    case CHAR.quote:
      return CHAR.quote;
    case CHAR.backslash:
      return CHAR.backslash;
    case 0x2f:
      return 0x2f;
    case 0x62:
      return 0x08;
    case CHAR.f:
      return 0x0c;
    case CHAR.n:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case CHAR.t:
      return 0x09;
    case CHAR.u:
      return unicodeEscape(bytes, at + 2, end);
    default:
      return BAD_JSON;
  }
}

/** Bytes of the escape at `at` that stands for `point`. */
export function escapeBytes(bytes: Uint8Array, at: number, point: number): number {
  if (bytes[at + 1] !== CHAR.u) return 2;
  return point > 0xffff ? 12 : 6;
}

function unicodeEscape(bytes: Uint8Array, at: number, end: number): number {
  const unit = fourHex(bytes, at, end);
  if (unit < 0 || unit < 0xd800 || unit > 0xdfff) return unit;
  const next = at + 4;
  const low =
    bytes[next] === CHAR.backslash && bytes[next + 1] === CHAR.u
      ? fourHex(bytes, next + 2, end)
      : BAD_UTF8;
  if (low === BAD_JSON) return BAD_JSON;
  if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) return BAD_UTF8;
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

function fourHex(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 > end) return BAD_JSON;
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const digit = hexDigit(bytes[i] as number);
    if (digit < 0) return BAD_JSON;
    value = (value << 4) | digit;
  }
  return value;
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** True when there is nothing but white space in `bytes[start, end)`: it may go on behind a document. */
export function isSpace(bytes: Uint8Array, start: number, end: number): boolean {
  for (let k = start; k < end; k++) if ((bytes[k] as number) > 0x20) return false;
  return true;
}
