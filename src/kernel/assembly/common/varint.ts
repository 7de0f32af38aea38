/**
 * Numbers, lengths and fields as Protobuf writes them; Avro writes numbers so, too. A position of 0 says
 * that there is none: the caller gives the record up.
 *
 * Reading may run over the end of the input by ten bytes, behind which zeros lie.
 */

/** The varint that was read last. */
export let varint: u64 = 0;

/** Reads a varint of at most 64 bits; the position after it, or 0. */
// @ts-ignore: decorator
@inline
export function readVarint(at: usize): usize {
  const first = <u64>load<u8>(at);
  if (first >= 0x80) return readLongVarint(at);
  varint = first;
  return at + 1;
}

function readLongVarint(at: usize): usize {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    const byte = <u64>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    if (shift == 63 && byte > 1) return 0;
    varint = value;
    return at;
  }
  return 0;
}

/** Reads a length, behind which so many bytes are before `stop`; they are `varint`. */
// @ts-ignore: decorator
@inline
export function readLength(at: usize, stop: usize): usize {
  const i = readVarint(at);
  if (i == 0 || i > stop || varint > <u64>(stop - i)) return 0;
  return i;
}

/** The number that a varint stands for, the sign in its last bit. */
export function zigzag(value: u64): i64 {
  return <i64>(value >>> 1) ^ -(<i64>(value & 1));
}

/** Passes over a field that is not in the schema; groups are the host's. */
export function skipField(at: usize, tag: u32, stop: usize): usize {
  if (tag >>> 3 == 0) return 0;
  let i: usize = 0;
  switch (tag & 7) {
    case 0:
      i = readVarint(at);
      break;
    case 1:
      i = at + 8;
      break;
    case 2:
      i = readLength(at, stop);
      if (i != 0) i += <usize>varint;
      break;
    case 5:
      i = at + 4;
      break;
  }
  return i > stop ? 0 : i;
}
