import { describe, expect, test } from "bun:test";
import { crc32c } from "#base/crc32c.ts";
import { Scratch } from "#consumer/codec/blocks.ts";
import { decompress } from "#consumer/codec/compression.ts";
import { lz4Stored } from "../../fakes/recordBatches.ts";

const MIB = 1024 * 1024;
const noise = (length: number, seed = 1): Uint8Array => {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return state >> 16;
  });
};

describe("Scratch", () => {
  for (const kernel of [true, false]) {
    const how = kernel ? "in the kernel" : "in TypeScript";

    test(`the CRC-32C ${how} is the definition's, whatever the length and the beginning`, () => {
      const scratch = new Scratch(kernel);
      expect(scratch.crc32c(Buffer.from("123456789"), 0)).toBe(0xe306_9283);
      const bytes = noise(5000);
      for (let length = 0; length < bytes.length; length += length > 1500 ? 1 : 13) {
        const start = length % 22;
        if (start > length) continue;
        const part = bytes.subarray(0, length);
        expect(scratch.crc32c(part, start)).toBe(crc32c(part, start));
      }
    });

    test(`one scratch ${how} serves one batch after the other, small and larger than it keeps`, () => {
      const scratch = new Scratch(kernel);
      for (const length of [100, 3 * MIB, 20 * MIB, 64, 12 * MIB, 1]) {
        const plain = noise(length, length);
        const stored = lz4Stored(plain);
        expect(scratch.crc32c(stored, 0)).toBe(crc32c(stored));
        expect(Buffer.compare(decompress(3, stored, 32 * MIB, scratch), plain)).toBe(0);
      }
    });

    test(`what was checked ${how} is decoded from there once, then from the bytes as they are`, () => {
      const scratch = new Scratch(kernel);
      const batch = Buffer.concat([Buffer.alloc(61, 7), lz4Stored(Buffer.from("first text"))]);
      const part = batch.subarray(61);
      scratch.crc32c(batch, 21);
      const text = (): string => Buffer.from(decompress(3, part, MIB, scratch)).toString();
      expect(text()).toBe("first text");
      batch.write("other", batch.indexOf("first"));
      expect(text()).toBe("other text");
      scratch.crc32c(Buffer.from("something else"), 0);
      expect(text()).toBe("other text");
    });
  }
});
