/**
 * Memory of upload parts, used again: fresh memory for each part costs as much as hashing it (page
 * faults), and is garbage outside the JavaScript heap afterwards.
 *
 * A part is given back once nobody reads it any more. One that nobody gives back is collected.
 */
import { LIMITS } from "#base/limits.ts";

/** Bytes of a part: S3 allows 10,000 of at least 5 MiB, Azure 50,000, Google asks for multiples of 256 KiB. */
export const PART_BYTES: number = 8 * 1024 * 1024;

const free: ArrayBufferLike[] = [];

/** A part of any content. */
export function takePart(): Uint8Array {
  return new Uint8Array(free.pop() ?? new ArrayBuffer(PART_BYTES));
}

/** Takes back the memory behind `bytes` when it is a part; nobody may use it any more. */
export function givePart({ buffer }: Uint8Array): void {
  if (buffer.byteLength === PART_BYTES && free.length < LIMITS.freePartsMax) free.push(buffer);
}

/** Lets go of what is kept free. */
export function dropFreeParts(): void {
  free.length = 0;
}

/** Bytes that are kept free. */
export function freePartBytes(): number {
  return free.length * PART_BYTES;
}
