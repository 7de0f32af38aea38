/**
 * Page compression: Snappy and LZ4 by the kernel, zstd and gzip by Bun, brotli of a stated level by zlib.
 */
import { brotliCompressSync, constants } from "node:zlib";
import { unreachable } from "#base/assert.ts";
import type { EncodeOptions, ParquetCodec } from "#parquet/encoder.ts";
import { compressedBytesMax, type Workspace } from "./memory.ts";
import { checked } from "./page.ts";
import type { ColumnMetaData } from "./thrift.ts";

/** Codecs that pages are written with. */
export type PageCodec = ParquetCodec;

/** How pages are compressed. */
export interface PageCompression {
  readonly codec: PageCodec;
  /** 0 for codecs without levels. */
  readonly level: number;
}

type GzipLevel = NonNullable<NonNullable<Parameters<typeof Bun.gzipSync>[1]>["level"]>;

/** Levels where none is asked for. */
const LEVELS: Readonly<Record<Exclude<ParquetCodec, "brotli">, number>> = {
  none: 0,
  snappy: 0,
  lz4: 0,
  gzip: 6,
  zstd: 1,
};

/**
 * How the pages of these options are compressed here; null: brotli at its default level, which
 * `parquet-wasm` writes faster.
 */
export function pageCompression({
  codec,
  level,
}: Pick<EncodeOptions, "codec" | "level">): PageCompression | null {
  if (codec === "brotli") return level === null ? null : { codec, level };
  return { codec, level: level ?? LEVELS[codec] };
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
    case "brotli":
      return "BROTLI";
    default:
      return unreachable(codec);
  }
}

/** Bytes of the workspace's memory that are compressed together. */
export interface PageBytes {
  readonly from: number;
  readonly bytes: number;
  /** Bytes before values of eight bytes each; null: there are none such. */
  readonly head: number | null;
}

/** Compresses a page. The result may lie in the workspace's memory: it is void at the next call. */
export function compress(
  workspace: Workspace,
  { codec, level }: PageCompression,
  { from, bytes: count, head }: PageBytes,
): Uint8Array<ArrayBufferLike> {
  const { kernel, compressed, codecTable } = workspace;
  const raw = workspace.bytes.subarray(from, from + count);
  switch (codec) {
    case "none":
      return raw;
    case "gzip":
      return Bun.gzipSync(raw as Uint8Array<ArrayBuffer>, { level: level as GzipLevel });
    case "zstd":
      return Bun.zstdCompressSync(raw as Uint8Array<ArrayBuffer>, { level });
    case "brotli":
      return brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: level } });
    case "snappy":
    case "lz4": {
      const room = compressedBytesMax(count);
      const size =
        codec === "snappy" && head !== null
          ? kernel.snappyWords(from, count, compressed, room, codecTable, head)
          : kernel[codec](from, count, compressed, room, codecTable);
      return workspace.bytes.subarray(compressed, compressed + checked(size));
    }
    default:
      return unreachable(codec);
  }
}
