/**
 * Staging of a snapshot that replaces all live files by one: what a compaction writes, ours or
 * another engine's.
 */
import { createManifestWriter } from "#iceberg/manifest/manifestFile.ts";
import { assignRowIds, writeManifestList } from "#iceberg/manifest/manifestList.ts";
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import { foreignFile } from "./rows.ts";
import type { World } from "./world.ts";

/** What a rewrite leaves. */
export interface RewriteFiles {
  readonly output: string;
  readonly rows: bigint;
  /** Makes names of manifest and list unique. */
  readonly name: string;
  readonly summary: Readonly<Record<string, string>>;
}

/** A snapshot on the head whose only live file is the output. */
export async function stageRewrite(
  world: World,
  { output, rows, name, summary }: RewriteFiles,
): Promise<{ readonly snapshot: Snapshot; readonly written: readonly string[] }> {
  const { metadata } = world;
  const snapshotId: SnapshotId = world.random.id63();
  const sequenceNumber = metadata.lastSequenceNumber + 1n;
  const file = { ...foreignFile(output), recordCount: rows };
  const spec = { specId: 0, fields: [] };
  const writer = createManifestWriter({ metadata, spec, types: [], content: "data" });
  const none = { snapshotId: null, sequenceNumber: null, fileSequenceNumber: null };
  await writer.add({ status: "added", ...none, file });
  const { bytes, minSequenceNumber, ...counts } = await writer.finish();
  const names = `/wh/db/t/metadata/${name}`;
  const listed = {
    ...counts,
    manifestPath: `${names}-m0.avro`,
    manifestLength: BigInt(bytes.length),
    sequenceNumber,
    minSequenceNumber: minSequenceNumber ?? sequenceNumber,
    addedSnapshotId: snapshotId,
    firstRowId: null,
  };
  const v3 = metadata.formatVersion === 3;
  const firstRowId = v3 ? (metadata.nextRowId ?? 0n) : null;
  const assigned = assignRowIds([listed], firstRowId ?? 0n);
  const parentSnapshotId = metadata.currentSnapshotId;
  const list = await writeManifestList({
    formatVersion: metadata.formatVersion,
    snapshotId,
    parentSnapshotId,
    sequenceNumber,
    firstRowId,
    manifests: v3 ? assigned.manifests : [listed],
  });
  await world.storage.put(listed.manifestPath, bytes);
  await world.storage.put(`${names}-list.avro`, list);
  const last = Math.max(...metadata.snapshots.map((each) => each.timestampMs), world.nowMs);
  const snapshot: Snapshot = {
    snapshotId,
    parentSnapshotId,
    sequenceNumber,
    timestampMs: last + 1,
    manifestList: `${names}-list.avro`,
    summary: { operation: "replace", ...summary },
    schemaId: metadata.currentSchemaId,
    firstRowId,
    addedRows: v3 ? assigned.nextRowId - (firstRowId ?? 0n) : null,
  };
  return { snapshot, written: [listed.manifestPath, `${names}-list.avro`] };
}
