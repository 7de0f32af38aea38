/**
 * What a table's writer is made of: its ports and its settings.
 */

import type { Feed, OffsetRange } from "#base/offsets.ts";
import type { TableName } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { GrowsBy } from "#columns/evolve.ts";
import type { LatestRows } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import type { CommitOptions, CommitParts } from "#commit/parts.ts";
import type { DeleteRows } from "#commit/rowDeletes.ts";
import type { KeySecret } from "#keyindex/keyHasher.ts";
import type { PartialRows } from "#keyindex/partialRows.ts";
import type { KeySet, RowIndex } from "#keyindex/port.ts";
import type { ParquetCodec, ParquetEncoder } from "#parquet/encoder.ts";

/** The ports of a writer. */
export interface WriterParts extends CommitParts {
  readonly encoder: ParquetEncoder;
  /** Finds rows by their keys; needed by tables whose options name a key. */
  readonly keys?: KeyParts;
  /** Rewrites files without some of their rows; needed by tables whose options say so. */
  readonly copyOnWrite?: CopyOnWrite;
}

/** Rows are deleted by writing files anew. */
export interface CopyOnWrite {
  /**
   * Asked before a table has these columns.
   * @throws AppError `table_unsupported`: files with them cannot be written anew; `query_engine`: there is no engine
   */
  readonly check: (table: TableName, fields: readonly Field[]) => void;
  /** For one flush. */
  readonly deleteRows: (options: WriterOptions) => DeleteRows;
}

/** How a process knows keys. */
export interface KeyParts {
  /** Of the state directory: keys of all its tables are hashed under it. */
  readonly secret: KeySecret;
  /**
   * Opens the index of a table, whose rows are told apart by these columns.
   * @param orderColumn says which change of a key is later; null: they come in their order
   */
  readonly openIndex: (
    table: TableName,
    keyColumns: readonly string[],
    orderColumn?: string | null,
  ) => Promise<RowIndex>;
}

/**
 * How rows are deleted. `position`: by vectors (format v3) or files of positions (v2), which an index of the keys finds;
 * `equality`: by the values of their key, whatever rows have it; `copy-on-write`: the files that hold them, found by the
 * index, are written anew without them.
 */
export type DeleteMode = "position" | "equality" | "copy-on-write";

/** A setting of files that a table's properties may make, too. */
export type FileSetting = "codec" | "row group bytes" | "file bytes";

/** The settings of a writer, one per table of a pipeline. */
export interface WriterOptions extends CommitOptions {
  /**
   * Columns that say which row a row is, where records change rows (SPEC section 6): identifier fields of
   * a new table. Default: none, rows are appended.
   */
  readonly key?: readonly string[];
  /** What says which row of a key is the newest, where each change is a row that stays; {@link key} is empty then. Default: null. */
  readonly latest?: LatestRows | null;
  /** The column that says which change of a key is later. Default: none, they come in their order. */
  readonly order?: string | null;
  /** How the rows go whose key is changed. Default: by position. */
  readonly deletes?: DeleteMode;
  /** A way that was asked for by its name, and the format that a table must be of. Default: null, any. */
  readonly deletesAs?: { readonly mode: string; readonly formatVersion: 2 | 3 } | null;
  readonly codec: ParquetCodec;
  readonly codecLevel: number | null;
  /** Settings that nobody has made, so that the table's own properties come first. Default: none. */
  readonly unset?: ReadonlySet<FileSetting>;
  readonly rowGroupRows: number;
  /** Encoded bytes at which a row group ends before it has its rows. Default 16 MiB. */
  readonly rowGroupBytes?: number;
  /** Bytes from which on a data file takes no more rows of its flush. Default: without a limit. */
  readonly fileBytesTarget?: number;
  /** Columns with bloom filters, dotted where nested, beside those that the table's properties name. */
  readonly bloomColumns?: readonly string[];
  /** Data files of a flush that are begun and not yet durable, at most. */
  readonly openFilesMax: number;
  /**
   * Bytes of columns of a file from which on they are written ahead of their flush; infinite: none are.
   * Default `LIMITS.aheadColumnBytes`.
   */
  readonly aheadBytes?: number;
  /** A file holds rows of one Kafka partition, and its path says which. */
  readonly preserveKafkaPartitions: boolean;
  /** `schema_mismatch_action`: what to do when declared columns are not the table's. */
  readonly schemaMismatch: "fail" | "evolve" | "warn";
  /** `refuse`: a table that is there and lacks our own columns (metadata columns) is refused. */
  readonly schemaChanges: "evolve" | "refuse";
  /**
   * By whose word columns grow with rows: `declaration` widens columns that are there, and brings back those
   * that were dropped, for tables whose columns are another table's. Default: `records`.
   */
  readonly columnsBy?: GrowsBy;
  readonly create: {
    /** False: a missing table is an error. */
    readonly allowed: boolean;
    readonly formatVersion: 2 | 3;
    readonly properties: Readonly<Record<string, string>>;
    /** `day(ts)`, `bucket(16, user_id)`, ...; empty: unpartitioned. */
    readonly partitionForms: readonly string[];
    /** `ts desc`, `user_id`, ...; empty: unsorted. */
    readonly sortForms: readonly string[];
    /** True when columns may come that are not known at creation; forms may name those. */
    readonly learnsColumns: boolean;
    /** Tables of the pipeline whose names differ from this one's by case only. Default: none. */
    readonly twins?: () => readonly TableName[];
  };
}

/** True where records are changes of rows, whether the older rows stay or go. */
export function followsChanges({
  key = [],
  latest = null,
}: Pick<WriterOptions, "key" | "latest">): boolean {
  return key.length > 0 || latest !== null;
}

/** Rows of one feed, closed for writing; null batch: only the position moved. */
export interface SealedSegment {
  readonly range: OffsetRange;
  readonly batch: ColumnBatch | null;
}

/** A feed whose offset in the table is to move from `start` to `end`, with its rows in order. */
export interface FeedFlush {
  readonly feed: Feed;
  readonly start: bigint;
  readonly end: bigint;
  /** Of the last batch below `end`, where it is known. */
  readonly leaderEpoch: number | undefined;
  readonly batches: readonly ColumnBatch[];
  /** Which rows of each batch are written; default: all, and nobody asks for their keys. */
  readonly selected?: readonly SelectedRows[];
  /** Rows that are written beside them, by each attempt, since they lack values. Default: none. */
  readonly partial?: readonly PartialRows[];
}

/** Rows of a batch that are written, and their keys. */
export interface SelectedRows {
  /** Ascending; at least one. */
  readonly rows: Uint32Array;
  /** Key n is of row `rows[n]`; null: nobody asks for them. */
  readonly keys: KeySet | null;
  /** 1 for each row that replaces none, whatever the table has of its key. Default: null, no row is known not to. */
  readonly isNew?: Uint8Array | null;
}
