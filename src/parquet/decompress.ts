/** Decompresses pages of Parquet files, of every codec that we write or that engines write for us. */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { snappyUncompress } from "hyparquet";
import { lz4Block } from "#base/lz4Block.ts";

/**
 * By Parquet's name of the codec. `length`: of the output. What is damaged throws, or has another length, never a larger
 * one: a page of a few kB may say that it is small and hold gigabytes.
 */
export const DECOMPRESSORS = {
  SNAPPY: (bytes: Uint8Array, length: number): Uint8Array => {
    const output = new Uint8Array(length);
    snappyUncompress(bytes, output);
    return output;
  },
  ZSTD: (bytes: Uint8Array, length: number): Uint8Array =>
    bounded(zstdDecompressSync, bytes, length),
  GZIP: (bytes: Uint8Array, length: number): Uint8Array => bounded(gunzipSync, bytes, length),
  BROTLI: (bytes: Uint8Array, length: number): Uint8Array =>
    bounded(brotliDecompressSync, bytes, length),
  LZ4_RAW: (bytes: Uint8Array, length: number): Uint8Array => {
    const output = new Uint8Array(length);
    // A damaged block has not this length.
    return output.subarray(0, Math.max(0, lz4Block(bytes, output, 0, 0)));
  },
} as const;

/** By one of `node:zlib`, which throws when there is more than `length`. */
function bounded(
  decompress: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer,
  bytes: Uint8Array,
  length: number,
): Uint8Array {
  // It knows no maximum of nothing.
  const output = decompress(bytes, { maxOutputLength: Math.max(1, length) });
  return new Uint8Array(output.buffer, output.byteOffset, output.length);
}
