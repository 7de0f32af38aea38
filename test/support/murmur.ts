/** MurmurHash3 (x64, 128 bits) in plain arithmetic: the reference for what the kernel makes. */

const MASK = (1n << 64n) - 1n;
const C1 = 0x87c3_7b91_1142_53d5n;
const C2 = 0x4cf5_ad43_2745_937fn;

function times(a: bigint, b: bigint): bigint {
  return (a * b) & MASK;
}

function rotate(word: bigint, bits: bigint): bigint {
  return ((word << bits) | (word >> (64n - bits))) & MASK;
}

function finalise(value: bigint): bigint {
  const first = times(value ^ (value >> 33n), 0xff51_afd7_ed55_8ccdn);
  const second = times(first ^ (first >> 33n), 0xc4ce_b9fe_1a85_ec53n);
  return second ^ (second >> 33n);
}

function wordAt(bytes: Uint8Array, at: number): bigint {
  let word = 0n;
  for (let n = 7; n >= 0; n--) word = (word << 8n) | BigInt(bytes[at + n] ?? 0);
  return word;
}

/** The hash that a theta sketch keeps of these bytes. */
export function thetaHash(bytes: Uint8Array): bigint {
  const first = (word: bigint): bigint => times(rotate(times(word, C1), 31n), C2);
  const second = (word: bigint): bigint => times(rotate(times(word, C2), 33n), C1);
  let [h1, h2] = [9001n, 9001n];
  const end = bytes.length & ~15;
  for (let at = 0; at < end; at += 16) {
    h1 =
      (times((rotate(h1 ^ first(wordAt(bytes, at)), 27n) + h2) & MASK, 5n) + 0x52dc_e729n) & MASK;
    h2 =
      (times((rotate(h2 ^ second(wordAt(bytes, at + 8)), 31n) + h1) & MASK, 5n) + 0x3849_5ab5n) &
      MASK;
  }
  if (bytes.length > end + 8) h2 ^= second(wordAt(bytes, end + 8));
  if (bytes.length > end)
    h1 ^= first(wordAt(bytes.subarray(0, Math.min(bytes.length, end + 8)), end));
  h1 ^= BigInt(bytes.length);
  h2 ^= BigInt(bytes.length);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  return ((finalise(h1) + finalise(h2)) & MASK) >> 1n;
}
