/**
 * Manifests: Avro files that list data or delete files with their metrics (Iceberg spec,
 * "Manifests"; "Sequence Number Inheritance"; "First Row ID Inheritance").
 *
 * A manifest of new files leaves snapshot id, sequence numbers and row ids null: readers inherit
 * them from the manifest list, so one manifest serves every attempt of its commit.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { writeJson } from "#base/json.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import { type AvroRecord, type AvroValue, fieldOf, readAvro, writeAvro } from "./avro.ts";
import { decimalBytes, manifestEntrySchema, type PartitionFieldType } from "./avroSchemas.ts";
import { schemaToJson, specFieldsToJson } from "./json.ts";
import type {
  DataFile,
  EntryStatus,
  FileContent,
  ManifestEntry,
  ManifestFile,
  PartitionSummary,
  PartitionValue,
} from "./manifest.ts";
import type { PartitionSpec, TableMetadata } from "./metadata.ts";
import { normaliseValue, summarise } from "./partitionType.ts";
import { encodeDecimal } from "./singleValue.ts";

/** What a manifest is to hold. */
export interface WriteManifest {
  /** Gives format version and current schema. */
  readonly metadata: Pick<TableMetadata, "formatVersion" | "schemas" | "currentSchemaId">;
  readonly spec: PartitionSpec;
  /** Types of the spec's values (`partitionTypes`). */
  readonly types: readonly PartitionFieldType[];
  readonly content: "data" | "deletes";
  readonly entries: readonly ManifestEntry[];
}

/** A manifest's bytes, and what the manifest list says of it but for path and sequence numbers. */
export interface EncodedManifest {
  readonly bytes: Uint8Array;
  readonly content: "data" | "deletes";
  readonly partitionSpecId: number;
  readonly addedFilesCount: number;
  readonly existingFilesCount: number;
  readonly deletedFilesCount: number;
  readonly addedRowsCount: bigint;
  readonly existingRowsCount: bigint;
  readonly deletedRowsCount: bigint;
  readonly partitions: readonly PartitionSummary[];
  /** Smallest explicit data sequence number of live entries; null when all are inherited. */
  readonly minSequenceNumber: bigint | null;
}

const STATUSES: readonly EntryStatus[] = ["existing", "added", "deleted"];
const CONTENTS: readonly FileContent[] = ["data", "position-deletes", "equality-deletes"];

/** Writes a manifest of one partition spec. All entries must be of that spec and content. */
export async function writeManifest(request: WriteManifest): Promise<EncodedManifest> {
  const { metadata, spec, types, content, entries } = request;
  const { formatVersion, schemas, currentSchemaId } = metadata;
  const schema = schemas.find((candidate) => candidate.schemaId === currentSchemaId);
  assert(schema !== undefined, "the table has its current schema");
  const bytes = await writeAvro(
    manifestEntrySchema(formatVersion, types),
    {
      schema: writeJson(schemaToJson(schema)),
      "schema-id": String(schema.schemaId),
      "partition-spec": writeJson(specFieldsToJson(spec)),
      "partition-spec-id": String(spec.specId),
      "format-version": String(formatVersion),
      content,
    },
    entries.values().map((entry) => entryToAvro(entry, types)),
  );
  const rows = { existing: 0n, added: 0n, deleted: 0n };
  const files = { existing: 0, added: 0, deleted: 0 };
  let minSequenceNumber: bigint | null = null;
  for (const { status, sequenceNumber, file } of entries) {
    rows[status] += file.recordCount;
    files[status]++;
    if (status === "deleted" || sequenceNumber === null) continue;
    if (minSequenceNumber === null || sequenceNumber < minSequenceNumber) {
      minSequenceNumber = sequenceNumber;
    }
  }
  return {
    bytes,
    content,
    partitionSpecId: spec.specId,
    addedFilesCount: files.added,
    existingFilesCount: files.existing,
    deletedFilesCount: files.deleted,
    addedRowsCount: rows.added,
    existingRowsCount: rows.existing,
    deletedRowsCount: rows.deleted,
    partitions: summarise(
      types,
      entries.values().map((entry) => entry.file.partition),
    ),
    minSequenceNumber,
  };
}

/**
 * Reads a manifest; what entries inherit from its row in the manifest list is filled in.
 * @param types of the manifest's partition spec (`partitionTypes`)
 */
export async function readManifest(
  bytes: Uint8Array,
  manifest: ManifestFile,
  types: readonly PartitionFieldType[],
): Promise<ManifestEntry[]> {
  const { records } = await readAvro(bytes);
  let nextRowId = manifest.content === "data" ? manifest.firstRowId : null;
  return records.map((record) => {
    const status = STATUSES[Number(fieldOf(record, 0))];
    if (status === undefined) throw malformed(manifest, "status");
    const file = fileFromAvro(fieldOf(record, 2), manifest, types);
    const inherits = status === "added" || manifest.sequenceNumber === 0n;
    let firstRowId = file.firstRowId;
    if (status !== "deleted" && firstRowId === null && nextRowId !== null) {
      firstRowId = nextRowId;
      nextRowId += file.recordCount;
    }
    return {
      status,
      snapshotId: longOrNull(fieldOf(record, 1)) ?? manifest.addedSnapshotId,
      sequenceNumber: longOrNull(fieldOf(record, 3)) ?? (inherits ? manifest.sequenceNumber : null),
      fileSequenceNumber:
        longOrNull(fieldOf(record, 4)) ?? (inherits ? manifest.sequenceNumber : null),
      file: { ...file, firstRowId },
    };
  });
}

