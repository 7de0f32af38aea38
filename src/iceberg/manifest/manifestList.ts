/**
 * Manifest lists: one Avro file per snapshot that lists its manifests with counts, sequence numbers
 * and partition summaries (Iceberg spec, "Manifest Lists", "First Row ID Assignment").
 */
import { fail } from "#base/errors.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { type AvroRecord, type AvroValue, createAvroWriter, fieldOf, readAvro } from "./avro.ts";
import { manifestListSchema } from "./avroSchemas.ts";
import type { ManifestFile, PartitionSummary } from "./manifest.ts";

/** What a manifest list is to hold. */
export interface WriteManifestList {
  readonly formatVersion: 2 | 3;
  readonly snapshotId: SnapshotId;
  readonly parentSnapshotId: SnapshotId | null;
  readonly sequenceNumber: bigint;
  /** v3: the snapshot's first row id; null in v2. */
  readonly firstRowId: bigint | null;
  readonly manifests: readonly ManifestFile[];
}

/** Writes a manifest list. Row ids must have been assigned ({@link assignRowIds}). */
export async function writeManifestList(request: WriteManifestList): Promise<Uint8Array> {
  const writer = createAvroWriter(manifestListSchema(request.formatVersion), {
    "snapshot-id": String(request.snapshotId),
    "parent-snapshot-id": String(request.parentSnapshotId),
    "sequence-number": String(request.sequenceNumber),
    ...(request.firstRowId === null ? {} : { "first-row-id": String(request.firstRowId) }),
    "format-version": String(request.formatVersion),
  });
  for (const manifest of request.manifests) await writer.add(manifestToAvro(manifest));
  return writer.finish();
}

/**
 * Gives every data manifest that has no first row id the next free ids, in order, for its added
 * and existing rows (v3).
 * @returns the manifests, and the row id after the last one assigned
 */
export function assignRowIds(
  manifests: readonly ManifestFile[],
  firstRowId: bigint,
): { readonly manifests: ManifestFile[]; readonly nextRowId: bigint } {
  let nextRowId = firstRowId;
  const assigned = manifests.map((manifest) => {
    if (manifest.content !== "data" || manifest.firstRowId !== null) return manifest;
    const first = nextRowId;
    nextRowId += manifest.addedRowsCount + manifest.existingRowsCount;
    return { ...manifest, firstRowId: first };
  });
  return { manifests: assigned, nextRowId };
}

/**
 * Reads a manifest list of any format version.
 * Throws `storage_corrupt` when it is damaged, `table_unsupported` when manifests are encrypted or
 * carry no counts (v1 before Iceberg 0.9).
 */
export async function readManifestList(bytes: Uint8Array): Promise<ManifestFile[]> {
  return (await readAvro(bytes)).map(manifestFromAvro);
}

function manifestToAvro(manifest: ManifestFile): AvroRecord {
  return {
    f500: manifest.manifestPath,
    f501: manifest.manifestLength,
    f502: manifest.partitionSpecId,
    f517: manifest.content === "data" ? 0 : 1,
    f515: manifest.sequenceNumber,
    f516: manifest.minSequenceNumber,
    f503: manifest.addedSnapshotId,
    f504: manifest.addedFilesCount,
    f505: manifest.existingFilesCount,
    f506: manifest.deletedFilesCount,
    f512: manifest.addedRowsCount,
    f513: manifest.existingRowsCount,
    f514: manifest.deletedRowsCount,
    f507: manifest.partitions.map((summary) => ({
      f509: summary.containsNull,
      f518: summary.containsNan,
      f510: summary.lowerBound === null ? null : Buffer.from(summary.lowerBound),
      f511: summary.upperBound === null ? null : Buffer.from(summary.upperBound),
    })),
    f519: null,
    f520: manifest.firstRowId,
  };
}

function manifestFromAvro(record: AvroRecord): ManifestFile {
  if (fieldOf(record, 519) !== null) {
    throw fail("table_unsupported", "The table has encrypted manifests");
  }
  const partitions = fieldOf(record, 507);
  const firstRowId = fieldOf(record, 520);
  return {
    manifestPath: String(fieldOf(record, 500)),
    manifestLength: long(fieldOf(record, 501)),
    partitionSpecId: Number(fieldOf(record, 502)),
    content: fieldOf(record, 517) === 1 ? "deletes" : "data",
    sequenceNumber: long(fieldOf(record, 515) ?? 0n),
    minSequenceNumber: long(fieldOf(record, 516) ?? 0n),
    addedSnapshotId: long(fieldOf(record, 503)),
    addedFilesCount: Number(long(fieldOf(record, 504))),
    existingFilesCount: Number(long(fieldOf(record, 505))),
    deletedFilesCount: Number(long(fieldOf(record, 506))),
    addedRowsCount: long(fieldOf(record, 512)),
    existingRowsCount: long(fieldOf(record, 513)),
    deletedRowsCount: long(fieldOf(record, 514)),
    partitions: Array.isArray(partitions) ? partitions.map(summaryFromAvro) : [],
    firstRowId: firstRowId === null ? null : long(firstRowId),
  };
}

function summaryFromAvro(record: AvroRecord): PartitionSummary {
  const containsNan = fieldOf(record, 518);
  const lower = fieldOf(record, 510);
  const upper = fieldOf(record, 511);
  return {
    containsNull: fieldOf(record, 509) === true,
    containsNan: typeof containsNan === "boolean" ? containsNan : null,
    lowerBound: lower instanceof Uint8Array ? lower : null,
    upperBound: upper instanceof Uint8Array ? upper : null,
  };
}

function long(value: AvroValue | undefined): bigint {
  if (typeof value === "bigint" || typeof value === "number") return BigInt(value);
  throw fail("table_unsupported", "A manifest list has no file or row counts");
}
