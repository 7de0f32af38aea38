/**
 * Values of Arrow-layout columns, hashed as Apache DataSketches hashes bytes: MurmurHash3 (x64, 128 bits,
 * Austin Appleby) with its default seed, of the first half all bits but the lowest. Nulls and empty values are
 * left out, as there.
 *
 * The bytes are those of Iceberg's single-value serialization. Little-endian numbers are that already.
 */
import { add } from "./table";

const SEED: u64 = 9001;
const C1: u64 = 0x87c37b91114253d5;
const C2: u64 = 0x4cf5ad432745937f;

// @ts-ignore: decorator
@inline
function first(word: u64): u64 {
  return rotl<u64>(word * C1, 31) * C2;
}

// @ts-ignore: decorator
@inline
function second(word: u64): u64 {
  return rotl<u64>(word * C2, 33) * C1;
}

// @ts-ignore: decorator
@inline
function finalise(word: u64): u64 {
  word = (word ^ (word >> 33)) * 0xff51afd7ed558ccd;
  word = (word ^ (word >> 33)) * 0xc4ceb9fe1a85ec53;
  return word ^ (word >> 33);
}

/** Up to 8 bytes as a number. */
// @ts-ignore: decorator
@inline
function word(at: usize, length: usize): u64 {
  if (length >= 8) return load<u64>(at);
  let value: u64 = 0;
  for (let n: usize = 0; n < length; n++) value |= (<u64>load<u8>(at + n)) << (n << 3);
  return value;
}

function hash(at: usize, length: usize): u64 {
  let h1 = SEED;
  let h2 = SEED;
  const end = at + length;
  for (; at + 16 <= end; at += 16) {
    h1 = (rotl<u64>(h1 ^ first(load<u64>(at)), 27) + h2) * 5 + 0x52dce729;
    h2 = (rotl<u64>(h2 ^ second(load<u64>(at, 8)), 31) + h1) * 5 + 0x38495ab5;
  }
  if (at + 8 < end) h2 ^= second(word(at + 8, end - at - 8));
  if (at < end) h1 ^= first(word(at, end - at));
  h1 ^= length;
  h2 ^= length;
  h1 += h2;
  h2 += h1;
  return (finalise(h1) + finalise(h2)) >> 1;
}

/** Arrow's validity; 0: every value is there. */
// @ts-ignore: decorator
@inline
function isThere(validity: usize, n: u32): bool {
  return validity == 0 || ((load<u8>(validity + (n >> 3)) >> <u8>(n & 7)) & 1) == 1;
}

/** Values of `width` bytes each. */
export function addFixed(values: usize, validity: usize, count: u32, width: u32): void {
  for (let n: u32 = 0; n < count; n++) {
    if (isThere(validity, n)) add(hash(values + (<usize>n) * width, width));
  }
}

/** Value n is `data[offsets[n], offsets[n + 1])`. */
export function addBytes(offsets: usize, data: usize, validity: usize, count: u32): void {
  for (let n: u32 = 0; n < count; n++) {
    const entry = offsets + ((<usize>n) << 2);
    const from = load<u32>(entry);
    const to = load<u32>(entry, 4);
    if (to > from && isThere(validity, n)) add(hash(data + from, to - from));
  }
}

/** Unscaled decimals of 16 little-endian bytes: as few big-endian bytes as hold them. @param scratch 16 bytes */
export function addDecimals(values: usize, validity: usize, count: u32, scratch: usize): void {
  for (let n: u32 = 0; n < count; n++) {
    if (!isThere(validity, n)) continue;
    const at = values + ((<usize>n) << 4);
    const low = load<u64>(at);
    const high = load<u64>(at, 8);
    store<u64>(scratch, bswap<u64>(high));
    store<u64>(scratch, bswap<u64>(low), 8);
    // A byte is needless when it repeats the sign, and the next one has it as well.
    const sign: u8 = <i64>high < 0 ? 0xff : 0;
    let from: usize = 0;
    while (from < 15 && load<u8>(scratch + from) == sign && (load<u8>(scratch + from + 1) ^ sign) < 0x80) from++;
    add(hash(scratch + from, 16 - from));
  }
}
