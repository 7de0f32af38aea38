/**
 * One commit, from the wish to its outcome: the loop over heads and attempts (SPEC 2.3, 2.4).
 *
 * A job survives a failed turn: when the catalog stays away or keeps answering conflict, `commitJob`
 * returns `held` and is called again later with the same job, which remembers whether an attempt is
 * still without an answer.
 */
import type { Clock } from "#base/clock.ts";
import { fail, policyOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import type { Feed, FeedOffset } from "#base/offsets.ts";
import type { Random } from "#base/random.ts";
import { backoffMs } from "#base/retry.ts";
import type { CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import { readProgress } from "./progress.ts";
import type { ProgressDocument } from "./progressDocument.ts";
import {
  type Advance,
  admit,
  findCommit,
  resolveUnknown,
  type SentAttempt,
  type SentBases,
} from "./rules.ts";

/** Files that stand or fall together: they hold rows of exactly these feeds. */
export interface FileUnit {
  readonly feeds: readonly Feed[];
  readonly files: readonly DataFile[];
}

/** A commit under way. */
export interface CommitJob {
  readonly commitId: string;
  /** What is still wanted; shrinks when feeds are fenced. */
  advances: readonly Advance[];
  units: readonly FileUnit[];
  /** The attempt whose answer is missing, if any. */
  unanswered: SentAttempt | null;
  /** The snapshot in which it landed. From then on it can only end as committed. */
  landed: SnapshotId | null;
  /** Requests that left the process, refused ones included; null: none did. */
  sent: SentBases | null;
  /** Feeds that were fenced so far. */
  fenced: Feed[];
  attemptCount: number;
}

/** How a job ended, or did not yet. */
export type JobResult =
  | {
      readonly kind: "committed";
      readonly snapshotId: SnapshotId;
      readonly table: LoadedTable;
      readonly offsets: readonly FeedOffset[];
      readonly fenced: readonly Feed[];
    }
  /** Nothing of it is in the table: all its feeds are to be sought anew. */
  | {
      readonly kind: "dropped";
      readonly reason: string;
      readonly fenced: readonly Feed[];
      /** Group that wrote the head, when it was somebody else. */
      readonly by: string;
    }
  /** Not decided: call again later. */
  | { readonly kind: "held"; readonly cause: unknown }
  /** A person paused the table; nothing was sent. */
  | { readonly kind: "paused" };

/** What the loop needs of its table; `TableWriter` provides it. */
export interface JobHost {
  readonly branch: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Conflicts before the job is held. */
  readonly retriesMax: number;
  /** The head, with the table's identity checked. Throws `table_gone`, `catalog_unreachable`, ... */
  loadHead(): Promise<LoadedTable>;
  /** Stages, logs and sends one attempt on `head`. */
  send(job: CommitJob, head: LoadedTable, document: ProgressDocument): Promise<Sent>;
  /** Sends the same snapshot again on the newest metadata. */
  resend(job: CommitJob, head: LoadedTable, attempt: SentAttempt): Promise<CommitOutcome>;
  observeOutcome(outcome: CommitOutcome["kind"] | "fenced" | "idempotent"): void;
}

/** An attempt and its outcome. */
export interface Sent {
  readonly attempt: SentAttempt;
  readonly outcome: CommitOutcome;
}

/** A new job. */
export function newJob(
  commitId: string,
  advances: readonly Advance[],
  units: readonly FileUnit[],
): CommitJob {
  const nothing = { unanswered: null, landed: null, sent: null };
  return { commitId, advances, units, ...nothing, fenced: [], attemptCount: 0 };
}

/** Notes that a request built on this sequence number is about to leave the process. */
export function noteSent(job: CommitJob, baseSequenceNumber: bigint): void {
  job.sent = { first: job.sent?.first ?? baseSequenceNumber, last: baseSequenceNumber };
}

/**
 * Drives a job until it is committed, dropped, or has to wait.
 * @throws AppError of a kind whose policy is `stop` (table gone, progress unreadable, refused)
 */
export async function commitJob(host: JobHost, job: CommitJob): Promise<JobResult> {
  let cause: unknown = null;
  for (let turn = 0; turn <= host.retriesMax; turn++) {
    if (turn > 0) await host.clock.sleep(backoffMs(CONFLICT_BACKOFF, turn - 1, host.random));
    try {
      const result = await oneTurn(host, job);
      if (result.kind !== "again") return result;
      cause = result.cause;
    } catch (error) {
      if (policyOf(error).action !== "again") throw error;
      return { kind: "held", cause: error };
    }
  }
  return { kind: "held", cause };
}

const CONFLICT_BACKOFF = { retriesMax: 0, baseDelayMs: 20, delayMsMax: 2000 };

type TurnResult = JobResult | { readonly kind: "again"; readonly cause: unknown };

async function oneTurn(host: JobHost, job: CommitJob): Promise<TurnResult> {
  const head = await host.loadHead();
  if (job.landed !== null) {
    host.observeOutcome("idempotent");
    return committed(job, head, job.landed);
  }
  if (job.unanswered !== null) return resolve(host, job, head, job.unanswered);
  const seen = findCommit(head.metadata, host.branch, job.commitId);
  if (seen.kind === "on-chain") {
    host.observeOutcome("idempotent");
    return committed(job, head, seen.snapshotId);
  }
  if (seen.kind === "off-chain") return dropped(job, "rolled back by a person", "");
  if (isPaused(head)) return { kind: "paused" };
  return attempt(host, job, head);
}

/** Rule 3, then one send. */
async function attempt(host: JobHost, job: CommitJob, head: LoadedTable): Promise<TurnResult> {
  const progress = readProgress(head.metadata, host.branch);
  if (progress.kind === "unreadable") throw unreadable(head, progress.reason);
  const { admitted, fenced } = admit(progress.document, job.advances);
  if (fenced.length > 0) {
    host.observeOutcome("fenced");
    exclude(job, admitted, fenced);
  }
  if (job.advances.length === 0 && job.fenced.length > 0) {
    return dropped(job, "the head holds other offsets for its feeds", progress.group);
  }
  job.attemptCount++;
  const sent = await host.send(job, head, progress.document);
  return settle(host, job, sent.attempt, sent.outcome);
}

/** Takes fenced feeds out of a job, and every unit that holds rows of one of them. */
function exclude(job: CommitJob, admitted: readonly Advance[], fenced: readonly Advance[]): void {
  const out = new Set(fenced.map((advance) => advance.feed));
  for (let grown = true; grown; ) {
    grown = false;
    for (const unit of job.units) {
      if (!unit.feeds.some((feed) => out.has(feed))) continue;
      for (const feed of unit.feeds) {
        grown ||= !out.has(feed);
        out.add(feed);
      }
    }
  }
  job.units = job.units.filter((unit) => !unit.feeds.some((feed) => out.has(feed)));
  job.advances = admitted.filter((advance) => !out.has(advance.feed));
  job.fenced.push(...out);
}

async function resolve(
  host: JobHost,
  job: CommitJob,
  head: LoadedTable,
  unanswered: SentAttempt,
): Promise<TurnResult> {
  const verdict = resolveUnknown(head.metadata, host.branch, unanswered);
  switch (verdict.kind) {
    case "landed":
      host.observeOutcome("idempotent");
      return committed(job, head, verdict.snapshotId);
    case "lost":
      return dropped(job, verdict.reason, "");
    case "undecided": {
      const outcome = await host.resend(job, head, unanswered);
      host.observeOutcome(outcome.kind);
      if (outcome.kind === "committed") {
        return committed(job, outcome.table, unanswered.snapshot.snapshotId);
      }
      // A refusal of the second request says nothing about the first: look again.
      return { kind: "again", cause: outcome.cause };
    }
  }
}

function settle(
  host: JobHost,
  job: CommitJob,
  sent: SentAttempt,
  outcome: CommitOutcome,
): TurnResult {
  host.observeOutcome(outcome.kind);
  switch (outcome.kind) {
    case "committed":
      failpoint("commit_after");
      return committed(job, outcome.table, sent.snapshot.snapshotId);
    case "conflict":
      if (job.sent !== null) job.sent = { ...job.sent, last: null };
      return { kind: "again", cause: outcome.cause };
    case "unknown":
      job.unanswered = sent;
      return { kind: "again", cause: outcome.cause };
  }
}

function committed(job: CommitJob, table: LoadedTable, snapshotId: SnapshotId): JobResult {
  job.unanswered = null;
  job.landed = snapshotId;
  const offsets = job.advances.map(({ feed, next }) => ({ feed, offset: next }));
  return { kind: "committed", snapshotId, table, offsets, fenced: job.fenced };
}

function dropped(job: CommitJob, reason: string, by: string): JobResult {
  const fenced = [...job.fenced, ...job.advances.map((advance) => advance.feed)];
  return { kind: "dropped", reason, fenced, by };
}

/** Table property by which `pause TABLE` reaches every process. */
export const PAUSED_PROPERTY = "kafka-iceberg.paused";

/** True while a person holds the table. */
export function isPaused(table: LoadedTable): boolean {
  return table.metadata.properties[PAUSED_PROPERTY] === "true";
}

/** The error of a table whose progress only a person can restore. */
export function unreadable(table: LoadedTable, reason: string): Error {
  const name = fullName(table.name);
  return fail(
    "progress",
    `The committed offsets of ${name} cannot be read: ${reason}. Compare the table with the topic, ` +
      `then say where to go on: kafka-iceberg offsets ${name} --set TOPIC:PARTITION=OFFSET`,
    { table: name },
  );
}
