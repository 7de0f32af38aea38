/** Messages between a process and the child that rewrites data files for it. */
import type { ErrorKind } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import type { SnapshotFiles } from "#sql/snapshotFiles.ts";

/** Files to be written as one. */
export interface RewriteTask {
  /** Path of DuckDB's library. */
  readonly library: string;
  readonly memoryBytesMax: number;
  /** Folders of the files that are read. */
  readonly folders: readonly string[];
  /** Folder for the output, and for what does not fit into memory. */
  readonly scratch: string;
  /** Columns of the table. */
  readonly fields: readonly Field[];
  /** True: row ids and sequence numbers are written as columns (format v3). */
  readonly lineage: boolean;
  readonly files: SnapshotFiles;
  /** Path of the output, in `scratch`. */
  readonly output: string;
  readonly codec: string;
  readonly level: number | null;
  readonly rowGroupRows: number;
  /** Goes into the footer. */
  readonly commitId: string;
}

/** What Parquet's statistics do not say of a float or double column. */
export interface FloatValues {
  readonly fieldId: number;
  readonly nanCount: number;
  /** `min` above `max`: there is no other value than NaN. */
  readonly min: number;
  readonly max: number;
}

/** A file that was written. */
export interface Rewritten {
  readonly bytes: number;
  /** `FileMetaData` and trailer. */
  readonly footer: Uint8Array;
  readonly floats: readonly FloatValues[];
}

/** How a task ended. */
export type RewriteReply =
  | { readonly type: "done"; readonly rewritten: Rewritten }
  | { readonly type: "failed"; readonly kind: ErrorKind; readonly message: string };
