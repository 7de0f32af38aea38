/** Pages that hold more than they say. */
import { expect, test } from "bun:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { DECOMPRESSORS } from "#parquet/decompress.ts";

const COMPRESS = { ZSTD: zstdCompressSync, GZIP: gzipSync, BROTLI: brotliCompressSync } as const;
const BYTES = 32 * 2 ** 20;

for (const codec of ["ZSTD", "GZIP", "BROTLI"] as const) {
  const compressed = (bytes: Uint8Array): Uint8Array => new Uint8Array(COMPRESS[codec](bytes));

  test(`${codec}: more than a page says is never made, be it in one frame or in several`, () => {
    const bomb = compressed(new Uint8Array(BYTES));
    const frames = [bomb, new Uint8Array(Buffer.concat([bomb, bomb]))];
    for (const bytes of frames) {
      for (const length of [1, 1000, BYTES - 1]) {
        expect(() => DECOMPRESSORS[codec](bytes, length)).toThrow(`larger than ${length} bytes`);
      }
    }
  });

  test(`${codec}: what a page says is made, be it nothing`, () => {
    for (const length of [0, 1, 1000, 100_000]) {
      const page = new Uint8Array(length).map((_, at) => at % 251);
      expect(DECOMPRESSORS[codec](compressed(page), length)).toEqual(page);
    }
  });
}
