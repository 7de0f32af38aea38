/**
 * What a person may say to a table: set offsets, accept a re-created topic, pause, resume. Each is one
 * commit that requires the head it was decided on; running writers are fenced by it and seek anew.
 */
import { fail } from "#base/errors.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import { PAUSED_PROPERTY } from "./job.ts";
import type { CommitParts } from "./parts.ts";
import { progressProperty, readProgress, refOf } from "./progress.ts";
import {
  emptyDocument,
  offsetOf,
  type ProgressDocument,
  type SourceProgress,
  SUMMARY,
  sourceKey,
  withOffsets,
} from "./progressDocument.ts";
import { parseDocument, writeDocument, writeProperty } from "./progressText.ts";

/** The ports that steering needs. */
export type SteeringParts = Pick<CommitParts, "catalog" | "clock" | "random">;

/** Offsets before and after a change, for `--dry-run` and the question before `--yes`. */
export interface OffsetChange {
  readonly feed: Feed;
  readonly before: bigint | null;
  readonly after: bigint;
}

/**
 * Plans new offsets on a head. A topic whose id changed loses its old entries.
 * @throws AppError `progress` when the table's progress is unreadable and not every known partition is set
 */
export function planOffsets(
  head: LoadedTable,
  branch: string,
  wanted: readonly FeedOffset[],
): { changes: OffsetChange[]; document: ProgressDocument } {
  const progress = readProgress(head.metadata, branch);
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

const NO_OFFSETS = { offsets: new Map(), rows: new Map(), leaderEpochs: new Map() };

/** Commits a planned document in an empty snapshot. */
export async function commitOffsets(
  parts: SteeringParts,
  head: LoadedTable,
  document: ProgressDocument,
  group: string,
): Promise<CommitOutcome> {
  const commitId = parts.random.uuid();
  const staged = await stageAppend({
    storage: head.storage,
    metadata: head.metadata,
    branch: document.branch,
    snapshotId: parts.random.id63(),
    timestampMs: parts.clock.nowMs(),
    files: [],
    summary: {
      [SUMMARY.commitId]: commitId,
      [SUMMARY.offsets]: writeDocument(document),
      [SUMMARY.group]: group,
    },
    nameSuffix: `${commitId}-1`,
  });
  const property = progressProperty(document.branch);
  return parts.catalog.commit(
    head.name,
    [
      { type: "assert-table-uuid", uuid: head.metadata.tableUuid },
      {
        type: "assert-ref-snapshot-id",
        ref: document.branch,
        snapshotId: refOf(head.metadata, document.branch),
      },
    ],
    [
      ...staged.updates,
      {
        action: "set-properties",
        properties: { [property]: writeProperty(document, staged.snapshot) },
      },
    ],
  );
}

/** Holds a table, or lets it go on; every process sees it at its next commit. */
export async function setPaused(
  parts: SteeringParts,
  head: LoadedTable,
  paused: boolean,
): Promise<CommitOutcome> {
  return parts.catalog.commit(
    head.name,
    [{ type: "assert-table-uuid", uuid: head.metadata.tableUuid }],
    [
      paused
        ? { action: "set-properties", properties: { [PAUSED_PROPERTY]: "true" } }
        : { action: "remove-properties", keys: [PAUSED_PROPERTY] },
    ],
  );
}

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
