/**
 * Decompression of record batches, bounded: no input makes more than `bytesMax` of output, and
 * truncated or altered input is an error, never a shorter result.
 */
import { constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import { fail, kindOf } from "#base/errors.ts";
import type { Scratch } from "./blocks.ts";
import { lz4Decompress } from "./lz4.ts";
import { damaged, tooLarge } from "./output.ts";
import { snappyDecompress } from "./snappy.ts";
import { assertZstdComplete } from "./zstd.ts";

const NAMES = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

/**
 * The records of a batch, decompressed; with codec 0 the input itself.
 * @param codec the three low bits of the batch's attributes
 * @param scratch holds the result of LZ4 and Snappy, until its next use
 * @throws `batch_corrupt` for an unknown codec, damaged input, or more output than `bytesMax`
 */
export function decompress(
  codec: number,
  bytes: Uint8Array,
  bytesMax: number,
  scratch: Scratch,
): Uint8Array {
  const name = NAMES[codec];
  if (name === "none") return bytes;
  if (name === undefined) throw fail("batch_corrupt", `Compression codec ${codec} is unknown`);
  try {
    return decompressNamed(name, bytes, bytesMax, scratch);
  } catch (error) {
    if (kindOf(error) === "batch_corrupt") throw error;
    const { code } = error as { code?: string };
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(bytesMax);
    throw damaged(name, error);
  }
}

function decompressNamed(
  name: "gzip" | "snappy" | "lz4" | "zstd",
  bytes: Uint8Array,
  bytesMax: number,
  scratch: Scratch,
): Uint8Array {
  switch (name) {
    case "gzip":
      return gunzipSync(bytes, { maxOutputLength: bytesMax, finishFlush: constants.Z_FINISH });
    case "zstd":
      assertZstdComplete(bytes);
      return zstdDecompressSync(bytes, { maxOutputLength: bytesMax });
    case "snappy":
      return snappyDecompress(bytes, bytesMax, scratch);
    case "lz4":
      return lz4Decompress(bytes, bytesMax, scratch);
  }
}
