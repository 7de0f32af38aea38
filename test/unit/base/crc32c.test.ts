import { expect, test } from "bun:test";
import { crc32c } from "#base/crc32c.ts";

/** The definition: one bit at a time. */
function bitwise(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f6_3b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

test("crc32c gives the values of RFC 3720 appendix B.4 and of the Castagnoli check string", () => {
  expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, at) => at))).toBe(0x46dd794e);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, at) => 31 - at))).toBe(0x113fdb5c);
  expect(crc32c(new Uint8Array())).toBe(0);
});

test("the CRC of two parts is the CRC of the whole, wherever it is parted", () => {
  const whole = Uint8Array.from({ length: 100 }, (_, at) => (at * 37) & 0xff);
  for (let at = 0; at <= whole.length; at++)
    expect(crc32c(whole, at, whole.length, crc32c(whole, 0, at))).toBe(crc32c(whole));
});

test("crc32c() agrees with the bitwise definition at every length and alignment", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 197 + 31) & 255);
  for (let start = 0; start < 9; start++) {
    for (let end = start; end <= bytes.length; end++) {
      expect(crc32c(bytes, start, end)).toBe(bitwise(bytes.subarray(start, end)));
    }
  }
});
