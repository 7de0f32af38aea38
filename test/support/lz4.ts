/** LZ4 blocks decompressed by the letter of their specification, byte by byte. */

/**
 * The raw bytes; throws when they are not exactly `length`, or when the end breaks the rules by which
 * fast decoders read ahead: the last match begins 12 bytes before it, the last five are literals.
 */
export function lz4Uncompress(input: Uint8Array, length: number): Uint8Array {
  const output: number[] = [];
  let at = 0;
  const next = (): number => {
    const byte = input[at++];
    if (byte === undefined) throw new RangeError("the block ends too early");
    return byte;
  };
  const extended = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let sum = nibble;
    for (let byte = 255; byte === 255; sum += byte) byte = next();
    return sum;
  };
  let matchStart = Number.NEGATIVE_INFINITY;
  let matchEnd = Number.NEGATIVE_INFINITY;
  while (at < input.length) {
    const token = next();
    for (let literals = extended(token >> 4); literals > 0; literals--) output.push(next());
    if (at === input.length) break;
    const distance = next() | (next() << 8);
    matchStart = output.length;
    if (distance === 0 || distance > matchStart) throw new RangeError("a match of nothing");
    for (let left = 4 + extended(token & 15); left > 0; left--) {
      output.push(output[output.length - distance] as number);
    }
    matchEnd = output.length;
  }
  if (length - matchStart < 12 || length - matchEnd < 5) {
    throw new RangeError("a match is too near to the end");
  }
  if (output.length !== length) throw new RangeError(`${output.length} bytes, not ${length}`);
  return Uint8Array.from(output);
}
