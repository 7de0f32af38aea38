/**
 * The state of the process, as `/health`, `/ready`, `/status` and the status line ask for it.
 */
import type { Clock } from "#base/clock.ts";
import { describe } from "#base/errors.ts";
import { namespaceText } from "#catalog/names.ts";
import { committedOf, type FeedRun } from "#pipeline/feeds.ts";
import type { Sink } from "#pipeline/sink.ts";
import { takesRows } from "#pipeline/states.ts";
import type {
  PartitionStatus,
  PipelineStatus,
  RunState,
  StatusReport,
  StatusSource,
  TableStatus,
} from "#server/status.ts";
import { healthOf, tableErrors, type WatchedPipeline } from "./health.ts";
import type { PipelineRun } from "./pipelineRun.ts";

/** A pipeline's line names so many errors at most. */
const ERRORS_SHOWN_MAX = 3;

/** What the process as a whole knows. */
export interface ProcessState {
  readonly clock: Clock;
  readonly version: string;
  readonly commit: string;
  readonly startedMs: number;
  readonly lag: { readonly msMax: number; readonly recordsMax: number };
  /** Why the state directory or the log cannot be used; null while they can. */
  readonly stateTrouble: () => unknown;
  /** The state directory and the log's folder. */
  readonly stateFolders: readonly string[];
  readonly pipelines: readonly ReportedPipeline[];
}

/** What of a pipeline its reports are made from. */
export type ReportedPipeline = WatchedPipeline &
  Pick<
    PipelineRun,
    "name" | "positions" | "assigned" | "recordsConsumed" | "circuit" | "maintenanceOf"
  >;

/** The status of a running process. */
export function statusSource(state: ProcessState): StatusSource {
  return {
    health: () =>
      healthOf(state.pipelines, state.stateTrouble(), lagTrouble(state), state.stateFolders),
    ready: () => state.pipelines.length > 0 && state.pipelines.every(isReady),
    status: () => report(state),
  };
}

function isReady(run: ReportedPipeline): boolean {
  const feeds = run.pipeline?.feeds.all() ?? [];
  return run.state === "running" && run.assigned && feeds.every(isReadOrOver);
}

/** Partitions whose tables have stopped, or that feed none, do not keep the others from being ready. */
function isReadOrOver({ epoch, outlets }: FeedRun): boolean {
  return epoch > 0 || outlets.every(({ sink }) => !takesRows(sink.state));
}

function report(state: ProcessState): StatusReport {
  return {
    version: state.version,
    commit: state.commit,
    startedMs: state.startedMs,
    nowMs: state.clock.nowMs(),
    rowsConsumed: state.pipelines.reduce((sum, run) => sum + run.recordsConsumed, 0),
    pipelines: state.pipelines.map((run) => pipelineStatus(run, state.clock.nowMs())),
  };
}

function pipelineStatus(run: ReportedPipeline, nowMs: number): PipelineStatus {
  const feeds = run.pipeline?.feeds.all() ?? [];
  return {
    name: run.name,
    state: run.state,
    tables: [...(run.pipeline?.tables ?? [])].map((table) => tableStatus(table, run)),
    partitions: feeds.map((feed) => partitionStatus(run, feed, nowMs)),
    lastError: lastErrorOf(run),
  };
}

/** Topics that feed no table stand in no table's line. */
function lastErrorOf({ lastError, pipeline }: ReportedPipeline): string | null {
  const refused = [...(pipeline?.tables.refused.values() ?? [])];
  const errors = lastError === null ? refused : [lastError, ...refused];
  return errors.length === 0 ? null : errors.slice(0, ERRORS_SHOWN_MAX).map(describe).join("; ");
}

function tableStatus(table: Sink, run: ReportedPipeline): TableStatus {
  const { state } = table;
  return {
    table: table.name,
    database: namespaceText(table.options.name.namespace),
    name: table.options.name.table,
    state: state.kind,
    bufferedRows: table.buffer.rows,
    bufferedBytes: table.buffer.bytes,
    lastCommitMs: table.lastCommitMs,
    lastSnapshotId: table.lastSnapshotId,
    rowsCommitted: table.rowsCommitted,
    circuit: run.circuit,
    lastError: errorOf(table),
    maintenance: run.maintenanceOf(table.name),
  };
}

function errorOf(table: Sink): string | null {
  const errors = tableErrors(table);
  return errors.length === 0 ? null : errors.map(describe).join("; ");
}

function partitionStatus(run: ReportedPipeline, feed: FeedRun, nowMs: number): PartitionStatus {
  const { topic, partition } = feed.feed;
  const known = run.positions.of(topic, partition);
  const highWatermark = known?.highWatermark ?? null;
  const caughtUp = feed.position >= (known?.lastStableOffset ?? feed.position);
  const stamp = known?.timestampMs ?? 0;
  const committed = committedOf(feed);
  return {
    topic,
    partition,
    position: feed.position,
    committedOffset: committed,
    highWatermark,
    lastStableOffset: known?.lastStableOffset ?? null,
    lag: highWatermark === null ? null : lagOf(highWatermark, committed),
    lagMs: caughtUp || stamp === 0 ? null : Math.max(0, nowMs - stamp),
    paused: feed.held === true,
  };
}

function lagOf(highWatermark: bigint, committed: bigint): bigint {
  return highWatermark > committed ? highWatermark - committed : 0n;
}

/** Why a pipeline is too far behind; null while none is. */
function lagTrouble({ pipelines, lag, clock }: ProcessState): string | null {
  for (const run of pipelines) {
    for (const feed of run.pipeline?.feeds.all() ?? []) {
      const status = partitionStatus(run, feed, clock.nowMs());
      const behind = status.lag ?? 0n;
      const byTime = lag.msMax > 0 && (status.lagMs ?? 0) > lag.msMax;
      const byRecords = lag.recordsMax > 0 && behind > BigInt(lag.recordsMax);
      if (byTime || byRecords) {
        return `${status.topic}/${status.partition} is ${behind} records behind`;
      }
    }
  }
  return null;
}

/** The state of a pipeline from its tables. */
export function stateOf(tables: Iterable<Sink>): RunState {
  const kinds = [...tables].map((table) => table.state.kind);
  if (kinds.length > 0 && kinds.every((kind) => kind === "stopped")) return "stopped";
  if (kinds.some((kind) => kind === "retrying")) return "retrying";
  return "running";
}

/** Rows that were read and are in no snapshot of a table. */
export function uncommittedOf({ buffer, sources }: Sink): number {
  return [...sources].reduce((sum, { records }) => sum + records, buffer.rows);
}
