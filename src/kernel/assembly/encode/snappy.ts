/**
 * Snappy's raw format (google/snappy `format_description.txt`): blocks of 64 KiB, a hash table of
 * four-byte sequences, and longer steps where nothing is found.
 */
import { Fault } from "./layout";
import { matchBytes } from "./match";
import { writeCopy, writeLiteral } from "./snappyElements";
import { compressTails } from "./snappyTails";
import { compressWords } from "./snappyWords";

const BLOCK_BYTES: usize = 65536;

/** Entries of the hash table, u16 positions in the block. */
const TABLE_BITS: u32 = 14;

/** Of a block, compressed to see which way is the better one: 512 values. */
const SAMPLE_BYTES: usize = 4096;
/** The faster way may make the sample longer by one in so many bytes. */
const SAMPLE_LOSS: usize = 32;

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
  const wordsEnd = words + ((end - words) & ~7);
  let tails = Tails.UNKNOWN;
  for (let block = words; block < wordsEnd; block += BLOCK_BYTES) {
    const stop = min(block + BLOCK_BYTES, wordsEnd);
    const behind: usize = tails == Tails.PAY ? 0 : compressWords(block, stop, at, table);
    if (behind != 0) {
      at = behind;
      continue;
    }
    if (tails == Tails.UNKNOWN) tails = judgeTails(block, stop, at, table);
    at =
      tails == Tails.PAY
        ? compressTails(block, stop, at, table)
        : compressBlock(block, stop, at, table);
  }
  // Less than a value: a part of a page that is only tried.
  return <i32>(writeLiteral(wordsEnd, end, at) - to);
}

/** Whether values are compressed by their lower bytes, as the first block says for which it matters. */
namespace Tails {
  export const UNKNOWN: i32 = 0;
  export const PAY: i32 = 1;
  export const LOSE: i32 = 2;
}

/** Compresses a block's first values both ways, to `to`. */
function judgeTails(from: usize, end: usize, to: usize, table: usize): i32 {
  const judged = min(from + SAMPLE_BYTES, end);
  const tails = compressTails(from, judged, to, table) - to;
  const searched = compressBlock(from, judged, to, table) - to;
  return tails <= searched + searched / SAMPLE_LOSS ? Tails.PAY : Tails.LOSE;
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
