/**
 * RLE / bit-packing hybrid (Parquet format, "Encodings", RLE = 3) of levels and dictionary indexes:
 * eight equal values begin a run, the others are packed in groups of eight.
 */
import { Fault } from "./layout";

/** Writes an unsigned LEB128 number; the address behind it. */
// @ts-ignore: decorator
@inline
function writeVarint(to: usize, value: u32): usize {
  while (value >= 0x80) {
    store<u8>(to++, <u8>(value | 0x80));
    value >>>= 7;
  }
  store<u8>(to, <u8>value);
  return to + 1;
}

/** Writes a run of one value of `width` bits; the address behind it. */
function writeRun(to: usize, value: u32, count: u32, width: u32): usize {
  let at = writeVarint(to, count << 1);
  for (let bits: u32 = 0; bits < width; bits += 8) store<u8>(at++, <u8>(value >>> bits));
  return at;
}

/** Bytes that `count` values of `width` bits take at most. */
// @ts-ignore: decorator
@inline
function hybridBytesMax(count: u32, width: u32): u64 {
  return ((<u64>count + 7) >> 3) * <u64>(width + 1) + 16;
}

/** Encodes levels, a byte each, below 2^`width`, `width` at most 8; the bytes written, or a fault. */
export function hybridBytes(from: usize, count: u32, width: u32, to: usize, room: u32): i32 {
  if (hybridBytesMax(count, width) > room) return Fault.NO_ROOM;
  const end = from + count;
  let at = to;
  let packed = from;
  let next = from;
  while (next < end) {
    const value = load<u8>(next);
    const same = <u64>value * 0x0101010101010101;
    if (next + 8 > end || load<u64>(next) != same) {
      next += 8;
      continue;
    }
    let runEnd = next + 8;
    while (runEnd + 8 <= end && load<u64>(runEnd) == same) runEnd += 8;
    while (runEnd < end && load<u8>(runEnd) == value) runEnd++;
    at = packBytes(packed, next, width, at);
    at = writeRun(at, value, <u32>(runEnd - next), width);
    packed = runEnd;
    next = runEnd;
  }
  return <i32>(packBytes(packed, end, width, at) - to);
}

/** Packs the levels in `[from, end)`, the last group filled with zeros. */
function packBytes(from: usize, end: usize, width: u32, to: usize): usize {
  if (from >= end) return to;
  let at = writeVarint(to, <u32>((((end - from + 7) >> 3) << 1) | 1));
  for (let next = from; next < end; next += 8) {
    let bytes = load<u64>(next);
    if (next + 8 > end) bytes &= ~(<u64>-1 << ((end - next) << 3));
    store<u64>(at, packEight(bytes, width));
    at += width;
  }
  return at;
}

/** Eight levels, a byte each, as eight times `width` bits. */
// @ts-ignore: decorator
@inline
function packEight(bytes: u64, width: u32): u64 {
  // Byte n becomes bit 56 + n of the product.
  if (width == 1) return (bytes * 0x0102040810204080) >>> 56;
  if (width == 2) {
    const fours = (bytes | (bytes >>> 6)) & 0x000f000f000f000f;
    const eights = (fours | (fours >>> 12)) & 0x000000ff000000ff;
    return (eights | (eights >>> 24)) & 0xffff;
  }
  let bits: u64 = 0;
  for (let index: u32 = 0; index < 8; index++) {
    bits |= ((bytes >>> (index << 3)) & 0xff) << (index * width);
  }
  return bits;
}

/** Encodes u32 indexes below 2^`width`; the bytes written, or a fault. */
export function hybridWords(from: usize, count: u32, width: u32, to: usize, room: u32): i32 {
  if (hybridBytesMax(count, width) > room) return Fault.NO_ROOM;
  const end = from + (<usize>count << 2);
  let at = to;
  let packed = from;
  let next = from;
  while (next < end) {
    const value = load<u32>(next);
    const same = i32x4.splat(value);
    if (next + 32 > end || !areEqual(next, same) || !areEqual(next + 16, same)) {
      next += 32;
      continue;
    }
    let runEnd = next + 32;
    while (runEnd + 16 <= end && areEqual(runEnd, same)) runEnd += 16;
    while (runEnd < end && load<u32>(runEnd) == value) runEnd += 4;
    at = packWords(packed, next, width, at);
    at = writeRun(at, value, <u32>((runEnd - next) >> 2), width);
    packed = runEnd;
    next = runEnd;
  }
  return <i32>(packWords(packed, end, width, at) - to);
}

// @ts-ignore: decorator
@inline
function areEqual(at: usize, four: v128): bool {
  return i32x4.all_true(i32x4.eq(v128.load(at), four));
}

/** Packs the indexes in `[from, end)`, the last group filled with zeros. */
function packWords(from: usize, end: usize, width: u32, to: usize): usize {
  if (from >= end) return to;
  const groups = (end - from + 31) >> 5;
  let at = writeVarint(to, <u32>((groups << 1) | 1));
  const stop = at + groups * width;
  let bits: u64 = 0;
  let filled: u32 = 0;
  for (let next = from; next < end; next += 4) {
    bits |= <u64>load<u32>(next) << filled;
    filled += width;
    if (filled < 32) continue;
    store<u32>(at, <u32>bits);
    at += 4;
    bits >>>= 32;
    filled -= 32;
  }
  for (; at < stop; at += 4) {
    store<u32>(at, <u32>bits);
    bits >>>= 32;
  }
  return stop;
}

/** Packs bytes 0 and 1 into bits, LSB first: PLAIN booleans. The bytes written, or a fault. */
export function packBits(from: usize, count: u32, to: usize, room: u32): i32 {
  const size = (<u64>count + 7) >> 3;
  if (size > room) return Fault.NO_ROOM;
  const zero = i8x16.splat(0);
  let at = to;
  for (let index: u32 = 0; index < count; index += 16, at += 2) {
    const bits = i8x16.bitmask(i8x16.ne(v128.load(from + index), zero));
    const kept = count - index < 16 ? bits & ((1 << (count - index)) - 1) : bits;
    store<u16>(at, <u16>kept);
  }
  return <i32>size;
}
