/**
 * What the program holds at most: bytes in memory, and things kept or under way, with the relations
 * between them, asserted at start. A size that a format gives, and a step inside one algorithm, stand
 * where they are used.
 */
import { assert } from "./assert.ts";

const MIB = 1024 * 1024;

/** Bounds that are not configuration. Sizes in bytes unless the name says otherwise. */
export const LIMITS: Readonly<
  Record<
    | "jsonDepthMax"
    | "recordBytesMax"
    | "recordValuesMax"
    | "columnNameLengthMax"
    | "columnBytesMax"
    | "fetchQueueBytesMax"
    | "produceBytesMax"
    | "lettersBytesMax"
    | "manifestsMax"
    | "manifestBytesTarget"
    | "manifestRewriteBytesMax"
    | "manifestListsBytesMax"
    | "knownManifestsBytesMax"
    | "listedManifestsBytesMax"
    | "maintenanceNamesMax"
    | "compactionBytesPerCommit"
    | "compactionInputsMax"
    | "compactionRowsMax"
    | "sortedMapRowsMax"
    | "changedRowsMax"
    | "copiedPageBytesMax"
    | "copiedPageEntriesMax"
    | "unrolledPageBytesMax"
    | "compactionPairsMax"
    | "rewriteBytesMax"
    | "copiesAtOnce"
    | "statisticsBytesAtOnce"
    | "orphansPerRunMax"
    | "metadataVersionsMax"
    | "metadataBytesMax"
    | "logFrameBytesMax"
    | "partitionPartBytesMax"
    | "keptPlansBytesMax"
    | "hotQueryBytesMax"
    | "queryProcessBytesMax"
    | "queryAnswerBytesMax"
    | "queryBytesMax"
    | "layoutBytesMax"
    | "deletedRowsBytesMax"
    | "questionBytesMax"
    | "listedFilesMax"
    | "knownFootersMax"
    | "keyIndexesMax"
    | "bloomFilterBytesMax"
    | "partitionFolderBytesMax"
    | "logSegmentBytes"
    | "fullOffsetsBytes"
    | "offsetDeltasMax"
    | "flushesInFlightMax"
    | "copyingFlushesMax"
    | "tablesTogetherMax"
    | "commitIntervalMsMax"
    | "headLooksPerSecond"
    | "processBytes"
    | "freeColumnBytesMax"
    | "reservedColumnBytesMax"
    | "sampleBytesMax"
    | "closingFileBytesMax"
    | "openFilesMax"
    | "uploadPartBytes"
    | "aheadColumnBytes"
    | "workerBytesMax"
    | "unwrittenBytesMax"
    | "workerGarbageBytesMax"
    | "heldValueBytes"
    | "rowIdsBytesMax"
    | "rewrittenBytesMax"
    | "sortedColumnBytesMax"
    | "busyBytes"
    | "youngBytesMax"
    | "avroBlockBytesMax"
    | "knownFoldersMax"
    | "s3PartsInFlightMax"
    | "freePartsMax"
    | "heldPartsMax"
    | "cachedTablesMax"
    | "answerTextBytesMax"
    | "answerBytesMax",
    number
  >
