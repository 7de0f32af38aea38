/**
 * Memory of upload parts, used again: fresh memory for each part costs as much as hashing it (page
 * faults), and is garbage outside the JavaScript heap afterwards.
 *
 * A part is given back once nobody reads it any more. One that nobody gives back is collected.
 */
import { LIMITS } from "#base/limits.ts";

/** Bytes of a part. */
export const PART_BYTES: number = LIMITS.uploadPartBytes;

const free: ArrayBufferLike[] = [];
let held = 0;

/** Whether an upload may keep its first part back, until {@link letGoPart}. */
export function holdPart(): boolean {
  if (held >= LIMITS.heldPartsMax) return false;
  held++;
  return true;
}

/** The part that was kept back is on its way, or given up. */
export function letGoPart(): void {
  held--;
}

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
