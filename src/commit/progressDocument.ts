/**
 * The document of committed offsets that every snapshot of ours carries (SPEC 2.1): its members, how
 * it moves, and the delta between two of them. Its text forms are in `progressText.ts`. Pure.
 */
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { Feed } from "#base/offsets.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";

/** Summary keys of our snapshots. */
export const SUMMARY = {
  commitId: "kafka-iceberg.commit-id",
  offsets: "kafka-iceberg.offsets",
  /** Only beside a delta: the snapshot of ours that it adds to. */
  base: "kafka-iceberg.base",
  group: "kafka-iceberg.group",
  /** What the commit was for (`ChangeKind`). */
  kind: "kafka-iceberg.kind",
} as const;

/** Committed offsets of one topic of one cluster, by partition. */
export interface SourceProgress {
  /** Kafka topic id. */
  readonly topicId: string;
  /** Next offset to read. */
  readonly offsets: ReadonlyMap<number, bigint>;
  /**
   * Rows of the partition below its offset that this table was ever given. Missing where nobody
   * counted them: written by an older release, or set by a person.
   */
  readonly rows: ReadonlyMap<number, bigint>;
  /** Leader epoch of the last batch before the offset, where the consumer knew it. */
  readonly leaderEpochs: ReadonlyMap<number, number>;
  /**
   * Where rows of the partition end that may lie at or past its offset, because a person set it back
   * or the topic was created again under its name.
   */
  readonly tails: ReadonlyMap<number, bigint>;
  /**
   * Who may commit the partition, where its records go to several tables: the token of the start that
   * named itself in all of them (SPEC 2.8). Missing: whoever stands at its offset.
   */
  readonly owners: ReadonlyMap<number, string>;
}

/** The snapshot that a delta may add to. */
export interface DeltaBase {
  readonly snapshotId: SnapshotId;
  /** Deltas between it and the nearest full document; 0: it is full. */
  readonly depth: number;
}

/** Committed offsets of a table's branch: `<cluster-id>/<topic>` -> source. */
export interface ProgressDocument {
  readonly branch: string;
  readonly sources: ReadonlyMap<string, SourceProgress>;
  /** Where it was read from; null: not from a snapshot, so the next document must be full. */
  readonly base: DeltaBase | null;
}

/** One feed's new offset. */
export interface MovedOffset {
  readonly feed: Feed;
  readonly offset: bigint;
  /** Rows that the table is given up to it. Default 0. */
  readonly rows?: bigint;
  /** Default: as before. */
  readonly leaderEpoch?: number | undefined;
  /** A new owner; default: as before. */
  readonly claims?: string | undefined;
}

/** What a delta adds. */
export interface ProgressDelta {
  /** Of the document that it makes. */
  readonly branch: string;
  readonly depth: number;
  readonly moved: ReadonlyMap<string, MovedSource>;
}

/** What a delta adds to one source, by partition. */
export interface MovedSource {
  readonly advances: ReadonlyMap<number, bigint>;
  readonly rows: ReadonlyMap<number, bigint>;
  readonly leaderEpochs: ReadonlyMap<number, number>;
}

/** A document without any offset. */
export function emptyDocument(branch: string): ProgressDocument {
  return { branch, sources: new Map(), base: null };
}

/** The key of a feed's topic in the document. */
export function sourceKey(feed: Pick<Feed, "clusterId" | "topic">): string {
  return `${feed.clusterId}/${feed.topic}`;
}

/** The committed offset of a feed, null when the document has none. */
export function offsetOf(document: ProgressDocument, feed: Feed): bigint | null {
  return document.sources.get(sourceKey(feed))?.offsets.get(feed.partition) ?? null;
}

/** The committed offset of a feed of the very topic; 0 where the document knows another one, or none. */
export function endOf({ sources }: ProgressDocument, feed: Feed): bigint {
  const source = sources.get(sourceKey(feed));
  return source?.topicId === feed.topicId ? (source.offsets.get(feed.partition) ?? 0n) : 0n;
}

/** The leader epoch that was committed with a feed's offset; undefined when none was. */
export function leaderEpochOf(document: ProgressDocument, feed: Feed): number | undefined {
  return document.sources.get(sourceKey(feed))?.leaderEpochs.get(feed.partition);
}

/** Who may commit a feed; undefined: it belongs to nobody. */
export function ownerOf(document: ProgressDocument, feed: Feed): string | undefined {
  return document.sources.get(sourceKey(feed))?.owners.get(feed.partition);
}

/** A document with some offsets moved; other feeds' entries are copied unchanged. */
export function withOffsets(
  document: ProgressDocument,
  moved: readonly MovedOffset[],
): ProgressDocument {
  const sources = new Map(document.sources);
  for (const [key, members] of Map.groupBy(moved, ({ feed }) => sourceKey(feed))) {
    const before = sources.get(key);
    const maps = {
      offsets: new Map(before?.offsets),
      rows: new Map(before?.rows),
      leaderEpochs: new Map(before?.leaderEpochs),
      tails: new Map(before?.tails),
      owners: new Map(before?.owners),
    };
    for (const each of members) moveOffset(maps, each);
    const topicId = members.at(-1)?.feed.topicId ?? "";
    sources.set(key, { topicId, ...maps });
  }
  return { ...document, sources };
}

