/**
 * Manifest entries as Avro records and back (Iceberg spec, "Manifests": `manifest_entry`,
 * `data_file`).
 */
import { fail } from "#base/errors.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import { normaliseValue } from "#iceberg/partition/partitionType.ts";
import { encodeDecimal } from "#iceberg/singleValue.ts";
import { type AvroRecord, type AvroValue, fieldOf, type SplitRecord } from "./avro.ts";
import { decimalBytes, type PartitionFieldType } from "./avroSchemas.ts";
import type {
  DataFile,
  EntryStatus,
  FileContent,
  ManifestEntry,
  PartitionValue,
} from "./manifest.ts";

/** Statuses by their numbers in files. */
export const STATUSES: readonly EntryStatus[] = ["existing", "added", "deleted"];

const CONTENTS: readonly FileContent[] = ["data", "position-deletes", "equality-deletes"];

/** An entry as its Avro record. */
export function entryToAvro(
  entry: ManifestEntry,
  types: readonly PartitionFieldType[],
): AvroRecord {
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

/** An entry from its Avro record, nothing inherited yet. Throws `storage_corrupt`. */
export function entryFromAvro(
  record: AvroRecord,
  specId: number,
  types: readonly PartitionFieldType[],
): ManifestEntry {
  return {
    status: statusOf(record),
    snapshotId: longOrNull(fieldOf(record, 1)),
    sequenceNumber: longOrNull(fieldOf(record, 3)),
    fileSequenceNumber: longOrNull(fieldOf(record, 4)),
    file: fileFromAvro(recordOf(fieldOf(record, 2)) ?? {}, specId, types),
  };
}

/** What must be known of an entry to copy it (`avro.ts`, `readSplit`). */
export function copiedEntry(
  { head }: Pick<SplitRecord, "head">,
  types: readonly PartitionFieldType[],
): {
  readonly status: EntryStatus;
  readonly recordCount: bigint;
  readonly partition: readonly PartitionValue[];
  readonly own: Omit<ManifestEntry, "status" | "file"> & Pick<DataFile, "firstRowId">;
} {
  refuseEncrypted(head);
  return {
    status: statusOf(head),
    recordCount: longOrNull(fieldOf(head, 103)) ?? 0n,
    partition: partitionFromAvro(head, types),
    own: {
      snapshotId: longOrNull(fieldOf(head, 1)),
      sequenceNumber: longOrNull(fieldOf(head, 3)),
      fileSequenceNumber: longOrNull(fieldOf(head, 4)),
      firstRowId: longOrNull(fieldOf(head, 142)),
    },
  };
}

/** The partition of a live entry; null for one that some snapshot deleted. */
export function livePartition(
  head: AvroRecord,
  types: readonly PartitionFieldType[],
): PartitionValue[] | null {
  refuseEncrypted(head);
  return statusOf(head) === "deleted" ? null : partitionFromAvro(head, types);
}

function statusOf(record: AvroRecord): EntryStatus {
  const status = STATUSES[Number(fieldOf(record, 0))];
  if (status === undefined) throw malformed("status");
  return status;
}

function refuseEncrypted(file: AvroRecord): void {
  if (fieldOf(file, 131) === null) return;
  throw fail("table_unsupported", "The table has encrypted files");
}

function partitionFromAvro(
  file: AvroRecord,
  types: readonly PartitionFieldType[],
): PartitionValue[] {
  const partition = recordOf(fieldOf(file, 102));
  if (partition === null) throw malformed("partition");
  return types.map(({ fieldId, type }) =>
    normaliseValue(type, fieldOf(partition, fieldId) as PartitionValue),
  );
}

function fileFromAvro(
  record: AvroRecord,
  specId: number,
  types: readonly PartitionFieldType[],
): DataFile {
  const content = CONTENTS[Number(fieldOf(record, 134) ?? 0)];
  if (content === undefined) throw malformed("content");
  refuseEncrypted(record);
  return {
    content,
    filePath: String(fieldOf(record, 100)),
    fileFormat: String(fieldOf(record, 101)).toUpperCase(),
    specId,
    partition: partitionFromAvro(record, types),
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

function malformed(what: string): Error {
  return fail("storage_corrupt", `A manifest has an entry without a valid ${what}`);
}
