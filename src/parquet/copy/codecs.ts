/** Codecs of stored pages, by their numbers in footers. */
import { assert } from "#base/assert.ts";
import { DECOMPRESSORS } from "#parquet/decompress.ts";
import { type PageCodec, type PageCompression, pageCompression } from "#parquet/kernel/compress.ts";
import type { StoredPage } from "./pages.ts";
import type { ChunkPart, StoredPart } from "./parts.ts";
import { unfit } from "./source.ts";

/** By their numbers. LZO and LZ4 in Hadoop's frames have none here. */
const CODECS: readonly (PageCodec | null)[] = [
  ...(["none", "snappy", "gzip", null, "brotli", null, "zstd", "lz4"] as const),
];

const DECOMPRESS = {
  ...{ snappy: DECOMPRESSORS.SNAPPY, zstd: DECOMPRESSORS.ZSTD, gzip: DECOMPRESSORS.GZIP },
  ...{ brotli: DECOMPRESSORS.BROTLI, lz4: DECOMPRESSORS.LZ4_RAW },
} as const;

/** The codec of a chunk. @throws AppError `table_unsupported` for one that we do not have */
export function codecOf(number: number): PageCodec {
  const codec = CODECS[number] ?? null;
  if (codec === null) throw unfit(`codec ${number} is not known here`);
  return codec;
}

/** The body of a page. @throws AppError `table_unsupported` when it is damaged */
export function decompressed(number: number, { payload, bodyBytes }: StoredPage): Uint8Array {
  const codec = codecOf(number);
  if (codec === "none" || bodyBytes === 0) return payload.subarray(0, bodyBytes);
  let body: Uint8Array;
  try {
    body = DECOMPRESS[codec](payload, bodyBytes);
  } catch (error) {
    throw unfit(`a page cannot be decompressed: ${String(error)}`);
  }
  if (body.length !== bodyBytes) throw unfit("a page has another length than it says");
  return body;
}

/** How the pages of a chunk are compressed: as most bytes of its parts are, so that these stay as they are. */
export function chosenCompression(
  parts: readonly ChunkPart[],
  asked: PageCompression,
): PageCompression {
  const stored = parts.filter((part): part is StoredPart => part.kind === "stored");
  const bytes = new Map<number, number>();
  for (const { chunk } of stored) {
    bytes.set(chunk.codec, (bytes.get(chunk.codec) ?? 0) + chunk.end - chunk.start);
  }
  const [most] = [...bytes].toSorted((a, b) => b[1] - a[1]);
  if (most === undefined) return asked;
  const codec = codecOf(most[0]);
  if (codec === asked.codec) return asked;
  // Brotli has no default of ours: what is written anew is written at a middle level.
  const compression = pageCompression({ codec, level: codec === "brotli" ? 5 : null });
  assert(compression !== null, "each codec has a level");
  return compression;
}
