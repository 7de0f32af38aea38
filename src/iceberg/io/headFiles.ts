/**
 * The live files of a branch's head, with the deletes that apply to each data file (Iceberg spec, "Scan
 * Planning"). Kept from head to head: manifests that two heads share are read once.
 *
 * Metrics of data files are not kept, but for the upper bound of one column where that is asked for: a table
 * of many thousand files would hold hundreds of megabytes.
 */
import { DeleteIndex, isVector } from "#iceberg/deletes/deleteIndex.ts";
import type { DataFile, ManifestFile, PartitionValue } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import type { Storage } from "#storage/storage.ts";
import { fileKey } from "./removeFiles.ts";
import { hasLiveFiles, type LiveFile, liveIn, manifestsOf } from "./scan.ts";

/** A live data file. */
export interface LiveData {
  readonly path: string;
  /** `PARQUET`, ... */
  readonly format: string;
  readonly specId: number;
  readonly partition: readonly PartitionValue[];
  /** Rows, deleted ones included. */
  readonly rows: number;
  readonly bytes: number;
  readonly sequenceNumber: bigint;
  /** v3; null before it. */
  readonly firstRowId: bigint | null;
  /** Of the column that was asked for. Default: null, none was, or it is not known. */
  readonly upperBound?: Uint8Array | null;
}

/** What deletes rows of one data file. */
export interface AppliedDeletes {
  readonly vector: LiveFile | null;
  /** Files of position deletes that may name the data file; none where it has a vector, which holds them. */
  readonly positions: readonly LiveFile[];
  readonly equality: readonly LiveFile[];
}

/** The files of one head. */
export interface HeadFiles {
  /** Null: the branch has no snapshot. */
  readonly snapshotId: SnapshotId | null;
  /** By path. */
  readonly data: ReadonlyMap<string, LiveData>;
  /** By {@link fileKey}. */
  readonly deletes: ReadonlyMap<string, LiveFile>;
  readonly index: DeleteIndex;
  /** What each manifest lists, by its path. */
  readonly manifests: ReadonlyMap<string, ManifestContent>;
}

/** The live files of one manifest, which never changes. */
interface ManifestContent {
  /** What the list gives its files: a table that was upgraded to v3 gives it to those from before, and by its next commit. */
  readonly firstRowId: bigint | null;
  readonly data: readonly LiveData[];
  readonly deletes: readonly LiveFile[];
}

/**
 * Lists a snapshot; null: nothing is there.
 * @param before what was listed last of the same table; manifests in it are not read again
 * @param boundOf id of the column whose upper bounds are kept: of a table always the same
 * @throws AppError of the store; `storage_missing` when the snapshot was expired meanwhile
 */
export async function readHeadFiles(
  { storage, metadata }: { readonly storage: Storage; readonly metadata: TableMetadata },
  wanted: SnapshotId | null,
  before: HeadFiles | null = null,
  boundOf: number | null = null,
): Promise<HeadFiles> {
  const snapshot = metadata.snapshots.find(({ snapshotId }) => snapshotId === wanted);
  const manifests = new Map<string, ManifestContent>();
  const data = new Map<string, LiveData>();
  const deletes = new Map<string, LiveFile>();
  const listed = snapshot === undefined ? [] : await manifestsOf(storage, snapshot);
  for (const manifest of listed) {
    if (!hasLiveFiles(manifest)) continue;
    const path = manifest.manifestPath;
    const known = before?.manifests.get(path);
    const content =
      known?.firstRowId === manifest.firstRowId
        ? known
        : await readContent(storage, metadata, manifest, boundOf);
    manifests.set(path, content);
    for (const file of content.data) data.set(file.path, file);
    for (const live of content.deletes) deletes.set(fileKey(live.file), live);
  }
  const index = new DeleteIndex(metadata, [...deletes.values()]);
  return { snapshotId: snapshot?.snapshotId ?? null, data, deletes, index, manifests };
}

/** A data file of a commit, as its snapshot lists it. */
export function liveDataOf(
  file: DataFile,
  sequenceNumber: bigint,
  boundOf: number | null = null,
): LiveData {
  return {
    path: file.filePath,
    format: file.fileFormat.toUpperCase(),
    specId: file.specId,
    partition: file.partition,
    rows: Number(file.recordCount),
    bytes: Number(file.fileSizeBytes),
    sequenceNumber,
    firstRowId: file.firstRowId,
    upperBound: boundOf === null ? null : (file.upperBounds.get(boundOf)?.slice() ?? null),
  };
}

async function readContent(
  storage: Storage,
  metadata: TableMetadata,
  manifest: ManifestFile,
  boundOf: number | null,
): Promise<ManifestContent> {
  const live = await liveIn(storage, metadata, manifest);
  const { firstRowId } = manifest;
  if (manifest.content === "deletes") return { firstRowId, data: [], deletes: live };
  const data = live.map(({ file, sequenceNumber }) => liveDataOf(file, sequenceNumber, boundOf));
  return { firstRowId, data, deletes: [] };
}

/** The deletes that apply to a data file. */
export function deletesOf(index: DeleteIndex, data: LiveData): AppliedDeletes {
  return appliedDeletes(index.of(data));
}

/** What deletes rows of one data file, of those that may. */
export function appliedDeletes(deletes: readonly LiveFile[]): AppliedDeletes {
  const equality = deletes.filter(({ file }) => file.content === "equality-deletes");
  const byPosition = deletes.filter(({ file }) => file.content !== "equality-deletes");
  const vector = byPosition.find(({ file }) => isVector(file)) ?? null;
  return { vector, positions: vector === null ? byPosition : [], equality };
}
