/**
 * How records lie in a record batch (Kafka protocol, "Record Batch", format v2):
 *
 * length varint | attributes int8 | timestampDelta varlong | offsetDelta varint
 * | keyLength varint | key | valueLength varint | value | headerCount varint | headers
 */

/** The next record. */
export let position: usize = 0;
/** Of the record read last. */
export let timestampDelta: i64 = 0;
export let offsetDelta: i32 = 0;
export let keyStart: usize = 0;
/** Negative: null. */
export let keyBytes: i32 = 0;
export let valueStart: usize = 0;
/** Negative: null. */
export let valueBytes: i32 = 0;

/** Goes on at another record. */
export function moveTo(at: usize): void {
  position = at;
}

/** A number of the record at hand has more bytes than are read here. */
let tooLong: bool = false;

/** Reads a zigzag varint at `position`. */
// @ts-ignore: decorator
@inline
function varint(): i32 {
  const first = <u32>load<u8>(position);
  if (first < 0x80) {
    position++;
    return <i32>(first >>> 1) ^ -(<i32>first & 1);
  }
  return longVarint();
}

/** The same of up to 5 bytes. */
function longVarint(): i32 {
  let value: u32 = 0;
  for (let shift: u32 = 0; shift < 35; shift += 7) {
    const byte = <u32>load<u8>(position++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return <i32>(value >>> 1) ^ -(<i32>value & 1);
  }
  tooLong = true;
  return 0;
}

/** Reads a zigzag varint of up to 9 bytes, so that sums with it do not overflow into sense. */
function varlong(): i64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 63; shift += 7) {
    const byte = <u64>load<u8>(position++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return <i64>(value >>> 1) ^ -(<i64>value & 1);
  }
  tooLong = true;
  return 0;
}

/** Reads the record at `position` and moves behind it; false when it is not whole, or lies. */
export function readRecord(end: usize): bool {
  tooLong = false;
  const size = varint();
  const stop = position + <usize>size;
  if (size < 0 || <u64>position + <u64>size > end) return false;
  position++;
  timestampDelta = varlong();
  offsetDelta = varint();
  keyBytes = varint();
  keyStart = position;
  if (keyBytes > 0) position += keyBytes;
  if (position > stop) return false;
  valueBytes = varint();
  valueStart = position;
  if (valueBytes > 0) position += valueBytes;
  if (position > stop) return false;
  const headers = varint();
  if (tooLong || headers < 0 || position > stop) return false;
  position = stop;
  return true;
}

/** Bytes of the varint at `at`; 0 when it has more than two. */
// @ts-ignore: decorator
@inline
function shortBytes(at: usize): usize {
  if (load<u8>(at) < 0x80) return 1;
  return load<u8>(at, 1) < 0x80 ? 2 : 0;
}

/** Its zigzag value, when it has one or two bytes. */
// @ts-ignore: decorator
@inline
function shortValue(at: usize): i32 {
  const first = <u32>load<u8>(at);
  const value = first < 0x80 ? first : (first & 0x7f) | (<u32>load<u8>(at, 1) << 7);
  return <i32>(value >>> 1) ^ -(<i32>value & 1);
}

/**
 * As `readRecord`, for a record as most are: lengths and deltas of at most two bytes, no headers.
 * False says nothing: then `readRecord` reads it.
 */
// @ts-ignore: decorator
@inline
export function readShort(end: usize): bool {
  let at = position;
  let bytes = shortBytes(at);
  const size = shortValue(at);
  const stop = at + bytes + <usize>size;
  if (bytes == 0 || size < 0 || stop > end) return false;
  at += bytes + 1;
  bytes = shortBytes(at);
  timestampDelta = shortValue(at);
  if (bytes == 0) return false;
  at += bytes;
  bytes = shortBytes(at);
  offsetDelta = shortValue(at);
  if (bytes == 0) return false;
  at += bytes;
  bytes = shortBytes(at);
  const key = shortValue(at);
  if (bytes == 0) return false;
  at += bytes;
  keyStart = at;
  keyBytes = key;
  if (key > 0) at += key;
  bytes = shortBytes(at);
  const value = shortValue(at);
  if (bytes == 0 || value < 0) return false;
  at += bytes;
  valueStart = at;
  valueBytes = value;
  at += value;
  if (at + 1 != stop || load<u8>(at) != 0) return false;
  position = stop;
  return true;
}
