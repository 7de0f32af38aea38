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

/**
 * Puts `bits`, which begin at bit `start % 8`, behind the first `start` bits of `bitmap`. These are the
 * same at every moment: another thread may be reading them.
 */
export function joinBits(bitmap: Uint8Array, start: number, bits: Uint8Array): void {
  const first = start >> 3;
  const kept = (bitmap[first] ?? 0) & ((1 << (start & 7)) - 1);
  bitmap.set(bits.subarray(1), first + 1);
  bitmap[first] = kept | (bits[0] ?? 0);
}

/**
 * Clears the bits of `bitmap` from bit `start` on that are set in `bits`, which begin at bit
 * `start % 8`; all of `bitmap` from there on must be ones.
 */
export function clearBits(bitmap: Uint8Array, start: number, bits: Uint8Array): void {
  const first = start >> 3;
  for (let index = 0; index < bits.length; index++) {
    const at = first + index;
    bitmap[at] = (bitmap[at] as number) & ~(bits[index] as number);
  }
}

/**
 * Puts the first `length` bits of `bits` behind the first `start` bits of `bitmap`; all of `bitmap` from there on
 * must be zeros. @param bits null: ones
 */
export function appendBits(
  bitmap: Uint8Array,
  start: number,
  length: number,
  bits: Uint8Array | null,
): void {
  const shift = start & 7;
  let at = start >> 3;
  for (let index = 0; index < length; index += 8, at++) {
    const left = length - index;
    const byte =
      (bits === null ? 255 : (bits[index >> 3] as number)) & (left >= 8 ? 255 : (1 << left) - 1);
    bitmap[at] = (bitmap[at] as number) | (byte << shift);
    // Behind its end nothing is stored.
    if (shift > 0) bitmap[at + 1] = byte >> (8 - shift);
  }
}
