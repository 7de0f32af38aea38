/**
 * What a restart inherits: flushes that the log saw begin and neither complete nor be abandoned
 * (SPEC 2.4, last sentence). Pure; the writer decides what to do about each.
 *
 * An attempt begins with its FlushStarted. Entries of a flush whose start was lost to damage are
 * left out: its files stay for the orphan cleaner, which never trusts the log.
 */
import { unreachable } from "#base/assert.ts";
import type { LogEntry, LoggedEntry, LogOffsets } from "./log.ts";

/** One commit that an attempt tried. */
export interface CommitTry {
  readonly tableUuid: string;
  readonly snapshotId: bigint;
  /** The head that it was built on; null for a table without snapshots. */
  readonly baseSnapshotId: bigint | null;
  /** The table's last-sequence-number when it was built. */
  readonly baseSequenceNumber: bigint;
  /** Its manifests and manifest list. */
  readonly filePaths: readonly string[];
}

/** A flush that began and did not end. */
export interface OpenAttempt {
  /** the table's full name (`catalog/names.ts`). */
  readonly table: string;
  readonly commitId: string;
  /** The table's last-sequence-number before the first of its files; -1 when it is not known. */
  readonly baseSequenceNumber: bigint;
  /** Data files, written or only announced. */
  readonly filePaths: readonly string[];
  /** Multipart uploads by location. */
  readonly uploadIds: Readonly<Record<string, string>>;
  /** The offsets that the flush was to commit. */
  readonly offsets: LogOffsets;
  /** Commits tried, oldest first; empty when the crash came before the first. */
  readonly commits: readonly CommitTry[];
  /** The snapshot that the log knows to have landed, else null. */
  readonly landedSnapshotId: bigint | null;
}

/** The attempts that are open after `entries`, oldest first. */
export function openAttempts(entries: readonly LoggedEntry[]): OpenAttempt[] {
  const open = new OpenFlushes();
  for (const { entry } of entries) open.apply(entry);
  return [...open.byCommitId.values()].flatMap(attemptOf);
}

/** The entries of flushes that have not ended; what a checkpoint holds. */
export class OpenFlushes {
  readonly byCommitId: Map<string, LogEntry[]> = new Map();

  /** All entries of open flushes, those of one flush in order. */
  get entries(): LogEntry[] {
    return [...this.byCommitId.values()].flat();
  }

  /** Takes the next entry of the log. */
  apply(entry: LogEntry): void {
    switch (entry.type) {
      case "Checkpoint":
        this.byCommitId.clear();
        for (const open of entry.open) this.apply(open);
        break;
      case "FlushStarted":
        this.byCommitId.set(entry.commit_id, begun(entry, this.byCommitId.get(entry.commit_id)));
        break;
      case "ParquetWritten":
      case "CommitAttempt":
      case "IcebergSnapshotCreated":
        this.byCommitId.get(entry.commit_id)?.push(entry);
        break;
      case "FlushComplete":
      case "FlushAbandoned":
        this.byCommitId.delete(entry.commit_id);
        break;
      case "OffsetCommit":
      case "BufferSnapshot":
      case "IdempotencyRecord":
      case "SchemaEvolution":
      case "Recovery":
      case "CatalogHealthCheck":
      case "CatalogError":
      case "MaintenanceRun":
        break;
      default:
        unreachable(entry);
    }
  }
}

/** A flush that names more files has begun when it began, and what it has sent stays sent. */
function begun(
  entry: Extract<LogEntry, { type: "FlushStarted" }>,
  [first, ...later]: readonly LogEntry[] = [],
): LogEntry[] {
  if (first?.type !== "FlushStarted") return [entry];
  const { base_sequence_number, offsets } = first;
  return [{ ...entry, base_sequence_number, offsets: { ...offsets, ...entry.offsets } }, ...later];
}

function attemptOf(entries: readonly LogEntry[]): OpenAttempt[] {
  const [started, ...later] = entries;
  if (started?.type !== "FlushStarted") return [];
  const filePaths = new Set(started.file_paths);
  const commits: CommitTry[] = [];
  let landedSnapshotId: bigint | null = null;
  for (const entry of later) {
    if (entry.type === "ParquetWritten") filePaths.add(entry.file_path);
    if (entry.type === "IcebergSnapshotCreated") landedSnapshotId = entry.snapshot_id;
    if (entry.type === "CommitAttempt") commits.push(commitOf(entry));
  }
  const { table, commit_id: commitId, upload_ids: uploadIds, offsets } = started;
  const baseSequenceNumber = started.base_sequence_number;
  const names = { table, commitId, baseSequenceNumber, filePaths: [...filePaths], uploadIds };
  return [{ ...names, offsets, commits, landedSnapshotId }];
}

function commitOf(entry: Extract<LogEntry, { type: "CommitAttempt" }>): CommitTry {
  return {
    tableUuid: entry.table_uuid,
    snapshotId: entry.snapshot_id,
    baseSnapshotId: entry.base_snapshot_id,
    baseSequenceNumber: entry.base_sequence_number,
    filePaths: entry.file_paths,
  };
}