/** Maps of a source under change. */
interface SourceMaps {
  readonly offsets: Map<number, bigint>;
  readonly rows: Map<number, bigint>;
  readonly leaderEpochs: Map<number, number>;
  readonly tails: Map<number, bigint>;
  readonly owners: Map<number, string>;
}

function moveOffset(
  maps: SourceMaps,
  { feed, offset, rows = 0n, leaderEpoch, claims }: MovedOffset,
): void {
  const { partition } = feed;
  if (claims !== undefined) maps.owners.set(partition, claims);
  // At a first position nothing was given yet, unless rows of an earlier topic may lie there.
  const isFirst = !maps.offsets.has(partition) && !maps.tails.has(partition);
  const known = isFirst ? 0n : maps.rows.get(partition);
  if (known !== undefined) maps.rows.set(partition, known + rows);
  maps.offsets.set(partition, offset);
  // An older epoch would say of the new offset that the log has been cut (decision 0190).
  if (leaderEpoch === undefined) maps.leaderEpochs.delete(partition);
  else maps.leaderEpochs.set(partition, leaderEpoch);
  const tail = maps.tails.get(partition);
  if (tail !== undefined && offset >= tail) maps.tails.delete(partition);
}

/** Null when only a full document can say it, or one is due. */
export function deltaBetween(
  before: ProgressDocument,
  next: ProgressDocument,
): ProgressDelta | null {
  const depth = (before.base?.depth ?? 0) + 1;
  if (depth >= LIMITS.offsetDeltasMax || before.sources.size !== next.sources.size) return null;
  const moved = new Map<string, MovedSource>();
  for (const [key, source] of next.sources) {
    const old = before.sources.get(key);
    if (old === source) continue;
    const change = old === undefined ? null : sourceDelta(old, source);
    if (change === null) return null;
    moved.set(key, change);
  }
  return { branch: next.branch, depth, moved };
}

function sourceDelta(old: SourceProgress, source: SourceProgress): MovedSource | null {
  if (old.topicId !== source.topicId || old.offsets.size !== source.offsets.size) return null;
  const change = {
    advances: new Map<number, bigint>(),
    rows: new Map<number, bigint>(),
    leaderEpochs: new Map<number, number>(),
  };
  for (const partition of source.offsets.keys()) {
    if (!partitionDelta(change, old, source, partition)) return null;
  }
  return change;
}

/** False when the partition did not just go on. */
function partitionDelta(
  change: Pick<SourceMaps, "rows" | "leaderEpochs"> & { readonly advances: Map<number, bigint> },
  old: SourceProgress,
  source: SourceProgress,
  partition: number,
): boolean {
  const from = old.offsets.get(partition);
  const advance = (source.offsets.get(partition) ?? 0n) - (from ?? 0n);
  const [given, had] = [source.rows.get(partition), old.rows.get(partition)];
  if (from === undefined || advance < 0n || (given === undefined) !== (had === undefined)) {
    return false;
  }
  if (source.owners.get(partition) !== old.owners.get(partition)) return false;
  const added = (given ?? 0n) - (had ?? 0n);
  if (advance > 0n || added !== 0n) change.advances.set(partition, advance);
  if (given !== undefined && added !== advance) change.rows.set(partition, added);
  const epoch = source.leaderEpochs.get(partition);
  if (epoch !== old.leaderEpochs.get(partition)) {
    if (epoch === undefined) return false;
    change.leaderEpochs.set(partition, epoch);
  }
  return true;
}

/** A document with a delta added to it. Throws AppError `progress` when it does not fit. */
export function withDelta(document: ProgressDocument, delta: ProgressDelta): ProgressDocument {
  const moved: MovedOffset[] = [];
  for (const [key, change] of delta.moved) {
    const source = document.sources.get(key);
    if (source === undefined) throw badDocument(`moves ${key}, which its base does not have`);
    const slash = key.indexOf("/");
    const topic = {
      clusterId: key.slice(0, slash),
      topic: key.slice(slash + 1),
      topicId: source.topicId,
    };
    const partitions = new Set([...change.advances.keys(), ...change.leaderEpochs.keys()]);
    for (const partition of partitions) {
      const from = source.offsets.get(partition);
      if (from === undefined) throw badDocument(`moves ${key}/${partition} without a base`);
      const advance = change.advances.get(partition) ?? 0n;
      moved.push({
        feed: { ...topic, partition },
        offset: from + advance,
        rows: change.rows.get(partition) ?? advance,
        // One that is not named has stayed; one that was forgotten makes the document a full one.
        leaderEpoch: change.leaderEpochs.get(partition) ?? source.leaderEpochs.get(partition),
      });
    }
  }
  return withOffsets(document, moved);
}

/** The error of a document that does not say what it must. */
export function badDocument(what: string): Error {
  return fail("progress", `The document ${SUMMARY.offsets} in the table ${what}`);
}
