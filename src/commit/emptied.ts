/**
 * A table whose source was emptied (truncate): in the commit that brings what came behind, every file of the
 * head goes, those of other engines too. Which ones these are is said by each head anew.
 */
import { fail } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { liveDataFiles, liveDeletes, withoutMetrics } from "#iceberg/io/liveFiles.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { Attempt, StagedSnapshot } from "./change.ts";
import { listedManifests } from "./manifests.ts";
import { type ProgressDocument, withOffsets } from "./progressDocument.ts";
import { type Shares, unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Files that are listed before others have their turn: some milliseconds. */
const TURN_FILES = 4096;

/**
 * A snapshot in which nothing of the head is left.
 * @param shares files that are there then, and where their feeds move
 * @throws AppError `data` where the table has read several partitions, and what the store throws
 */
export async function stageEmptied(
  attempt: Attempt,
  { files, moved }: Pick<Shares, "files" | "moved">,
): Promise<StagedSnapshot> {
  const { head, progress } = attempt;
  if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
  const { document } = progress;
  requireOnePartition(head, document);
  const removed = await everyFile(attempt);
  return await stageSnapshot(attempt, files, document, withOffsets(document, moved), { removed });
}

/** Every live file of an attempt's head, delete files included. @throws what the store throws */
async function everyFile({ parts, head, options }: Attempt): Promise<DataFile[]> {
  const { storage, metadata } = head;
  const manifests = await listedManifests(head, options.branch);
  const deletes = await liveDeletes(storage, metadata, manifests);
  const files = deletes.all.map(({ file }) => file);
  for await (const listed of liveDataFiles(storage, metadata, manifests)) {
    if (files.push(withoutMetrics(listed)) % TURN_FILES === 0) await parts.clock.turn();
  }
  return files;
}

/**
 * A truncate comes by one partition: of several nothing says which changes of the others were before it.
 * @throws AppError `data` where the table has read more than one
 */
function requireOnePartition({ name }: LoadedTable, { sources }: ProgressDocument): void {
  let partitions = 0;
  for (const { offsets } of sources.values()) partitions += offsets.size;
  if (partitions <= 1) return;
  const read = [...sources].map(([source, { offsets }]) => `${offsets.size} of ${source}`);
  const table = fullName(name);
  throw fail(
    "data",
    `The source of table ${table} was emptied (truncate). Its rows came by ${partitions} partitions (${read.join(", ")}), ` +
      "and nothing says which changes of the other ones came before that; nothing was committed. Empty the table with another engine and " +
      "go on behind the record (offsets --set), give a new topic one partition, or have Debezium leave truncates out " +
      "(skipped.operations)",
    { table },
  );
}
