/**
 * Decimals of Avro: two's complement, big endian, of any length that holds them.
 */
import type { ColumnBuilder } from "#columns/builder.ts";

/** Bytes that a decimal of 38 digits may be written with, sign and slack included: more are refused. */
const WIDTH = 64;

const TENS: readonly bigint[] = Array.from(
  { length: 77 },
  (_, exponent) => 10n ** BigInt(exponent),
);

/**
 * Appends `bytes[start, end)` times ten to `shift` to a decimal column; false when it does not fit. No
 * bytes at all are no number.
 */
export function appendDecimal(
  bytes: Uint8Array,
  start: number,
  end: number,
  shift: number,
  column: ColumnBuilder,
): boolean {
  const { type } = column.field;
  const size = end - start;
  if (type.kind !== "decimal" || size === 0 || size > WIDTH) return false;
  const value = signedOf(bytes, start, end) * (TENS[shift] as bigint);
  const bound = TENS[type.precision] as bigint;
  if (value >= bound || value <= -bound) return false;
  column.appendBigInt(value);
  return true;
}

function signedOf(bytes: Uint8Array, start: number, end: number): bigint {
  let value = BigInt(((bytes[start] as number) << 24) >> 24);
  let at = start + 1;
  for (; at + 4 <= end; at += 4) {
    const word =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number);
    value = (value << 32n) | BigInt(word >>> 0);
  }
  for (; at < end; at++) value = (value << 8n) | BigInt(bytes[at] as number);
  return value;
}
