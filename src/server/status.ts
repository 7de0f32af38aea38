/**
 * What the HTTP surface and the status line ask of the running process: health, readiness, and the
 * state of every pipeline, table and partition (SPEC section 7). The runtime implements
 * {@link StatusSource}; `server/` only renders it. Reports hold no secrets and no row values.
 */

/** `failed` only when the loop hangs or every pipeline stopped; a dependency away is `degraded`. */
export type HealthStatus = "ok" | "degraded" | "failed";

/** The named checks of `/health`. */
export type HealthCheckName =
  | "kafka"
  | "catalog"
  | "storage"
  | "schema_registry"
  | "transaction_log"
  /** Tables that stopped, or wait, for a reason of their own: a record, a schema, a person. */
  | "tables"
  | "lag";

/** One check. */
export interface HealthCheck {
  readonly status: HealthStatus;
  /** One sentence for a person; empty when ok. */
  readonly detail: string;
}

/** The body of `/health`; 503 only when `failed`. */
export interface HealthReport {
  readonly status: HealthStatus;
  readonly checks: Readonly<Record<HealthCheckName, HealthCheck>>;
}

/** Of one pipeline or table: reading, not reading for now, waiting for a service, writing what it has before it stops, or stopped. */
export type RunState = "starting" | "running" | "paused" | "retrying" | "draining" | "stopped";

/** Of the catalog's circuit breaker (SPEC section 10). */
export type CircuitState = "closed" | "half_open" | "open";

/** One partition that this process reads. Offsets are the *next* ones. */
export interface PartitionStatus {
  readonly topic: string;
  readonly partition: number;
  /** Next offset to read from Kafka. */
  readonly position: bigint;
  /** Next offset by the table. */
  readonly committedOffset: bigint;
  /** Null until Kafka has answered a fetch of the partition. */
  readonly highWatermark: bigint | null;
  readonly lastStableOffset: bigint | null;
  /** Offsets between the committed one and the high watermark; null while that is not known. */
  readonly lag: bigint | null;
  /** Age of the newest record read, ms; null when none was read or nothing is left to read. */
  readonly lagMs: number | null;
  /** True while backpressure or `pause TABLE` holds it. */
  readonly paused: boolean;
}

/** One table that a pipeline keeps. */
export interface TableStatus {
  /** the table's full name (`catalog/names.ts`). */
  readonly table: string;
  /** The two parts of it, as metrics have them. */
  readonly database: string;
  readonly name: string;
  readonly state: RunState;
  readonly bufferedRows: number;
  readonly bufferedBytes: number;
  readonly lastCommitMs: number | null;
  readonly lastSnapshotId: bigint | null;
  /** Rows committed since the process started. */
  readonly rowsCommitted: number;
  readonly circuit: CircuitState;
  /** One sentence, or null. */
  readonly lastError: string | null;
  /** Each kind of maintenance run in this process. */
  readonly maintenance: readonly {
    readonly operation: string;
    /** When the last one ended; null: none has yet. */
    readonly endedMs: number | null;
    /** One sentence; null: it ended well. */
    readonly error: string | null;
    /** When the next one is due; null while one is under way, and when none is wanted any more. */
    readonly nextMs: number | null;
  }[];
}

/** One pipeline. */
export interface PipelineStatus {
  readonly name: string;
  readonly state: RunState;
  readonly tables: readonly TableStatus[];
  readonly partitions: readonly PartitionStatus[];
  readonly lastError: string | null;
}

/** The body of `/status`. */
export interface StatusReport {
  readonly version: string;
  readonly commit: string;
  readonly startedMs: number;
  readonly nowMs: number;
  /** Rows consumed since the process started. */
  readonly rowsConsumed: number;
  readonly pipelines: readonly PipelineStatus[];
}

/** Implemented by the runtime; each call answers at once from memory. */
export interface StatusSource {
  health(): HealthReport;
  /** True once partitions are assigned and their offsets resolved. */
  ready(): boolean;
  status(): StatusReport;
}
