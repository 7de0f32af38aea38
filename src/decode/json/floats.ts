/**
 * A JSON number as the nearest 32-bit float. `Math.fround(Number(text))` rounds twice: a text just
 * above the middle of two floats may become the double in the middle, which then goes down.
 */

/** The least double that is no float any more, but infinite: halfway from the largest float. */
const HALFWAY_TO_INFINITY = 2 ** 128 - 2 ** 103;
const FLOAT_MAX = 2 ** 128 - 2 ** 104;

/** The float nearest to a JSON number's text, of two as near the even one; infinite beyond. */
export function nearestFloat(text: string): number {
  const double = Number(text);
  const float = Math.fround(double);
  const other = otherFloat(double, float);
  if (float === double || other === null) return float;
  const order = compareMagnitudes(text, Math.abs(double));
  if (order === 0) return float;
  const isLarger = Math.abs(float) > Math.abs(other);
  return order > 0 === isLarger ? float : other;
}

/** The float on the other side of a double that lies halfway between two floats; null elsewhere. */
function otherFloat(double: number, float: number): number | null {
  if (!Number.isFinite(float)) {
    return Math.abs(double) === HALFWAY_TO_INFINITY ? Math.sign(double) * FLOAT_MAX : null;
  }
  const other = double + (double - float);
  return Math.fround(other) === other ? other : null;
}

/** Orders the magnitude of a JSON number's text against a double: below 0, 0 or above. */
function compareMagnitudes(text: string, double: number): number {
  const [digits, point] = digitsOf(text.toLowerCase());
  const [exact, exactPoint] = exactDigits(double);
  if (point !== exactPoint) return point - exactPoint;
  return digits < exact ? -1 : Number(digits > exact);
}

/** Significant digits, and where the point is: `[digits, p]` is 0.digits times 10^p. */
type Digits = readonly [digits: string, point: number];

function digitsOf(text: string): Digits {
  const [mantissa = "", exponent = "0"] = text.replace(/^-/, "").split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const all = whole + fraction;
  const digits = all.replace(/^0+/, "");
  const point = whole.length - (all.length - digits.length) + Number(exponent);
  return [digits.replace(/0+$/, ""), point];
}

/** Every digit of a double: a double is an integer times a power of two. */
function exactDigits(double: number): Digits {
  let integer = double;
  let twos = 0;
  for (; !Number.isInteger(integer); twos++) integer *= 2;
  const digits = (BigInt(integer) * 5n ** BigInt(twos)).toString();
  return [digits.replace(/0+$/, ""), digits.length - twos];
}
