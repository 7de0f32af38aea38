/**
 * Which snapshots stay in the metadata: one pure function of metadata, policy and time (SPEC
 * section 4, `[maintenance]`).
 *
 * A commit thins, it does not expire: it removes own appends only, whose data files all live on in
 * the snapshot that followed. Everything else (foreign snapshots, rolled-back ones, what a rewrite
 * replaced) belongs to expiry, which deletes data files too.
 *
 * Of own appends stay: all of `keepAllMs`, whatever `snapshotsMax` says, because another engine
 * needs the history since it began to commit what it has written; then the oldest of every ten
 * minutes of the first day, then the oldest of every hour, up to `retentionMs`. When those are more
 * than `snapshotsMax`, the oldest go. Settings of the table come first: `gc.enabled`,
 * `history.expire.*`, and those of its refs.
 */
import type { Snapshot, SnapshotId, TableMetadata } from "./metadata.ts";
import { filesOf } from "./statistics.ts";

/** What is kept. Durations in ms. */
export interface RetentionPolicy {
  readonly branch: string;
  /** `snapshot_keep_all_seconds`; default 1 hour. */
  readonly keepAllMs: number;
  /** `snapshot_retention_days`; default 7 days. */
  readonly retentionMs: number;
  /** `snapshot_max`: snapshots older than `keepAllMs`; default 500. */
  readonly snapshotsMax: number;
}

/** Summary key of a snapshot of ours (SPEC 2.1). */
const COMMIT_KEY = "kafka-iceberg.commit-id";

/** Summary key whose presence makes a snapshot hold committed offsets (SPEC 2.1). */
export const OFFSETS_KEY = "kafka-iceberg.offsets";

/** Summary key of a snapshot whose offsets add to those of an earlier one. */
const BASE_KEY = "kafka-iceberg.base";

const TEN_MINUTES_MS = 600_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Most snapshots removed by one commit: an adopted table is thinned over many. */
export const THINNED_PER_COMMIT_MAX = 100;

/** The snapshots that a commit at `nowMs` removes, oldest first; at most {@link THINNED_PER_COMMIT_MAX}. */
export function snapshotsToThin(
  metadata: TableMetadata,
  policy: RetentionPolicy,
  nowMs: number,
): SnapshotId[] {
  const windowMs = historyWindowMs(metadata, policy);
  if (windowMs === null) return [];
  const needed = neededSnapshots(metadata, policy.branch, nowMs);
  const ageOf = (snapshot: Snapshot): number => nowMs - snapshot.timestampMs;
  const old = metadata.snapshots.filter(
    (snapshot) =>
      isOwnAppend(snapshot) && ageOf(snapshot) > windowMs && !needed.has(snapshot.snapshotId),
  );
  old.sort((a, b) => (a.sequenceNumber < b.sequenceNumber ? -1 : 1));
  const firsts = firstsOfPeriods(metadata, nowMs);
  const sparse = old.filter(
    (snapshot) => ageOf(snapshot) <= policy.retentionMs && firsts.has(snapshot.snapshotId),
  );
  const stay = new Set(sparse.slice(-policy.snapshotsMax).map(({ snapshotId }) => snapshotId));
  const gone = old.map(({ snapshotId }) => snapshotId).filter((id) => !stay.has(id));
  return gone.slice(0, THINNED_PER_COMMIT_MAX);
}

/**
 * The time within which another engine can commit what it began, in ms: so long the history stays
 * whole. Null: without a limit, since the table forbids the removal of snapshots (`gc.enabled`).
 */
export function historyWindowMs(
  { properties, refs }: TableMetadata,
  policy: Pick<RetentionPolicy, "branch" | "keepAllMs">,
): number | null {
  if (properties["gc.enabled"]?.toLowerCase() === "false") return null;
  const wanted =
    refs[policy.branch]?.maxSnapshotAgeMs ??
    wholeNumber(properties["history.expire.max-snapshot-age-ms"]);
  return Math.max(policy.keepAllMs, wanted ?? 0);
}

/** A property or setting that is a whole number; null for anything else. */
export function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Thinned within commits are appends of ours alone. */
function isOwnAppend({ summary }: Snapshot): boolean {
  return summary[COMMIT_KEY] !== undefined && summary["operation"] === "append";
}

/** The oldest own append of each period; it is the first to grow old, so none goes for a newer one. */
function firstsOfPeriods({ snapshots }: TableMetadata, nowMs: number): Set<SnapshotId> {
  const firsts = new Map<string, Snapshot>();
  for (const snapshot of snapshots) {
    if (!isOwnAppend(snapshot)) continue;
    const period = periodOf(snapshot, nowMs);
    const first = firsts.get(period);
    if (first === undefined || snapshot.sequenceNumber < first.sequenceNumber) {
      firsts.set(period, snapshot);
    }
  }
  return new Set([...firsts.values()].map(({ snapshotId }) => snapshotId));
}

/** Ten minutes of the first day, then hours. */
function periodOf({ timestampMs }: Snapshot, nowMs: number): string {
  return nowMs - timestampMs <= DAY_MS
    ? `10m ${Math.floor(timestampMs / TEN_MINUTES_MS)}`
    : `1h ${Math.floor(timestampMs / HOUR_MS)}`;
}

