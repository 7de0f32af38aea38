/**
 * What can still be seen of the table's history: the chain through visible snapshots and through
 * earlier metadata files, written apart from the code that it judges.
 */
import type { Snapshot, SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { World } from "./world.ts";

/**
 * The nearest ancestor whose document can be had whole; "none": the chain ends and never was ours;
 * "unknown": the chain is cut before.
 */
export function nearestDocument(world: World): SnapshotId | "none" | "unknown" {
  const { metadata } = world;
  const seen = seenSnapshots(world);
  const property = metadata.properties["kafka-iceberg.progress.main"];
  const written = /"snapshot-id":\s*(\d+)/.exec(property ?? "")?.[1];
  const isWhole = (snapshot: Snapshot): boolean =>
    snapshot.summary["kafka-iceberg.offsets"]?.startsWith('{"v":1') === true ||
    written === String(snapshot.snapshotId);
  let nearest: SnapshotId | null = null;
  let id = metadata.currentSnapshotId;
  for (let at = seen.get(id ?? 0n); at !== undefined; at = seen.get(id ?? 0n)) {
    if (at.summary["kafka-iceberg.offsets"] !== undefined) nearest ??= at.snapshotId;
    if (nearest !== null && isWhole(at)) return nearest;
    id = at.parentSnapshotId;
  }
  if (nearest === null && property === undefined) return "none";
  // The property of the snapshot right behind the cut stands for it.
  return nearest === null && id !== null && written === String(id) ? id : "unknown";
}

/** Snapshots of the metadata and of the earlier files that its log names and that are still there. */
function seenSnapshots({ metadata, metadataFiles }: World): Map<SnapshotId, Snapshot> {
  const seen = new Map<SnapshotId, Snapshot>();
  const files = metadata.metadataLog.map((entry) => metadataFiles.get(entry.metadataFile));
  for (const each of [...files, metadata]) {
    for (const snapshot of each?.snapshots ?? []) seen.set(snapshot.snapshotId, snapshot);
  }
  return seen;
}
