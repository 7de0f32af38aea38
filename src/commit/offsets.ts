/**
 * Offsets that a person sets, or a re-created topic that one accepts (SPEC 2.5): a document planned on
 * the head that it is committed on. Running writers are fenced by it and seek anew.
 */
import { fail } from "#base/errors.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { SnapshotChange } from "./change.ts";
import { type Progress, progressProperty } from "./progress.ts";
import {
  emptyDocument,
  offsetOf,
  type ProgressDocument,
  type SourceProgress,
  sourceKey,
  withOffsets,
} from "./progressDocument.ts";
import { parseDocument } from "./progressText.ts";
import { stageSnapshot } from "./snapshot.ts";

/** Offsets before and after a change, for `--dry-run` and the question before `--yes`. */
export interface OffsetChange {
  readonly feed: Feed;
  readonly before: bigint | null;
  readonly after: bigint;
}

/**
 * A change of offsets.
 * @param plan the document on a head; null: nothing is to be done. It may throw: nothing is sent then
 */
export function offsetsChange(
  plan: (
    head: LoadedTable,
    progress: Progress,
  ) => ProgressDocument | null | Promise<ProgressDocument | null>,
): SnapshotChange {
  return {
    makes: "snapshot",
    kind: "offsets",
    isHeldByPause: false,
    fence: () => null,
    stage: async (attempt) => {
      const document = await plan(attempt.head, attempt.progress);
      return document === null ? { kind: "nothing" } : stageSnapshot(attempt, [], null, document);
    },
    landed: () => Promise.resolve(),
  };
}

/**
 * Plans new offsets on a head. A topic whose id changed loses its old entries.
 * @throws AppError `progress` when the table's progress is unreadable and not every known partition is set
 */
export function planOffsets(
  head: LoadedTable,
  progress: Progress,
  branch: string,
  wanted: readonly FeedOffset[],
): { changes: OffsetChange[]; document: ProgressDocument } {
  const before =
    progress.kind === "readable" ? progress.document : requireAll(head, branch, wanted);
  const changes = wanted.map(({ feed, offset }) => ({
    feed,
    before: progress.kind === "readable" ? offsetOf(before, feed) : null,
    after: offset,
  }));
  return { changes, document: wanted.reduce(setOffset, before) };
}

/** Sets one feed's offset; rows that the table may have past it are no surplus from then on. */
function setOffset(document: ProgressDocument, { feed, offset }: FeedOffset): ProgressDocument {
  const { partition, topicId } = feed;
  const old = document.sources.get(sourceKey(feed));
  const kept = old?.topicId === topicId ? old : { ...NO_OFFSETS, topicId, tails: endsOf(old) };
  const rows = new Map(kept.rows);
  const tails = new Map(kept.tails);
  const leaderEpochs = new Map(kept.leaderEpochs);
  leaderEpochs.delete(partition);
  const end = endsOf(old).get(partition);
  if (end !== undefined && offset < end) {
    tails.set(partition, end);
    rows.delete(partition);
  }
  const changed = new Map(document.sources);
  changed.set(sourceKey(feed), { ...kept, rows, tails, leaderEpochs });
  return withOffsets({ ...document, sources: changed }, [{ feed, offset }]);
}

/** Where the rows of each partition end that the table may have. */
function endsOf(source: SourceProgress | undefined): Map<number, bigint> {
  const ends = new Map(source?.offsets);
  for (const [partition, tail] of source?.tails ?? []) {
    if (tail > (ends.get(partition) ?? 0n)) ends.set(partition, tail);
  }
  return ends;
}

const NO_OFFSETS = {
  offsets: new Map(),
  rows: new Map(),
  leaderEpochs: new Map(),
  owners: new Map(),
};

/**
 * Without a readable document, a partition that is not named would begin anew and double rows. What
 * the property knows is returned, without the counts that nobody can vouch for.
 */
function requireAll(
  head: LoadedTable,
  branch: string,
  wanted: readonly FeedOffset[],
): ProgressDocument {
  const text = head.metadata.properties[progressProperty(branch)];
  const known = text === undefined ? emptyDocument(branch) : parseDocument(text);
  const named = new Set(wanted.map(({ feed }) => `${sourceKey(feed)}:${feed.partition}`));
  const missing: string[] = [];
  for (const [key, source] of known.sources) {
    for (const partition of source.offsets.keys()) {
      if (!named.has(`${key}:${partition}`)) missing.push(`${key.split("/")[1]}:${partition}`);
    }
  }
  if (missing.length > 0) {
    throw fail(
      "progress",
      "The table's committed offsets cannot be read, so each partition must be named with --set; " +
        `missing: ${missing.join(", ")}`,
    );
  }
  const sources = [...known.sources].map(([key, source]): [string, SourceProgress] => [
    key,
    { ...source, rows: new Map() },
  ]);
  return { branch, sources: new Map(sources), base: null };
}
