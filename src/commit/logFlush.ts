/**
 * The first durable step of every commit: its id and the names of its files in the synced log.
 */
import { failpoint } from "#base/failpoint.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { LogOffsets } from "#txlog/log.ts";
import type { CommitParts } from "./parts.ts";

/** Logs the begin of a commit; a repeated call for one id replaces the names of the first. */
export async function logFlushStarted(
  parts: Pick<CommitParts, "txlog">,
  table: LoadedTable,
  commitId: string,
  paths: readonly string[],
  offsets: LogOffsets,
): Promise<void> {
  failpoint("log_flush_started");
  await parts.txlog.append(
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
