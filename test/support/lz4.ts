/** LZ4 blocks decompressed by the letter of their specification, byte by byte. */

/** The raw bytes; throws when they are not exactly `length`. */
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
  while (at < input.length) {
    const token = next();
    for (let literals = extended(token >> 4); literals > 0; literals--) output.push(next());
    if (at === input.length) break;
    const distance = next() | (next() << 8);
    for (let left = 4 + extended(token & 15); left > 0; left--) {
      const byte = distance === 0 ? undefined : output[output.length - distance];
      if (byte === undefined) throw new RangeError("a match begins before the output");
      output.push(byte);
    }
  }
  if (output.length !== length) throw new RangeError(`${output.length} bytes, not ${length}`);
  return Uint8Array.from(output);
}
