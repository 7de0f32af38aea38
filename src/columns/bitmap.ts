/**
 * Bit-packed booleans and validity bitmaps, LSB first as Arrow lays them out.
 */

/** Bit `index` of a bitmap. */
export function getBit(bits: Uint8Array, index: number): boolean {
  return (((bits[index >> 3] as number) >> (index & 7)) & 1) === 1;
}

/** Sets bit `index`. */
export function setBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
}

/** Clears bit `index`. */
export function clearBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] as number) & ~(1 << (index & 7));
}

/** Bytes of a bitmap of `length` bits. */
export function bitmapBytes(length: number): number {
  return (length + 7) >> 3;
}

/** Number of set bits in `[start, end)`. */
export function countBits(bits: Uint8Array, start: number, end: number): number {
  let count = 0;
  let index = start;
  for (; index < end && (index & 7) !== 0; index++) if (getBit(bits, index)) count++;
  for (; index + 8 <= end; index += 8) {
    for (let byte = bits[index >> 3] as number; byte !== 0; byte &= byte - 1) count++;
  }
  for (; index < end; index++) if (getBit(bits, index)) count++;
  return count;
}
