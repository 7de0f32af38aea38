/**
 * The key index as its users see it: which rows of a table's head have these keys (CHANGE_RULES 10a to
 * 10e; SPEC 2.10).
 *
 * For each key *all* its live rows, since another engine may have added a second one. The index is exact for
 * one snapshot, its label, and for nothing else. Whoever makes deletes calls, on every attempt:
 *
 * ```text
 * bringTo(head) -> locate(keys) -> commit -> landed: apply(change) | refused, unknown, dropped: nothing
 * ```
 * One attempt of a table at a time.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { AppliedDeletes, LiveData } from "#iceberg/io/headFiles.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { Storage } from "#storage/storage.ts";

/** Keys as two 64-bit words each, made by one `KeyHasher` of the same secret. */
export interface KeySet {
  readonly count: number;
  /** Words of key n at 2n and 2n + 1; may be longer than needed. */
  readonly words: BigUint64Array;
  /** The order of the change of each key (`orders.ts`). Default: null, changes come in their order. */
  readonly orders?: BigInt64Array | null;
}

/** Rows of one data file. */
export interface LocatedRows {
  readonly file: LiveData;
  /** What deletes rows of that file in this head. */
  readonly deletes: AppliedDeletes;
  /** Positions of live rows, ascending, each once. */
  readonly rows: Uint32Array;
}

/** Values of rows that stand, of some of the keys that were asked for. */
export interface StandingValues {
  /** Numbers of the keys, in the order of the rows in `batch`. */
  readonly keys: Uint32Array;
  /** Numbers of keys that have no live row. */
  readonly missing: Uint32Array;
  readonly batch: ColumnBatch;
}

/** Rows of a data file of a commit. */
export interface PlacedFile {
  readonly file: DataFile;
  readonly keys: KeySet;
  /** Ascending: row `rows[n]` has key n. Default: row n has it, and there are no others. */
  readonly rows?: Uint32Array;
  /** The row ids that the file has, row by row, -1 where it has none; null: it has no column of them. Default: not known. */
  readonly rowIds?: Float64Array | null;
}

/** What a commit did to the rows of its keys. */
export interface IndexChange {
  /** The head that the attempt which landed was built on; null: the branch had no snapshot. */
  readonly base: SnapshotId | null;
  /** Keys whose rows of the base, all of them, are deleted; each once. */
  readonly keys: KeySet;
  readonly placed: readonly PlacedFile[];
  /** Delete files, and vectors, that the commit added, as its manifests name them. */
  readonly addedDeletes: readonly DataFile[];
  /** Those that it removed: vectors that others took the place of. */
  readonly removedDeletes: readonly DataFile[];
}

/** The snapshot by which a commit landed, found by its commit id. */
export interface LandedSnapshot {
  readonly snapshotId: SnapshotId;
  readonly sequenceNumber: bigint;
}

/** Names of the columns that an index knows. */
export interface IndexColumns {
  /** Those that say which row a row is. */
  readonly keyColumns: readonly string[];
  /** That which says which change of a key is later. Default: null, they come in their order. */
  readonly orderColumn?: string | null;
}

/** A file that was made of others. */
export interface RewrittenFile {
  readonly path: string;
  readonly rows: number;
  readonly inputs: readonly {
    readonly path: string;
    /** As it was when the file was read. */
    readonly firstRowId: bigint | null;
    readonly rows: number;
    /** What became of its first row that is in the new file, where the others follow it; else of each of them, in their order. */
    readonly places: number | Uint32Array;
    /** Its rows that are not in the new file: row `32 * n + bit` is bit `bit` of word `n`. */
    readonly hidden: Uint32Array;
  }[];
}

/** An index of one table's keys. */
export interface RowIndex {
  /**
   * Makes the index exact for a branch's head, by comparing what it knows with what the head lists (10c).
   * When it throws, it is exact for no snapshot, and the next call goes on from there.
   * @throws AppError `storage_unreachable` when a file was removed meanwhile: load the head again;
   *   `table_unsupported` for files and key columns that it cannot read
   */
  bringTo(table: LoadedTable, branch: string): Promise<void>;
  /**
   * Numbers of those of the keys that have a live row of a larger order in the head that the index was
   * brought to, ascending. Only for tables whose changes have orders.
   * @throws AppError as `bringTo`: what bounds do not decide is read
   */
  newer(storage: Storage, keys: KeySet): Promise<Uint32Array>;
  /**
   * Columns of the live rows of these keys in the head that the index was brought to, until there are
   * 16 MiB of them: ask again for the keys that the answer does not name. Where a key has several rows,
   * those of the newest file.
   * @throws AppError as `bringTo`
   */
  values(storage: Storage, keys: KeySet, columns: readonly Field[]): Promise<StandingValues>;
  /**
   * Row ids of the live rows of these keys in the head that the index was brought to, whose table is of format v3;
   * -1 for a key that has no row, or one without an id. Where a key has several rows, that of the newest file's.
   * @throws AppError as `bringTo`
   */
  rowIds(storage: Storage, keys: KeySet): Promise<Float64Array>;
  /** All live rows of these keys in the head that the index was brought to; keys may repeat. */
  locate(keys: KeySet): Promise<readonly LocatedRows[]>;
  /**
   * After an own landing: the rows of `change.keys` are gone, the placed ones are there; the label is the
   * snapshot that landed, whatever the head is by now (10b). Does nothing when the index is not exact for
   * the change's base: the next `bringTo` reads what landed like anybody's.
   */
  apply(change: IndexChange, landed: LandedSnapshot): Promise<void>;
  /**
   * Before a commit that puts files together: where they turn up in a head, the keys of their rows need not be read. Of
   * two commits at most this is remembered, and of all tables up to a bound. Ends when it is handed over, and never fails.
   */
  rewritten(files: readonly RewrittenFile[]): Promise<void>;
  /** Lets its memory go. It may be asked again, when this has ended, and begins with what is kept then. */
  close(): Promise<void>;
}
