/**
 * Memory of growing columns: shared between threads, and used again.
 *
 * The encoding Worker reads the columns of the hot buffer where they lie, without a copy. Fresh memory
 * costs more than everything that is written into it (page faults, zeroing, collection), so free
 * buffers are kept, at most 144 MiB of them, for 6 s. `SegmentMemory` knows when nobody reads a buffer
 * any more, and gives it back. A buffer that nobody gives back is collected as garbage.
 */
import { LIMITS } from "#base/limits.ts";

/**
 * Arrow wants buffers to begin and end at multiples of 64 bytes. The runtime aligns memory of such a
 * size by itself (a test holds that), so that the length alone is rounded.
 */
const ALIGNMENT_BYTES = 64;
/** A buffer that is larger grows by half; a smaller one doubles. */
const DOUBLING_BYTES_MAX = 1 << 20;
/** Smaller buffers are not kept: looking for one costs as much as making it. */
const KEPT_BYTES_MIN = 4 * 1024;
/**
 * Buffers come in a few sizes, so that a free one often fits: eight between two powers of two. New
 * memory is therefore at most an eighth larger than was asked for. What is larger counts as held, and is
 * flushed for (decision 0477).
 */
const STEPS = 8;
/** A free buffer of one of the next two sizes serves as well; it is at most three eighths larger. */
const LARGER_STEPS = 2;
/** A free buffer is let go after so many trims: 6 s at four a second, longer than a commit interval. */
const IDLE_TRIMS_MAX = 24;

/** Free buffers by their size; `trim`: how many trims there had been when the buffer was given back. */
const free = new Map<number, { readonly buffer: SharedArrayBuffer; readonly trim: number }[]>();
let freeBytes = 0;
let trims = 0;

/** `copyInto.call(from, to, at, start, end)`: part of any bytes, in a third of the time that `set` takes with a view. */
export const copyInto: typeof Buffer.prototype.copy = Buffer.prototype.copy;

/** A copy of `bytes` with room for at least `needed` bytes; `bytes` is not given back. */
export function grown(bytes: Uint8Array, needed: number): Uint8Array<SharedArrayBuffer> {
  const current = bytes.length;
  const next = current < DOUBLING_BYTES_MAX ? current * 2 : current + (current >> 1);
  const larger = sharedBytes(Math.max(needed, next, 16));
  larger.set(bytes);
  return larger;
}

/** Memory of at least `length` bytes of any content; its address and its length are multiples of 64. */
export function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  const small = Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  if (small < KEPT_BYTES_MIN) return new Uint8Array(new SharedArrayBuffer(small));
  const exact = sizeClass(length);
  for (let size = exact, step = 0; step <= LARGER_STEPS; step++, size = sizeClass(size + 1)) {
    const kept = free.get(size)?.pop();
    if (kept === undefined) continue;
    freeBytes -= size;
    return new Uint8Array(kept.buffer);
  }
  return new Uint8Array(new SharedArrayBuffer(exact));
}

/** Takes back the whole memory behind `bytes`; nobody may use it any more. */
export function giveBack(bytes: Uint8Array | Int32Array): void {
  const { buffer } = bytes;
  if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < KEPT_BYTES_MIN) return;
  const size = buffer.byteLength;
  if (size !== sizeClass(size) || freeBytes + size > LIMITS.freeColumnBytesMax) return;
  const kept = free.get(size);
  if (kept === undefined) free.set(size, [{ buffer, trim: trims }]);
  else kept.push({ buffer, trim: trims });
  freeBytes += size;
}

/** Lets go of free buffers that nobody has used for 24 trims; called four times a second. */
export function trimBuffers(): void {
  for (const [size, kept] of free) {
    const used = kept.filter(({ trim }) => trims - trim < IDLE_TRIMS_MAX);
    freeBytes -= (kept.length - used.length) * size;
    if (used.length === 0) free.delete(size);
    else free.set(size, used);
  }
  trims++;
}

/** Bytes that are kept free. */
export function freeBufferBytes(): number {
  return freeBytes;
}

/** The memory of 32-bit words as bytes. */
export function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** The size of the buffers that serve `length` bytes. */
function sizeClass(length: number): number {
  const step = 2 ** Math.floor(Math.log2(length)) / STEPS;
  return Math.ceil(length / step) * step;
}
