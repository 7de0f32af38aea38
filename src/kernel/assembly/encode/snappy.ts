/**
 * Snappy's raw format (google/snappy `format_description.txt`): blocks of 64 KiB, a hash table of
 * four-byte sequences, and longer steps where nothing is found.
 */
import { Fault } from "./layout";
import { matchBytes } from "./match";
import { compressWords } from "./snappyWords";

const BLOCK_BYTES: usize = 65536;

/** Entries of the hash table, u16 positions in the block. */
const TABLE_BITS: u32 = 14;

/** Bytes behind the last place where a match may begin. */
const MARGIN: usize = 15;

/**
 * Compresses; the bytes written, or a fault.
 * @param table 32 KiB
 * @param room at least `32 + count + count / 6`
 */
export function snappy(from: usize, count: u32, to: usize, room: u32, table: usize): i32 {
  return snappyWords(from, count, to, room, table, count);
}

/** The same where values of eight bytes lie behind the first `head` bytes. */
export function snappyWords(
  from: usize,
  count: u32,
  to: usize,
  room: u32,
  table: usize,
  head: u32,
): i32 {
  if (32 + <u64>count + <u64>count / 6 > room) return Fault.NO_ROOM;
  let at = to;
  let rest = count;
  while (rest >= 0x80) {
    store<u8>(at++, <u8>(rest | 0x80));
    rest >>>= 7;
  }
  store<u8>(at++, <u8>rest);
  const end = from + count;
  const words = from + min(head, count);
  for (let block = from; block < words; block += BLOCK_BYTES) {
    at = compressBlock(block, min(block + BLOCK_BYTES, words), at, table);
  }
  for (let block = words; block < end; block += BLOCK_BYTES) {
    const stop = min(block + BLOCK_BYTES, end);
    const behind = compressWords(block, stop, at, table);
    at = behind != 0 ? behind : compressBlock(block, stop, at, table);
  }
  return <i32>(at - to);
}

// @ts-ignore: decorator
@inline
function slotOf(table: usize, at: usize): usize {
  return table + (<usize>((load<u32>(at) * 0x1e35a7bd) >>> (32 - TABLE_BITS)) << 1);
}

/** Compresses `[from, end)`, at most 64 KiB; the address behind what it wrote. */
function compressBlock(from: usize, end: usize, to: usize, table: usize): usize {
  let at = to;
  let emitted = from;
  if (end - from > MARGIN) {
    memory.fill(table, 0, 2 << TABLE_BITS);
    const limit = end - MARGIN;
    let next = from + 1;
    while (next < limit) {
      let candidate: usize = 0;
      let skip: usize = 32;
      for (;;) {
        const slot = slotOf(table, next);
        candidate = from + load<u16>(slot);
        store<u16>(slot, <u16>(next - from));
        if (load<u32>(next) == load<u32>(candidate)) break;
        next += skip++ >>> 5;
        if (next >= limit) return writeLiteral(emitted, end, at);
      }
      at = writeLiteral(emitted, next, at);
      do {
        const size = matchBytes(next, candidate, end);
        at = writeCopy(at, <u32>(next - candidate), size);
        next += size;
        emitted = next;
        if (next >= limit) return writeLiteral(emitted, end, at);
        store<u16>(slotOf(table, next - 1), <u16>(next - 1 - from));
        const slot = slotOf(table, next);
        candidate = from + load<u16>(slot);
        store<u16>(slot, <u16>(next - from));
      } while (load<u32>(next) == load<u32>(candidate));
      next++;
    }
  }
  return writeLiteral(emitted, end, at);
}

/** Bytes as they are: tag, length, `[from, end)`. */
// @ts-ignore: decorator
@inline
function writeLiteral(from: usize, end: usize, to: usize): usize {
  if (from >= end) return to;
  const less = <u32>(end - from - 1);
  let at = to;
  if (less < 60) {
    store<u8>(at++, <u8>(less << 2));
  } else if (less < 256) {
    store<u16>(at, <u16>((60 << 2) | (less << 8)));
    at += 2;
  } else {
    store<u8>(at, 61 << 2);
    store<u16>(at, <u16>less, 1);
    at += 3;
  }
  const stop = at + (end - from);
  do {
    v128.store(at, v128.load(from));
    at += 16;
    from += 16;
  } while (at < stop);
  return stop;
}

/** A match: one or more copies of at most 64 bytes. */
// @ts-ignore: decorator
@inline
function writeCopy(to: usize, offset: u32, size: u32): usize {
  let at = to;
  let rest = size;
  // Leaves at least four bytes, the least that the short form can say.
  while (rest >= 68) {
    store<u32>(at, (63 << 2) | 2 | (offset << 8));
    at += 3;
    rest -= 64;
  }
  if (rest > 64) {
    store<u32>(at, (59 << 2) | 2 | (offset << 8));
    at += 3;
    rest -= 60;
  }
  if (rest >= 12 || offset >= 2048) {
    store<u32>(at, ((rest - 1) << 2) | 2 | (offset << 8));
    return at + 3;
  }
  store<u16>(at, <u16>(((offset >>> 8) << 5) | ((rest - 4) << 2) | 1 | ((offset & 0xff) << 8)));
  return at + 2;
}
