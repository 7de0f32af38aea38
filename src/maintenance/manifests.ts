/**
 * Manifests written anew by partition, when there are more of them than their bytes need: then a scan
 * opens fewer, and of those only the ones of its partitions.
 */
import { fail } from "#base/errors.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { listedManifests, RewriteManifests } from "#commit/manifests.ts";
import { manifestGroups } from "#iceberg/io/rewriteManifests.ts";
import type { RunCounts } from "./record.ts";
import { type RunOptions, refusePaused } from "./run.ts";

/** What a run replaced, or would replace. */
export interface ManifestReport {
  readonly replaced: number;
  /** Null: a dry run does not tell. */
  readonly written: number | null;
}

/** A report as the record of runs takes it. */
export function manifestCounts({ replaced, written }: ManifestReport): RunCounts {
  return { counts: { replaced, written: written ?? 0 }, bytesReclaimed: 0 };
}

/**
 * Writes a table's manifests anew where that gains. Those that were replaced stay for older snapshots,
 * until these expire.
 * @throws AppError `usage` for a paused table, `progress`, and what catalog and store throw
 */
export async function rewriteManifests(
  table: CommitTable,
  { isDry, onProgress }: RunOptions,
): Promise<ManifestReport> {
  const head = await table.load();
  if (isDry) {
    const manifests = await listedManifests(head, table.options.branch);
    const groups = manifestGroups(head.metadata, manifests);
    return { replaced: groups.reduce((sum, group) => sum + group.length, 0), written: null };
  }
  refusePaused(head);
  onProgress({ step: "writing manifests", done: 0, total: null });
  const change = new RewriteManifests(table.parts);
  const pending = newCommit(table, change);
  const result = await commit(table, pending);
  switch (result.kind) {
    case "committed":
      return result.snapshotId === null
        ? { replaced: 0, written: 0 }
        : (change.counts ?? { replaced: 0, written: 0 });
    case "held":
      await giveUp(table, pending);
      throw fail(
        "catalog_unreachable",
        `Other commits of ${table.name} came first, or the catalog did not answer; nothing is lost by it`,
        { table: table.name },
        result.cause,
      );
    case "paused":
      throw fail("usage", `Table ${table.name} is paused`, { table: table.name });
    case "dropped":
      throw fail("catalog_refused", `Nothing was rewritten: ${result.reason}`, {
        table: table.name,
      });
  }
}
