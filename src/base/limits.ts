/**
 * Every bound of the program, and the relations between them, asserted at start.
 */
import { assert } from "./assert.ts";

/** Bounds that are not configuration. Sizes in bytes unless the name says otherwise. */
export const LIMITS: Readonly<
  Record<
    | "jsonDepthMax"
    | "recordBytesMax"
    | "recordValuesMax"
    | "columnNameLengthMax"
    | "columnBytesMax"
    | "fetchQueueBytesMax"
    | "manifestsMax"
    | "manifestBytesTarget"
    | "manifestListsBytesMax"
    | "metadataVersionsMax"
    | "metadataBytesMax"
    | "logFrameBytesMax"
    | "partitionPartBytesMax"
    | "partitionFolderBytesMax"
    | "logSegmentBytes"
    | "fullOffsetsBytes"
    | "offsetDeltasMax"
    | "flushesInFlightMax"
    | "commitIntervalMsMax"
    | "headLooksPerSecond",
    number
  >
> = {
  /** Nesting of one JSON document; deeper is a data error. */
  jsonDepthMax: 64,
  /** Bytes of one record's value; larger is a data error. */
  recordBytesMax: 64 * 1024 * 1024,
  /**
   * Values of one record: members of objects, elements of lists times the columns of one element. A
   * record of 64 MiB may hold 33 million elements, each of them as many columns wide as its list: more
   * than this is a data error, so that one record takes at most about 32 MiB of fixed-width columns.
   */
  recordValuesMax: 2 * 1024 * 1024,
  /** UTF-16 units of a new column's own name: every metadata file, manifest and Parquet footer repeats it. */
  columnNameLengthMax: 255,
  /** Bytes of one string column in one segment: Arrow offsets are 32 bit. */
  columnBytesMax: 1024 * 1024 * 1024,
  /** Fetched but not yet decoded batches, per pipeline: backpressure starts above it. */
  fetchQueueBytesMax: 16 * 1024 * 1024,
  /** Manifests of a snapshot are merged when a commit would leave more than this. */
  manifestsMax: 100,
  /** Bytes of one manifest after merging (Iceberg's `commit.manifest.target-size-bytes`). */
  manifestBytesTarget: 8 * 1024 * 1024,
  /** Manifest lists kept in memory, over all tables: a thousand heads of a hundred manifests each. */
  manifestListsBytesMax: 64 * 1024 * 1024,
  /** Metadata files that a commit leaves behind (Iceberg's `write.metadata.previous-versions-max`). */
  metadataVersionsMax: 100,
  /** Metadata files of a table in the file catalog that are kept for their age alone. */
  metadataBytesMax: 64 * 1024 * 1024,
  /** Name of one partition field's folder: file systems take 255 bytes. */
  partitionPartBytesMax: 160,
  /** All folders of a partition: S3 takes 1,024 bytes a key, of which the rest is the table's and the file's. */
  partitionFolderBytesMax: 480,
  /** One frame of the transaction log. */
  logFrameBytesMax: 16 * 1024 * 1024,
  /** One segment file of the transaction log: the next one begins when it is reached. */
  logSegmentBytes: 8 * 1024 * 1024,
  /** Committed offsets up to this many characters (about 30 partitions) stand in full in every summary. */
  fullOffsetsBytes: 1024,
  /** A summary with all committed offsets is at most this many own snapshots away (SPEC 2.1). */
  offsetDeltasMax: 50,
  /** Tables of one pipeline that are written at once: more only wait for the same disk and catalog. */
  flushesInFlightMax: 16,
  /** A commit interval stretches to this under load, ms (a longer one of the configuration stays). */
  commitIntervalMsMax: 30_000,
  /** Quiet tables of one pipeline whose heads are looked at in a second (SPEC 2.2). */
  headLooksPerSecond: 5,
};

/** Asserts how the limits must relate; called once at start. */
export function assertLimits(): void {
  assert(LIMITS.recordBytesMax < LIMITS.columnBytesMax, "one record fits into a column");
  assert(LIMITS.partitionPartBytesMax <= 255, "a folder's name fits into a file system");
  assert(LIMITS.partitionFolderBytesMax <= 512, "a partition leaves half of an S3 key to others");
  assert(LIMITS.logFrameBytesMax > LIMITS.logSegmentBytes / 8, "a frame is not tiny");
}
