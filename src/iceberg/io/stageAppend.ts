/**
 * Staging of a snapshot on the head that an attempt is built on: manifests of the new files, data and
 * deletes; those of the head (without the files that leave the table; small ones merged when there are
 * many); manifest list, snapshot, v3 row ids. Nothing here decides about commits, and nothing is removed
 * from the store; `commit/` does both.
 *
 * The manifests of new files name neither snapshot nor sequence number: both are inherited (Iceberg
 * spec, "Sequence Number Inheritance").
 */
import { assert } from "#base/assert.ts";
import { failpoint } from "#base/failpoint.ts";
import type { DataFile, ManifestFile } from "#iceberg/manifest/manifest.ts";
import { createManifestWriter, type EncodedManifest } from "#iceberg/manifest/manifestFile.ts";
import { assignRowIds, writeManifestList } from "#iceberg/manifest/manifestList.ts";
import { snapshotSummary } from "#iceberg/manifest/snapshotSummary.ts";
import type {
  Snapshot,
  SnapshotId,
  TableMetadata,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import { METADATA_PATH } from "#iceberg/metadata/properties.ts";
import { partitionTypes, specById } from "#iceberg/partition/partitionType.ts";
import type { Storage } from "#storage/storage.ts";
import { chooseMerges, mergeGroup } from "./manifestMerge.ts";
import { withoutFiles } from "./removeFiles.ts";
import { hasLiveFiles, manifestsOf, rememberManifests } from "./scan.ts";

/** A manifest with its place. */
export interface NewManifest {
  readonly location: string;
  readonly encoded: EncodedManifest;
}

/** Manifests of the head that are replaced, with the same live files, by others. */
export interface RewrittenManifests {
  readonly replaced: ReadonlySet<string>;
  readonly written: readonly (NewManifest & { readonly firstRowId: bigint | null })[];
}

/** What one attempt is to make of the head. */
export interface StageAppend {
  readonly storage: Storage;
  /** The head that the attempt is built on. */
  readonly metadata: TableMetadata;
  readonly branch: string;
  readonly snapshotId: SnapshotId;
  readonly timestampMs: number;
  /** Data and delete files; empty: an offset-only snapshot. */
  readonly files: readonly DataFile[];
  /** Data sequence number of the data files; delete files have the snapshot's own. Default: its own as well. */
  readonly dataSequenceNumber?: bigint | undefined;
  /** Files of the head that are not in the snapshot; default none. */
  readonly removed?: readonly DataFile[] | undefined;
  /** Manifests that take the place of others of the head; default none. They are durable. */
  readonly rewritten?: RewrittenManifests | undefined;
  /** Added to the snapshot summary (`kafka-iceberg.*`); also replaces its `operation`. */
  readonly summary: Readonly<Record<string, string>>;
  /** Makes names of manifests unique: commit id and attempt number. */
  readonly nameSuffix: string;
  /** Told the names of all files before the first of them is written. */
  readonly planned?: (locations: readonly string[]) => void;
}

/** A snapshot whose manifests and manifest list are durable, not yet committed. */
export interface StagedSnapshot {
  readonly snapshot: Snapshot;
  /** `add-snapshot` and `set-snapshot-ref`. */
  readonly updates: readonly TableUpdate[];
  /** Files written for this attempt (manifests, manifest list), for clean-up by the rules of 2.4. */
  readonly writtenFiles: readonly string[];
}

/**
 * Makes a snapshot durable on top of the branch's head: new manifests, those of the head without the
 * files that leave (small ones merged when there are many), manifest list.
 *
 * Sequence number, timestamp and row ids follow the given metadata: they hold for a commit on
 * exactly that head. When a write fails, any of the files may exist: `planned` was told their names.
 */
export async function stageAppend(request: StageAppend): Promise<StagedSnapshot> {
  const { storage, metadata, snapshotId } = request;
  const sequenceNumber = metadata.lastSequenceNumber + 1n;
  const parent = headSnapshot(metadata, request.branch);
  const inherited = parent === null ? [] : await manifestsOf(storage, parent);
  const fresh = await encodeNewFiles(request);
  const { replaced, written } = request.rewritten ?? NOT_REWRITTEN;
  const live = inherited.filter(
    (manifest) => hasLiveFiles(manifest) && !replaced.has(manifest.manifestPath),
  );
  const left = await takeOut(request, live, fresh.length);
  const merged =
    written.length === 0
      ? await mergeSmall(request, left.kept, fresh.length + left.written.length)
      : { kept: left.kept, written: [] };

  const identity = { snapshotId, sequenceNumber };
  const unassigned = [
    ...fresh.map((manifest) => listed(manifest, identity, null)),
    ...[...written, ...left.written, ...merged.written].map((manifest) =>
      listed(manifest, identity, manifest.firstRowId),
    ),
    ...merged.kept,
  ];
  const firstRowId = metadata.formatVersion === 3 ? (metadata.nextRowId ?? 0n) : null;
  const assigned = assignRowIds(unassigned, firstRowId ?? 0n);
  const manifests = firstRowId === null ? unassigned : assigned.manifests;
  const list = {
    location: `${metadataFolder(metadata)}/snap-${snapshotId}-${request.nameSuffix}.avro`,
    bytes: await writeManifestList({
      formatVersion: metadata.formatVersion,
      snapshotId,
      parentSnapshotId: parent?.snapshotId ?? null,
      sequenceNumber,
      firstRowId,
      manifests,
    }),
  };

  failpoint("manifest");
  const writes = [
    ...[...fresh, ...left.written, ...merged.written].map(({ location, encoded }) => ({
      location,
      ...encoded,
    })),
    list,
  ];
  const writtenFiles = writes.map(({ location }) => location);
  request.planned?.(writtenFiles);
  await putAll(storage, writes);
  rememberManifests(storage, list.location, manifests);

  const snapshot: Snapshot = {
    snapshotId,
    parentSnapshotId: parent?.snapshotId ?? null,
    sequenceNumber,
    timestampMs: timestampAfter(metadata, parent, request.timestampMs),
    manifestList: list.location,
    summary: {
      ...snapshotSummary(parent, inherited, {
        added: request.files,
        removed: request.removed ?? [],
      }),
      ...request.summary,
    },
    schemaId: metadata.currentSchemaId,
    firstRowId,
    addedRows: firstRowId === null ? null : assigned.nextRowId - firstRowId,
  };
  return { snapshot, updates: updatesOf(metadata, request.branch, snapshot), writtenFiles };
}

const NOT_REWRITTEN: RewrittenManifests = { replaced: new Set(), written: [] };

/** Where a table keeps manifests and metadata (`write.metadata.path`); no slash at the end. */
export function metadataFolder(metadata: TableMetadata): string {
  const folder = metadata.properties[METADATA_PATH] ?? `${metadata.location}/metadata`;
  return folder.replace(/\/+$/, "");
}

/** The snapshot that adds it is inherited. */
const NEW_ENTRY = { status: "added", snapshotId: null, fileSequenceNumber: null } as const;

/** One manifest per partition spec and content of the files. */
async function encodeNewFiles(request: StageAppend): Promise<NewManifest[]> {
  const { metadata, files, nameSuffix, dataSequenceNumber = null } = request;
  const kinds = Map.groupBy(files, ({ specId, content }) => `${specId} ${content === "data"}`);
  return Promise.all(
    [...kinds.values()].map(async (members, index) => {
      const [first] = members;
      assert(first !== undefined, "a group has a member");
      const spec = specById(metadata, first.specId);
      const types = partitionTypes(metadata, spec);
      const content = first.content === "data" ? "data" : "deletes";
      const writer = createManifestWriter({ metadata, spec, types, content });
      const sequenceNumber = content === "data" ? dataSequenceNumber : null;
      for (const file of members) await writer.add({ ...NEW_ENTRY, sequenceNumber, file });
      const encoded = await writer.finish();
      return { location: manifestLocation(metadata, nameSuffix, index), encoded };
    }),
  );
}

/** Manifests of the head: those that stay as they are, and what is written in place of others. */
interface Inherited {
  readonly kept: readonly ManifestFile[];
  readonly written: RewrittenManifests["written"];
}

/** Takes files out of the head's manifests; `first` is the first free number for names. */
async function takeOut(
  { storage, metadata, snapshotId, removed = [], nameSuffix }: StageAppend,
  live: readonly ManifestFile[],
  first: number,
): Promise<Inherited> {
  if (removed.length === 0) return { kept: live, written: [] };
  const without = await withoutFiles(storage, metadata, live, removed, snapshotId);
  const written = without.written.map((manifest, index) => ({
    ...manifest,
    location: manifestLocation(metadata, nameSuffix, first + index),
  }));
  return { kept: live.filter((manifest) => !without.replaced.has(manifest)), written };
}

/** Merges small manifests of the head; `first` is the first free number for their names. */
async function mergeSmall(
  request: StageAppend,
  live: readonly ManifestFile[],
  first: number,
): Promise<Inherited> {
  const { storage, metadata, nameSuffix } = request;
  const groups = chooseMerges(metadata, live);
  const written = await Promise.all(
    groups.map(async (group, index) => ({
      ...(await mergeGroup(storage, metadata, group)),
      location: manifestLocation(metadata, nameSuffix, first + index),
    })),
  );
  const replaced = new Set(groups.flatMap((group) => group.manifests));
  return { kept: live.filter((manifest) => !replaced.has(manifest)), written };
}

/** Where a manifest of a commit is written; `nameSuffix` and index make its name. */
export function manifestLocation(
  metadata: TableMetadata,
  nameSuffix: string,
  index: number,
): string {
  return `${metadataFolder(metadata)}/${nameSuffix}-m${index}.avro`;
}

/** A manifest of this snapshot as its row in the manifest list. */
function listed(
  { location, encoded }: NewManifest,
  { snapshotId, sequenceNumber }: { snapshotId: SnapshotId; sequenceNumber: bigint },
  firstRowId: bigint | null,
): ManifestFile {
  const { bytes, minSequenceNumber, ...counts } = encoded;
  return {
    ...counts,
    manifestPath: location,
    manifestLength: BigInt(bytes.length),
    sequenceNumber,
    minSequenceNumber: minSequenceNumber ?? sequenceNumber,
    addedSnapshotId: snapshotId,
    firstRowId,
  };
}

/** What the snapshot follows; a missing branch begins at main's head. */
function headSnapshot(metadata: TableMetadata, branch: string): Snapshot | null {
  const id = metadata.refs[branch]?.snapshotId ?? metadata.currentSnapshotId;
  return metadata.snapshots.findLast((snapshot) => snapshot.snapshotId === id) ?? null;
}

/** Snapshots of a table are in order of time, whatever this machine's clock says. */
function timestampAfter(
  metadata: TableMetadata,
  parent: Snapshot | null,
  timestampMs: number,
): number {
  const lastLogged = metadata.snapshotLog.at(-1)?.timestampMs ?? 0;
  const last = Math.max(lastLogged, parent?.timestampMs ?? 0);
  return last === 0 ? timestampMs : Math.max(timestampMs, last + 1);
}

function updatesOf(metadata: TableMetadata, branch: string, snapshot: Snapshot): TableUpdate[] {
  const ref = metadata.refs[branch];
  return [
    { action: "add-snapshot", snapshot },
    {
      action: "set-snapshot-ref",
      ref: branch,
      value: {
        snapshotId: snapshot.snapshotId,
        type: "branch",
        minSnapshotsToKeep: ref?.minSnapshotsToKeep ?? null,
        maxSnapshotAgeMs: ref?.maxSnapshotAgeMs ?? null,
        maxRefAgeMs: ref?.maxRefAgeMs ?? null,
      },
    },
  ];
}

/** Writes independent files at the same time; resolves when nothing is written any more. */
async function putAll(
  storage: Storage,
  writes: readonly { readonly location: string; readonly bytes: Uint8Array }[],
): Promise<void> {
  const results = await Promise.allSettled(
    writes.map(({ location, bytes }) => storage.put(location, bytes)),
  );
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
