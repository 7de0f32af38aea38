/**
 * Snappy's raw format for values of eight bytes that differ in their lowest byte or two: times, offsets,
 * counters, ids. Each is one literal byte and a copy of seven from an earlier value: what the search for
 * matches at every byte (`snappy.ts`) finds as well, at several times the cost.
 */

import { writeShortCopy } from "./snappyElements";

/** Entries of the hash table, u16 numbers of values in the block. */
const TABLE_BITS: u32 = 11;
const FACTOR: u64 = 0x9fb21c651e98df25;

/** Values that a block is judged by. */
const SAMPLE: usize = 512;

/** Bytes that they take up to which this is the way, 5.25 each: with more the other one finds shorter copies. */
const SAMPLE_WORTH: usize = 5 * SAMPLE + SAMPLE / 4;

/** Whole values that are there again: beyond these, longer copies are better. */
const SAMPLE_EQUAL_MAX: u32 = 32;

/**
 * Compresses a block of at most 64 KiB, whole values; the address behind what it wrote, 0 where its first
 * values say that it does not pay.
 */
export function compressWords(from: usize, end: usize, to: usize, table: usize): usize {
  if (end - from < SAMPLE << 3) return 0;
  memory.fill(table, 0, 2 << TABLE_BITS);
  let at = writeWord(from, to);
  let equal: u32 = 0;
  const judged = from + (SAMPLE << 3);
  let next = from + 8;
  for (; next < judged; next += 8) {
    equal += u32(load<u64>(next) == load<u64>(candidateOf(from, next, table)));
    at = compressWord(from, next, at, table);
  }
  if (equal > SAMPLE_EQUAL_MAX || at - to > SAMPLE_WORTH) return 0;
  for (; next < end; next += 8) at = compressWord(from, next, at, table);
  return at;
}

// @ts-ignore: decorator
@inline
function slotOf(table: usize, word: u64): usize {
  return table + (<usize>(((word >>> 8) * FACTOR) >>> (64 - TABLE_BITS)) << 1);
}

/** A value before the one at `next` that may have its upper seven bytes. */
// @ts-ignore: decorator
@inline
function candidateOf(from: usize, next: usize, table: usize): usize {
  return from + (<usize>load<u16>(slotOf(table, load<u64>(next))) << 3);
}

/** The value as it is. */
// @ts-ignore: decorator
@inline
function writeWord(from: usize, to: usize): usize {
  store<u8>(to, 7 << 2);
  store<u64>(to, load<u64>(from), 1);
  return to + 9;
}

// @ts-ignore: decorator
@inline
function compressWord(from: usize, next: usize, to: usize, table: usize): usize {
  const word = load<u64>(next);
  const slot = slotOf(table, word);
  const candidate = from + (<usize>load<u16>(slot) << 3);
  store<u16>(slot, <u16>((next - from) >>> 3));
  if ((word ^ load<u64>(candidate)) >>> 8 == 0) {
    store<u16>(to, <u16>(word << 8));
    return writeShortCopy(to + 2, <u32>(next - candidate), 7);
  }
  // The upper bytes of the value before it; they are not all equal, or it would have been found.
  const equal = <u32>clz(word ^ load<u64>(next - 8)) >>> 3;
  if (equal < 4) return writeWord(next, to);
  const low = 8 - equal;
  store<u8>(to, <u8>((low - 1) << 2));
  store<u64>(to, word, 1);
  return writeShortCopy(to + 1 + low, 8, equal);
}
