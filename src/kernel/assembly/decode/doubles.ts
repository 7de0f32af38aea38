/**
 * Decimal to double, correctly rounded: the algorithm of Eisel and Lemire ("Number Parsing at a
 * Gigabyte per Second", 2021). It gives up where it cannot decide, below the normal doubles, and
 * where the value would be infinite: all rare.
 */

/** Powers of five from 5^-342 to 5^308, 128 bits each: high half, then low half. */
const POWER_MIN: i32 = -342;
const POWER_MAX: i32 = 308;
const MANTISSA_BITS: i32 = 52;

let high: u64 = 0;
let low: u64 = 0;

/** The 128-bit product of two 64-bit numbers into `high` and `low`. */
function multiply(a: u64, b: u64): void {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const low0 = a0 * b0;
  const middle = a1 * b0 + (low0 >> 32);
  const carry = (middle & 0xffffffff) + a0 * b1;
  high = a1 * b1 + (middle >> 32) + (carry >> 32);
  low = (carry << 32) | (low0 & 0xffffffff);
}

/** mantissa * 10^exponent, not negative; -1 when given up. `powers`: the table of powers of five. */
export function exactDouble(mantissa: u64, exponent: i32, powers: usize): f64 {
  if (mantissa == 0) return 0;
  if (exponent < POWER_MIN || exponent > POWER_MAX) return -1;
  const zeros = <i32>clz(mantissa);
  const normal = mantissa << (<u64>zeros);
  const power = powers + ((<usize>(exponent - POWER_MIN)) << 4);
  multiply(normal, load<u64>(power));
  if ((high & 0x1ff) == 0x1ff) {
    const firstHigh = high;
    const firstLow = low;
    multiply(normal, load<u64>(power, 8));
    const sum = firstLow + high;
    high = firstHigh + <u64>(sum < firstLow);
    low = sum;
  }
  if (low == u64.MAX_VALUE && (exponent < -27 || exponent > 55)) return -1;
  return rounded(exponent, zeros);
}

function rounded(exponent: i32, zeros: i32): f64 {
  const upper = <i32>(high >> 63);
  const shift = <u64>(upper + 64 - MANTISSA_BITS - 3);
  let bits = high >> shift;
  let binary = ((217706 * exponent) >> 16) + 63 + upper - zeros + 1023;
  if (binary <= 0) return -1;
  const halfway = low <= 1 && exponent >= -4 && exponent <= 23 && (bits & 3) == 1;
  if (halfway && bits << shift == high) bits &= ~(<u64>1);
  bits += bits & 1;
  bits >>= 1;
  if (bits >= (<u64>2) << 52) {
    bits = (<u64>1) << 52;
    binary++;
  }
  if (binary >= 0x7ff) return -1;
  bits &= ~((<u64>1) << 52);
  return reinterpret<f64>(bits | ((<u64>binary) << 52));
}
