/**
 * A metadata file in storage: plain JSON, or gzip'ed (`write.metadata.compression-codec`).
 */

import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { AppError, fail } from "#base/errors.ts";
import { utf8Text } from "#base/text.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { readTableMetadata, writeTableMetadata } from "#iceberg/metadata/tableMetadataJson.ts";
import type { Storage } from "#storage/storage.ts";

/** Metadata with the SHA-256 of the file that it was read from. */
export interface ReadMetadata {
  readonly metadata: TableMetadata;
  readonly sha256: string;
}

/**
 * Reads a metadata file. Errors of `readTableMetadata` name the file.
 * @param before what was read last: the same bytes are not parsed again, which for a table of 500
 *   snapshots is most of a commit's time
 */
export async function loadMetadataFile(
  storage: Storage,
  location: string,
  before: ReadMetadata | null = null,
): Promise<ReadMetadata> {
  const bytes = await storage.get(location);
  const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  if (sha256 === before?.sha256) return before;
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  try {
    const text = utf8Text(gzipped ? gunzip(bytes) : bytes);
    return { metadata: readTableMetadata(text), sha256 };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw fail(error.kind, `${location}: ${error.message}`, error.context, error);
  }
}

function gunzip(bytes: Uint8Array): Uint8Array {
  try {
    return Bun.gunzipSync(new Uint8Array(bytes));
  } catch (cause) {
    throw fail("storage_corrupt", "The metadata file is not gzip", { bytes: bytes.length }, cause);
  }
}

/** Compresses the bytes of a metadata file, outside the event loop's thread. */
export function gzipMetadata(bytes: Uint8Array): Promise<Uint8Array> {
  return promisify(gzip)(bytes);
}

/** The bytes of a metadata file, plain. */
export function encodeMetadataFile(metadata: TableMetadata): Uint8Array {
  return new TextEncoder().encode(writeTableMetadata(metadata));
}
