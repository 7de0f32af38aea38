import { expect, test } from "bun:test";
import { crc32c } from "#consumer/crc32c.ts";

/** The definition: one bit at a time. */
function bitwise(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f6_3b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

test("crc32c() gives the published check value", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe306_9283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a91_36aa);
});

test("crc32c() agrees with the bitwise definition at every length and alignment", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 197 + 31) & 255);
  for (let start = 0; start < 9; start++) {
    for (let end = start; end <= bytes.length; end++) {
      expect(crc32c(bytes, start, end)).toBe(bitwise(bytes.subarray(start, end)));
    }
  }
});
