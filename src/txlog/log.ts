/**
 * The transaction log: a local append-only audit trail (SPEC section 8). It is never the truth for
 * offsets: losing it loses and doubles nothing; it names files of attempts that a restart inherits.
 */

/** Offsets in log entries: cluster/topic/partition -> next offset. */
export type LogOffsets = Readonly<Record<string, bigint>>;

/** Everything that is logged; times are in the frame. `table` is its full name (`catalog/names.ts`). */
export type LogEntry =
  | {
      readonly type: "OffsetCommit";
      readonly topic: string;
      readonly partition: number;
      readonly offset: bigint;
    }
  | { readonly type: "BufferSnapshot"; readonly record_count: number; readonly size_bytes: number }
  | {
      readonly type: "FlushStarted";
      readonly table: string;
      readonly commit_id: string;
      /** The table's last-sequence-number before the first file; -1 in logs of older releases. */
      readonly base_sequence_number: bigint;
      readonly file_paths: readonly string[];
      readonly upload_ids: Readonly<Record<string, string>>;
      readonly offsets: LogOffsets;
    }
  | {
      readonly type: "ParquetWritten";
      readonly commit_id: string;
      readonly file_path: string;
      readonly record_count: number;
      readonly file_size: number;
      readonly sha256: string;
      readonly offsets: Readonly<Record<string, readonly [bigint, bigint]>>;
    }
  | {
      readonly type: "CommitAttempt";
      readonly table: string;
      readonly table_uuid: string;
      readonly commit_id: string;
      readonly snapshot_id: bigint;
      readonly base_snapshot_id: bigint | null;
      readonly base_sequence_number: bigint;
      /** Manifests and manifest list of the attempt. */
      readonly file_paths: readonly string[];
    }
  | {
      readonly type: "IcebergSnapshotCreated";
      readonly table: string;
      readonly commit_id: string;
      readonly snapshot_id: bigint;
      readonly files_added: readonly string[];
      readonly offsets: LogOffsets;
    }
  | {
      readonly type: "FlushComplete";
      readonly table: string;
      readonly commit_id: string;
      readonly offsets: LogOffsets;
      readonly snapshot_id: bigint;
    }
  /** Ends the duties for an attempt that did not land: its files were removed or left to the orphan cleaner. */
  | {
      readonly type: "FlushAbandoned";
      readonly table: string;
      readonly commit_id: string;
      readonly removed: readonly string[];
      readonly left: readonly string[];
    }
  | {
      readonly type: "IdempotencyRecord";
      readonly offsets: LogOffsets;
      readonly snapshot_id: bigint;
    }
  | {
      readonly type: "SchemaEvolution";
      readonly table: string;
      readonly old: string;
      readonly new: string;
    }
  | {
      readonly type: "Recovery";
      readonly replayed: number;
      readonly completed: number;
      readonly rolled_back: number;
      readonly offsets: LogOffsets;
    }
  | {
      readonly type: "CatalogHealthCheck";
      readonly catalog_type: string;
      readonly is_healthy: boolean;
      readonly response_time_ms: number;
    }
  | {
      readonly type: "CatalogError";
      readonly catalog_type: string;
      readonly error_message: string;
      readonly retry_count: number;
    }
  | {
      readonly type: "MaintenanceRun";
      readonly table: string;
      /** `expire`, ...: as on the command line. */
      readonly operation: string;
      /** `done` or `failed`. */
      readonly outcome: string;
      readonly duration_ms: number;
      /** What it did, in numbers by name. */
      readonly counts: Readonly<Record<string, bigint>>;
      /** Why it failed; empty when it did not. */
      readonly error: string;
    }
  | { readonly type: "Checkpoint"; readonly open: readonly LogEntry[] };

/** An entry as it stands in the log. */
export interface LoggedEntry {
  readonly sequence: bigint;
  readonly timeMs: number;
  readonly entry: LogEntry;
}

/** When appended entries are synced: every one, those of a commit, or never. */
export type LogSync = "always" | "commit" | "never";

/** An open log. One process per log directory (the state directory's lock). */
export interface TransactionLog {
  /** What was found at opening, oldest first, from the last checkpoint on. */
  readonly recovered: readonly LoggedEntry[];
  /**
   * Appends one entry. `sync` true: resolves when it is on disk (policy `commit` and `always`).
   * Throws `storage_full` or `state`.
   */
  append(entry: LogEntry, sync?: boolean): Promise<void>;
  close(): Promise<void>;
}

/**
 * For a command beside a running process, whose state directory is locked: what it leaves behind when it
 * is killed goes with the orphans.
 */
export const noLog: TransactionLog = {
  recovered: [],
  append: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
