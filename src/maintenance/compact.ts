/**
 * Compaction: small files, and files with many deleted rows, become files of the target size (SPEC
 * section 4, `[maintenance]`; CHANGE_RULES 10h).
 *
 * One snapshot is planned and read. Its groups are written one after the other and committed some at a
 * time, so that a run that ends early loses little. Rows that others delete meanwhile are deleted in the new files as
 * well; a group whose files others have replaced is left for the next run, and one that the engine cannot write keeps no
 * other back. A commit waits while a commit of this process's own is undecided, since it would move the head (10i).
 */
import { describe, fail, kindOf } from "#base/errors.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { Ledger } from "#commit/ledger.ts";
import { logFlushStarted } from "#commit/logCommit.ts";
import { listedManifests } from "#commit/manifests.ts";
import { Rewrite } from "#commit/rewrite.ts";
import { liveDataFiles, liveDeletes } from "#iceberg/io/liveFiles.ts";
import type { RewrittenFile } from "#keyindex/port.ts";
import { endsIn } from "./closedPartitions.ts";
import { batches, isNumbered } from "./compactBatches.ts";
import { type CompactSettings, type PlannedGroup, planGroups } from "./compactPlan.ts";
import { type CompactReport, CompactRun, type End } from "./compactRun.ts";
import type { RewriteEngine, RewriteJob, RewrittenGroup } from "./engine.ts";
import { rewrittenLocation } from "./location.ts";
import { rewrittenFiles } from "./rewrittenFiles.ts";
import { type RunOptions, refusePaused, refuseStopped } from "./run.ts";
import type { VainGroups } from "./vainGroups.ts";

/** How a compaction is asked for. */
export interface CompactOptions extends RunOptions {
  readonly settings: CompactSettings;
  /** Groups that are rewritten at the same time. */
  readonly jobs: number;
  /** Of disk, for what sorting a group has no memory for. Default: 0, rows stay as they come. */
  readonly sortSpillBytesMax?: number;
  /** Told of files before they are committed. Default: nobody is. */
  readonly onRewritten?: (files: readonly RewrittenFile[]) => Promise<void>;
  /** Resolves when no own commit of the table is undecided, or when that does not end. Default: there is none. */
  readonly whenDecided?: () => Promise<"decided" | "undecided">;
  /** What earlier runs wrote in vain. Default: nothing is known of it. */
  readonly vain?: VainGroups;
}

/**
 * Disk that sorting a group may take, by the size of the file that it becomes: the engine keeps rows there without
 * their encodings (measured: 3.5 times).
 */
export const SORT_SPILL_SHARE = 5;

/** A run ends at the second plan that others overtake: what it reads and writes would be in vain again. */
const PLANS_MAX = 2;

/**
 * Batches in a row that others overtake until the rest of a plan is given up. One keeps no other back, since changes may
 * overtake the same one at every run; where another engine has replaced all files, all others would be in vain.
 */
const IN_VAIN_MAX = 2;

/**
 * Compacts a table, or says what would be.
 * @throws AppError `usage` for a paused table, `table_unsupported` when the engine can write no file of it,
 * `progress` when its offsets cannot be read, and what catalog and store throw; what was committed before stands
 */
export async function compact(
  table: CommitTable,
  engine: RewriteEngine,
  options: CompactOptions,
): Promise<CompactReport> {
  const run = new CompactRun(options.vain);
  for (let plans = 1; plans <= PLANS_MAX; plans++) {
    const head = await table.load();
    const refusal = engine.refusal(head);
    if (refusal !== null) throw fail("table_unsupported", refusal, { table: table.name });
    const planned = await plan(table, head, options.settings);
    run.plans(planned);
    if (plans === 1) run.skips(planned.filter((group) => !isNumbered(group)));
    if (options.isDry) return run.planned;
    refusePaused(head);
    if (planned.length > 0) engine.ready();
    const end = await rewriteAll(table, engine, { head, planned, run, options });
    if (end === "done") break;
    if (end === "undecided") {
      table.parts.logger.log("warn", UNDECIDED, { table: table.name });
      break;
    }
  }
  run.leavesRest();
  return run.report;
}

/** Told of a run that gives up. */
const UNDECIDED =
  "A compaction was given up: a commit of this process has had no answer for long, or its table no longer runs; the next run takes the rest";

async function plan(
  { options: { branch }, parts: { clock } }: CommitTable,
  head: LoadedTable,
  settings: CompactSettings,
): Promise<PlannedGroup[]> {
  const { storage, metadata } = head;
  const manifests = await listedManifests(head, branch);
  const { index } = await liveDeletes(storage, metadata, manifests);
  const files = await Array.fromAsync(liveDataFiles(storage, metadata, manifests));
  const { closed = { from: 0, to: 0 } } = settings;
  return planGroups(files, index, settings, () => clock.turn(), endsIn(metadata, closed));
}

