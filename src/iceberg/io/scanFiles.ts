/**
 * The live files of a snapshot as a query needs them, of manifests that were read lately from memory: questions
 * come many times a second, and each would decode the manifests of all files.
 */
import { LIMITS } from "#base/limits.ts";
import { type DataFile, UNDESCRIBED } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { createKnownManifests, manifestKey } from "./knownManifests.ts";
import { type LiveFile, listDataFiles, liveIn, type ReadLive } from "./scan.ts";

/** Memory of a file without its bounds and its path, bytes; of one bound. */
const FILE_BYTES = 1000;
const BOUND_BYTES = 160;

const scanned = createKnownManifests(LIMITS.knownManifestsBytesMax, bytesOf);

/**
 * The live data and delete files of a snapshot, manifest by manifest; none for an unknown id. Of what manifests
 * say of a file's columns only the bounds are there.
 * @throws what the store throws, `storage_corrupt`
 */
export function scanFiles(
  storage: Storage,
  metadata: TableMetadata,
  snapshotId: SnapshotId,
): AsyncGenerator<LiveFile> {
  return listDataFiles(storage, metadata, snapshotId, knownLive);
}

const knownLive: ReadLive = async (storage, metadata, manifest) => {
  const types = partitionTypes(metadata, specById(metadata, manifest.partitionSpecId));
  const key = manifestKey(manifest, types);
  const known = scanned.get(storage, key);
  if (known !== null) return known;
  const files = (await liveIn(storage, metadata, manifest)).map((live) => {
    return { ...live, file: withoutCounts(live.file) };
  });
  scanned.set(storage, key, files);
  return files;
};

function withoutCounts(file: DataFile): DataFile {
  const { columnSizes, valueCounts, nullValueCounts, nanValueCounts, splitOffsets } = UNDESCRIBED;
  return { ...file, columnSizes, valueCounts, nullValueCounts, nanValueCounts, splitOffsets };
}

function bytesOf(files: readonly LiveFile[]): number {
  let bytes = 0;
  for (const { file } of files) {
    bytes += FILE_BYTES + file.filePath.length;
    for (const bounds of [file.lowerBounds, file.upperBounds]) {
      for (const bound of bounds.values()) bytes += BOUND_BYTES + bound.length;
    }
  }
  return bytes;
}
