/**
 * Which snapshots a commit removes from the metadata, so that it stays small however often we
 * commit (SPEC section 4, `[maintenance]`).
 *
 * Kept are all snapshots of the last hour, then the oldest of every ten minutes of the first day,
 * then the oldest of every hour, up to the retention. When that is more than `snapshotsMax`, the
 * period in which all are kept shrinks, to no less than half of them, and then the oldest go.
 *
 * Parents are known by id only, so removing a snapshot hides all behind it from a walk along the
 * chain. Never removed are therefore the heads of refs, what only another branch reaches, and, on
 * the branch itself, everything from its head down to the nearest snapshot with our offsets
 * (SPEC 2.2). Snapshots beside the chain (rolled back, staged) are left alone until the visible
 * chain begins after them.
 */
import type { Snapshot, SnapshotId, TableMetadata } from "./metadata.ts";

/** What is kept. Durations in ms. */
export interface ThinningPolicy {
  readonly branch: string;
  /** `snapshot_keep_all_seconds`; default 1 hour. */
  readonly keepAllMs: number;
  /** `snapshot_retention_days`; default 7 days. */
  readonly retentionMs: number;
  /** `snapshot_max`; default 500. */
  readonly snapshotsMax: number;
}

/** Summary key whose presence makes a snapshot hold all committed offsets (SPEC 2.1). */
const OFFSETS_KEY = "kafka-iceberg.offsets";

/** A snapshot staged by another engine and not yet published. */
const STAGED_KEY = "wap.id";

const TEN_MINUTES_MS = 600_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Most snapshots removed by one commit: an adopted table is thinned over many. */
export const THINNED_PER_COMMIT_MAX = 100;

/** The snapshots to remove, oldest first; at most {@link THINNED_PER_COMMIT_MAX}. */
export function snapshotsToRemove(
  metadata: TableMetadata,
  policy: ThinningPolicy,
  nowMs: number,
): SnapshotId[] {
  const { kept, candidates } = partition(metadata, policy.branch);
  const ageOf = (snapshot: Snapshot): number => nowMs - snapshot.timestampMs;
  const buckets = new Set<number>();
  const sparse = candidates.filter((snapshot) => {
    if (ageOf(snapshot) > policy.retentionMs) return false;
    const bucket = bucketOf(snapshot, ageOf(snapshot));
    const isFirst = !buckets.has(bucket);
    buckets.add(bucket);
    return isFirst;
  });
  const young = candidates.filter((snapshot) => ageOf(snapshot) <= policy.keepAllMs);
  const room = Math.max(0, policy.snapshotsMax - kept);
  const denseMax = Math.max(Math.floor(room / 2), room - sparse.length);
  const dense = denseMax === 0 ? [] : young.slice(-denseMax);
  const stay = new Set([...sparse, ...dense].map((snapshot) => snapshot.snapshotId));
  // The oldest go first when even that is too much; `stay` is counted in the candidates' order.
  let surplus = stay.size - room;
  const removed: SnapshotId[] = [];
  for (const { snapshotId } of candidates) {
    if (removed.length === THINNED_PER_COMMIT_MAX) break;
    if (!stay.has(snapshotId)) removed.push(snapshotId);
    else if (surplus-- > 0) removed.push(snapshotId);
  }
  return removed;
}

/** Ten minutes of the first day, then hours; no two have the same number. */
function bucketOf(snapshot: Snapshot, ageMs: number): number {
  if (ageMs <= DAY_MS) return Math.floor(snapshot.timestampMs / TEN_MINUTES_MS);
  return -Math.floor(snapshot.timestampMs / HOUR_MS);
}

/** How many snapshots must stay, and the others, oldest first. */
function partition(
  metadata: TableMetadata,
  branch: string,
): { kept: number; candidates: Snapshot[] } {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  const chain = walk(byId, metadata.refs[branch]?.snapshotId);
  const ours = new Set(chain.map((snapshot) => snapshot.snapshotId));
  const keep = new Set<SnapshotId>();
  for (const [name, ref] of Object.entries(metadata.refs)) {
    keep.add(ref.snapshotId);
    if (name === branch || ref.type === "tag") continue;
    for (const { snapshotId } of walk(byId, ref.snapshotId)) {
      if (!ours.has(snapshotId)) keep.add(snapshotId);
    }
  }
  const nearest = chain.findIndex((snapshot) => snapshot.summary[OFFSETS_KEY] !== undefined);
  for (const { snapshotId } of nearest === -1 ? chain : chain.slice(0, nearest + 1)) {
    keep.add(snapshotId);
  }
  const tail = chain.at(-1)?.sequenceNumber ?? 0n;
  const candidates = metadata.snapshots.filter(
    (snapshot) =>
      !keep.has(snapshot.snapshotId) &&
      snapshot.summary[STAGED_KEY] === undefined &&
      (ours.has(snapshot.snapshotId) || snapshot.sequenceNumber < tail),
  );
  candidates.sort((a, b) => (a.sequenceNumber < b.sequenceNumber ? -1 : 1));
  return { kept: metadata.snapshots.length - candidates.length, candidates };
}

/** The snapshots from a head to the oldest visible ancestor. */
function walk(byId: ReadonlyMap<SnapshotId, Snapshot>, head: SnapshotId | undefined): Snapshot[] {
  const chain: Snapshot[] = [];
  let snapshot = head === undefined ? undefined : byId.get(head);
  while (snapshot !== undefined) {
    chain.push(snapshot);
    snapshot = snapshot.parentSnapshotId === null ? undefined : byId.get(snapshot.parentSnapshotId);
  }
  return chain;
}
