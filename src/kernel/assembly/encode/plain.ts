/**
 * PLAIN encoding (Parquet format, "Encodings") of the present values of a leaf. `slots`: u32
 * indexes of the values taken, or 0: the first `count` as they stand.
 */
import { Fault } from "./layout";

/** Copies 16 bytes at a time; up to 15 more than asked for are written. */
// @ts-ignore: decorator
@inline
function copyBytes(to: usize, from: usize, size: u32): void {
  const end = to + size;
  do {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  } while (to < end);
}

/** Gathers values of `width` bytes. */
export function plainFixed(from: usize, width: u32, slots: usize, count: u32, to: usize): void {
  if (slots == 0) {
    memory.copy(to, from, <usize>count * width);
    return;
  }
  const end = slots + (<usize>count << 2);
  if (width == 8) {
    for (; slots < end; slots += 4, to += 8) {
      store<u64>(to, load<u64>(from + (<usize>load<u32>(slots) << 3)));
    }
  } else if (width == 4) {
    for (; slots < end; slots += 4, to += 4) {
      store<u32>(to, load<u32>(from + (<usize>load<u32>(slots) << 2)));
    }
  } else {
    for (; slots < end; slots += 4, to += width) {
      copyBytes(to, from + <usize>load<u32>(slots) * width, width);
    }
  }
}

/**
 * Decimals of 16 bytes, little endian, as INT32 (`width` 4), INT64 (8), or FIXED_LEN_BYTE_ARRAY
 * (`bigEndian` 1): their low bytes, which hold every value of the precision.
 */
export function plainDecimals(
  from: usize,
  width: u32,
  bigEndian: u32,
  slots: usize,
  count: u32,
  to: usize,
): void {
  // Byte `width - 1` first, byte 0 last; what follows is overwritten by the next value.
  const steps = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const reversed = i8x16.sub(i8x16.splat(<i8>(width - 1)), steps);
  for (let index: u32 = 0; index < count; index++, to += width) {
    const slot = slots == 0 ? index : load<u32>(slots + (<usize>index << 2));
    const value = from + (<usize>slot << 4);
    if (bigEndian == 0) {
      if (width == 4) store<u32>(to, load<u32>(value));
      else store<u64>(to, load<u64>(value));
      continue;
    }
    v128.store(to, i8x16.swizzle(v128.load(value), reversed));
  }
}

/** Bits as bytes 0 and 1; `packBits` makes bits of a whole page. `bit`: of the first slot. */
export function plainBits(from: usize, bit: u32, slots: usize, count: u32, to: usize): void {
  for (let index: u32 = 0; index < count; index++) {
    const at = bit + (slots == 0 ? index : load<u32>(slots + (<usize>index << 2)));
    store<u8>(to + index, <u8>((<u32>load<u8>(from + (at >> 3)) >> (at & 7)) & 1));
  }
}

/**
 * Strings and binary values, each behind its length; the bytes written, or a fault.
 * @param offsets of the first slot on; the first is `base`, where `data` begins
 * @param length slots
 * @param room bytes at most
 */
export function plainBytes(
  offsets: usize,
  length: u32,
  base: u32,
  data: usize,
  dataBytes: u32,
  slots: usize,
  count: u32,
  to: usize,
  room: u32,
): i32 {
  if (slots == 0 && count <= length && 4 * <u64>count + dataBytes <= room) {
    return plainRun(offsets, base, data, dataBytes, count, to);
  }
  const most = <u64>to + room;
  let at = to;
  for (let index: u32 = 0; index < count; index++) {
    const slot = slots == 0 ? index : load<u32>(slots + (<usize>index << 2));
    if (slot >= length) return Fault.BAD_OFFSETS;
    const start = load<u32>(offsets + (<usize>slot << 2)) - base;
    const end = load<u32>(offsets + (<usize>slot << 2), 4) - base;
    if (start > end || end > dataBytes) return Fault.BAD_OFFSETS;
    const size = end - start;
    if (<u64>at + 4 + size > most) return Fault.NO_ROOM;
    store<u32>(at, size);
    copyBytes(at + 4, data + start, size);
    at += 4 + size;
  }
  return <i32>(at - to);
}

/** The same of the first `count` slots, for all of whose bytes there is room. */
function plainRun(
  offsets: usize,
  base: u32,
  data: usize,
  dataBytes: u32,
  count: u32,
  to: usize,
): i32 {
  let at = to;
  let start = load<u32>(offsets) - base;
  const last = offsets + (<usize>count << 2);
  while (offsets < last) {
    offsets += 4;
    const end = load<u32>(offsets) - base;
    if (start > end || end > dataBytes) return Fault.BAD_OFFSETS;
    const size = end - start;
    store<u32>(at, size);
    copyBytes(at + 4, data + start, size);
    at += 4 + size;
    start = end;
  }
  return <i32>(at - to);
}
