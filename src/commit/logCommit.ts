/**
 * The durable steps of a commit in the transaction log, in their order (SPEC section 8): names of
 * files -> attempt -> snapshot -> end.
 */
import { failpoint } from "#base/failpoint.ts";
import { type FeedOffset, feedKey } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { LogOffsets } from "#txlog/log.ts";
import type { Landing } from "./change.ts";
import type { CommitParts } from "./parts.ts";
import type { SentAttempt } from "./rules.ts";

type Log = Pick<CommitParts, "txlog">;

/** Logs the begin of a commit, synced; a repeated call for one id replaces the names of the first. */
export async function logFlushStarted(
  { txlog }: Log,
  table: LoadedTable,
  commitId: string,
  paths: readonly string[],
  offsets: LogOffsets,
): Promise<void> {
  failpoint("log_flush_started");
  await txlog.append(
    {
      type: "FlushStarted",
      table: fullName(table.name),
      commit_id: commitId,
      base_sequence_number: table.metadata.lastSequenceNumber,
      file_paths: [...paths],
      upload_ids: {},
      offsets,
    },
    true,
  );
}

/** Logs a request before it is sent, synced: without the entry nothing was sent. */
export async function logAttempt(
  { txlog }: Log,
  head: LoadedTable,
  attempt: SentAttempt,
  manifests: readonly string[],
): Promise<void> {
  failpoint("log_commit_attempt");
  await txlog.append(
    {
      type: "CommitAttempt",
      table: fullName(head.name),
      table_uuid: head.metadata.tableUuid,
      commit_id: attempt.commitId,
      snapshot_id: attempt.snapshot.snapshotId,
      base_snapshot_id: attempt.baseSnapshotId,
      base_sequence_number: attempt.baseSequenceNumber,
      file_paths: manifests,
    },
    true,
  );
}

/** Logs that a commit is in the table, synced. */
export async function logLanded(
  { txlog }: Log,
  { table, snapshotId, commitId, isFound }: Landing,
  files: readonly string[],
  offsets: readonly FeedOffset[],
): Promise<void> {
  failpoint("log_snapshot_created");
  await txlog.append(
    {
      type: "IcebergSnapshotCreated",
      table: fullName(table.name),
      commit_id: commitId,
      snapshot_id: snapshotId,
      files_added: files,
      offsets: logOffsets(offsets),
    },
    true,
  );
  if (!isFound) return;
  await txlog.append({
    type: "IdempotencyRecord",
    offsets: logOffsets(offsets),
    snapshot_id: snapshotId,
  });
}

/** Logs the end of a commit: nothing is left to do for it. */
export async function logComplete(
  { txlog }: Log,
  table: string,
  commitId: string,
  snapshotId: SnapshotId,
  offsets: readonly FeedOffset[],
): Promise<void> {
  await txlog.append({
    type: "FlushComplete",
    table,
    commit_id: commitId,
    offsets: logOffsets(offsets),
    snapshot_id: snapshotId,
  });
}

function logOffsets(offsets: readonly FeedOffset[]): Record<string, bigint> {
  return Object.fromEntries(offsets.map(({ feed, offset }) => [feedKey(feed), offset]));
}
