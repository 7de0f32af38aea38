/**
 * One attempt on one head: stage, write the intent to the log, send (SPEC 2.1, 2.3, 2.4).
 */
import { failpoint } from "#base/failpoint.ts";
import type { CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import { fullName, namespaceText } from "#catalog/names.ts";
import { stageAppend } from "#iceberg/io/stageAppend.ts";
import type {
  Snapshot,
  SnapshotId,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import { snapshotsToThin } from "#iceberg/metadata/retention.ts";
import { type CommitJob, type JobHost, noteSent, type Sent } from "./job.ts";
import type { CommitOptions, CommitParts } from "./parts.ts";
import { progressProperty, refOf } from "./progress.ts";
import { type ProgressDocument, SUMMARY, withOffsets } from "./progressDocument.ts";
import { summaryMembers, writeProperty } from "./progressText.ts";
import type { SentAttempt } from "./rules.ts";

/** What the attempts of one job left on the store. */
export interface AttemptTrail {
  readonly attempts: { readonly snapshotId: SnapshotId; readonly files: readonly string[] }[];
  /** Snapshots that the last attempt removed from the metadata. */
  thinned: readonly Snapshot[];
  /** True when the commit was found in the table rather than answered. */
  landedUnanswered: boolean;
}

/** An empty trail. */
export function newTrail(): AttemptTrail {
  return { attempts: [], thinned: [], landedUnanswered: false };
}

/** The host of a job: how its attempts reach the catalog. */
export function attemptHost(
  parts: CommitParts,
  options: CommitOptions,
  trail: AttemptTrail,
  loadHead: () => Promise<LoadedTable>,
): JobHost {
  return {
    branch: options.branch,
    clock: parts.clock,
    random: parts.random,
    retriesMax: options.commitRetriesMax,
    loadHead,
    send: (job, head, document) => send(parts, options, trail, job, head, document),
    resend: (job, head, attempt) => resend(parts, options, job, head, attempt),
    observeOutcome: (outcome) => {
      if (outcome === "idempotent") {
        trail.landedUnanswered = true;
        parts.observe({ type: "idempotent_retry", reason: "commit id found in the table" });
      }
    },
  };
}

async function send(
  parts: CommitParts,
  options: CommitOptions,
  trail: AttemptTrail,
  job: CommitJob,
  head: LoadedTable,
  document: ProgressDocument,
): Promise<Sent> {
  const began = parts.clock.monotonicMs();
  const next = withOffsets(
    document,
    job.advances.map(({ next: offset, ...advance }) => ({ ...advance, offset })),
  );
  const snapshotId = parts.random.id63();
  const files = job.units.flatMap((unit) => unit.files);
  const staged = await stageAppend({
    storage: head.storage,
    metadata: head.metadata,
    branch: options.branch,
    snapshotId,
    timestampMs: parts.clock.nowMs(),
    files,
    summary: {
      [SUMMARY.commitId]: job.commitId,
      ...summaryMembers(document, next),
      [SUMMARY.group]: options.group,
    },
    nameSuffix: `${job.commitId}-${job.attemptCount}`,
  });
  trail.attempts.push({ snapshotId, files: staged.writtenFiles });
  const attempt: SentAttempt = {
    commitId: job.commitId,
    snapshot: staged.snapshot,
    baseSnapshotId: refOf(head.metadata, options.branch),
    baseSequenceNumber: head.metadata.lastSequenceNumber,
    property: writeProperty(next, staged.snapshot),
  };
  await logAttempt(parts, head, attempt, staged.writtenFiles);
  const updates: TableUpdate[] = [
    ...staged.updates,
    propertyUpdate(options, attempt),
    ...thinning(parts, options, trail, head),
  ];
  noteSent(job, attempt.baseSequenceNumber);
  const outcome = await commitOnce(parts, options, head, attempt, updates);
  observeCommit(parts, options, outcome.kind, files.length > 0, began);
  return { attempt, outcome };
}

/** The same snapshot again, on the newest metadata: it is applied at most once by its sequence number. */
async function resend(
  parts: CommitParts,
  options: CommitOptions,
  job: CommitJob,
  head: LoadedTable,
  attempt: SentAttempt,
): Promise<CommitOutcome> {
  const began = parts.clock.monotonicMs();
  const ref = head.metadata.refs[options.branch];
  const updates: TableUpdate[] = [
    { action: "add-snapshot", snapshot: attempt.snapshot },
    {
      action: "set-snapshot-ref",
      ref: options.branch,
      value: {
        type: "branch",
        minSnapshotsToKeep: ref?.minSnapshotsToKeep ?? null,
        maxSnapshotAgeMs: ref?.maxSnapshotAgeMs ?? null,
        maxRefAgeMs: ref?.maxRefAgeMs ?? null,
        snapshotId: attempt.snapshot.snapshotId,
      },
    },
    propertyUpdate(options, attempt),
  ];
  const outcome = await commitOnce(parts, options, head, attempt, updates);
  observeCommit(parts, options, outcome.kind, job.units.length > 0, began);
  return outcome;
}

async function commitOnce(
  parts: CommitParts,
  options: CommitOptions,
  head: LoadedTable,
  attempt: SentAttempt,
  updates: readonly TableUpdate[],
): Promise<CommitOutcome> {
  const requirements: TableRequirement[] = [
    { type: "assert-table-uuid", uuid: head.metadata.tableUuid },
    {
      type: "assert-ref-snapshot-id",
      ref: options.branch,
      snapshotId: attempt.baseSnapshotId,
    },
  ];
  failpoint("commit_before");
  return parts.catalog.commit(options.name, requirements, updates);
}

async function logAttempt(
  parts: CommitParts,
  head: LoadedTable,
  attempt: SentAttempt,
  files: readonly string[],
): Promise<void> {
  failpoint("log_commit_attempt");
  await parts.txlog.append(
    {
      type: "CommitAttempt",
      table: fullName(head.name),
      table_uuid: head.metadata.tableUuid,
      commit_id: attempt.commitId,
      snapshot_id: attempt.snapshot.snapshotId,
      base_snapshot_id: attempt.baseSnapshotId,
      base_sequence_number: attempt.baseSequenceNumber,
      file_paths: files,
    },
    true,
  );
}

function propertyUpdate(options: CommitOptions, { property }: SentAttempt): TableUpdate {
  return {
    action: "set-properties",
    properties: { [progressProperty(options.branch)]: property },
  };
}

function thinning(
  parts: CommitParts,
  options: CommitOptions,
  trail: AttemptTrail,
  head: LoadedTable,
): TableUpdate[] {
  if (options.thinning === null) return [];
  const ids = snapshotsToThin(head.metadata, options.thinning, parts.clock.nowMs());
  const gone = new Set(ids);
  trail.thinned = head.metadata.snapshots.filter(({ snapshotId }) => gone.has(snapshotId));
  return ids.length === 0 ? [] : [{ action: "remove-snapshots", snapshotIds: ids }];
}

function observeCommit(
  parts: CommitParts,
  options: CommitOptions,
  outcome: CommitOutcome["kind"],
  data: boolean,
  began: number,
): void {
  parts.observe({
    type: "commit",
    database: namespaceText(options.name.namespace),
    table: options.name.table,
    outcome,
    data,
    durationMs: parts.clock.monotonicMs() - began,
    atMs: parts.clock.nowMs(),
  });
}
