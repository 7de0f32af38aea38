/** Decompresses pages of Parquet files, of every codec that we write or that engines write for us. */
import { brotliDecompressSync } from "node:zlib";
import { snappyUncompress } from "hyparquet";
import { lz4Block } from "#base/lz4Block.ts";

/** By Parquet's name of the codec. `length`: of the output. What is damaged throws, or has another length. */
export const DECOMPRESSORS = {
  SNAPPY: (bytes: Uint8Array, length: number): Uint8Array => {
    const output = new Uint8Array(length);
    snappyUncompress(bytes, output);
    return output;
  },
  ZSTD: (bytes: Uint8Array): Uint8Array => Bun.zstdDecompressSync(new Uint8Array(bytes)),
  GZIP: (bytes: Uint8Array): Uint8Array => Bun.gunzipSync(new Uint8Array(bytes)),
  BROTLI: (bytes: Uint8Array): Uint8Array => brotliDecompressSync(bytes),
  LZ4_RAW: (bytes: Uint8Array, length: number): Uint8Array => {
    const output = new Uint8Array(length);
    // A damaged block has not this length.
    return output.subarray(0, Math.max(0, lz4Block(bytes, output, 0, 0)));
  },
} as const;
