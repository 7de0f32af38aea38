/**
 * Keys as 128 bits: `hi` and `lo`, 16 bytes a key, under a secret of two words.
 *
 * One word, and two words, go through permutations: two keys can never be the same 128 bits. Longer keys go
 * through SipHash-1-3 with 128 bits of output (Aumasson, Bernstein: "SipHash: a fast short-input PRF").
 */

/** The finaliser of SplitMix64, which is a permutation of 64 bits. */
// @ts-ignore: decorator
@inline
function mix(word: u64): u64 {
  word ^= word >> 30;
  word *= 0xbf58476d1ce4e5b9;
  word ^= word >> 27;
  word *= 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

// @ts-ignore: decorator
@inline
function write(to: usize, n: u32, hi: u64, lo: u64): void {
  const at = to + ((<usize>n) << 4);
  store<u64>(at, hi);
  store<u64>(at, lo, 8);
}

/** Keys of one word each: `hi` is the word's image, `lo` is 0. */
export function hashWords(from: usize, count: u32, to: usize, k0: u64, k1: u64): void {
  for (let n: u32 = 0; n < count; n++) {
    const word = load<u64>(from + ((<usize>n) << 3));
    write(to, n, mix(mix(word ^ k0) + k1), 0);
  }
}

/** Keys of two words each: a Feistel network of four rounds. */
export function hashPairs(from: usize, count: u32, to: usize, k0: u64, k1: u64): void {
  for (let n: u32 = 0; n < count; n++) {
    const at = from + ((<usize>n) << 4);
    let left = load<u64>(at);
    let right = load<u64>(at, 8);
    left ^= mix(right ^ k0);
    right ^= mix(left + k1);
    left ^= mix(right ^ rotl<u64>(k0, 32));
    right ^= mix(left + rotl<u64>(k1, 32));
    write(to, n, left, right);
  }
}

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

// @ts-ignore: decorator
@inline
function round(): void {
  v0 += v1;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v0 = rotl<u64>(v0, 32);
  v2 += v3;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 += v3;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v2 += v1;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
}

// @ts-ignore: decorator
@inline
function rounds(count: i32): void {
  for (let n = 0; n < count; n++) round();
}

/** Keys of bytes: key n is `data[offsets[n], offsets[n + 1])`, its hash is SipHash with `compress` and `finish` rounds. */
export function hashBytes(
  offsets: usize,
  data: usize,
  count: u32,
  to: usize,
  k0: u64,
  k1: u64,
  compress: i32,
  finish: i32,
): void {
  for (let n: u32 = 0; n < count; n++) {
    const entry = offsets + ((<usize>n) << 2);
    let at = data + <usize>load<u32>(entry);
    const end = data + <usize>load<u32>(entry, 4);
    let last = (<u64>(end - at)) << 56;
    v0 = k0 ^ 0x736f6d6570736575;
    v1 = k1 ^ 0x646f72616e646f6d ^ 0xee;
    v2 = k0 ^ 0x6c7967656e657261;
    v3 = k1 ^ 0x7465646279746573;
    for (; at + 8 <= end; at += 8) {
      const word = load<u64>(at);
      v3 ^= word;
      rounds(compress);
      v0 ^= word;
    }
    for (let shift: u64 = 0; at < end; at++, shift += 8) last |= (<u64>load<u8>(at)) << shift;
    v3 ^= last;
    rounds(compress);
    v0 ^= last;
    v2 ^= 0xee;
    rounds(finish);
    const low = v0 ^ v1 ^ v2 ^ v3;
    v1 ^= 0xdd;
    rounds(finish);
    write(to, n, low, v0 ^ v1 ^ v2 ^ v3);
  }
}
