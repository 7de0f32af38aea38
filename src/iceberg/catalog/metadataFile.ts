/**
 * A metadata file in storage: plain JSON, or gzip'ed by another engine
 * (`write.metadata.compression-codec`).
 */
import { AppError, fail } from "#base/errors.ts";
import type { TableMetadata } from "#iceberg/metadata.ts";
import { readTableMetadata, writeTableMetadata } from "#iceberg/tableMetadataJson.ts";
import type { Storage } from "#storage/storage.ts";

/** Reads a metadata file. Errors of `readTableMetadata` name the file. */
export async function loadMetadataFile(storage: Storage, location: string): Promise<TableMetadata> {
  const bytes = await storage.get(location);
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  try {
    return readTableMetadata(new TextDecoder().decode(gzipped ? gunzip(bytes) : bytes));
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

/** The bytes of a metadata file. */
export function encodeMetadataFile(metadata: TableMetadata): Uint8Array {
  return new TextEncoder().encode(writeTableMetadata(metadata));
}
