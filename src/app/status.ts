/**
 * The state of the process, as `/health`, `/ready`, `/status` and the status line ask for it.
 */
import type { Clock } from "#base/clock.ts";
import { describe } from "#base/errors.ts";
import type { FeedRun } from "#pipeline/feeds.ts";
import type { TableRun } from "#pipeline/tableRun.ts";
import type {
  HealthCheck,
  HealthReport,
  PartitionStatus,
  PipelineStatus,
  RunState,
  StatusReport,
  StatusSource,
  TableStatus,
} from "#server/status.ts";
import type { PipelineRun } from "./pipelineRun.ts";

/** What the process as a whole knows. */
export interface ProcessState {
  readonly clock: Clock;
  readonly version: string;
  readonly commit: string;
  readonly startedMs: number;
  readonly lag: { readonly msMax: number; readonly recordsMax: number };
  readonly pipelines: readonly PipelineRun[];
}

/** The status of a running process. */
export function statusSource(state: ProcessState): StatusSource {
  return {
    health: () => health(state),
    ready: () => state.pipelines.length > 0 && state.pipelines.every(isReady),
    status: () => report(state),
  };
}

function isReady(run: PipelineRun): boolean {
  const feeds = run.pipeline?.feeds.all() ?? [];
  return run.state === "running" && run.assigned && feeds.every((feed) => feed.epoch > 0);
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

function pipelineStatus(run: PipelineRun, nowMs: number): PipelineStatus {
  const feeds = run.pipeline?.feeds.all() ?? [];
  return {
    name: run.name,
    state: run.state,
    tables: [...(run.pipeline?.tables ?? [])].map(tableStatus),
    partitions: feeds.map((feed) => partitionStatus(run, feed, nowMs)),
    lastError: run.lastError === null ? null : describe(run.lastError),
  };
}

function tableStatus(table: TableRun): TableStatus {
  const { state } = table;
  return {
    table: table.name,
    state: state.kind,
    bufferedRows: table.buffer.rows,
    bufferedBytes: table.buffer.bytes,
    lastCommitMs: table.lastCommitMs,
    lastSnapshotId: table.lastSnapshotId,
    rowsCommitted: table.rowsCommitted,
    circuit: "closed",
    lastError: errorOf(table),
  };
}

function errorOf(table: TableRun): string | null {
  if (table.state.kind === "stopped") return describe(table.state.error);
  const errors = [...table.failedTopics.values()];
  if (table.state.kind === "retrying") errors.push(table.state.cause);
  return errors.length === 0 ? null : errors.map(describe).join("; ");
}

function partitionStatus(run: PipelineRun, feed: FeedRun, nowMs: number): PartitionStatus {
  const { topic, partition } = feed.feed;
  const known = run.positions.of(topic, partition);
  const highWatermark = known?.highWatermark ?? null;
  const caughtUp = feed.position >= (known?.lastStableOffset ?? feed.position);
  const stamp = known?.timestampMs ?? 0;
  return {
    topic,
    partition,
    position: feed.position,
    committedOffset: feed.committed,
    highWatermark,
    lastStableOffset: known?.lastStableOffset ?? null,
    lag: highWatermark === null ? null : lagOf(highWatermark, feed.committed),
    lagMs: caughtUp || stamp === 0 ? null : Math.max(0, nowMs - stamp),
    paused: run.pipeline?.holding === true || feed.table.state.kind === "paused",
  };
}

function lagOf(highWatermark: bigint, committed: bigint): bigint {
  return highWatermark > committed ? highWatermark - committed : 0n;
}

const OK: HealthCheck = { status: "ok", detail: "" };

function health(state: ProcessState): HealthReport {
  const stopped = state.pipelines.filter((run) => run.state === "stopped");
  const everyStopped = stopped.length === state.pipelines.length && stopped.length > 0;
  const checks = {
    kafka: firstTrouble(state.pipelines.map((run) => run.kafkaTrouble)),
    catalog: firstTrouble(state.pipelines.flatMap(tableTroubles)),
    storage: OK,
    transaction_log: OK,
    lag: lagCheck(state),
  };
  const degraded = Object.values(checks).some((check) => check.status !== "ok");
  const partly = stopped.length > 0 || degraded;
  return { status: everyStopped ? "failed" : partly ? "degraded" : "ok", checks };
}

function tableTroubles(run: PipelineRun): (string | null)[] {
  return [...(run.pipeline?.tables ?? [])].map(errorOf);
}

function firstTrouble(troubles: readonly (string | null)[]): HealthCheck {
  const detail = troubles.find((trouble) => trouble !== null) ?? null;
  return detail === null ? OK : { status: "degraded", detail };
}

function lagCheck({ pipelines, lag, clock }: ProcessState): HealthCheck {
  for (const run of pipelines) {
    for (const status of pipelineStatus(run, clock.nowMs()).partitions) {
      const byTime = lag.msMax > 0 && (status.lagMs ?? 0) > lag.msMax;
      const byRecords = lag.recordsMax > 0 && (status.lag ?? 0n) > BigInt(lag.recordsMax);
      if (!byTime && !byRecords) continue;
      const where = `${status.topic}/${status.partition}`;
      return { status: "degraded", detail: `${where} is ${status.lag ?? 0n} records behind` };
    }
  }
  return OK;
}

/** The state of a pipeline from its tables. */
export function stateOf(tables: Iterable<TableRun>): RunState {
  const kinds = [...tables].map((table) => table.state.kind);
  if (kinds.length > 0 && kinds.every((kind) => kind === "stopped")) return "stopped";
  if (kinds.some((kind) => kind === "retrying")) return "retrying";
  return "running";
}
