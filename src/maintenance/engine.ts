/** The engine of a compaction as its run sees it: files in, one file out, and where their rows went. */
import type { LoadedTable } from "#catalog/catalog.ts";
import type { MovedRows } from "#commit/movedRows.ts";
import type { WritePositionDeletes } from "#commit/rowDeletes.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { PlannedGroup } from "./compactPlan.ts";

/** A group to be written as one file. */
export interface RewriteJob {
  readonly head: LoadedTable;
  readonly group: PlannedGroup;
  /**
   * Of each input the rows that are left out; then none of its deletes is by position. Default: those that its deletes
   * hide.
   */
  readonly hidden?: readonly RowSet[];
  /**
   * Its rows are sorted as the table says, where the engine can: of disk this may take so much. Default: 0, they stay as
   * they come.
   */
  readonly sortSpillBytesMax?: number;
  /** Where the file goes. */
  readonly location: string;
  readonly commitId: string;
}

/** What reads files, leaves deleted rows out, and writes the others. */
export interface RewriteEngine {
  /** Why it can write no file of this table; null: it can. */
  refusal(head: LoadedTable): string | null;
  /** Asked before the first group. @throws AppError when there is no engine */
  ready(): void;
  /**
   * Writes a group's file, and makes it durable.
   * @throws AppError `storage_missing` when an input or one of its delete files is gone, `table_unsupported`, `query`
   * and `query_engine` when it cannot write this group, and what the store throws
   */
  rewrite(job: RewriteJob, stop: AbortSignal): Promise<RewrittenGroup>;
  /** In tables of format v2, what others deleted meanwhile is deleted in the new files by it. */
  readonly writePositionDeletes: WritePositionDeletes;
}

/** What became of a group. */
export interface RewrittenGroup {
  /** Null: every row is deleted, and nothing was written. */
  readonly output: DataFile | null;
  /** Its pages are those of the inputs, no row was decoded. Default: false. */
  readonly isCopied?: boolean;
  /** Rows that newer ones of their key overtake are missing in it (`columns/latest.ts`). Default: false. */
  readonly isThinned?: boolean;
  /** Where the rows of each input are in the output; null: it is not known. */
  readonly moved: readonly MovedRows[] | null;
}
