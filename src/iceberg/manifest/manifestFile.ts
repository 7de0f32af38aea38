/**
 * Manifests: Avro files that list data or delete files with their metrics (Iceberg spec,
 * "Manifests"; "Sequence Number Inheritance"; "First Row ID Inheritance").
 *
 * A manifest of new files leaves snapshot id, sequence numbers and row ids null: readers inherit
 * them from the manifest list, so one manifest serves every attempt of its commit.
 */
import { assert } from "#base/assert.ts";
import { writeJson } from "#base/json.ts";
import { schemaToJson, specFieldsToJson } from "#iceberg/metadata/json.ts";
import type { PartitionSpec, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { createSummariser, type PartitionSummariser } from "#iceberg/partition/partitionType.ts";
import {
  createAvroWriter,
  fieldOf,
  readAvro,
  readPicked,
  readSplit,
  type SplitRecord,
} from "./avro.ts";
import { manifestEntrySchema, type PartitionFieldType } from "./avroSchemas.ts";
import type {
  EntryStatus,
  ManifestEntry,
  ManifestFile,
  PartitionSummary,
  PartitionValue,
} from "./manifest.ts";
import {
  copiedEntry,
  entryFromAvro,
  entryToAvro,
  livePartition,
  STATUSES,
} from "./manifestEntry.ts";

/** What kind of manifest to write. */
export interface ManifestKind {
  /** Gives format version and current schema. */
  readonly metadata: Pick<TableMetadata, "formatVersion" | "schemas" | "currentSchemaId">;
  readonly spec: PartitionSpec;
  /** Types of the spec's values (`partitionTypes`). */
  readonly types: readonly PartitionFieldType[];
  readonly content: "data" | "deletes";
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

/** Writes one manifest. All entries must be of its spec and content. */
export interface ManifestWriter {
  add(entry: ManifestEntry): Promise<void>;
  /**
   * Adds the live entries of another manifest as existing ones, with everything inherited made
   * explicit, without decoding their metrics where the layout allows.
   * @param isWanted which of them, by their partition; default all
   */
  addExisting(
    bytes: Uint8Array,
    manifest: ManifestFile,
    isWanted?: (partition: readonly PartitionValue[]) => boolean,
  ): Promise<void>;
  finish(): Promise<EncodedManifest>;
}

/** Fields of `data_file` that matter when an entry is copied: partition, rows, key, row id. */
const COPY_FIELDS = [102, 103, 131, 142];

/** Starts a manifest of one partition spec. */
export function createManifestWriter(kind: ManifestKind): ManifestWriter {
  const { spec, types, content } = kind;
  const schema = manifestEntrySchema(kind.metadata.formatVersion, types);
  const writer = createAvroWriter(schema, headerOf(kind));
  const tally = new Tally(types);
  const add = async (entry: ManifestEntry): Promise<void> => {
    tally.add(entry.status, entry.file.recordCount, entry.sequenceNumber, entry.file.partition);
    await writer.add(entryToAvro(entry, types));
  };
  const copy = async (
    record: SplitRecord,
    inherit: Inherit,
    isWanted: (partition: readonly PartitionValue[]) => boolean,
  ): Promise<void> => {
    const { status, recordCount, partition, own } = copiedEntry(record, types);
    if (status === "deleted") return;
    // Also of entries that stay out: the row ids of those behind them follow.
    const full = inherit(status, recordCount, own);
    if (!isWanted(partition)) return;
    tally.add("existing", recordCount, full.sequenceNumber, partition);
    const entry = {
      f0: STATUSES.indexOf("existing"),
      f1: full.snapshotId,
      f3: full.sequenceNumber,
      f4: full.fileSequenceNumber,
    };
    if (full.firstRowId === own.firstRowId) {
      await writer.addSplit({ ...record, head: entry });
    } else {
      await writer.add({ ...entry, f2: { ...record.decodeTail(), f142: full.firstRowId } });
    }
  };
  return {
    add,
    addExisting: async (bytes, manifest, isWanted = () => true) => {
      const blocks = readSplit(bytes, schema, COPY_FIELDS);
      const inherit = inheritance(manifest);
      if (blocks === null) {
        for (const entry of await readManifest(bytes, manifest, types)) {
          if (entry.status === "deleted" || !isWanted(entry.file.partition)) continue;
          await add({ ...entry, status: "existing" });
        }
        return;
      }
      for await (const block of blocks)
        for (const record of block) await copy(record, inherit, isWanted);
    },
    finish: async () => ({
      bytes: await writer.finish(),
      content,
      partitionSpecId: spec.specId,
      ...tally.finish(),
    }),
  };
}

function headerOf({ metadata, spec, content }: ManifestKind): Record<string, string> {
  const { schemas, currentSchemaId, formatVersion } = metadata;
  const schema = schemas.find((candidate) => candidate.schemaId === currentSchemaId);
  assert(schema !== undefined, "the table has its current schema");
  return {
    schema: writeJson(schemaToJson(schema)),
    "schema-id": String(schema.schemaId),
    "partition-spec": writeJson(specFieldsToJson(spec)),
    "partition-spec-id": String(spec.specId),
    "format-version": String(formatVersion),
    content,
  };
}

/** Counts what a manifest list says of a manifest. */
class Tally {
  private readonly partitions: PartitionSummariser;
  private readonly files = { existing: 0, added: 0, deleted: 0 };
  private readonly rows = { existing: 0n, added: 0n, deleted: 0n };
  private minSequenceNumber: bigint | null = null;

  constructor(types: readonly PartitionFieldType[]) {
    this.partitions = createSummariser(types);
  }

  add(
    status: EntryStatus,
    recordCount: bigint,
    sequenceNumber: bigint | null,
    partition: readonly PartitionValue[],
  ): void {
    this.files[status]++;
    this.rows[status] += recordCount;
    this.partitions.add(partition);
    if (status === "deleted" || sequenceNumber === null) return;
    if (this.minSequenceNumber === null || sequenceNumber < this.minSequenceNumber) {
      this.minSequenceNumber = sequenceNumber;
    }
  }

  finish(): Omit<EncodedManifest, "bytes" | "content" | "partitionSpecId"> {
    return {
      addedFilesCount: this.files.added,
      existingFilesCount: this.files.existing,
      deletedFilesCount: this.files.deleted,
      addedRowsCount: this.rows.added,
      existingRowsCount: this.rows.existing,
      deletedRowsCount: this.rows.deleted,
      partitions: this.partitions.finish(),
      minSequenceNumber: this.minSequenceNumber,
    };
  }
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
  const inherit = inheritance(manifest);
  return (await readAvro(bytes)).map((record) => {
    const entry = entryFromAvro(record, manifest.partitionSpecId, types);
    const { status, file } = entry;
    const { firstRowId, ...full } = inherit(status, file.recordCount, {
      ...entry,
      firstRowId: file.firstRowId,
    });
    return { status, ...full, file: { ...file, firstRowId } };
  });
}

/** A file by its name and size. */
export interface NamedFile {
  readonly path: string;
  readonly bytes: number;
}

/** The live files of a manifest, block by block, without their metrics. Throws `storage_corrupt`. */
export async function* readLivePaths(content: Uint8Array): AsyncGenerator<readonly NamedFile[]> {
  const deleted = STATUSES.indexOf("deleted");
  for await (const block of readPicked(content, [100, 104])) {
    yield block
      .filter((entry) => fieldOf(entry, 0) !== deleted)
      .map((entry) => ({
        path: String(fieldOf(entry, 100)),
        bytes: Number(fieldOf(entry, 104) ?? 0),
      }));
  }
}

/** A live file as a manifest lists it, without its metrics. */
export interface ListedFile {
  readonly path: string;
  /** `PARQUET`, ... */
  readonly fileFormat: string;
  readonly specId: number;
  readonly partition: readonly PartitionValue[];
  readonly recordCount: bigint;
  readonly sizeBytes: bigint;
  /** Data sequence number. */
  readonly sequenceNumber: bigint;
  /** v3: row id of its first row; null: it has none yet. */
  readonly firstRowId: bigint | null;
  /** The snapshot that added it; null: nobody says. */
  readonly snapshotId: bigint | null;
}

/**
 * The live files of a manifest, block by block, with everything inherited filled in and without their
 * metrics. Throws `storage_corrupt`.
 */
export async function* readLiveFiles(
  content: Uint8Array,
  manifest: ManifestFile,
  types: readonly PartitionFieldType[],
): AsyncGenerator<readonly ListedFile[]> {
  const inherit = inheritance(manifest);
  for await (const block of readPicked(content, [100, 101, 102, 103, 104, 131, 142])) {
    yield block.flatMap((head) => {
      const { status, recordCount, partition, own } = copiedEntry({ head }, types);
      if (status === "deleted") return [];
      const { sequenceNumber, firstRowId, snapshotId } = inherit(status, recordCount, own);
      return {
        ...{
          path: String(fieldOf(head, 100)),
          specId: manifest.partitionSpecId,
          partition,
          recordCount,
        },
        fileFormat: String(fieldOf(head, 101)).toUpperCase(),
        sizeBytes: BigInt(String(fieldOf(head, 104) ?? 0)),
        sequenceNumber: sequenceNumber ?? manifest.sequenceNumber,
        firstRowId,
        snapshotId,
      };
    });
  }
}

/** The partitions of a manifest's live files, block by block. Throws `storage_corrupt`. */
export async function* readPartitions(
  content: Uint8Array,
  types: readonly PartitionFieldType[],
): AsyncGenerator<readonly (readonly PartitionValue[])[]> {
  for await (const block of readPicked(content, [102, 131])) {
    yield block.flatMap((entry) => {
      const partition = livePartition(entry, types);
      return partition === null ? [] : [partition];
    });
  }
}

/** What an entry may leave to the manifest list. */
interface Inherited {
  readonly snapshotId: bigint | null;
  readonly sequenceNumber: bigint | null;
  readonly fileSequenceNumber: bigint | null;
  readonly firstRowId: bigint | null;
}

type Inherit = (status: EntryStatus, recordCount: bigint, own: Inherited) => Inherited;

/**
 * Fills in what the entries of a manifest inherit; to be called for all of them, in order. Existing
 * entries inherit sequence number 0 from manifests that format v1 wrote, else none.
 */
function inheritance(manifest: ManifestFile): Inherit {
  const { addedSnapshotId, content, sequenceNumber } = manifest;
  let nextRowId = content === "data" ? manifest.firstRowId : null;
  return (status, recordCount, own) => {
    const inherited = status === "added" || sequenceNumber === 0n ? sequenceNumber : null;
    let { firstRowId } = own;
    if (status !== "deleted" && firstRowId === null && nextRowId !== null) {
      firstRowId = nextRowId;
      nextRowId += recordCount;
    }
    return {
      snapshotId: own.snapshotId ?? addedSnapshotId,
      sequenceNumber: own.sequenceNumber ?? inherited,
      fileSequenceNumber: own.fileSequenceNumber ?? inherited,
      firstRowId,
    };
  };
}
