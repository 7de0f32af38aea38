/**
 * What decoders of compressed blocks in TypeScript share: where they stand, how they append, and how they fail.
 */

/** Answered instead of a count: the block is damaged, or makes more than there is room for. */
export const FAULT = { damaged: -1, noRoom: -2 } as const;

/** From this length on, one call of the runtime beats a loop over bytes. */
const LONG = 32;

/** Where a decoder stands in its input and in its output. */
export interface Cursor {
  from: number;
  to: number;
}

/** Appends `length` bytes of the input; the caller has checked that both sides have them. */
export function copyLiterals(
  source: Uint8Array,
  output: Uint8Array,
  cursor: Cursor,
  length: number,
): void {
  const { from, to } = cursor;
  if (length >= LONG) output.set(source.subarray(from, from + length), to);
  else for (let i = 0; i < length; i++) output[to + i] = source[from + i] as number;
  cursor.from = from + length;
  cursor.to = to + length;
}

/**
 * Appends `length` bytes that begin `offset` bytes before the end of the output; the two may
 * overlap, which repeats a pattern. The caller has checked that both fit.
 */
export function copyMatch(
  output: Uint8Array,
  cursor: Cursor,
  offset: number,
  length: number,
): void {
  const { to } = cursor;
  const from = to - offset;
  if (length >= LONG && offset >= length) output.copyWithin(to, from, from + length);
  else for (let i = 0; i < length; i++) output[to + i] = output[from + i] as number;
  cursor.to = to + length;
}
