/**
 * Reading what a snapshot holds: its manifests, its live files, what it added (Iceberg spec, "Scan
 * Planning", without filters).
 */
import { LIMITS } from "#base/limits.ts";
import type { DataFile, ManifestEntry, ManifestFile } from "#iceberg/manifest/manifest.ts";
import { readManifest } from "#iceberg/manifest/manifestFile.ts";
import { readManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { createManifestLists } from "./manifestLists.ts";

const lists = createManifestLists(LIMITS.manifestListsBytesMax);

/** A file that is live in a snapshot. */
export interface LiveFile {
  readonly file: DataFile;
  /** The snapshot that added the file. */
  readonly snapshotId: SnapshotId;
  /** Data sequence number: decides which deletes apply. */
  readonly sequenceNumber: bigint;
}

/** Counts of a snapshot's live files and rows; rows before deletes are applied. */
export interface LiveCounts {
  readonly dataFiles: number;
  readonly dataRows: bigint;
  readonly deleteFiles: number;
}

/** All manifests of a snapshot, deletes included. */
export async function manifestsOf(
  storage: Storage,
  snapshot: Snapshot,
): Promise<readonly ManifestFile[]> {
  const { manifestList } = snapshot;
  const known = lists.get(storage, manifestList);
  if (known !== null) return known;
  const manifests = await readManifestList(await storage.get(manifestList));
  lists.set(storage, manifestList, manifests);
  return manifests;
}

/** Keeps the content of a manifest list that was just written. */
export function rememberManifests(
  storage: Storage,
  location: string,
  manifests: readonly ManifestFile[],
): void {
  lists.set(storage, location, manifests);
}

/** The entries of one manifest of a table, with everything inherited filled in. */
export async function entriesOf(
  storage: Storage,
  metadata: TableMetadata,
  manifest: ManifestFile,
): Promise<ManifestEntry[]> {
  const types = partitionTypes(metadata, specById(metadata, manifest.partitionSpecId));
  return readManifest(await storage.get(manifest.manifestPath), manifest, types);
}

/** Reads the live files of one manifest of a table. */
export type ReadLive = (
  storage: Storage,
  metadata: TableMetadata,
  manifest: ManifestFile,
) => Promise<readonly LiveFile[]>;

/**
 * The live data and delete files of a snapshot, manifest by manifest; none for an unknown id.
 * @param read default: the manifest's file, with everything that it says
 */
export async function* listDataFiles(
  storage: Storage,
  metadata: TableMetadata,
  snapshotId: SnapshotId,
  read: ReadLive = liveIn,
): AsyncGenerator<LiveFile> {
  const snapshot = metadata.snapshots.find((candidate) => candidate.snapshotId === snapshotId);
  if (snapshot === undefined) return;
  for (const manifest of await manifestsOf(storage, snapshot)) {
    if (!hasLiveFiles(manifest)) continue;
    yield* await read(storage, metadata, manifest);
  }
}

/** The live files of one manifest, with everything inherited filled in. */
export async function liveIn(
  storage: Storage,
  metadata: TableMetadata,
  manifest: ManifestFile,
): Promise<LiveFile[]> {
  const entries = await entriesOf(storage, metadata, manifest);
  return entries.flatMap(({ status, file, ...own }) => {
    if (status === "deleted") return [];
    const snapshotId = own.snapshotId ?? manifest.addedSnapshotId;
    return [{ file, snapshotId, sequenceNumber: own.sequenceNumber ?? manifest.sequenceNumber }];
  });
}

/**
 * Every path that a snapshot brought into the table: its manifest list, the manifests that it
 * wrote and the files that it added.
 */
export async function* addedFilePaths(
  storage: Storage,
  snapshot: Snapshot,
): AsyncGenerator<string> {
  yield snapshot.manifestList;
  for (const manifest of await manifestsOf(storage, snapshot)) {
    if (manifest.addedSnapshotId !== snapshot.snapshotId) continue;
    yield manifest.manifestPath;
    if (manifest.addedFilesCount === 0) continue;
    const bytes = await storage.get(manifest.manifestPath);
    for (const { status, file } of await readManifest(bytes, manifest, [])) {
      if (status === "added") yield file.filePath;
    }
  }
}

/**
 * Every path that one of these snapshots lists and that was written after a sequence number: its
 * manifest list, newer manifests, and the live files that those name. A manifest is read once,
 * however many snapshots share it.
 * @param since only manifests of a higher sequence number are looked at: an older one cannot name a
 * file that was written later
 */
export async function* listedPaths(
  storage: Storage,
  snapshots: readonly Snapshot[],
  since: bigint,
): AsyncGenerator<string> {
  const seen = new Set<string>();
  for (const snapshot of snapshots) {
    yield snapshot.manifestList;
    for (const manifest of await manifestsOf(storage, snapshot)) {
      if (manifest.sequenceNumber <= since || seen.has(manifest.manifestPath)) continue;
      seen.add(manifest.manifestPath);
      yield manifest.manifestPath;
      if (hasLiveFiles(manifest)) yield* liveFilePaths(storage, manifest);
    }
  }
}

async function* liveFilePaths(storage: Storage, manifest: ManifestFile): AsyncGenerator<string> {
  const bytes = await storage.get(manifest.manifestPath);
  for (const { status, file } of await readManifest(bytes, manifest, [])) {
    if (status !== "deleted") yield file.filePath;
  }
}

/** Counts live files from the manifest list alone. */
export async function liveCounts(storage: Storage, snapshot: Snapshot): Promise<LiveCounts> {
  let dataFiles = 0;
  let dataRows = 0n;
  let deleteFiles = 0;
  for (const manifest of await manifestsOf(storage, snapshot)) {
    const files = manifest.addedFilesCount + manifest.existingFilesCount;
    if (manifest.content === "deletes") {
      deleteFiles += files;
    } else {
      dataFiles += files;
      dataRows += manifest.addedRowsCount + manifest.existingRowsCount;
    }
  }
  return { dataFiles, dataRows, deleteFiles };
}

/** False when a manifest holds only files that some snapshot deleted. */
export function hasLiveFiles(manifest: ManifestFile): boolean {
  return manifest.addedFilesCount + manifest.existingFilesCount > 0;
}
