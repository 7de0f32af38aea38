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
import {
  type ProgressDocument,
  parseDocument,
  progressProperty,
  readProgress,
  refOf,
  SUMMARY,
  withOffsets,
  writeDocument,
  writeProperty,
} from "./progress.ts";

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
  const before = progress.kind === "readable" ? progress.document : emptyDocument(branch);
  if (progress.kind === "unreadable") requireAll(head, branch, wanted);
  const kept = new Map(before.sources);
  for (const { feed } of wanted) {
    const key = `${feed.clusterId}/${feed.topic}`;
    if (kept.get(key)?.topicId !== feed.topicId) kept.delete(key);
  }
  const changes = wanted.map(({ feed, offset }) => ({
    feed,
    before:
      before.sources.get(`${feed.clusterId}/${feed.topic}`)?.offsets.get(feed.partition) ?? null,
    after: offset,
  }));
  return { changes, document: withOffsets({ branch, sources: kept }, wanted) };
}

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

function emptyDocument(branch: string): ProgressDocument {
  return { branch, sources: new Map() };
}

/** Without a readable document, a partition that is not named would begin anew and double rows. */
function requireAll(head: LoadedTable, branch: string, wanted: readonly FeedOffset[]): void {
  const text = head.metadata.properties[progressProperty(branch)];
  const known = text === undefined ? emptyDocument(branch) : parseDocument(text);
  const named = new Set(
    wanted.map(({ feed }) => `${feed.clusterId}/${feed.topic}:${feed.partition}`),
  );
  const missing: string[] = [];
  for (const [key, source] of known.sources) {
    for (const partition of source.offsets.keys()) {
      if (!named.has(`${key}:${partition}`)) missing.push(`${key.split("/")[1]}:${partition}`);
    }
  }
  if (missing.length === 0) return;
  throw fail(
    "progress",
    "The table's committed offsets cannot be read, so each partition must be named with --set; " +
      `missing: ${missing.join(", ")}`,
  );
}
