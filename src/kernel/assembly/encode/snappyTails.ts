/**
 * Snappy's raw format for values of eight bytes of which only the upper ones differ much: doubles with few decimals,
 * whose lower five bytes are one of a hundred patterns. Each is one to three literal bytes and a copy of the lower
 * ones of an earlier value, often with the last byte in front of them: what the search for matches at every byte
 * (`snappy.ts`) finds as well, at several times the cost.
 */
import { writeLiteral, writeShortCopy } from "./snappyElements";

/** Entries of the hash tables, u16 numbers of values in the block: by the lower six bytes, behind them by the lower five. */
const SIX_BITS: u32 = 13;
const FIVE_BITS: u32 = 12;
const TABLE_BYTES: usize = (2 << SIX_BITS) + (2 << FIVE_BITS);
const FACTOR: u64 = 0x9fb21c651e98df25;

/** Compresses a block of at most 64 KiB, whole values; the address behind what it wrote. */
export function compressTails(from: usize, end: usize, to: usize, table: usize): usize {
  memory.fill(table, 0, TABLE_BYTES);
  const fives = table + (2 << SIX_BITS);
  let at = to;
  let emitted = from;
  for (let next = from + 8; next < end; next += 8) {
    const word = load<u64>(next);
    const number = <u16>((next - from) >>> 3);
    const six = takeLast(table + slotOf(word << 16, SIX_BITS), number, from);
    const five = takeLast(fives + slotOf(word << 24, FIVE_BITS), number, from);
    // Which of them it is cannot be foreseen.
    const candidate = (word ^ load<u64>(six)) << 16 == 0 ? six : five;
    const differ = word ^ load<u64>(candidate);
    if (differ << 24 != 0) continue;
    const size = <u32>ctz(differ) >>> 3;
    const isLonger =
      candidate > from && next > emitted && load<u8>(next - 1) == load<u8>(candidate - 1);
    const begin = next - <usize>isLonger;
    const literals = begin - emitted;
    if (literals - 1 < 8) {
      store<u8>(at, <u8>((literals - 1) << 2));
      store<u64>(at, load<u64>(emitted), 1);
      at += literals + 1;
    } else {
      at = writeLiteral(emitted, begin, at);
    }
    at = writeShortCopy(at, <u32>(next - candidate), size + u32(isLonger));
    emitted = next + size;
  }
  return writeLiteral(emitted, end, at);
}

// @ts-ignore: decorator
@inline
function slotOf(bytes: u64, bits: u32): usize {
  return <usize>((bytes * FACTOR) >>> (64 - bits)) << 1;
}

/** Where the value is that a slot held; it holds this one from now on. */
// @ts-ignore: decorator
@inline
function takeLast(slot: usize, number: u16, from: usize): usize {
  const value = from + (<usize>load<u16>(slot) << 3);
  store<u16>(slot, number);
  return value;
}