> = {
  /** Nesting of one JSON document; deeper is a data error. */
  jsonDepthMax: 64,
  /** Bytes of one record's value; larger is a data error. */
  recordBytesMax: 64 * MIB,
  /**
   * Values of one record: members of objects, elements of lists times the columns of one element. A
   * record of 64 MiB may hold 33 million elements, each of them as many columns wide as its list: more
   * than this is a data error, so that one record takes at most about 32 MiB of fixed-width columns.
   */
  recordValuesMax: 2 * 1024 * 1024,
  /** UTF-16 units of a new column's own name: every metadata file, manifest and Parquet footer repeats it. */
  columnNameLengthMax: 255,
  /** Bytes of one string column in one segment: Arrow offsets are 32 bit. */
  columnBytesMax: 1024 * MIB,
  /** Records of a dead-letter topic in one request, unless one record is larger: half of what topics take by default. */
  produceBytesMax: MIB / 2,
  /** Letters on their way into a dead-letter topic from which on nothing more is read. */
  lettersBytesMax: 16 * MIB,
  /** Fetched but not yet decoded batches, per pipeline, and less beside a small buffer (`queueBytesOf`): backpressure starts above it. */
  fetchQueueBytesMax: 16 * MIB,
  /** Manifests of a snapshot are merged when a commit would leave more than this. */
  manifestsMax: 100,
  /** Bytes of one manifest after merging (Iceberg's `commit.manifest.target-size-bytes`). */
  manifestBytesTarget: 8 * MIB,
  /** Bytes of manifests, compressed, that are written anew at once, and so in memory. */
  manifestRewriteBytesMax: 64 * MIB,
  /** Manifest lists kept in memory, over all tables: a thousand heads of a hundred manifests each. */
  manifestListsBytesMax: 64 * MIB,
  /** Files with their bounds that queries found in manifests, kept in memory, over all tables: some 4,000 of 20 columns. */
  knownManifestsBytesMax: 32 * MIB,
  /** Files of manifests without their metrics kept in memory, over all tables: some 30,000 files. */
  listedManifestsBytesMax: 16 * MIB,
  /** Names of files that one maintenance run holds at once (a number): some 60 MB; more take passes. */
  maintenanceNamesMax: 200_000,
  /** Bytes of files that one commit of a compaction replaces, at least: what a run that ends early has done in vain. */
  compactionBytesPerCommit: 2048 * MIB,
  /** Files that become one (a number): they are named in one statement, and fetched together. */
  compactionInputsMax: 1000,
  /** Rows that become one file (a number), where one file does not have more: a bit each until the commit, and numbered by 32 bits. */
  compactionRowsMax: 2 ** 28,
  /**
   * Rows that become one file (a number), and files of one commit, of which it is known where each went in whatever order:
   * four bytes each until the commit, 32 MiB.
   */
  sortedMapRowsMax: 2 ** 23,
  /**
   * Rows that become one file (a number), where rows are deleted and one file does not have more: what is known of each
   * takes 16 MiB in the child that writes them, and as much again on its way (decision 0468).
   */
  changedRowsMax: 2 ** 22,
  /** A page of a Parquet file that is copied, and so in memory: one that claims to be larger is none. */
  copiedPageBytesMax: 512 * MIB,
  /** Entries of such a page of which more than the bytes is read: some 24 bytes each in memory. */
  copiedPageEntriesMax: 4 * MIB,
  /** Values that take the place of a copied page's indexes, where a dictionary is full. */
  unrolledPageBytesMax: 16 * MIB,
  /** Files that commits of a process write anew at the same time (a number): each in a process of `rewriteBytesMax`. */
  copiesAtOnce: 2,
  /**
   * Data files times the delete files that apply to each (a number), which a plan of a compaction holds and
   * looks at: some 200 MB. More come only of thousands of delete files that apply to whole partitions.
   */
  compactionPairsMax: 2_000_000,
  /** Bytes of files that are fetched from an object store at once, to count their values. */
  statisticsBytesAtOnce: 512 * MIB,
  /** What the engine that rewrites data files may take; more goes to its scratch folder. */
  rewriteBytesMax: 224 * MIB,
  /** Orphans that a run removes without asking a person (a number): what ten killed flushes leave is a few. */
  orphansPerRunMax: 10_000,
  /** Metadata files that a commit leaves behind (Iceberg's `write.metadata.previous-versions-max`). */
  metadataVersionsMax: 100,
  /** Metadata files of a table in the file catalog that are kept for their age alone. */
  metadataBytesMax: 64 * MIB,
  /** Name of one partition field's folder: file systems take 255 bytes. */
  partitionPartBytesMax: 160,
  /** All folders of a partition: S3 takes 1,024 bytes a key, of which the rest is the table's and the file's. */
  partitionFolderBytesMax: 480,
  /** One frame of the transaction log. */
  logFrameBytesMax: 16 * MIB,
  /** One segment file of the transaction log: the next one begins when it is reached. */
  logSegmentBytes: 8 * MIB,
  /** Committed offsets up to this many characters (about 30 partitions) stand in full in every summary. */
  fullOffsetsBytes: 1024,
  /** A summary with all committed offsets is at most this many own snapshots away (SPEC 2.1). */
  offsetDeltasMax: 50,
  /** Tables of one pipeline that are written at once: more only wait for the same disk and catalog. */
  flushesInFlightMax: 16,
  /** Of these, tables that write files anew: they wait for places of the process (`copiesAtOnce`). */
  copyingFlushesMax: 4,
  /** Tables that are committed in one request (`iceberg.commit.together`). */
  tablesTogetherMax: 64,
  /** A commit interval stretches to this under load, ms (a longer one of the configuration stays). */
  commitIntervalMsMax: 30_000,
  /** Quiet tables of one pipeline whose heads are looked at in a second (SPEC 2.2). */
  headLooksPerSecond: 5,
  /** Memory of the process without a buffered row, measured: runtime, Worker, kernels, fetched bytes. */
  processBytes: 192 * MIB,
  /**
   * Memory of columns that is kept to be used again: what one flush of the default size gives back, and what is
   * free then. Less, and each flush lets some go that the next rows need anew, and that only a full collection finds.
   */
  freeColumnBytesMax: 144 * MIB,
  /**
   * Room that open segments of a table have before they have rows; more begin small and grow. So many
   * feeds, each in the size of its last segment, cannot fill the budget with nothing.
   */
  reservedColumnBytesMax: 32 * MIB,
  /** Bytes of records that columns are learned from: they may be large, and are not in the hot buffer. */
  sampleBytesMax: 16 * MIB,
  /** Data files of a flush that are encoded and not yet durable; a larger one is alone. */
  closingFileBytesMax: 16 * MIB,
  /** Data files that are written ahead of their commit, in a process, where memory allows: a store may hold a part of each. */
  openFilesMax: 12,
  /** A part of an upload: S3 allows 10,000 of at least 5 MiB, Azure 50,000, Google asks for multiples of 256 KiB. */
  uploadPartBytes: 8 * MIB,
  /** Bytes of columns of one file from which on they are written ahead of their commit. */
  aheadColumnBytes: 8 * MIB,
  /** WASM memory of a Worker, which never shrinks: above it the Worker is replaced after its jobs. */
  workerBytesMax: 96 * MIB,
  /** Encoded bytes that a Worker has handed over and nobody has written yet; a larger chunk is alone. */
  unwrittenBytesMax: 4 * MIB,
  /**
   * Batches, and memory of short chunks, after which a Worker collects garbage, 10 ms each time: they lie
   * outside its heap, so that nothing else would do it soon.
   */
  workerGarbageBytesMax: 32 * MIB,
  /** Values of rows that are replaced, read at once, and completed rows that are written at once, about. */
  heldValueBytes: 16 * MIB,
  /** Row ids that the key indexes of a process keep of the files that have some: 4 bytes a row. */
  rowIdsBytesMax: 64 * MIB,
  /** What the key indexes of a process keep of where rows of compacted files went, until heads list them: a compaction tells 4 bytes a row at most. */
  rewrittenBytesMax: 64 * MIB,
  /** Columns at which a file of sorted rows takes no more of them: they are copied once. */
  sortedColumnBytesMax: 512 * MIB,
  /** Of `processBytes`, what is in use while records flow as fast as they can, measured: what comes on top may be garbage. */
  busyBytes: 144 * MIB,
  /** Bytes outside the heap and the hot buffers from which on young garbage is collected: not for a few records a second. */
  youngBytesMax: 48 * MIB,
  /** One inflated block of a manifest: a larger one is corrupt, or an attack. */
  avroBlockBytesMax: 256 * MIB,
  /** Folders that are remembered as durable (a number); beyond it all are looked at again. */
  knownFoldersMax: 10_000,
  /** Parts of one upload that are on their way at once (a number). */
  s3PartsInFlightMax: 3,
  /** Parts of uploads, 8 MiB each, kept for the next ones while records flow (a number): as many as one upload has. */
  freePartsMax: 4,
  /** Uploads that keep their first part until a second one is full, of all stores (a number): an object of up to two parts is one request then. */
  heldPartsMax: 6,
  /** Tables of a pipeline whose metadata is kept for readers (a number); those read last stay. */
  cachedTablesMax: 100,
  /** Answer of a catalog or registry over HTTP: a table's metadata of 500 snapshots is half a megabyte. */
  answerTextBytesMax: 128 * MIB,
  /** Answer of a store over HTTP: an object that is read whole, twice the largest data file by default. */
  answerBytesMax: 1024 * MIB,
  /** A request of `/query`. */
  questionBytesMax: MIB,
  /** Rows of `$files`: they stand in the statement, at about 300 bytes each. */
  listedFilesMax: 50_000,
  /** Parquet files whose columns the SQL engine remembers (a number), some 5 KB each; those read last stay. */
  knownFootersMax: 20_000,
  /** Key indexes of one table's rows in memory (a number): one for each list of columns that look-ups are by. */
  keyIndexesMax: 4,
  /** One bloom filter, whatever a table's properties ask for: a Worker has one for each column in a row group. */
  bloomFilterBytesMax: 8 * MIB,
  /** What DuckDB may count when an answer is there: with more, the plans go that are kept for questions that come again. */
  keptPlansBytesMax: 16 * MIB,
  /** What a statement of `/query` may take, beside ingest. */
  hotQueryBytesMax: 256 * MIB,
  /** What the process of the SQL engine may take beyond its start: a statement, what DuckDB does not count, and the answer. */
  queryProcessBytesMax: 768 * MIB,
  /** A Parquet footer that is taken apart on the event loop: some 20 ms. */
  layoutBytesMax: 512 * 1024,
  /** Values of an answer of `/query`. */
  queryAnswerBytesMax: 64 * MIB,
  /** What a statement of `query` may take; one that needs more ends with a sentence about it. */
  queryBytesMax: 1024 * MIB,
  /** Deletion vectors of one table in a statement, as they are stored and again as they are used: 12 bytes for 32 rows. */
  deletedRowsBytesMax: 64 * MIB,
};

/** Asserts how the limits must relate; called once at start. */
export function assertLimits(): void {
  assert(LIMITS.recordBytesMax < LIMITS.columnBytesMax, "one record fits into a column");
  assert(LIMITS.partitionPartBytesMax <= 255, "a folder's name fits into a file system");
  assert(LIMITS.partitionFolderBytesMax <= 512, "a partition leaves half of an S3 key to others");
  assert(LIMITS.busyBytes < LIMITS.processBytes, "a process has room for some garbage");
  const fixed = LIMITS.workerBytesMax + LIMITS.fetchQueueBytesMax + LIMITS.closingFileBytesMax;
  assert(fixed < LIMITS.processBytes, "what is held whatever the buffer has room in the process");
  assert(
    LIMITS.sampleBytesMax >= LIMITS.fetchQueueBytesMax,
    "a sample takes what a queue can hold",
  );
  assert(
    LIMITS.changedRowsMax <= LIMITS.sortedMapRowsMax,
    "of files that are changed it is known where each row went",
  );
  assert(LIMITS.answerTextBytesMax > LIMITS.metadataBytesMax, "a table that we keep can be loaded");
  assert(LIMITS.logFrameBytesMax > LIMITS.logSegmentBytes / 8, "a frame is not tiny");
}