function entryToAvro(entry: ManifestEntry, types: readonly PartitionFieldType[]): AvroRecord {
  const { file } = entry;
  const partition: { [member: `f${number}`]: AvroValue } = {};
  for (const [index, { fieldId, type }] of types.entries()) {
    partition[`f${fieldId}`] = partitionToAvro(type, file.partition[index] ?? null);
  }
  return {
    f0: STATUSES.indexOf(entry.status),
    f1: entry.snapshotId,
    f3: entry.sequenceNumber,
    f4: entry.fileSequenceNumber,
    f2: {
      f134: CONTENTS.indexOf(file.content),
      f100: file.filePath,
      f101: file.fileFormat,
      f102: partition,
      f103: file.recordCount,
      f104: file.fileSizeBytes,
      f108: mapToAvro(117, file.columnSizes),
      f109: mapToAvro(119, file.valueCounts),
      f110: mapToAvro(121, file.nullValueCounts),
      f137: mapToAvro(138, file.nanValueCounts),
      f125: mapToAvro(126, file.lowerBounds),
      f128: mapToAvro(129, file.upperBounds),
      f131: null,
      f132: file.splitOffsets.length === 0 ? null : file.splitOffsets,
      f135: file.equalityIds,
      f140: file.sortOrderId,
      f142: file.firstRowId,
      f143: file.referencedDataFile,
      f144: file.contentOffset,
      f145: file.contentSizeBytes,
    },
  };
}

/** Avro keeps decimals in a fixed number of bytes, big-endian two's complement. */
function partitionToAvro(type: PrimitiveType, value: PartitionValue): AvroValue {
  if (value instanceof Uint8Array) return bufferOf(value);
  if (type.kind !== "decimal" || typeof value !== "bigint") return value;
  const bytes = encodeDecimal(value);
  const fixed = Buffer.alloc(decimalBytes(type.precision), value < 0n ? 0xff : 0);
  fixed.set(bytes, fixed.length - bytes.length);
  return fixed;
}

function mapToAvro(
  keyId: number,
  map: ReadonlyMap<number, bigint | Uint8Array>,
): readonly AvroRecord[] | null {
  if (map.size === 0) return null;
  return map
    .entries()
    .map(([key, value]) => ({
      [`f${keyId}`]: key,
      [`f${keyId + 1}`]: typeof value === "bigint" ? value : bufferOf(value),
    }))
    .toArray();
}

/** avsc takes only Buffers for bytes. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fileFromAvro(
  value: AvroValue | undefined,
  manifest: ManifestFile,
  types: readonly PartitionFieldType[],
): DataFile {
  const record = recordOf(value) ?? {};
  const partition = recordOf(fieldOf(record, 102));
  const content = CONTENTS[Number(fieldOf(record, 134) ?? 0)];
  if (partition === null || content === undefined) {
    throw malformed(manifest, "data_file");
  }
  if (fieldOf(record, 131) !== null) {
    throw fail("table_unsupported", "The table has encrypted files", {
      manifest: manifest.manifestPath,
    });
  }
  return {
    content,
    filePath: String(fieldOf(record, 100)),
    fileFormat: String(fieldOf(record, 101)).toUpperCase(),
    specId: manifest.partitionSpecId,
    partition: types.map(({ fieldId, type }) =>
      normaliseValue(type, partition[`f${fieldId}`] as PartitionValue | undefined),
    ),
    recordCount: longOrNull(fieldOf(record, 103)) ?? 0n,
    fileSizeBytes: longOrNull(fieldOf(record, 104)) ?? 0n,
    columnSizes: mapFromAvro<bigint>(117, fieldOf(record, 108)),
    valueCounts: mapFromAvro<bigint>(119, fieldOf(record, 109)),
    nullValueCounts: mapFromAvro<bigint>(121, fieldOf(record, 110)),
    nanValueCounts: mapFromAvro<bigint>(138, fieldOf(record, 137)),
    lowerBounds: mapFromAvro<Uint8Array>(126, fieldOf(record, 125)),
    upperBounds: mapFromAvro<Uint8Array>(129, fieldOf(record, 128)),
    splitOffsets: listOrNull<bigint>(fieldOf(record, 132)) ?? [],
    equalityIds: listOrNull<number>(fieldOf(record, 135)),
    sortOrderId: orNull(fieldOf(record, 140), "number"),
    firstRowId: longOrNull(fieldOf(record, 142)),
    referencedDataFile: orNull(fieldOf(record, 143), "string"),
    contentOffset: longOrNull(fieldOf(record, 144)),
    contentSizeBytes: longOrNull(fieldOf(record, 145)),
  };
}

function mapFromAvro<T extends bigint | Uint8Array>(
  keyId: number,
  value: AvroValue | undefined,
): Map<number, T> {
  const pairs = listOrNull<AvroRecord>(value) ?? [];
  return new Map(
    pairs.map((pair) => [Number(pair[`f${keyId}`]), pair[`f${keyId + 1}`] as unknown as T]),
  );
}

function recordOf(value: AvroValue | undefined): AvroRecord | null {
  const isRecord =
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array);
  return isRecord ? (value as AvroRecord) : null;
}

function listOrNull<T>(value: AvroValue | undefined): readonly T[] | null {
  return Array.isArray(value) ? value : null;
}

/** The value when it is of that JavaScript type, else null. */
function orNull(value: AvroValue, type: "number"): number | null;
function orNull(value: AvroValue, type: "string"): string | null;
function orNull(value: AvroValue, type: string): AvroValue {
  return typeof value === type ? value : null;
}

function longOrNull(value: AvroValue | undefined): bigint | null {
  return typeof value === "bigint" || typeof value === "number" ? BigInt(value) : null;
}

function malformed(manifest: ManifestFile, what: string): Error {
  return fail("storage_corrupt", `A manifest has an entry without a valid ${what}`, {
    manifest: manifest.manifestPath,
  });
}