/** Snapshots that something else than their age holds. */
function neededSnapshots(
  metadata: TableMetadata,
  branch: string,
  nowMs: number,
): ReadonlySet<SnapshotId> {
  const lines = new Lines(metadata);
  const chain = lines.from(metadata.refs[branch]?.snapshotId ?? metadata.currentSnapshotId);
  const ours = new Set(chain.map(({ snapshotId }) => snapshotId));
  const needed = new Set<SnapshotId>();
  const need = (snapshots: readonly Snapshot[]): void => {
    for (const { snapshotId } of snapshots) needed.add(snapshotId);
  };
  need(downToOffsets(chain));
  for (const [name, ref] of Object.entries(metadata.refs)) {
    needed.add(ref.snapshotId);
    if (ref.type === "tag") continue;
    const line = lines.from(ref.snapshotId);
    if (name !== branch) need(line.filter(({ snapshotId }) => !ours.has(snapshotId)));
    need(line.slice(0, snapshotsMin(metadata, ref.minSnapshotsToKeep)));
    const ageMs = ref.maxSnapshotAgeMs ?? 0;
    need(line.filter(({ timestampMs }) => nowMs - timestampMs <= ageMs));
  }
  for (const id of lines.leftToExpiry(chain)) needed.add(id);
  for (const id of newestStatistics(chain, metadata)) needed.add(id);
  return needed;
}

/** Statistics go with their snapshot: readers take those of the nearest ancestor of the head. */
function newestStatistics(chain: readonly Snapshot[], metadata: TableMetadata): SnapshotId[] {
  return (["statistics", "partition-statistics"] as const).flatMap((key) => {
    const described = new Set(filesOf(metadata, key).map(({ snapshotId }) => snapshotId));
    const newest = chain.find(({ snapshotId }) => described.has(snapshotId));
    return newest === undefined ? [] : [newest.snapshotId];
  });
}

/** `history.expire.min-snapshots-to-keep`, or what the ref says; default 1. */
export function snapshotsMin({ properties }: TableMetadata, ofRef: number | null): number {
  return ofRef ?? wholeNumber(properties["history.expire.min-snapshots-to-keep"]) ?? 1;
}

/**
 * The chain from its head down to a snapshot with all our offsets (SPEC 2.2): parents are known by id
 * only, so what is removed hides everything behind it. On a chain without any, all of it.
 */
export function downToOffsets(chain: readonly Snapshot[]): readonly Snapshot[] {
  const nearest = chain.findIndex(
    ({ summary }) => summary[OFFSETS_KEY] !== undefined && summary[BASE_KEY] === undefined,
  );
  return nearest === -1 ? chain : chain.slice(0, nearest + 1);
}

/** Who follows whom among the visible snapshots. */
export class Lines {
  readonly #byId: ReadonlyMap<SnapshotId, Snapshot>;
  readonly #children: ReadonlyMap<SnapshotId | null, readonly Snapshot[]>;

  constructor({ snapshots }: TableMetadata) {
    this.#byId = new Map(snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
    this.#children = Map.groupBy(snapshots, ({ parentSnapshotId }) => parentSnapshotId);
  }

  /** The snapshots from a head to the oldest visible ancestor. */
  from(head: SnapshotId | null): Snapshot[] {
    const line: Snapshot[] = [];
    let snapshot = head === null ? undefined : this.#byId.get(head);
    while (snapshot !== undefined) {
      line.push(snapshot);
      const parent: SnapshotId | null = snapshot.parentSnapshotId;
      snapshot = parent === null ? undefined : this.#byId.get(parent);
    }
    return line;
  }

  /**
   * What only expiry may remove, because its data files would be known to nobody afterwards: the
   * snapshot before one that removed files (a compaction, a DELETE), which is the last to name them;
   * and every line beside the chain, which somebody rolled back. Where such a line begins, the
   * snapshots before and after stay as well: without them it could not be told from the history.
   */
  *leftToExpiry(chain: readonly Snapshot[]): Generator<SnapshotId> {
    const onChain = new Set(chain);
    for (const [parent, children] of this.#children) {
      const before = parent === null ? undefined : this.#byId.get(parent);
      if (before === undefined) continue;
      if (children.some(({ summary }) => summary["operation"] !== "append")) {
        yield before.snapshotId;
      }
      // Behind the visible chain nobody knows which line went on; the newest did.
      const newest = children.reduce((a, b) => (a.sequenceNumber > b.sequenceNumber ? a : b));
      const next = onChain.has(before) ? children.find((each) => onChain.has(each)) : newest;
      const beside = children.filter((each) => each !== next);
      if (beside.length === 0) continue;
      yield before.snapshotId;
      if (next !== undefined) yield next.snapshotId;
      for (const child of beside) yield* this.#lineOf(child);
    }
  }

  /** A snapshot and everything that follows it. */
  *#lineOf(first: Snapshot): Generator<SnapshotId> {
    const open = [first];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      yield next.snapshotId;
      open.push(...(this.#children.get(next.snapshotId) ?? []));
    }
  }
}
