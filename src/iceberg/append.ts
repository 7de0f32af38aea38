/**
 * Staging of an append, in two parts: what is done once (data manifests of the new files), and what
 * is done for every attempt on the head it is built on (manifest merging, manifest list, snapshot,
 * v3 row ids). Nothing here decides about commits; `writer/` does.
 *
 * Stub of the interface only, see the issue; implementation follows.
 */
import type { Storage } from "#storage/storage.ts";
import type { DataFile } from "./manifest.ts";
import type { Snapshot, SnapshotId, TableMetadata, TableUpdate } from "./metadata.ts";

/** What one attempt is to append. */
export interface StageAppend {
  readonly storage: Storage;
  /** The head that the attempt is built on. */
  readonly metadata: TableMetadata;
  readonly branch: string;
  readonly snapshotId: SnapshotId;
  readonly timestampMs: number;
  /** Empty: an offset-only snapshot. */
  readonly files: readonly DataFile[];
  /** Added to the snapshot summary (`kafka-iceberg.*`). */
  readonly summary: Readonly<Record<string, string>>;
  /** Makes names of manifests unique: commit id and attempt number. */
  readonly nameSuffix: string;
}

/** A snapshot whose manifests and manifest list are durable, not yet committed. */
export interface StagedSnapshot {
  readonly snapshot: Snapshot;
  /** `add-snapshot` and `set-snapshot-ref`. */
  readonly updates: readonly TableUpdate[];
  /** Files written for this attempt (manifests, manifest list), for clean-up by the rules of 2.4. */
  readonly writtenFiles: readonly string[];
}

/** The exported verb of this file. */
export type StageAppendFunction = (request: StageAppend) => Promise<StagedSnapshot>;
