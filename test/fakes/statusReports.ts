/**
 * Status reports for tests.
 */
import type {
  HealthReport,
  PartitionStatus,
  PipelineStatus,
  StatusReport,
  StatusSource,
  TableStatus,
} from "#server/status.ts";

/** A partition that is 90 behind. */
export const partition: PartitionStatus = {
  topic: "events",
  partition: 0,
  position: 9_007_199_254_740_993n,
  committedOffset: 9_007_199_254_740_903n,
  highWatermark: 9_007_199_254_740_993n,
  lastStableOffset: 9_007_199_254_740_993n,
  lag: 90n,
  lagMs: 1500,
  paused: false,
};

/** A table that has just committed. */
export const table: TableStatus = {
  table: "default.events",
  database: "default",
  name: "events",
  state: "running",
  bufferedRows: 1500,
  bufferedBytes: 2_000_000,
  lastCommitMs: 97_000,
  lastSnapshotId: 8_764_393_922_114_530_001n,
  rowsCommitted: 1_234_567,
  circuit: "half_open",
  lastError: null,
  maintenance: [{ operation: "expire", endedMs: 1, error: null, nextMs: null }],
};

/** A pipeline with that table. */
export const pipeline: PipelineStatus = {
  name: "default",
  state: "running",
  tables: [table],
  partitions: [partition],
  lastError: null,
};

/** A report with that pipeline. */
export const report: StatusReport = {
  version: "1.2.3",
  commit: "abc",
  startedMs: 0,
  nowMs: 100_000,
  rowsConsumed: 1_236_067,
  pipelines: [pipeline],
};

/** A health report of one status. */
export function healthOf(status: HealthReport["status"]): HealthReport {
  const ok = { status: "ok", detail: "" } as const;
  const lag = { status, detail: status === "ok" ? "" : "lag of 90 s" } as const;
  const checks = {
    kafka: ok,
    catalog: ok,
    storage: ok,
    schema_registry: ok,
    transaction_log: ok,
    tables: ok,
    lag,
  };
  return { status, checks };
}

/** A source whose answers a test can change. */
export class FakeStatus implements StatusSource {
  healthStatus: HealthReport["status"] = "ok";
  isReady = true;
  current: StatusReport = report;

  health(): HealthReport {
    return healthOf(this.healthStatus);
  }

  ready(): boolean {
    return this.isReady;
  }

  status(): StatusReport {
    return this.current;
  }
}
