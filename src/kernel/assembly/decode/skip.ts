/** Whole JSON values skipped with full validation (RFC 8259). */
import { readDigits } from "./numbers";
import { GIVE_UP } from "./layout";
import { skipString } from "./strings";

/** Set when a string, number or boolean was skipped as a value; reset by the caller. */
export let typed: bool = false;

/** Resets `typed`. */
export function resetTyped(): void {
  typed = false;
}

/** The position of the first byte from `at` that is no white space. */
// @ts-ignore: decorator
@inline
export function skipSpace(at: usize): usize {
  let i = at;
  while (true) {
    const c = <u32>load<u8>(i);
    if (c > 0x20 || (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09)) return i;
    i++;
  }
}

/** The position after `null`, `true` or `false` at `at`, or GIVE_UP. */
export function skipWord(at: usize): usize {
  const word = load<u32>(at);
  if (word == 0x6c6c756e || word == 0x65757274) return at + 4;
  return word == 0x736c6166 && load<u8>(at, 4) == 0x65 ? at + 5 : GIVE_UP;
}

/** The position after the number at `at`, or GIVE_UP. */
export function skipNumber(at: usize): usize {
  const first = at + <usize>(load<u8>(at) == 0x2d);
  let i = skipDigits(first);
  if (i == first || (load<u8>(first) == 0x30 && i > first + 1)) return GIVE_UP;
  if (load<u8>(i) == 0x2e) {
    const fraction = i + 1;
    i = skipDigits(fraction);
    if (i == fraction) return GIVE_UP;
  }
  if ((load<u8>(i) | 0x20) == 0x65) {
    const sign = load<u8>(i, 1);
    const exponent = i + 1 + <usize>(sign == 0x2d || sign == 0x2b);
    i = skipDigits(exponent);
    if (i == exponent) return GIVE_UP;
  }
  return i;
}

function skipDigits(at: usize): usize {
  let i = at;
  while (true) {
    const after = readDigits(i, 0);
    if (after == i) return after;
    i = after;
  }
}

/**
 * The position after the value at `at`, or GIVE_UP.
 * @param depth containers that may still open
 */
export function skipValue(at: usize, end: usize, depth: i32): usize {
  switch (<u32>load<u8>(at)) {
    case 0x22:
      typed = true;
      return skipString(at + 1, end);
    case 0x7b:
      return depth <= 0 ? GIVE_UP : skipObject(at + 1, end, depth - 1);
    case 0x5b:
      return depth <= 0 ? GIVE_UP : skipList(at + 1, end, depth - 1);
    case 0x6e:
      return skipWord(at);
    case 0x74:
    case 0x66:
      typed = true;
      return skipWord(at);
  }
  typed = true;
  return skipNumber(at);
}

function skipObject(at: usize, end: usize, depth: i32): usize {
  let i = skipSpace(at);
  if (load<u8>(i) == 0x7d) return i + 1;
  while (true) {
    if (load<u8>(i) != 0x22) return GIVE_UP;
    i = skipString(i + 1, end);
    if (i == GIVE_UP) return GIVE_UP;
    i = skipSpace(i);
    if (load<u8>(i) != 0x3a) return GIVE_UP;
    i = skipValue(skipSpace(i + 1), end, depth);
    if (i == GIVE_UP || i > end) return GIVE_UP;
    i = skipSpace(i);
    const c = load<u8>(i);
    if (c == 0x7d) return i + 1;
    if (c != 0x2c) return GIVE_UP;
    i = skipSpace(i + 1);
  }
}

function skipList(at: usize, end: usize, depth: i32): usize {
  let i = skipSpace(at);
  if (load<u8>(i) == 0x5d) return i + 1;
  while (true) {
    i = skipValue(i, end, depth);
    if (i == GIVE_UP || i > end) return GIVE_UP;
    i = skipSpace(i);
    const c = load<u8>(i);
    if (c == 0x5d) return i + 1;
    if (c != 0x2c) return GIVE_UP;
    i = skipSpace(i + 1);
  }
}
