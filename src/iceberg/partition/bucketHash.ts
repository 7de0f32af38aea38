/**
 * The hash of the bucket transform: 32-bit Murmur3, x86 variant, seed 0 (Iceberg spec, "Appendix
 * B: 32-bit Hash Requirements").
 */

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/** Hashes `bytes[start, end)`; the result is a signed 32-bit integer. */
export function murmur3(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let hash = 0;
  const wordsEnd = start + ((end - start) & ~3);
  for (let at = start; at < wordsEnd; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    hash = mixHash(hash, mixWord(word));
  }
  let tail = 0;
  for (let at = end - 1; at >= wordsEnd; at--) tail = (tail << 8) | (bytes[at] ?? 0);
  return finish(hash ^ mixWord(tail), end - start);
}

/** Hashes a 64-bit integer, given as its two signed 32-bit halves, as its 8 little-endian bytes. */
export function murmur3Long(low: number, high: number): number {
  return finish(mixHash(mixHash(0, mixWord(low)), mixWord(high)), 8);
}

/** The bucket of a hash: never negative. */
export function bucketOf(hash: number, buckets: number): number {
  return (hash & 0x7fff_ffff) % buckets;
}

function mixWord(word: number): number {
  const mixed = Math.imul(word, C1);
  return Math.imul((mixed << 15) | (mixed >>> 17), C2);
}

function mixHash(hash: number, word: number): number {
  const mixed = hash ^ word;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number, length: number): number {
  let mixed = hash ^ length;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
