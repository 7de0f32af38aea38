/**
 * The live files of a snapshot as whoever replaces some of them needs them: data files one by one
 * and without their metrics, so that memory does not grow with what manifests say of columns, and all
 * delete files.
 */
import { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import { type DataFile, type ManifestFile, UNDESCRIBED } from "#iceberg/manifest/manifest.ts";
import { type ListedFile, readLiveFiles } from "#iceberg/manifest/manifestFile.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { readAhead } from "./readAhead.ts";
import { entriesOf, hasLiveFiles, type LiveFile } from "./scan.ts";

/** The live data files that these manifests list. @throws what the store throws, `storage_corrupt` */
export async function* liveDataFiles(
  storage: Storage,
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
): AsyncGenerator<ListedFile> {
  const wanted = manifests.filter((each) => each.content === "data" && hasLiveFiles(each));
  let at = 0;
  for await (const bytes of readAhead(wanted, (each) => storage.get(each.manifestPath))) {
    const manifest = wanted[at++];
    if (manifest === undefined) return;
    const types = partitionTypes(metadata, specById(metadata, manifest.partitionSpecId));
    for await (const block of readLiveFiles(bytes, manifest, types)) {
      yield* block;
    }
  }
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
    for (const entry of await entriesOf(storage, metadata, manifest)) {
      if (entry.status === "deleted") continue;
      all.push({
        file: entry.file,
        snapshotId: entry.snapshotId ?? manifest.addedSnapshotId,
        sequenceNumber: entry.sequenceNumber ?? manifest.sequenceNumber,
      });
    }
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
