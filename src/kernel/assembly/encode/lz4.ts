/**
 * LZ4 blocks (lz4 `lz4_Block_format.md`; Parquet's LZ4_RAW): one block, a hash table of four-byte
 * sequences.
 */
import { Fault } from "./layout";
import { matchBytes } from "./match";

const TABLE_BITS: u32 = 13;

/** Farthest match. */
const DISTANCE_MAX: usize = 65535;

/** The last match begins at least so far before the end; the last five bytes are literals. */
const MARGIN: u32 = 12;
const LITERALS_LAST: usize = 5;

/**
 * Compresses; the bytes written, or a fault.
 * @param table 32 KiB
 * @param room at least `32 + count + count / 255`
 */
export function lz4(from: usize, count: u32, to: usize, room: u32, table: usize): i32 {
  if (32 + <u64>count + <u64>count / 255 > room) return Fault.NO_ROOM;
  const end = from + count;
  let at = to;
  let emitted = from;
  if (count > MARGIN) {
    memory.fill(table, 0, 4 << TABLE_BITS);
    const limit = end - MARGIN;
    let next = from + 1;
    let skip: usize = 64;
    while (next < limit) {
      const slot = table + (<usize>((load<u32>(next) * 0x9e3779b1) >>> (32 - TABLE_BITS)) << 2);
      const candidate = from + load<u32>(slot);
      store<u32>(slot, <u32>(next - from));
      if (next - candidate > DISTANCE_MAX || load<u32>(next) != load<u32>(candidate)) {
        next += skip++ >>> 6;
        continue;
      }
      const size = matchBytes(next, candidate, end - LITERALS_LAST);
      at = writeSequence(at, emitted, <u32>(next - emitted), <u32>(next - candidate), size);
      next += size;
      emitted = next;
      skip = 64;
    }
  }
  return <i32>(writeLast(at, emitted, <u32>(end - emitted)) - to);
}

/** What a length has beyond the 15 of its token. */
// @ts-ignore: decorator
@inline
function writeRest(to: usize, length: u32): usize {
  if (length < 15) return to;
  let at = to;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) store<u8>(at++, 255);
  store<u8>(at, <u8>rest);
  return at + 1;
}

/** Literals and a match of at least four bytes. */
function writeSequence(to: usize, from: usize, literals: u32, offset: u32, match: u32): usize {
  store<u8>(to, <u8>((min<u32>(literals, 15) << 4) | min<u32>(match - 4, 15)));
  let at = writeRest(to + 1, literals);
  const end = at + literals;
  for (; at < end; at += 16, from += 16) v128.store(at, v128.load(from));
  store<u16>(end, <u16>offset);
  return writeRest(end + 2, match - 4);
}

/** The literals at the end. */
function writeLast(to: usize, from: usize, literals: u32): usize {
  store<u8>(to, <u8>(min<u32>(literals, 15) << 4));
  const at = writeRest(to + 1, literals);
  memory.copy(at, from, literals);
  return at + literals;
}
