/**
 * Manifests and manifest lists as types (Iceberg spec, "Manifests", "Manifest Lists").
 * Avro reading and writing is in `manifestFile.ts` and `manifestList.ts`.
 */

/** A partition value as Iceberg keeps it in memory; null is the null partition. */
export type PartitionValue = string | number | bigint | boolean | Uint8Array | null;

/** What a file holds. */
export type FileContent = "data" | "position-deletes" | "equality-deletes";

/** A data or delete file with its metrics, keyed by field id. */
export interface DataFile {
  readonly content: FileContent;
  readonly filePath: string;
  /** `PARQUET`, `PUFFIN`, ... */
  readonly fileFormat: string;
  readonly specId: number;
  /** One value per field of the spec. */
  readonly partition: readonly PartitionValue[];
  readonly recordCount: bigint;
  readonly fileSizeBytes: bigint;
  readonly columnSizes: ReadonlyMap<number, bigint>;
  readonly valueCounts: ReadonlyMap<number, bigint>;
  readonly nullValueCounts: ReadonlyMap<number, bigint>;
  readonly nanValueCounts: ReadonlyMap<number, bigint>;
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>;
  readonly upperBounds: ReadonlyMap<number, Uint8Array>;
  readonly splitOffsets: readonly bigint[];
  readonly equalityIds: readonly number[] | null;
  readonly sortOrderId: number | null;
  /** v3: first row id, null to inherit. */
  readonly firstRowId: bigint | null;
  /** v3 deletion vectors. */
  readonly referencedDataFile: string | null;
  readonly contentOffset: bigint | null;
  readonly contentSizeBytes: bigint | null;
}

const NONE: ReadonlyMap<number, never> = new Map<number, never>();

/** What a manifest says beside place and size of a file that it does not describe: nothing. */
export const UNDESCRIBED: Omit<
  DataFile,
  "content" | "filePath" | "fileFormat" | "specId" | "partition" | "recordCount" | "fileSizeBytes"
> = {
  columnSizes: NONE,
  valueCounts: NONE,
  nullValueCounts: NONE,
  nanValueCounts: NONE,
  lowerBounds: NONE,
  upperBounds: NONE,
  splitOffsets: [],
  equalityIds: null,
  sortOrderId: null,
  firstRowId: null,
  referencedDataFile: null,
  contentOffset: null,
  contentSizeBytes: null,
};

/** Status of a manifest entry. */
export type EntryStatus = "existing" | "added" | "deleted";

/** One entry of a manifest; null numbers are inherited from the manifest list. */
export interface ManifestEntry {
  readonly status: EntryStatus;
  readonly snapshotId: bigint | null;
  readonly sequenceNumber: bigint | null;
  readonly fileSequenceNumber: bigint | null;
  readonly file: DataFile;
}

/** Summary of one partition field over a manifest. */
export interface PartitionSummary {
  readonly containsNull: boolean;
  readonly containsNan: boolean | null;
  readonly lowerBound: Uint8Array | null;
  readonly upperBound: Uint8Array | null;
}

/** One row of a manifest list. */
export interface ManifestFile {
  readonly manifestPath: string;
  readonly manifestLength: bigint;
  readonly partitionSpecId: number;
  readonly content: "data" | "deletes";
  readonly sequenceNumber: bigint;
  readonly minSequenceNumber: bigint;
  readonly addedSnapshotId: bigint;
  readonly addedFilesCount: number;
  readonly existingFilesCount: number;
  readonly deletedFilesCount: number;
  readonly addedRowsCount: bigint;
  readonly existingRowsCount: bigint;
  readonly deletedRowsCount: bigint;
  readonly partitions: readonly PartitionSummary[];
  readonly firstRowId: bigint | null;
}
