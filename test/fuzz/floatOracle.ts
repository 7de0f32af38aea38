/**
 * The 32-bit float nearest to a decimal number, by exact fractions: the distance to each candidate
 * is compared, and of two as near the one with an even last bit is taken.
 */

/** A fraction of two integers; `den` is positive. */
interface Fraction {
  readonly num: bigint;
  readonly den: bigint;
}

const bits = new Int32Array(1);
const floats = new Float32Array(bits.buffer);

/** The value of float bits; the bits after the largest float stand for 2^128, as in IEEE's rounding. */
function floatOf(pattern: number): number {
  if ((pattern & 0x7fff_ffff) === 0x7f80_0000) return 2 ** 128 * (pattern < 0 ? -1 : 1);
  bits[0] = pattern;
  return floats[0] ?? 0;
}

function ofText(text: string): Fraction {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = BigInt((whole + fraction).replace("-", "") || "0");
  const num = text.startsWith("-") ? -digits : digits;
  const power = Number(exponent) - fraction.length;
  return power >= 0
    ? { num: num * 10n ** BigInt(power), den: 1n }
    : { num, den: 10n ** BigInt(-power) };
}

function ofDouble(value: number): Fraction {
  let scaled = value;
  let den = 1n;
  for (; !Number.isInteger(scaled); den *= 2n) scaled *= 2;
  return { num: BigInt(scaled), den };
}

function distance(a: Fraction, b: Fraction): Fraction {
  const num = a.num * b.den - b.num * a.den;
  return { num: num < 0n ? -num : num, den: a.den * b.den };
}

function isLess(a: Fraction, b: Fraction): boolean {
  return a.num * b.den < b.num * a.den;
}

/** The nearest float; infinite beyond the range. */
export function floatNearestTo(text: string): number {
  if (Number(text) === 0 || Math.abs(Number(text)) > 2 ** 130) return Math.fround(Number(text));
  const exact = ofText(text);
  floats[0] = Number(text);
  const middle = bits[0] ?? 0;
  let best = middle;
  for (const candidate of [middle - 1, middle, middle + 1]) {
    if (Number.isNaN(floatOf(candidate))) continue;
    const near = distance(exact, ofDouble(floatOf(candidate)));
    const bestSoFar = distance(exact, ofDouble(floatOf(best)));
    const isTie = !isLess(near, bestSoFar) && !isLess(bestSoFar, near);
    if (isLess(near, bestSoFar) || (isTie && candidate % 2 === 0)) best = candidate;
  }
  const value = floatOf(best);
  return Math.abs(value) >= 2 ** 128 ? Math.sign(value) * Number.POSITIVE_INFINITY : value;
}
