import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { kindOf } from "#base/errors.ts";
import { decompressBoth as decompress } from "../../fakes/decompressBoth.ts";
import { lz4Frame, lz4Stored, snappyLiterals } from "../../fakes/recordBatches.ts";

const MIB = 1024 * 1024;
const text = Buffer.from("the quick brown fox jumps over the lazy dog. ".repeat(50));

function kind(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return kindOf(error);
  }
  return "nothing";
}

const block = (...bytes: (number | string)[]): Uint8Array =>
  Buffer.concat(bytes.map((b) => (typeof b === "number" ? Buffer.from([b]) : Buffer.from(b))));

describe("decompress()", () => {
  test("without a codec the bytes themselves come back", () => {
    expect(decompress(0, text, 1)).toBe(text);
  });

  test("gzip and zstd come back whole, also when they made nothing", () => {
    expect(Buffer.from(decompress(1, gzipSync(text), MIB))).toEqual(text);
    expect(Buffer.from(decompress(4, zstdCompressSync(text), MIB))).toEqual(text);
    expect(decompress(1, gzipSync(""), MIB)).toHaveLength(0);
    expect(decompress(4, zstdCompressSync(""), MIB)).toHaveLength(0);
  });

  test("zstd frames one behind the other come back as one", () => {
    const frames = Buffer.concat([zstdCompressSync(text), zstdCompressSync(text)]);
    expect(decompress(4, frames, MIB)).toHaveLength(text.length * 2);
  });

  test("snappy: literals of every length form, copies of every offset form", () => {
    const raw = block(
      20,
      4 << 2,
      "abcde",
      (1 << 2) | 1,
      5,
      (3 << 2) | 2,
      5,
      0,
      (5 << 2) | 3,
      4,
      0,
      0,
      0,
    );
    expect(Buffer.from(decompress(2, raw, MIB)).toString()).toBe("abcdeabcdeabcdabcdab");
    const long = Buffer.alloc(300, "q");
    const literal = block(0xac, 0x02, 61 << 2, 0x2b, 0x01, long.toString());
    expect(Buffer.from(decompress(2, literal, MIB))).toEqual(long);
  });

  test("snappy in xerial framing is joined from its chunks", () => {
    const header = Buffer.from([
      0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1,
    ]);
    const chunks = [text.subarray(0, 1000), text.subarray(1000)].map((piece) => {
      const body = snappyLiterals(piece);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      return Buffer.concat([length, body]);
    });
    const framed = Buffer.concat([header, ...chunks]);
    expect(Buffer.from(decompress(2, framed, MIB))).toEqual(text);
    expect(kind(() => decompress(2, framed.subarray(0, framed.length - 1), MIB))).toBe(
      "batch_corrupt",
    );
    expect(kind(() => decompress(2, framed.subarray(0, 12), MIB))).toBe("batch_corrupt");
    expect(kind(() => decompress(2, framed.subarray(0, 18), MIB))).toBe("batch_corrupt");
  });

  test("lz4: stored blocks, long literals, overlapping matches, and matches into the block before", () => {
    expect(Buffer.from(decompress(3, lz4Stored(text), MIB))).toEqual(text);
    const runs = lz4Frame([
      { stored: false, bytes: block(0x1f, "a", 1, 0, 200, 0x50, "bcdef") },
      { stored: false, bytes: block(0x04, 5, 0, 0x10, "z") },
    ]);
    const expected = `${"a".repeat(1 + 15 + 200 + 4)}bcdefbcdefbcdz`;
    expect(Buffer.from(decompress(3, runs, MIB)).toString()).toBe(
      expected.slice(0, 220 + 5 + 8 + 1),
    );
    const long = Buffer.alloc(400, "w");
    const literals = lz4Frame([{ stored: false, bytes: block(0xf0, 255, 130, long.toString()) }]);
    expect(Buffer.from(decompress(3, literals, MIB))).toEqual(long);
    const twoFrames = Buffer.concat([lz4Stored(text), lz4Stored(text)]);
    expect(decompress(3, twoFrames, MIB)).toHaveLength(text.length * 2);
  });

  test("output beyond the bound is refused by every codec, before memory is taken for it", () => {
    const bomb = Buffer.alloc(4 * MIB);
    const match = new Uint8Array([
      0x1f,
      0,
      1,
      0,
      ...Array.from({ length: 250 }, () => 255),
      0,
      0x10,
      1,
    ]);
    for (const [codec, bytes] of [
      [1, gzipSync(bomb)],
      [2, snappyLiterals(bomb)],
      [3, lz4Frame(Array.from({ length: 20 }, () => ({ stored: false, bytes: match })))],
      [4, zstdCompressSync(bomb)],
    ] as const) {
      expect(() => decompress(codec, bytes, MIB / 8)).toThrow("max_decompressed_batch_mb");
    }
    const overflow = lz4Stored(text);
    expect(() => decompress(3, overflow, 100)).toThrow("max_decompressed_batch_mb");
  });

  test("a snappy length that its input cannot make is refused without allocating it", () => {
    expect(kind(() => decompress(2, block(0xff, 0xff, 0xff, 0x1f, 0), 512 * MIB))).toBe(
      "batch_corrupt",
    );
  });

  test("an unknown codec is named", () => {
    expect(() => decompress(5, text, MIB)).toThrow("codec 5");
  });

  test("damaged headers and references outside the output are refused", () => {
    for (const [codec, bytes] of [
      [1, Buffer.from("not gzip at all")],
      [2, block(5, 1 << 2, "ab", 1 | (1 << 2), 9)],
      [2, block(0xff, 0xff, 0xff, 0xff, 0xff)],
      [2, block(3, 60 << 2)],
      [2, block(8, 0, "a", (63 << 2) | 2, 1, 0)],
      [3, Buffer.from("nope")],
      [3, Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x20, 0x40, 0])],
      [3, lz4Frame([{ stored: false, bytes: block(0x10, "a", 9, 0) }])],
      [3, lz4Frame([{ stored: false, bytes: block(0x10, "a", 0, 0) }])],
      [3, lz4Frame([{ stored: false, bytes: block(0xf0) }])],
      [3, lz4Frame([{ stored: false, bytes: block(0x10, "a", 1) }])],
      [4, Buffer.from("no zstd here")],
      [4, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 7, 0, 0])],
    ] as const) {
      expect(kind(() => decompress(codec, bytes, MIB))).toBe("batch_corrupt");
    }
  });
});
