/**
 * The elements of one Snappy block in TypeScript (snappy `format_description.txt`): the reference of
 * the kernel's, and for outputs that are too large for it.
 */
import { type Cursor, copyLiterals, copyMatch, FAULT } from "#base/blockOutput.ts";

/** Bytes of a copy's offset by the type of the element. */
const OFFSET_BYTES = [0, 1, 2, 4] as const;

/** Decodes `source` to `output` from its beginning on; the bytes made, or `FAULT.damaged`. */
export function snappyBlock(source: Uint8Array, output: Uint8Array): number {
  const cursor = { from: 0, to: 0 };
  while (cursor.from < source.length) {
    const tag = source[cursor.from++] as number;
    const element = (tag & 3) === 0 ? literal : copy;
    if (!element(source, output, cursor, tag)) return FAULT.damaged;
  }
  return cursor.to;
}

/** Appends a literal, whose length may stand behind its tag; false: damaged. */
function literal(source: Uint8Array, output: Uint8Array, cursor: Cursor, tag: number): boolean {
  const code = tag >>> 2;
  const length = (code < 60 ? code : readNumber(source, cursor, code - 59)) + 1;
  if (length > source.length - cursor.from || length > output.length - cursor.to) return false;
  copyLiterals(source, output, cursor, length);
  return true;
}

/** Appends a copy; false: damaged. */
function copy(source: Uint8Array, output: Uint8Array, cursor: Cursor, tag: number): boolean {
  const type = tag & 3;
  const operand = readNumber(source, cursor, OFFSET_BYTES[type] as number);
  const offset = type === 1 ? operand + ((tag & 0xe0) << 3) : operand;
  const length = type === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
  if (offset === 0 || offset > cursor.to || length > output.length - cursor.to) return false;
  copyMatch(output, cursor, offset, length);
  return true;
}

/** A little-endian number of up to four bytes; infinite when the input ends in it. */
function readNumber(source: Uint8Array, cursor: Cursor, bytes: number): number {
  if (bytes > source.length - cursor.from) return Number.POSITIVE_INFINITY;
  let value = 0;
  for (let i = 0; i < bytes; i++) value += (source[cursor.from++] as number) * 2 ** (8 * i);
  return value;
}
