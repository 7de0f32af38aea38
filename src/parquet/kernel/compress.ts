/**
 * Page compression: Snappy and LZ4 by the kernel, zstd and gzip by Bun.
 */
import { unreachable } from "#base/assert.ts";
import type { EncodeOptions, ParquetCodec } from "#parquet/encoder.ts";
import { compressedBytesMax, type Workspace } from "./memory.ts";
import { checked } from "./page.ts";
import type { ColumnMetaData } from "./thrift.ts";

/** Codecs that pages are written with. */
export type PageCodec = Exclude<ParquetCodec, "brotli">;

const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 1;

/** The codec of these options, if its pages can be compressed here at the level asked for. */
export function pageCodec(options: EncodeOptions): PageCodec | null {
  const { codec, level } = options;
  switch (codec) {
    case "none":
    case "snappy":
    case "lz4":
      return level === null ? codec : null;
    case "gzip":
      return level === null || level === GZIP_LEVEL ? codec : null;
    case "zstd":
      return level === null || level === ZSTD_LEVEL ? codec : null;
    case "brotli":
      return null;
  }
}

/** Parquet's name of a codec. */
export function codecName(codec: PageCodec): ColumnMetaData["codec"] {
  switch (codec) {
    case "none":
      return "UNCOMPRESSED";
    case "snappy":
      return "SNAPPY";
    case "lz4":
      return "LZ4_RAW";
    case "gzip":
      return "GZIP";
    case "zstd":
      return "ZSTD";
    default:
      return unreachable(codec);
  }
}

/**
 * Compresses bytes of the workspace's memory. The result may lie in that memory: it is void at the
 * next call.
 */
export function compress(
  workspace: Workspace,
  codec: PageCodec,
  from: number,
  count: number,
): Uint8Array<ArrayBufferLike> {
  const { kernel, compressed, codecTable } = workspace;
  const raw = workspace.bytes.subarray(from, from + count);
  switch (codec) {
    case "none":
      return raw;
    case "gzip":
      return Bun.gzipSync(raw as Uint8Array<ArrayBuffer>, { level: GZIP_LEVEL });
    case "zstd":
      return Bun.zstdCompressSync(raw as Uint8Array<ArrayBuffer>, { level: ZSTD_LEVEL });
    case "snappy":
    case "lz4": {
      const room = compressedBytesMax(count);
      const size = checked(kernel[codec](from, count, compressed, room, codecTable));
      return workspace.bytes.subarray(compressed, compressed + size);
    }
    default:
      return unreachable(codec);
  }
}