interface Plan {
  readonly head: LoadedTable;
  readonly planned: readonly PlannedGroup[];
  readonly run: CompactRun;
  readonly options: CompactOptions;
}

async function rewriteAll(table: CommitTable, engine: RewriteEngine, plan: Plan): Promise<End> {
  const { planned, run, options } = plan;
  const isSorted = (options.sortSpillBytesMax ?? 0) > 0;
  let [inVain, isOvertaken] = [0, false];
  const open = planned.filter((group) => !run.isInVain(group));
  for (const batch of batches(open, isSorted)) {
    refuseStopped(options.stop);
    const end = await rewriteBatch(table, engine, { ...plan, batch });
    if (end === "undecided") return end;
    inVain = end === "overtaken" ? inVain + 1 : 0;
    isOvertaken ||= end === "overtaken";
    if (inVain === IN_VAIN_MAX) break;
  }
  return isOvertaken ? "overtaken" : "done";
}

interface Batch extends Plan {
  readonly batch: readonly PlannedGroup[];
}

/** Writes and commits some groups. */
async function rewriteBatch(
  table: CommitTable,
  engine: RewriteEngine,
  { head, batch, run, options }: Batch,
): Promise<End> {
  const { parts } = table;
  const sequenceNumber = readSequenceNumber(table, head);
  const ledger = new Ledger(parts.random.uuid());
  const { formatVersion } = head.metadata;
  const read = { sequenceNumber, formatVersion };
  const change = new Rewrite(parts, read, engine.writePositionDeletes);
  const pending = newCommit(table, change, ledger);
  const jobs = batch.map((group) => ({ group, location: rewrittenLocation(parts, head, group) }));
  ledger.plan(jobs.map(({ location }) => location));
  await logFlushStarted(parts, head, ledger.commitId, ledger.names, {});
  try {
    await inParallel(jobs, options.jobs, async ({ group, location }) => {
      refuseStopped(options.stop);
      run.begins(options);
      const { sortSpillBytesMax = 0 } = options;
      const job = { head, group, location, commitId: ledger.commitId, sortSpillBytesMax };
      const rewritten = await rewriteGroup(engine, job, run, options.stop);
      if (rewritten === "gone" || rewritten === "refused") return;
      const { output, moved, isCopied = false, isThinned = false } = rewritten;
      if (isCopied) run.copies(location);
      if (output !== null) ledger.store([location]);
      const inputs = group.inputs.map(({ path, deletes }, at) => ({
        path,
        deletes,
        moved: moved?.[at] ?? null,
      }));
      change.add({ inputs, output, isThinned });
    });
    if (batch.every((group) => run.isRefused(group))) {
      await giveUp(table, pending);
      return "done";
    }
    await options.onRewritten?.(rewrittenFiles(change.groups, batch));
    if ((await options.whenDecided?.()) === "undecided") {
      await giveUp(table, pending);
      return "undecided";
    }
    return run.ended(table, await commit(table, pending), change, batch);
  } catch (error) {
    await giveUp(table, pending);
    throw error;
  }
}

/** Works on some items at a time; when one fails no other is begun, and those under way end first. */
async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (const item of left) {
      if (hasFailed) return;
      await work(item).catch((error: unknown) => {
        hasFailed = true;
        throw error;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.max(1, atOnce) }, worker));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** One group; `gone` when others have removed one of its files (10l(4)). */
async function rewriteGroup(
  engine: RewriteEngine,
  job: RewriteJob,
  run: CompactRun,
  stop: AbortSignal,
): Promise<RewrittenGroup | "gone" | "refused"> {
  try {
    return await engine.rewrite(job, stop);
  } catch (error) {
    switch (kindOf(error)) {
      case "storage_missing":
        return "gone";
      case "table_unsupported":
      case "query":
      case "query_engine":
      case "rewrite_process":
        // It will be so at every run, which must not keep the others from being written.
        run.refuses(job.group, describe(error));
        return "refused";
      default:
        throw error;
    }
  }
}

/** The sequence number of the snapshot that is read. */
function readSequenceNumber(
  { options: { branch } }: CommitTable,
  { metadata }: LoadedTable,
): bigint {
  const id = metadata.refs[branch]?.snapshotId ?? metadata.currentSnapshotId;
  const snapshot = metadata.snapshots.find(({ snapshotId }) => snapshotId === id);
  return snapshot?.sequenceNumber ?? metadata.lastSequenceNumber;
}
