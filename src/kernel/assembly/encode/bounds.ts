/**
 * Least and greatest of PLAIN values, kept in a `Bounds` record over the pages of a column chunk.
 * Long values are compared and kept up to `Bounds.LENGTH_MAX` bytes.
 */
import { Bounds, Fault } from "./layout";

/** True when a value was seen already; from now on one was. */
// @ts-ignore: decorator
@inline
function begin(bounds: usize, width: u32): bool {
  const seen = load<u32>(bounds, Bounds.SEEN) != 0;
  store<u32>(bounds, 1, Bounds.SEEN);
  store<u32>(bounds, width, Bounds.MIN_BYTES);
  store<u32>(bounds, width, Bounds.MAX_BYTES);
  return seen;
}

/** Booleans, a byte 0 or 1 each. */
export function boundBooleans(bounds: usize, from: usize, count: u32): void {
  if (count == 0) return;
  const seen = begin(bounds, 1);
  let least = seen ? load<u8>(bounds, Bounds.MIN) : load<u8>(from);
  let most = seen ? load<u8>(bounds, Bounds.MAX) : least;
  for (let index: u32 = 0; index < count; index++) {
    least &= load<u8>(from + index);
    most |= load<u8>(from + index);
  }
  store<u8>(bounds, least, Bounds.MIN);
  store<u8>(bounds, most, Bounds.MAX);
}

/** INT32. */
export function boundInts(bounds: usize, from: usize, count: u32): void {
  boundIntegers<i32>(bounds, from, count);
}

/** INT64. */
export function boundLongs(bounds: usize, from: usize, count: u32): void {
  boundIntegers<i64>(bounds, from, count);
}

// @ts-ignore: decorator
@inline
function boundIntegers<T>(bounds: usize, from: usize, count: u32): void {
  if (count == 0) return;
  const seen = begin(bounds, sizeof<T>());
  let least = seen ? load<T>(bounds, Bounds.MIN) : load<T>(from);
  let most = seen ? load<T>(bounds, Bounds.MAX) : least;
  for (let index: u32 = 0; index < count; index++) {
    const value = load<T>(from + (<usize>index << alignof<T>()));
    least = min(least, value);
    most = max(most, value);
  }
  store<T>(bounds, least, Bounds.MIN);
  store<T>(bounds, most, Bounds.MAX);
}

/** FLOAT: NaN counted and left out, -0.0 below +0.0 (what WebAssembly's min and max do). */
export function boundFloats(bounds: usize, from: usize, count: u32): void {
  boundNumbers<f32>(bounds, from, count);
}

/** DOUBLE: as `boundFloats`. */
export function boundDoubles(bounds: usize, from: usize, count: u32): void {
  boundNumbers<f64>(bounds, from, count);
}

// @ts-ignore: decorator
@inline
function boundNumbers<T>(bounds: usize, from: usize, count: u32): void {
  let least: T = <T>Infinity;
  let most: T = <T>-Infinity;
  let nans: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const value = load<T>(from + (<usize>index << alignof<T>()));
    if (value != value) {
      nans++;
      continue;
    }
    least = min(least, value);
    most = max(most, value);
  }
  store<u32>(bounds, load<u32>(bounds, Bounds.NAN_COUNT) + nans, Bounds.NAN_COUNT);
  if (nans == count) return;
  const seen = begin(bounds, sizeof<T>());
  store<T>(bounds, seen ? min(least, load<T>(bounds, Bounds.MIN)) : least, Bounds.MIN);
  store<T>(bounds, seen ? max(most, load<T>(bounds, Bounds.MAX)) : most, Bounds.MAX);
}

/** The first eight bytes as a number that orders as they do; `first` is xor-ed to the first byte. */
// @ts-ignore: decorator
@inline
function prefixOf(at: usize, size: u32, first: u64): u64 {
  const bytes = bswap(load<u64>(at)) ^ first;
  return size >= 8 ? bytes : size == 0 ? 0 : bytes & (<u64>-1 << (64 - (size << 3)));
}

/** Orders two values whose prefixes are equal: below 0, 0 or above, as memcmp does. */
function compareRest(a: usize, aSize: u32, b: usize, bSize: u32): i32 {
  const size = min(aSize, bSize);
  let index: u32 = 8;
  for (; index + 8 <= size; index += 8) {
    const left = load<u64>(a + index);
    const right = load<u64>(b + index);
    if (left != right) return bswap(left) < bswap(right) ? -1 : 1;
  }
  for (; index < size; index++) {
    const differ = <i32>load<u8>(a + index) - <i32>load<u8>(b + index);
    if (differ != 0) return differ;
  }
  return <i32>aSize - <i32>bSize;
}

