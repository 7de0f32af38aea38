/**
 * A snapshot of ours on one head: data files, the offsets of all feeds, the marks by which it is found
 * again, the property beside them, and the snapshots that it takes out of the metadata (SPEC 2.1).
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { type RewrittenManifests, stageAppend } from "#iceberg/io/stageAppend.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { Snapshot, TableRequirement, TableUpdate } from "#iceberg/metadata/metadata.ts";
import { snapshotsToThin } from "#iceberg/metadata/retention.ts";
import { MAIN_BRANCH } from "#iceberg/metadata/tableMetadataJson.ts";
import type { Attempt, StagedSnapshot } from "./change.ts";
import { progressProperty, refOf } from "./progress.ts";
import { type ProgressDocument, SUMMARY } from "./progressDocument.ts";
import { summaryMembers, writeDocument, writeProperty } from "./progressText.ts";
import type { SentAttempt } from "./rules.ts";

/**
 * Stages a snapshot.
 * @param files data and delete files; none: offsets only
 * @param before the head's offsets, so that the summary may hold only what moves; null: it holds all
 * @param document all offsets as they are with this snapshot
 * @param replacing what takes the place of something that the head has; default none
 */
export async function stageSnapshot(
  { parts, options, head, commitId, kind, number, ledger }: Attempt,
  files: readonly DataFile[],
  before: ProgressDocument | null,
  document: ProgressDocument,
  replacing: Replacing = {},
): Promise<StagedSnapshot> {
  const { rewritten, changesRows = false } = replacing;
  const staged = await stageAppend({
    storage: head.storage,
    metadata: head.metadata,
    branch: options.branch,
    snapshotId: parts.random.id63(),
    timestampMs: parts.clock.nowMs(),
    ...{ files, ...replacing },
    summary: {
      ...(kind === "rewrite" && !changesRows ? { operation: "replace" } : {}),
      ...(rewritten === undefined ? {} : rewriteCounts(rewritten)),
      [SUMMARY.commitId]: commitId,
      [SUMMARY.kind]: kind,
      ...(before === null
        ? { [SUMMARY.offsets]: writeDocument(document) }
        : summaryMembers(before, document)),
      [SUMMARY.group]: options.group,
    },
    nameSuffix: `${commitId}-${number}`,
    planned: (paths) => ledger.plan(paths),
  });
  ledger.store(staged.writtenFiles);
  const thinned = thinning({ parts, options, head });
  const property = writeProperty(document, staged.snapshot);
  return {
    kind: "staged",
    snapshot: staged.snapshot,
    property,
    requirements: tableRequirements(head, options.branch),
    updates: [...staged.updates, propertyUpdate(options.branch, property), ...thinned.updates],
    manifests: [
      ...(rewritten?.written.map(({ location }) => location) ?? []),
      ...staged.writtenFiles,
    ],
    files: files.map((file) => file.filePath),
    thinned: thinned.snapshots,
  };
}

/** What takes the place of something that the head has. */
export interface Replacing {
  /** Manifests that take the place of others, durable and in the ledger. */
  readonly rewritten?: RewrittenManifests;
  /** True: the table has other rows than before, so that it is no `replace` (Iceberg spec, "Snapshots"). Default: false. */
  readonly changesRows?: boolean;
  /** Files that the snapshot's own stand for. */
  readonly removed?: readonly DataFile[];
  /** Data sequence number of the snapshot's data files. Default: its own. */
  readonly dataSequenceNumber?: bigint;
}

/** The counters of Java's `RewriteManifests`. */
function rewriteCounts({ replaced, written }: RewrittenManifests): Record<string, string> {
  const entries = written.reduce((sum, { encoded }) => sum + encoded.existingFilesCount, 0);
  return {
    operation: "replace",
    "manifests-created": String(written.length),
    "manifests-replaced": String(replaced.size),
    "entries-processed": String(entries),
  };
}

/**
 * What every snapshot demands: the table, and the head that it was built on (SPEC 2.3). That of a
 * branch which does not exist is main's. While main has none either, the snapshot has no parent, and
 * of such a one Java's servers compare no sequence number: without main's demand a request that was
 * given up could be applied after main had moved, when its files are gone.
 */
export function tableRequirements({ metadata }: LoadedTable, branch: string): TableRequirement[] {
  const refs = metadata.refs[branch] === undefined ? new Set([branch, MAIN_BRANCH]) : [branch];
  const demands = [...refs].map(
    (ref): TableRequirement => ({
      type: "assert-ref-snapshot-id",
      ref,
      snapshotId: refOf(metadata, ref),
    }),
  );
  return [{ type: "assert-table-uuid", uuid: metadata.tableUuid }, ...demands];
}

/** The updates that commit a snapshot which was sent before, on a newer version of the metadata. */
export function sameSnapshot(
  head: LoadedTable,
  branch: string,
  { snapshot, property }: SentAttempt,
): TableUpdate[] {
  const ref = head.metadata.refs[branch];
  return [
    { action: "add-snapshot", snapshot },
    {
      action: "set-snapshot-ref",
      ref: branch,
      value: {
        type: "branch",
        minSnapshotsToKeep: ref?.minSnapshotsToKeep ?? null,
        maxSnapshotAgeMs: ref?.maxSnapshotAgeMs ?? null,
        maxRefAgeMs: ref?.maxRefAgeMs ?? null,
        snapshotId: snapshot.snapshotId,
      },
    },
    propertyUpdate(branch, property),
  ];
}

function propertyUpdate(branch: string, property: string): TableUpdate {
  return { action: "set-properties", properties: { [progressProperty(branch)]: property } };
}

/** Snapshots that go with this commit. */
function thinning({ parts, options, head }: Pick<Attempt, "parts" | "options" | "head">): {
  readonly updates: readonly TableUpdate[];
  readonly snapshots: readonly Snapshot[];
} {
  if (options.thinning === null) return { updates: [], snapshots: [] };
  const ids = snapshotsToThin(head.metadata, options.thinning, parts.clock.nowMs());
  const gone = new Set(ids);
  const snapshots = head.metadata.snapshots.filter(({ snapshotId }) => gone.has(snapshotId));
  const updates: TableUpdate[] =
    ids.length === 0 ? [] : [{ action: "remove-snapshots", snapshotIds: ids }];
  return { updates, snapshots };
}
