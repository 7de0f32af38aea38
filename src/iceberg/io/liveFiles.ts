/**
 * The live files of a snapshot as whoever replaces some of them needs them: data files one by one
 * and without their metrics, so that memory does not grow with what manifests say of columns, and all
 * delete files.
 */
import { LIMITS } from "#base/limits.ts";
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import type { PartitionFieldType } from "#iceberg/manifest/avroSchemas.ts";
import { type DataFile, type ManifestFile, UNDESCRIBED } from "#iceberg/manifest/manifest.ts";
import { type ListedFile, readLiveFiles } from "#iceberg/manifest/manifestFile.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { createKnownManifests, manifestKey } from "./knownManifests.ts";
import { readAhead } from "./readAhead.ts";
import { hasLiveFiles, type LiveFile, liveIn } from "./scan.ts";

/** Memory of a listed file without its path, bytes. */
const LISTED_BYTES = 400;

const listed = createKnownManifests(
  LIMITS.listedManifestsBytesMax,
  (files: readonly ListedFile[]): number =>
    files.reduce((sum, { path }) => sum + LISTED_BYTES + path.length, 0),
);

/**
 * The live data files that these manifests list; of manifests that were read lately from memory, so that another
 * attempt of a commit reads the new ones only. @throws what the store throws, `storage_corrupt`
 */
export async function* liveDataFiles(
  storage: Storage,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
): AsyncGenerator<ListedFile> {
  const wanted = manifests.filter((each) => each.content === "data" && hasLiveFiles(each));
  const read = async (manifest: ManifestFile): Promise<ReadManifest> => {
    const types = partitionTypes(metadata, specById(metadata, manifest.partitionSpecId));
    const key = manifestKey(manifest, types);
    const known = listed.get(storage, key);
    const bytes = known === null ? await storage.get(manifest.manifestPath) : null;
    return { manifest, types, key, known, bytes };
  };
  for await (const { manifest, types, key, known, bytes } of readAhead(wanted, read)) {
    if (bytes === null) {
      yield* known ?? [];
      continue;
    }
    const files: ListedFile[] = [];
    // Block by block: of a large manifest not all files are in memory, unless they are kept.
    const isKept = manifest.addedFilesCount + manifest.existingFilesCount <= KEPT_FILES;
    for await (const block of readLiveFiles(bytes, manifest, types)) {
      if (isKept) files.push(...block);
      yield* block;
    }
    if (isKept) listed.set(storage, key, files);
  }
}

/** Files of a manifest up to which they are kept. */
const KEPT_FILES = 20_000;

/** A manifest: its files as they were kept, or its bytes. */
interface ReadManifest {
  readonly manifest: ManifestFile;
  readonly types: readonly PartitionFieldType[];
  readonly key: string;
  readonly known: readonly ListedFile[] | null;
  readonly bytes: Uint8Array | null;
}

/** The live delete files that these manifests list. @throws what the store throws, `storage_corrupt` */
export async function liveDeletes(
  storage: Storage,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
): Promise<{ readonly all: readonly LiveFile[]; readonly index: DeleteIndex }> {
  const all: LiveFile[] = [];
  for (const manifest of manifests) {
    if (manifest.content !== "deletes" || !hasLiveFiles(manifest)) continue;
    for (const live of await liveIn(storage, metadata, manifest)) all.push(live);
  }
  return { all, index: new DeleteIndex(metadata, all) };
}

/** A listed file as one that leaves the table: nobody asks for its metrics any more. */
export function withoutMetrics(listed: ListedFile): DataFile {
  return {
    ...UNDESCRIBED,
    ...{ content: "data", filePath: listed.path, fileFormat: listed.fileFormat },
    ...{ specId: listed.specId, partition: listed.partition, recordCount: listed.recordCount },
    ...{ fileSizeBytes: listed.sizeBytes, firstRowId: listed.firstRowId },
  };
}
