/**
 * What goes from the store with snapshots that a commit has thinned: their manifest lists, and the
 * manifests that no snapshot lists any more. Data files never go: they live on in later snapshots.
 *
 * A manifest that is removed while a snapshot lists it would make that snapshot unreadable. So every
 * remaining snapshot that can list it is looked at, and when one cannot be read, nothing is removed.
 */
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import { readManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { Storage } from "#storage/storage.ts";
import { headOf, visibleChain } from "./progress.ts";

/** Manifest lists read for one commit at most; beyond, manifests are left to the orphan cleaner. */
const LISTS_READ_MAX = 400;

/**
 * Paths below the table's location that only `thinned` had; those outside it may be another table's.
 * @param metadata the table without those snapshots; one that it still has keeps everything
 * @throws what the store throws
 */
export async function unlistedPaths(
  storage: Storage,
  metadata: TableMetadata,
  branch: string,
  thinned: readonly Snapshot[],
): Promise<string[]> {
  const visible = new Set(metadata.snapshots.map(({ snapshotId }) => snapshotId));
  const gone = thinned.filter(({ snapshotId }) => !visible.has(snapshotId));
  if (gone.length === 0) return [];
  const manifests = new Map<string, ManifestFile>();
  for (const snapshot of gone) {
    for (const manifest of await listOf(storage, snapshot)) {
      manifests.set(manifest.manifestPath, manifest);
    }
  }
  await dropListed(storage, possibleListers(metadata, branch, gone), manifests);
  const folder = `${metadata.location.replace(/\/+$/, "")}/`;
  return [...gone.map(({ manifestList }) => manifestList), ...manifests.keys()].filter((path) =>
    path.startsWith(folder),
  );
}

/** Takes out of `manifests` what one of the snapshots lists. */
async function dropListed(
  storage: Storage,
  snapshots: readonly Snapshot[],
  manifests: Map<string, ManifestFile>,
): Promise<void> {
  let reads = 0;
  for (const snapshot of snapshots) {
    // A manifest is in no snapshot that is older than itself.
    const possible = [...manifests.values()].some(
      ({ sequenceNumber }) => sequenceNumber <= snapshot.sequenceNumber,
    );
    if (!possible) continue;
    if (reads++ === LISTS_READ_MAX) manifests.clear();
    if (manifests.size === 0) return;
    for (const { manifestPath } of await listOf(storage, snapshot)) manifests.delete(manifestPath);
  }
}

/**
 * The remaining snapshots, likely listers first. Along the chain a manifest is inherited or never
 * comes back: of the ancestors of the head that are younger than all thinned ones, the oldest
 * answers for the others.
 */
function possibleListers(
  metadata: TableMetadata,
  branch: string,
  gone: readonly Snapshot[],
): Snapshot[] {
  const bySequence = (a: Snapshot, b: Snapshot): number =>
    a.sequenceNumber < b.sequenceNumber ? -1 : 1;
  const newest = gone.toSorted(bySequence).at(-1)?.sequenceNumber ?? 0n;
  const chain = visibleChain(metadata, branch).filter((each) => each.sequenceNumber > newest);
  const answered = new Set<SnapshotId>(chain.slice(0, -1).map(({ snapshotId }) => snapshotId));
  const head = headOf(metadata, branch);
  const distance = ({ sequenceNumber: n }: Snapshot): bigint =>
    n > newest ? n - newest : newest - n;
  return metadata.snapshots
    .filter(({ snapshotId }) => snapshotId === head || !answered.has(snapshotId))
    .sort((a, b) => (distance(a) < distance(b) ? -1 : 1));
}

function listOf(storage: Storage, { manifestList }: Snapshot): Promise<ManifestFile[]> {
  return storage.get(manifestList).then(readManifestList);
}