/** BYTE_ARRAY, unsigned byte by byte; `[from, end)` holds lengths and values. 0 or a fault. */
export function boundBytes(bounds: usize, from: usize, end: usize): i32 {
  return boundValues(bounds, from, end, -1, 0);
}

/** FIXED_LEN_BYTE_ARRAY; `signed` 1: big-endian numbers. 0 or a fault. */
export function boundFixed(bounds: usize, from: usize, end: usize, width: i32, signed: u32): i32 {
  return boundValues(bounds, from, end, width, signed == 0 ? 0 : <u64>1 << 63);
}

/**
 * Bytes, 16 to 32, that least and greatest begin with, and the eight behind them: what begins with
 * the same and goes on between these is neither. 0: there are none such. (URLs share more than the
 * eight bytes of a prefix.)
 */
let shared: u32 = 0;
let leastNext: u64 = 0;
let mostNext: u64 = 0;

/** Finds `shared` anew. */
function share(bounds: usize): void {
  const least = bounds + Bounds.MIN;
  const most = bounds + Bounds.MAX;
  const leastBytes = load<u32>(bounds, Bounds.MIN_BYTES);
  const mostBytes = load<u32>(bounds, Bounds.MAX_BYTES);
  const size = min(32, min(leastBytes, mostBytes));
  shared = 0;
  while (shared < size && load<u8>(least + shared) == load<u8>(most + shared)) shared++;
  leastNext = prefixOf(least + shared, leastBytes - shared, 0);
  mostNext = prefixOf(most + shared, mostBytes - shared, 0);
  if (shared < 16 || leastNext >= mostNext) shared = 0;
}

/** True for a value that `shared` shows to lie between least and greatest. */
// @ts-ignore: decorator
@inline
function isBetween(value: usize, size: u32, least: usize): bool {
  if (size < shared + 8) return false;
  const first = v128.xor(v128.load(value), v128.load(least));
  const rest = v128.xor(v128.load(value + shared - 16), v128.load(least + shared - 16));
  if (v128.any_true(v128.or(first, rest))) return false;
  const next = bswap(load<u64>(value + shared));
  return next > leastNext && next < mostNext;
}

/** `width` below 0: every value stands behind its length. */
function boundValues(bounds: usize, from: usize, end: usize, width: i32, first: u64): i32 {
  const least = bounds + Bounds.MIN;
  const most = bounds + Bounds.MAX;
  let seen = load<u32>(bounds, Bounds.SEEN) != 0;
  let leastPrefix = prefixOf(least, load<u32>(bounds, Bounds.MIN_BYTES), first);
  let mostPrefix = prefixOf(most, load<u32>(bounds, Bounds.MAX_BYTES), first);
  let at = from;
  shared = 0;
  if (seen) share(bounds);
  while (at < end) {
    let size = <u32>width;
    if (width < 0) {
      size = load<u32>(at);
      at += 4;
    }
    if (<u64>at + size > <u64>end) return Fault.BAD_OFFSETS;
    const value = at;
    at += size;
    if (shared != 0 && isBetween(value, size, least)) continue;
    const kept = min(size, Bounds.LENGTH_MAX);
    const prefix = prefixOf(value, kept, first);
    if (seen && prefix > leastPrefix && prefix < mostPrefix) continue;
    const isLeast =
      !seen || isBefore(prefix, value, kept, leastPrefix, least, bounds + Bounds.MIN_BYTES);
    const isMost =
      !seen || isAfter(prefix, value, kept, mostPrefix, most, bounds + Bounds.MAX_BYTES);
    if (isLeast) {
      keep(least, bounds + Bounds.MIN_BYTES, value, kept);
      leastPrefix = prefix;
    }
    if (isMost) {
      keep(most, bounds + Bounds.MAX_BYTES, value, kept);
      mostPrefix = prefix;
    }
    seen = true;
    if (isLeast || isMost) share(bounds);
  }
  store<u32>(bounds, u32(seen), Bounds.SEEN);
  return 0;
}

// @ts-ignore: decorator
@inline
function isBefore(p: u64, value: usize, size: u32, q: u64, kept: usize, keptSize: usize): bool {
  return p < q || (p == q && compareRest(value, size, kept, load<u32>(keptSize)) < 0);
}

// @ts-ignore: decorator
@inline
function isAfter(p: u64, value: usize, size: u32, q: u64, kept: usize, keptSize: usize): bool {
  return p > q || (p == q && compareRest(value, size, kept, load<u32>(keptSize)) > 0);
}

function keep(to: usize, toSize: usize, value: usize, size: u32): void {
  memory.copy(to, value, size);
  store<u32>(toSize, size);
}
