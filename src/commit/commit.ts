/**
 * The commit loop: the only one in the program. It takes a change (`change.ts`) through heads and
 * attempts to its end (SPEC 2.3, 2.4), and is called again with the same pending commit when the
 * catalog stayed away or kept answering conflict.
 *
 * A pending commit is `open` (nothing is under way), `unanswered` (a request is, and only the table can
 * tell) or `landed`, from where it can only end as committed, whatever becomes of the log, the
 * snapshot or the branch.
 */
import { policyOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import { backoffMs } from "#base/retry.ts";
import type { Catalog, CommitOutcome, LoadedTable } from "#catalog/catalog.ts";
import type {
  Snapshot,
  SnapshotId,
  TableRequirement,
  TableUpdate,
} from "#iceberg/metadata/metadata.ts";
import type {
  Attempt,
  Change,
  CommitResult,
  Drop,
  MetadataChange,
  SnapshotChange,
  StagedSnapshot,
} from "./change.ts";
import type { CommitTable } from "./commitTable.ts";
import { Ledger } from "./ledger.ts";
import { logAttempt, logFlushStarted } from "./logCommit.ts";
import { refOf } from "./progress.ts";
import { isPaused } from "./properties.ts";
import { findCommit, resolveUnknown, type SentAttempt } from "./rules.ts";
import { sameSnapshot, tableRequirements } from "./snapshot.ts";

/** Where a commit stands. */
export type CommitPhase =
  | { readonly kind: "open" }
  | { readonly kind: "unanswered"; readonly attempt: SentAttempt }
  | { readonly kind: "landed"; readonly snapshotId: SnapshotId; readonly isFound: boolean };

/** A commit that has not ended. */
export interface PendingCommit<C extends Change = Change> {
  readonly change: C;
  readonly ledger: Ledger;
  /** When the first of its files was begun, or itself, ms since epoch: none of its files is older. */
  readonly beganMs: number;
  phase: CommitPhase;
  attemptCount: number;
  /** True when a request was sent that the catalog did not refuse for certain. */
  mayHaveLanded: boolean;
  /** True when its begin is in the log. */
  isLogged: boolean;
  /** Snapshots that leave the metadata when the attempt under way lands. */
  thinned: readonly Snapshot[];
  /** Where its requests go: to the catalog, or to where they wait for those of other tables. */
  via: CommitVia;
}

/** Takes the requests of a commit to the catalog. */
export type CommitVia = Pick<Catalog, "commit">;

/**
 * A commit of `change` that has not begun.
 * @param ledger of files that were written for it and named in the log; none: it begins with nothing
 * @param beganMs when the first of those files was begun, ms since epoch; default: now
 */
export function newCommit<C extends Change>(
  table: CommitTable,
  change: C,
  ledger: Ledger | null = null,
  beganMs: number = table.parts.clock.nowMs(),
): PendingCommit<C> {
  return {
    change,
    ledger: ledger ?? new Ledger(table.parts.random.uuid()),
    beganMs,
    phase: { kind: "open" },
    attemptCount: 0,
    mayHaveLanded: false,
    isLogged: ledger !== null,
    thinned: [],
    via: table.parts.catalog,
  };
}

const CONFLICT_BACKOFF = { retriesMax: 0, baseDelayMs: 20, delayMsMax: 2000 };

/**
 * Takes a commit to its end, or as far as the catalog lets it: after `held` and `paused` call again.
 * @throws AppError of a kind whose policy is `stop` (table gone, progress unreadable, refused)
 */
export async function commit(table: CommitTable, pending: PendingCommit): Promise<CommitResult> {
  const { clock, random } = table.parts;
  let cause: unknown = null;
  for (let turn = 0; turn <= table.options.commitRetriesMax; turn++) {
    if (turn > 0) await clock.sleep(backoffMs(CONFLICT_BACKOFF, turn - 1, random));
    try {
      const result = await takeTurn(table, pending);
      if (result.kind === "dropped") await giveUp(table, pending);
      if (result.kind !== "again") return result;
      cause = result.cause;
    } catch (error) {
      if (policyOf(error).action !== "again") throw error;
      return { kind: "held", cause: error };
    }
  }
  return { kind: "held", cause };
}

/** Gives a commit up that was not decided: its files go by the rules. One that landed keeps them. */
export async function giveUp(table: CommitTable, pending: PendingCommit): Promise<void> {
  const { phase, ledger, isLogged } = pending;
  // Of one that landed only the end is not in the log, and the next start writes that.
  if (isLogged && phase.kind !== "landed") await table.leftovers.add(table.head, ledger);
}

type Turn = CommitResult | { readonly kind: "again"; readonly cause: unknown };

async function takeTurn(table: CommitTable, pending: PendingCommit): Promise<Turn> {
  const { change, phase } = pending;
  const head = await table.load();
  if (change.makes === "metadata") return sendMetadata(table, pending, change, head);
  switch (phase.kind) {
    case "landed":
      return finish(table, found(table, pending, phase.snapshotId), change, head);
    case "unanswered":
      return resolve(table, pending, change, head, phase.attempt);
    case "open":
      return attempt(table, pending, change, head);
  }
}

/** Rule 3, then one request. */
async function attempt(
  table: CommitTable,
  pending: PendingCommit,
  change: SnapshotChange,
  head: LoadedTable,
): Promise<Turn> {
  const { parts, options } = table;
  const { ledger } = pending;
  // A catalog that said conflict may have been wrong.
  const seen = findCommit(head.metadata, options.branch, ledger.commitId);
  if (seen.kind === "off-chain") return drop("rolled back by a person");
  if (seen.kind === "on-chain") {
    return finish(table, found(table, pending, seen.snapshotId), change, head);
  }
  if (isTooOld(table, pending)) return drop(TOO_OLD);
  if (change.isHeldByPause && isPaused(head)) return { kind: "paused" };
  const progress = await table.progressOf(head);
  const fenced = change.fence(head, progress);
  if (fenced !== null) return fenced;
  if (!pending.isLogged) await logFlushStarted(parts, head, ledger.commitId, [], {});
  pending.isLogged = true;
  const began = parts.clock.monotonicMs();
  const number = ++pending.attemptCount;
  const { kind } = change;
  const context: Attempt = {
    ...{ parts, options, head, progress, kind, number, ledger },
    commitId: ledger.commitId,
  };
  const staged = await change.stage(context);
  if (staged.kind === "nothing") {
    // An attempt that was refused may have left manifests.
    await giveUp(table, pending);
    return { kind: "committed", table: head, snapshotId: null };
  }
  if (staged.kind === "dropped") return staged;
  return send(table, pending, change, { head, staged, began });
}

async function send(
  table: CommitTable,
  pending: PendingCommit,
  change: SnapshotChange,
  { head, staged, began }: { head: LoadedTable; staged: StagedSnapshot; began: number },
): Promise<Turn> {
  const { snapshot, property, manifests, files, requirements, updates } = staged;
  const sent: SentAttempt = {
    commitId: pending.ledger.commitId,
    snapshot,
    baseSnapshotId: refOf(head.metadata, table.options.branch),
    baseSequenceNumber: head.metadata.lastSequenceNumber,
    property,
  };
  await logAttempt(table.parts, head, sent, manifests);
  pending.ledger.send(snapshot, [...files, ...manifests], sent.baseSequenceNumber);
  pending.thinned = staged.thinned;
  failpoint("commit_before");
  const outcome = await request(table, pending, requirements, updates);
  table.observeCommit(outcome.kind, files.length > 0, began);
  switch (outcome.kind) {
    case "committed":
      failpoint("commit_after");
      return finish(table, landed(pending, snapshot.snapshotId), change, table.saw(outcome.table));
    case "conflict":
      pending.ledger.refuse();
      return { kind: "again", cause: outcome.cause };
    case "unknown":
      pending.phase = { kind: "unanswered", attempt: sent };
      return { kind: "again", cause: outcome.cause };
  }
}

/** Rule 4: what the newest metadata says about a request without an answer. */
async function resolve(
  table: CommitTable,
  pending: PendingCommit,
  change: SnapshotChange,
  head: LoadedTable,
  unanswered: SentAttempt,
): Promise<Turn> {
  const verdict = resolveUnknown(head.metadata, table.options.branch, unanswered);
  switch (verdict.kind) {
    case "landed":
      return finish(table, found(table, pending, verdict.snapshotId), change, head);
    case "lost":
      return drop(verdict.reason);
    case "undecided":
      if (isTooOld(table, pending)) return drop(TOO_OLD);
      return sendAgain(table, pending, change, head, unanswered);
  }
}

/** The same snapshot on the newest metadata: it is applied at most once, by its sequence number. */
async function sendAgain(
  table: CommitTable,
  pending: PendingCommit,
  change: SnapshotChange,
  head: LoadedTable,
  unanswered: SentAttempt,
): Promise<Turn> {
  const began = table.parts.clock.monotonicMs();
  const { branch } = table.options;
  failpoint("commit_before");
  const outcome = await request(
    table,
    pending,
    tableRequirements(head, branch),
    sameSnapshot(head, branch, unanswered),
  );
  table.observeCommit(outcome.kind, pending.ledger.names.length > 0, began);
  // A refusal of the second request says nothing about the first: look again.
  if (outcome.kind !== "committed") return { kind: "again", cause: outcome.cause };
  const { snapshotId } = unanswered.snapshot;
  return finish(table, landed(pending, snapshotId), change, table.saw(outcome.table));
}

/** A pending commit that can only end as committed. */
type Landed = PendingCommit & { phase: CommitPhase & { kind: "landed" } };

function landed(pending: PendingCommit, snapshotId: SnapshotId, isFound = false): Landed {
  pending.ledger.land(snapshotId);
  return Object.assign(pending, { phase: { kind: "landed" as const, snapshotId, isFound } });
}

/** It landed, and the table says so rather than the catalog's answer. */
function found(table: CommitTable, pending: PendingCommit, snapshotId: SnapshotId): Landed {
  table.parts.observe({ type: "idempotent_retry", reason: "commit id found in the table" });
  return landed(pending, snapshotId, true);
}

/** What follows a landing: the change's own steps, which may fail and are then done again; files. */
async function finish(
  table: CommitTable,
  { phase: { snapshotId, isFound }, ledger, thinned }: Landed,
  change: SnapshotChange,
  head: LoadedTable,
): Promise<Turn> {
  await change.landed({ table: head, snapshotId, commitId: ledger.commitId, isFound });
  await table.leftovers.settle(head, ledger, thinned);
  return { kind: "committed", table: head, snapshotId };
}

/** One try of a change without a snapshot; without an answer the next turn looks whether it is there. */
async function sendMetadata(
  table: CommitTable,
  pending: PendingCommit,
  change: MetadataChange,
  head: LoadedTable,
): Promise<Turn> {
  const staged = await change.stage(head);
  if (staged.kind === "dropped") return staged;
  if (staged.kind === "nothing") {
    if (pending.mayHaveLanded) await change.landed(head);
    return { kind: "committed", table: head, snapshotId: null };
  }
  const outcome = await request(table, pending, staged.requirements, staged.updates);
  if (outcome.kind !== "committed") return { kind: "again", cause: outcome.cause };
  const after = table.saw(outcome.table);
  await change.landed(after);
  return { kind: "committed", table: after, snapshotId: null };
}

/** One request to the catalog, which is never repeated on its own. */
async function request(
  table: CommitTable,
  pending: PendingCommit,
  requirements: readonly TableRequirement[],
  updates: readonly TableUpdate[],
): Promise<CommitOutcome> {
  const before = pending.mayHaveLanded;
  pending.mayHaveLanded = true;
  const outcome = await pending.via.commit(table.options.name, requirements, updates);
  if (outcome.kind === "conflict") pending.mayHaveLanded = before;
  return outcome;
}

const TOO_OLD = "it began so long ago that an orphan cleaner may have taken its files";

/** Rule 10l: files of so old a commit are no longer sure to be there. */
function isTooOld({ parts, options }: CommitTable, { beganMs }: PendingCommit): boolean {
  const { filesAgeMsMax = Number.POSITIVE_INFINITY } = options;
  return parts.clock.nowMs() - beganMs > filesAgeMsMax;
}

function drop(reason: string): Drop {
  return { kind: "dropped", reason, by: "" };
}
