/**
 * CRC-32C (Castagnoli), sixteen bytes a step without tables.
 *
 * The CRC is the remainder of the message, as a polynomial, by P. A multiple of P with few terms,
 *
 *   x^(8·609) + x^(8·212) + x^(8·124) + x^(8·80) + x^(8·58) + 1,
 *
 * leaves the remainder as it is when a byte is taken out and added 397, 485, 529, 551 and 609 bytes
 * further on. So every byte but the last ones is the sum of itself and five bytes before it, and only
 * what is left at the end goes through tables. (Found by search: of the multiples with six terms one
 * that is short, and whose nearest byte is so far back that it has been stored.)
 */

const REFLECTED: u32 = 0x82f63b78;
const NEAREST: usize = 397;
const SECOND: usize = 485;
const THIRD: usize = 529;
const FOURTH: usize = 551;
const FARTHEST: usize = 609;
/** Room for the farthest byte, in whole steps. */
const MARGIN: usize = 640;

/** Messages below this go through tables alone. */
const LENGTH_MIN: usize = 1536;

/** Table k (256 entries of four bytes) advances a byte that k further bytes follow. */
const TABLES: usize = memory.data(8 * 1024, 16);
let ready = false;

/** Bytes of work memory beyond the message's length. */
export function crcMargin(): usize {
  return 3 * MARGIN + 64;
}

/**
 * The CRC-32C of `[from, end)`.
 * @param work memory for as many bytes and `crcMargin` more
 */
export function crc32c(from: usize, end: usize, work: usize): u32 {
  if (!ready) fillTables();
  const length = end - from;
  if (length < LENGTH_MIN) return ~byTables(0xffffffff, from, end);
  const folded = (length - FARTHEST) & ~15;
  const first = work + MARGIN;
  memory.fill(work, 0, MARGIN);
  const init = i32x4(-1, 0, 0, 0);
  v128.store(first, v128.xor(v128.load(from), init));
  for (let at: usize = 16; at < folded; at += 16) {
    v128.store(first + at, v128.xor(v128.load(from + at), before(first + at)));
  }
  const rest = first + folded;
  memory.fill(rest, 0, MARGIN);
  const sums = rest + MARGIN;
  const left = length - folded;
  const tail = from + folded;
  let at: usize = 0;
  for (; at + 16 <= left; at += 16) {
    v128.store(sums + at, v128.xor(v128.load(tail + at), before(rest + at)));
  }
  for (; at < left; at++) {
    store<u8>(sums + at, load<u8>(tail + at) ^ <u8>i8x16.extract_lane_u(before(rest + at), 0));
  }
  return ~byTables(0, sums, sums + left);
}

/** The sum of what sixteen bytes get from those before them. */
// @ts-ignore: decorator
@inline
function before(at: usize): v128 {
  const near = v128.xor(v128.load(at - NEAREST), v128.load(at - SECOND));
  const far = v128.xor(v128.load(at - FOURTH), v128.load(at - FARTHEST));
  return v128.xor(v128.xor(near, far), v128.load(at - THIRD));
}

/** Eight bytes a step; `crc` goes in and comes out as it is. */
function byTables(crc: u32, from: usize, end: usize): u32 {
  let at = from;
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ load<u32>(at);
    const high = load<u32>(at, 4);
    crc =
      entry(7, low) ^
      entry(6, low >> 8) ^
      entry(5, low >> 16) ^
      entry(4, low >> 24) ^
      entry(3, high) ^
      entry(2, high >> 8) ^
      entry(1, high >> 16) ^
      entry(0, high >> 24);
  }
  for (; at < end; at++) crc = (crc >> 8) ^ entry(0, crc ^ load<u8>(at));
  return crc;
}

// @ts-ignore: decorator
@inline
function entry(table: usize, byte: u32): u32 {
  return load<u32>(TABLES + (table << 10) + ((<usize>byte & 255) << 2));
}

function fillTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (REFLECTED & (0 - (crc & 1)));
    store<u32>(TABLES + (byte << 2), crc);
  }
  for (let i: usize = 256; i < 2048; i++) {
    const shorter = load<u32>(TABLES + ((i - 256) << 2));
    store<u32>(TABLES + (i << 2), (shorter >> 8) ^ entry(0, shorter));
  }
  ready = true;
}
