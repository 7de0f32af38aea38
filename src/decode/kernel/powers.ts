/**
 * Powers of five in 128 bits, for the kernel's doubles: from 5^-342 to 5^308, high half first
 * (Lemire, "Number Parsing at a Gigabyte per Second", 2021). Computed once, in a few milliseconds.
 */

const POWER_MIN = -342;
const POWER_MAX = 308;

/** The table as little-endian bytes. */
export function powersOfFive(): Uint8Array {
  const words = new BigUint64Array(2 * (POWER_MAX - POWER_MIN + 1));
  for (let q = POWER_MIN; q <= POWER_MAX; q++) {
    const bits = q < 0 ? reciprocal(-q) : leading(5n ** BigInt(q));
    words[2 * (q - POWER_MIN)] = bits >> 64n;
    words[2 * (q - POWER_MIN) + 1] = BigInt.asUintN(64, bits);
  }
  return new Uint8Array(words.buffer);
}

/** The 128 leading bits, cut off. */
function leading(value: bigint): bigint {
  const size = value.toString(2).length;
  return size <= 128 ? value << BigInt(128 - size) : value >> BigInt(size - 128);
}

/** The 128 leading bits of 5^-q, rounded up. */
function reciprocal(q: number): bigint {
  const power = 5n ** BigInt(q);
  const size = BigInt((power - 1n).toString(2).length);
  // Small powers are exact to the last bit only when computed at their own precision.
  if (q <= 27) return (1n << (size + 127n)) / power + 1n;
  return leading((1n << (2n * size + 128n)) / power + 1n);
}
