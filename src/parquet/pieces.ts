/**
 * Memory of encoded bytes, in pieces of one size that are used again: fresh memory for every piece of
 * a file would be garbage outside the heap of both threads.
 *
 * A piece crosses to the owner with its bytes and comes back when they are written.
 */

/** Bytes of a piece: what is worth a hand-over, which wakes two threads. Every file that is being encoded has one. */
export const PIECE_BYTES: number = 1024 * 1024;

/** More are not kept: 4 MiB are on their way at most, and one is being filled. */
const FREE_MAX = 5;

const free: ArrayBuffer[] = [];
const known = new WeakSet<ArrayBufferLike>();

/** A piece of any content. */
export function takePiece(): Uint8Array<ArrayBuffer> {
  const buffer = free.pop() ?? new ArrayBuffer(PIECE_BYTES);
  known.add(buffer);
  return new Uint8Array(buffer);
}

/** True for memory that nothing but one piece's bytes lies in. */
export function isPiece(buffer: ArrayBufferLike): boolean {
  return known.has(buffer);
}

/** Takes memory back that was a piece; any other is left to the collector, which false says. */
export function givePiece(buffer: ArrayBuffer): boolean {
  if (buffer.byteLength !== PIECE_BYTES || free.length >= FREE_MAX) return false;
  free.push(buffer);
  return true;
}
