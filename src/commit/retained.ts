/**
 * What the metadata still tells of feeds beside the head's own document: the retained snapshots,
 * ancestors of the head or not, and the progress properties. Pure.
 *
 * A person may set a table back to before it knew a feed. Its head then looks like that of a table that
 * never had the feed, and a first position by the usual rules could lie past rows that it had: those
 * would be lost. What is retained tells the two apart ({@link forgotten}).
 */
import type { Feed } from "#base/offsets.ts";
import type { SnapshotId, TableMetadata } from "#iceberg/metadata/metadata.ts";
import { progressProperties } from "./progress.ts";
import { offsetOf, type ProgressDocument, sourceKey } from "./progressDocument.ts";
import { parseDocument, propertySnapshotId, summaryDocument } from "./progressText.ts";

/** What one retained document says of one topic. */
export interface RetainedSource {
  /** `<cluster-id>/<topic>` */
  readonly key: string;
  /** Of the document; it may have been renamed since. */
  readonly branch: string;
  /** The snapshot that wrote it; null: the property does not say. */
  readonly snapshotId: SnapshotId | null;
  /** Empty in a delta: it moves topics that the snapshot it adds to knows by their ids as well. */
  readonly topicId: string;
  /** Next offsets; of a delta, which says by how much they moved, null each. */
  readonly offsets: ReadonlyMap<number, bigint | null>;
}

/** What every retained document says, of all branches: properties first, then oldest snapshots first. */
export function* retainedSources(
  metadata: TableMetadata,
  branch: string,
): Generator<RetainedSource> {
  for (const text of progressProperties(metadata, branch)) {
    yield* sourcesOf(parseDocument(text), propertySnapshotId(text));
  }
  const bySequence = metadata.snapshots.toSorted((a, b) =>
    a.sequenceNumber < b.sequenceNumber ? -1 : 1,
  );
  for (const snapshot of bySequence) {
    const { snapshotId } = snapshot;
    const found = summaryDocument(snapshot);
    if (found?.kind === "full") yield* sourcesOf(found.document, snapshotId);
    if (found?.kind !== "delta") continue;
    for (const [key, { advances }] of found.delta.moved) {
      const offsets = new Map([...advances.keys()].map((partition) => [partition, null]));
      yield { key, branch: found.delta.branch, snapshotId, topicId: "", offsets };
    }
  }
}

function* sourcesOf(
  { branch, sources }: ProgressDocument,
  snapshotId: SnapshotId | null,
): Generator<RetainedSource> {
  for (const [key, { topicId, offsets }] of sources) {
    yield { key, branch, snapshotId, topicId, offsets };
  }
}

/** A feed that the table had and its head does not know. */
export interface Forgotten {
  readonly feed: Feed;
  /** The least offset that is retained of it; null: none is, but its topic was known. */
  readonly offset: bigint | null;
  /** A snapshot that knows it, or its topic. */
  readonly snapshotId: SnapshotId | null;
}

/**
 * The feeds of these that the branch once had and `document`, its head's, does not: all partitions of
 * a topic that it does not know, and those of another topic that are retained themselves.
 */
export function forgotten(
  metadata: TableMetadata,
  document: ProgressDocument,
  feeds: readonly Feed[],
): Forgotten[] {
  const unknown = feeds.filter((feed) => offsetOf(document, feed) === null);
  if (unknown.length === 0) return [];
  const { branch } = document;
  const byKey = Map.groupBy(
    [...retainedSources(metadata, branch)].filter((source) => source.branch === branch),
    ({ key }) => key,
  );
  return unknown.flatMap((feed) => {
    const sources = byKey.get(sourceKey(feed)) ?? [];
    const own = sources.filter(({ offsets }) => offsets.has(feed.partition));
    const isTopicKnown = document.sources.has(sourceKey(feed));
    const [told] = own.length > 0 || isTopicKnown ? own : sources;
    if (told === undefined) return [];
    const offsets = own.flatMap((source) => source.offsets.get(feed.partition) ?? []);
    const [offset = null] = offsets.sort((a, b) => (a < b ? -1 : 1));
    return [{ feed, offset, snapshotId: told.snapshotId }];
  });
}
