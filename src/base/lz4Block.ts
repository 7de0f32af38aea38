/**
 * One LZ4 block in TypeScript (lz4 `doc/lz4_Block_format.md`): the reference of the kernel's, and for
 * outputs that are too large for it.
 */
import { type Cursor, copyLiterals, copyMatch, FAULT } from "./blockOutput.ts";

/**
 * Decodes `source` to `output` from `to` on; the bytes made, or a {@link FAULT}.
 * @param window matches may reach back to here
 */
export function lz4Block(
  source: Uint8Array,
  output: Uint8Array,
  to: number,
  window: number,
): number {
  const cursor = { from: 0, to };
  while (cursor.from < source.length) {
    const token = source[cursor.from++] as number;
    let fault = literals(source, output, cursor, token >>> 4);
    if (fault < 0) return fault;
    if (cursor.from === source.length) return cursor.to - to;
    fault = match(source, output, cursor, token & 15, window);
    if (fault < 0) return fault;
  }
  return FAULT.damaged;
}

/** Appends literals; 0 or a {@link FAULT}. */
function literals(source: Uint8Array, output: Uint8Array, cursor: Cursor, nibble: number): number {
  const length = readLength(source, cursor, nibble);
  if (length > source.length - cursor.from) return FAULT.damaged;
  if (length > output.length - cursor.to) return FAULT.noRoom;
  copyLiterals(source, output, cursor, length);
  return 0;
}

/** Appends a match; 0 or a {@link FAULT}. */
function match(
  source: Uint8Array,
  output: Uint8Array,
  cursor: Cursor,
  nibble: number,
  window: number,
): number {
  const at = cursor.from;
  if (source.length - at < 2) return FAULT.damaged;
  const offset = (source[at] as number) | ((source[at + 1] as number) << 8);
  cursor.from = at + 2;
  const length = readLength(source, cursor, nibble) + 4;
  if (offset === 0 || offset > cursor.to - window || length === Number.POSITIVE_INFINITY) {
    return FAULT.damaged;
  }
  if (length > output.length - cursor.to) return FAULT.noRoom;
  copyMatch(output, cursor, offset, length);
  return 0;
}

/** A length of four bits, and what follows it when they are full; infinite when the input ends in it. */
function readLength(source: Uint8Array, cursor: Cursor, nibble: number): number {
  if (nibble < 15) return nibble;
  for (let length = nibble; cursor.from < source.length; ) {
    const byte = source[cursor.from++] as number;
    length += byte;
    if (byte < 255) return length;
  }
  return Number.POSITIVE_INFINITY;
}
