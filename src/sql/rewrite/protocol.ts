/** Messages between a process and the child that reads data files for its maintenance: what is done with their rows. */
import type { ErrorKind } from "#base/errors.ts";
import type { LatestRows } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import type { ThetaSketch } from "#iceberg/statistics/thetaSketch.ts";
import type { BloomColumn } from "#parquet/encoder.ts";
import type { Shortened } from "#parquet/lastColumn.ts";
import type { SnapshotFiles } from "#sql/snapshotFiles.ts";

/** Files to be written as one. */
export interface RewriteTask {
  /** Where DuckDB's library is unpacked (`locateLibrary`). */
  readonly libraryFolder: string | null;
  readonly memoryBytesMax: number;
  /** Folders of the files that are read. */
  readonly folders: readonly string[];
  /** Folder for the output, and for what does not fit into memory. */
  readonly scratch: string;
  /** Columns of the table. */
  readonly fields: readonly Field[];
  /** True: row ids and sequence numbers are written as columns (format v3). */
  readonly lineage: boolean;
  /** Rows of each data file, deleted ones included. */
  readonly rows: readonly number[];
  readonly files: SnapshotFiles;
  /** Rows that a newer one of their key overtakes are left out; null: no row is. */
  readonly latest: LatestRows | null;
  /** Path of the output, in `scratch`. */
  readonly output: string;
  readonly codec: string;
  readonly level: number | null;
  readonly rowGroupRows: number;
  /** As the table asks for them; files whose rows are decoded lack them. */
  readonly bloomFilters: readonly BloomColumn[];
  /** Goes into the footer. */
  readonly commitId: string;
  /** How rows are sorted: terms of an ORDER BY (`sortTerms`); empty: they stay as they come. */
  readonly sort: readonly string[];
  /** Of disk, for what sorting has no memory for. */
  readonly spillBytesMax: number;
}

/** What Parquet's statistics do not say of a float or double column. */
export interface FloatValues {
  readonly fieldId: number;
  readonly nanCount: number;
  /** `min` above `max`: there is no other value than NaN. */
  readonly min: number;
  readonly max: number;
}

/** Where the rows of an input are in the output. */
export interface MovedRows {
  /** As `commit/movedRows.ts` has them. */
  readonly places: number | Uint32Array;
  /** Its rows that are not in the output, a bit each (`RowSet`). */
  readonly hidden: Uint32Array;
}

/** A file that was written: some bytes of a file in `scratch`, and a footer. */
export interface Rewritten extends Shortened {
  /** Its pages are those of the data files: no row was decoded. */
  readonly isCopied: boolean;
  /** Its rows are sorted as the task says. */
  readonly isSorted: boolean;
  readonly floats: readonly FloatValues[];
  /** Of each data file; null: it is not known. */
  readonly moved: readonly MovedRows[] | null;
}

/** Files whose values are to be counted. */
export interface SketchTask {
  /** Where DuckDB's library is unpacked (`locateLibrary`). */
  readonly libraryFolder: string | null;
  readonly memoryBytesMax: number;
  /** Folders of the files that are read. */
  readonly folders: readonly string[];
  /** Folder for what does not fit into memory. */
  readonly scratch: string;
  readonly files: SnapshotFiles;
  readonly columns: readonly SketchedColumn[];
}

/** A column, and what is known of its values: before and after. */
export interface SketchedColumn {
  readonly field: Field;
  readonly sketch: ThetaSketch;
}

/** What a child does. */
export type ChildTask =
  | ({ readonly kind: "rewrite" } & RewriteTask)
  | ({ readonly kind: "sketch" } & SketchTask);

/** How a task ended. */
export type ChildReply =
  | { readonly type: "rewritten"; readonly result: Rewritten }
  | { readonly type: "sketched"; readonly result: readonly SketchedColumn[] }
  | { readonly type: "failed"; readonly kind: ErrorKind; readonly message: string };
