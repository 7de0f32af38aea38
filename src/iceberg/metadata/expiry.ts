/**
 * Which snapshots, branches and tags expiry takes out of the metadata: one pure function of metadata,
 * policy and time (SPEC section 4, `[maintenance]`). It is Java's `RemoveSnapshots` with our defaults,
 * so that Spark's `expire_snapshots` finds nothing left to do.
 *
 * Of each branch stay, from its head on: the newest `min-snapshots-to-keep`, and those that are not
 * older than `max-snapshot-age`; the ref's own settings come before the table's, the table's before
 * ours. Where nobody but us says an age, at most `snapshotsMax` that are older than `keepAllMs` stay.
 * Of a tag stays its snapshot; of what no branch or tag reaches, what is young enough.
 *
 * Besides, the chain stays from the head of each branch down to a snapshot with all our offsets (SPEC
 * 2.2): parents are known by id only, so what is removed hides everything behind it.
 */
import type { Snapshot, SnapshotId, SnapshotRef, TableMetadata } from "./metadata.ts";
import {
  downToOffsets,
  Lines,
  OFFSETS_KEY,
  type RetentionPolicy,
  snapshotsMin,
  wholeNumber,
} from "./retention.ts";

/** What is kept; durations in ms. The table's own settings come first. */
export type ExpiryPolicy = Omit<RetentionPolicy, "branch">;

/** What expiry removes from one head. */
export interface Expiry {
  readonly snapshots: readonly Snapshot[];
  /** Branches and tags that are older than `max-ref-age`. */
  readonly refs: readonly string[];
  /** Snapshots that stay for our offsets alone: an own snapshot on the head lets them go. */
  readonly heldForOffsets: readonly Snapshot[];
}

/** True when the table's owner forbids the removal of files and snapshots (`gc.enabled`). */
export function forbidsRemoval({ properties }: Pick<TableMetadata, "properties">): boolean {
  return properties["gc.enabled"]?.toLowerCase() === "false";
}

/** What goes at `nowMs`; nothing where the table forbids it. */
export function expiryOf(metadata: TableMetadata, policy: ExpiryPolicy, nowMs: number): Expiry {
  if (forbidsRemoval(metadata)) return { snapshots: [], refs: [], heldForOffsets: [] };
  const refs = staleRefs(metadata, nowMs);
  const lines = new Lines(metadata);
  const branches = Object.entries(metadata.refs)
    .filter(([name]) => !refs.includes(name))
    .map(([name, ref]) => ({
      name,
      ref,
      line: ref.type === "tag" ? [] : lines.from(ref.snapshotId),
    }));
  const kept = new Set<SnapshotId | null>([metadata.currentSnapshotId]);
  const reached = new Set<SnapshotId>();
  for (const { ref, line } of branches) {
    kept.add(ref.snapshotId);
    reached.add(ref.snapshotId);
    for (const { snapshotId } of line) reached.add(snapshotId);
    for (const { snapshotId } of keptOf(metadata, ref, line, policy, nowMs)) kept.add(snapshotId);
  }
  const ageMs = snapshotAgeMs(metadata, null, policy);
  for (const { snapshotId, timestampMs } of metadata.snapshots) {
    if (!reached.has(snapshotId) && nowMs - timestampMs <= ageMs) kept.add(snapshotId);
  }
  const heldForOffsets = branches
    .flatMap(({ name, line }) => offsetsOf(metadata, name, line))
    .filter(({ snapshotId }) => !kept.has(snapshotId));
  for (const { snapshotId } of heldForOffsets) kept.add(snapshotId);
  const snapshots = metadata.snapshots.filter(({ snapshotId }) => !kept.has(snapshotId));
  return { snapshots, refs, heldForOffsets };
}

/** Refs that are too old, by the age of their snapshot. Never main, never a branch that we write. */
function staleRefs({ refs, properties, snapshots }: TableMetadata, nowMs: number): string[] {
  const ofTable = wholeNumber(properties["history.expire.max-ref-age-ms"]);
  const times = new Map(snapshots.map(({ snapshotId, timestampMs }) => [snapshotId, timestampMs]));
  return Object.entries(refs).flatMap(([name, ref]) => {
    const maxMs = ref.maxRefAgeMs ?? ofTable;
    const timestampMs = times.get(ref.snapshotId);
    if (name === "main" || maxMs === null || timestampMs === undefined) return [];
    if (properties[`${PROGRESS_PROPERTY}${name}`] !== undefined) return [];
    return nowMs - timestampMs > maxMs ? [name] : [];
  });
}

/** What the names of our progress properties begin with (SPEC 2.1); the branch follows. */
const PROGRESS_PROPERTY = "kafka-iceberg.progress.";

/** How old a snapshot may become, ms. */
function snapshotAgeMs(
  { properties }: TableMetadata,
  ref: SnapshotRef | null,
  policy: ExpiryPolicy,
): number {
  const wanted =
    ref?.maxSnapshotAgeMs ?? wholeNumber(properties["history.expire.max-snapshot-age-ms"]);
  return Math.max(policy.keepAllMs, wanted ?? policy.retentionMs);
}

/** What stays of a branch, newest first: once one goes, everything behind it goes as well. */
function keptOf(
  metadata: TableMetadata,
  ref: SnapshotRef,
  line: readonly Snapshot[],
  policy: ExpiryPolicy,
  nowMs: number,
): readonly Snapshot[] {
  const countMin = Math.max(1, snapshotsMin(metadata, ref.minSnapshotsToKeep));
  const ageMsMax = snapshotAgeMs(metadata, ref, policy);
  const isOurs =
    ref.maxSnapshotAgeMs === null &&
    wholeNumber(metadata.properties["history.expire.max-snapshot-age-ms"]) === null;
  let sparse = 0;
  const end = line.findIndex(({ timestampMs }, index) => {
    const ageMs = nowMs - timestampMs;
    if (ageMs > policy.keepAllMs) sparse++;
    if (index < countMin) return false;
    return ageMs > ageMsMax || (isOurs && sparse > policy.snapshotsMax);
  });
  return end === -1 ? line : line.slice(0, end);
}

/** The snapshots of a branch by which its committed offsets are read. */
function offsetsOf(
  { properties }: TableMetadata,
  branch: string,
  line: readonly Snapshot[],
): readonly Snapshot[] {
  if (line.some(({ summary }) => summary[OFFSETS_KEY] !== undefined)) return downToOffsets(line);
  // The property is believed only where the chain is cut right behind its snapshot.
  return properties[`${PROGRESS_PROPERTY}${branch}`] === undefined ? [] : line;
}
