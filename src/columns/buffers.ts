/**
 * Memory of growing columns: shared, so that the encoding Worker reads what the hot buffer keeps
 * without a copy.
 */
import { bitmapBytes } from "./bitmap.ts";

/** Above it buffers grow by half instead of doubling. */
const DOUBLING_BYTES_MAX = 1 << 20;

/** A copy of `bytes` with room for at least `needed` bytes; a multiple of 8, zero-filled. */
export function grown(bytes: Uint8Array, needed: number): Uint8Array<SharedArrayBuffer> {
  const current = bytes.length;
  const next = current < DOUBLING_BYTES_MAX ? current * 2 : current + (current >> 1);
  const larger = sharedBytes((Math.max(needed, next, 16) + 7) & ~7);
  larger.set(bytes);
  return larger;
}

/** The memory of 32-bit words as bytes. */
export function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** Arrow validity (1 = present) from a bitmap of nulls, which may be shorter than `length`. */
export function invert(nulls: Uint8Array, length: number): Uint8Array {
  const validity = sharedBytes(bitmapBytes(length));
  for (let index = 0; index < validity.length; index++) validity[index] = ~(nulls[index] ?? 0);
  return validity;
}

function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}
