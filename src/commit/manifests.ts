/**
 * Manifests written anew: a snapshot of the same files in other manifests. It changes no row, so it
 * rebases as long as the head still lists every manifest that was replaced; else it is planned anew on
 * that head.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { type ManifestGroup, manifestGroups, rewriteGroup } from "#iceberg/io/rewriteManifests.ts";
import { manifestsOf } from "#iceberg/io/scan.ts";
import { manifestLocation, type RewrittenManifests } from "#iceberg/io/stageAppend.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import type { Attempt, Drop, Landing, Nothing, SnapshotChange, StagedSnapshot } from "./change.ts";
import { logComplete, logLanded } from "./logCommit.ts";
import type { CommitParts } from "./parts.ts";
import { headOf, type Progress } from "./progress.ts";
import { unreadable } from "./shares.ts";
import { stageSnapshot } from "./snapshot.ts";

/** One rewrite of manifests, over all its heads and attempts. */
export class RewriteManifests implements SnapshotChange {
  readonly makes = "snapshot";
  readonly kind = "manifests";
  readonly isHeldByPause = true;
  readonly #parts: CommitParts;
  #rewritten: RewrittenManifests | null = null;

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /** Manifests replaced and written; null: there was nothing to do. */
  get counts(): { readonly replaced: number; readonly written: number } | null {
    const rewritten = this.#rewritten;
    return rewritten === null
      ? null
      : { replaced: rewritten.replaced.size, written: rewritten.written.length };
  }

  fence(head: LoadedTable, progress: Progress): Drop | null {
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    return null;
  }

  async stage(attempt: Attempt): Promise<StagedSnapshot | Nothing> {
    const { head, progress, options } = attempt;
    if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
    const manifests = await listedManifests(head, options.branch);
    const paths = new Set(manifests.map(({ manifestPath }) => manifestPath));
    const isStill = this.#rewritten?.replaced.isSubsetOf(paths) === true;
    if (!isStill) this.#rewritten = await rewrite(attempt, manifests);
    if (this.#rewritten === null) return { kind: "nothing" };
    return stageSnapshot(attempt, [], null, progress.document, {
      rewritten: this.#rewritten,
    });
  }

  async landed(landing: Landing): Promise<void> {
    await logLanded(this.#parts, landing, [], []);
    const { table, commitId, snapshotId } = landing;
    await logComplete(this.#parts, fullName(table.name), commitId, snapshotId, []);
  }
}

/** The manifests of a branch's head; none without a snapshot. */
export async function listedManifests(
  head: LoadedTable,
  branch: string,
): Promise<readonly ManifestFile[]> {
  const id = headOf(head.metadata, branch);
  const snapshot = head.metadata.snapshots.find(({ snapshotId }) => snapshotId === id);
  return snapshot === undefined ? [] : manifestsOf(head.storage, snapshot);
}

/** Writes what gains; null when nothing does. */
async function rewrite(
  { head, ledger, commitId, number }: Attempt,
  manifests: readonly ManifestFile[],
): Promise<RewrittenManifests | null> {
  const { storage, metadata } = head;
  const replaced = new Set<string>();
  const written: RewrittenManifests["written"][number][] = [];
  const write = async (group: ManifestGroup): Promise<void> => {
    for (const { encoded, firstRowId } of await rewriteGroup(storage, metadata, group)) {
      const suffix = `${commitId}-${number}-r`;
      const location = manifestLocation(metadata, suffix, written.length);
      ledger.plan([location]);
      await storage.put(location, encoded.bytes);
      ledger.store([location]);
      written.push({ location, encoded, firstRowId });
    }
    for (const { manifestPath } of group) replaced.add(manifestPath);
  };
  for (const group of manifestGroups(metadata, manifests)) await write(group);
  return replaced.size === 0 ? null : { replaced, written };
}
