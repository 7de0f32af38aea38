/**
 * Files that only snapshots had which have left the metadata: what expiry removes from the store.
 *
 * A file is named here when a removed snapshot reaches it and no remaining one does: data and delete
 * files by the live entries of manifests, a Puffin file as long as any of its vectors is listed,
 * manifests by manifest lists, manifest lists and statistics by the metadata. Whatever cannot be
 * compared with every remaining snapshot, because one of them cannot be read, is not named.
 *
 * Memory does not grow with the table: data and delete files are looked at in passes of a bounded
 * number of names. A manifest that is both removed and remaining is not looked at at all: its live
 * files are live in the remaining snapshot.
 */
import { LIMITS } from "#base/limits.ts";
import type { ManifestFile } from "#iceberg/manifest/manifest.ts";
import { type NamedFile, readLivePaths } from "#iceberg/manifest/manifestFile.ts";
import { readManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { statisticsFiles } from "#iceberg/metadata/statistics.ts";
import { comparable } from "#storage/location.ts";
import type { Storage } from "#storage/storage.ts";
import { readAhead } from "./readAhead.ts";

/** What a file was to the table. */
export type FileRole = "content" | "manifest" | "manifest-list" | "statistics";

/** Files that may go, of one role. */
export interface UnreachableFiles {
  readonly role: FileRole;
  readonly files: readonly NamedFile[];
}

/** What was removed from the metadata, and what is left. */
export interface Removed {
  /** The metadata before: it says which statistics the snapshots had. */
  readonly before: TableMetadata;
  readonly snapshots: readonly Snapshot[];
  readonly after: TableMetadata;
}

/**
 * Names files that nothing reaches any more: content first, by which the most room is won.
 * @param namesMax names of data and delete files in memory at once
 * @throws what the store throws; what was named before may go all the same
 */
export async function* unreachableFiles(
  storage: Storage,
  removed: Removed,
  namesMax: number = LIMITS.maintenanceNamesMax,
): AsyncGenerator<UnreachableFiles> {
  const { before, after, snapshots } = removed;
  const left = new Set(after.snapshots.map(({ snapshotId }) => snapshotId));
  const gone = snapshots.filter(({ snapshotId }) => !left.has(snapshotId));
  if (gone.length === 0) return;
  const candidates = await knownManifests(storage, gone);
  const kept = await knownManifests(storage, after.snapshots);
  for (const path of kept.keys()) candidates.delete(path);
  const manifests = [...candidates.values()];
  const entries = manifests.reduce((sum, each) => sum + each.liveFiles, 0);
  const passes = Math.max(1, Math.ceil(entries / namesMax));
  for (let pass = 0; pass < passes; pass++) {
    const isOfPass = (path: string): boolean => passes === 1 || passOf(path, passes) === pass;
    const files = await unlistedContent(storage, manifests, [...kept.values()], isOfPass);
    if (files.length > 0) yield { role: "content", files };
  }
  const statistics = unlistedStatistics(before, after, gone);
  if (statistics.length > 0) yield { role: "statistics", files: statistics };
  if (manifests.length > 0) {
    yield { role: "manifest", files: manifests.map(({ path, bytes }) => ({ path, bytes })) };
  }
  const lists = new Set(after.snapshots.map(({ manifestList }) => comparable(manifestList)));
  const unlisted = gone.filter(({ manifestList }) => !lists.has(comparable(manifestList)));
  const files = unlisted.map(({ manifestList }) => ({ path: manifestList, bytes: 0 }));
  if (files.length > 0) yield { role: "manifest-list", files };
}

/** A manifest as far as it matters here: whole rows of many lists would not fit in memory. */
export interface KnownManifest extends NamedFile {
  /** Live files, by the manifest list. */
  readonly liveFiles: number;
}

/** All manifests of some snapshots, by comparable path; the newest snapshot's come first. */
export async function knownManifests(
  storage: Storage,
  snapshots: readonly Snapshot[],
): Promise<Map<string, KnownManifest>> {
  const newestFirst = snapshots.toReversed();
  const lists = readAhead(newestFirst, async ({ manifestList }) =>
    // Not through the remembered lists: those belong to commits.
    readManifestList(await storage.get(manifestList)),
  );
  const known = new Map<string, KnownManifest>();
  for await (const list of lists) {
    for (const manifest of list) {
      const path = comparable(manifest.manifestPath);
      if (!known.has(path)) known.set(path, summaryOf(manifest));
    }
  }
  return known;
}

function summaryOf(manifest: ManifestFile): KnownManifest {
  const { manifestPath: path, manifestLength, addedFilesCount, existingFilesCount } = manifest;
  return { path, bytes: Number(manifestLength), liveFiles: addedFilesCount + existingFilesCount };
}

/** Live files of `manifests` that none of `kept` lists. */
async function unlistedContent(
  storage: Storage,
  manifests: readonly KnownManifest[],
  kept: readonly KnownManifest[],
  isOfPass: (path: string) => boolean,
): Promise<NamedFile[]> {
  const names = new Map<string, NamedFile>();
  for await (const files of liveFilesOf(storage, manifests)) {
    for (const file of files) {
      const key = comparable(file.path);
      if (isOfPass(key)) names.set(key, file);
    }
  }
  if (names.size === 0) return [];
  // The head's manifests come first, and list nearly all of them.
  for await (const files of liveFilesOf(storage, kept)) {
    for (const { path } of files) names.delete(comparable(path));
    if (names.size === 0) break;
  }
  return [...names.values()];
}

/** The live files of manifests, block by block. */
export async function* liveFilesOf(
  storage: Storage,
  manifests: readonly KnownManifest[],
): AsyncGenerator<readonly NamedFile[]> {
  const some = manifests.filter(({ liveFiles }) => liveFiles > 0);
  for await (const content of readAhead(some, ({ path }) => storage.get(path))) {
    yield* readLivePaths(content);
  }
}

function passOf(path: string, passes: number): number {
  return Bun.hash.xxHash32(path) % passes;
}

function unlistedStatistics(
  before: TableMetadata,
  after: TableMetadata,
  gone: readonly Snapshot[],
): NamedFile[] {
  const left = new Set(statisticsFiles(after).map(({ path }) => comparable(path)));
  const ids = new Set<SnapshotId | null>(gone.map(({ snapshotId }) => snapshotId));
  return statisticsFiles(before)
    .filter(({ snapshotId, path }) => ids.has(snapshotId) && !left.has(comparable(path)))
    .map(({ path, bytes }) => ({ path, bytes }));
}
