/**
 * Typed observations. Folders emit them; `server/metrics.ts` turns them into Prometheus samples and
 * tests assert on them. Nothing below `server/` knows about Prometheus.
 */
import type { ErrorKind } from "./errors.ts";

/**
 * What becomes of commits. `committed`, `conflict` and `unknown` are of one attempt; `fenced`: the
 * table was not where we left it, so that rows are read again; `failed`: the table stopped.
 */
export const COMMIT_OUTCOMES = ["committed", "conflict", "unknown", "fenced", "failed"] as const;

/** Kinds of maintenance runs, by their names on the command line, in metrics and in the log. */
export const MAINTENANCE_OPERATIONS = [
  "compact",
  "expire",
  "orphans",
  "manifests",
  "statistics",
] as const;

/** How a maintenance run ends: `failed` is tried again at the next interval. */
export const MAINTENANCE_OUTCOMES = ["done", "failed"] as const;

/** Parts of a table that the metadata cache answers, by the requirement documents' names. */
export const CACHE_KEYS = ["snapshot_id", "manifest", "schema"] as const;

/** What can be observed. Durations in milliseconds, sizes in bytes, offsets as numbers for gauges. */
export type Observation =
  | { type: "consumed"; topic: string; partition: number; records: number; bytes: number }
  | {
      type: "position";
      topic: string;
      partition: number;
      /** Next offset to read. */
      position: bigint;
      highWatermark: bigint;
      lastStableOffset: bigint;
      /** Kafka timestamp of the newest record read, ms; 0 when none. */
      timestampMs: number;
    }
  | { type: "revoked"; topic: string; partition: number }
  | { type: "assigned"; count: number }
  | { type: "rebalance" }
  | { type: "paused"; count: number }
  | { type: "backpressure"; durationMs: number }
  | { type: "buffer"; bytes: number; records: number }
  | { type: "rejected"; reason: string; records: number }
  /** Rows whose event time lies further behind their partition's than `late_threshold_seconds`. */
  | { type: "late"; records: number }
  /** The greatest event time of a partition so far, UTC ms. */
  | { type: "watermark"; topic: string; partition: number; eventMs: number }
  | { type: "flush"; durationMs: number; rows: number }
  | { type: "file"; bytes: number; rows: number; durationMs: number }
  /** Data files that are being written: so many more, or fewer. */
  | { type: "open_files"; change: number }
  | { type: "pending_commits"; count: number }
  | {
      type: "commit";
      database: string;
      table: string;
      outcome: (typeof COMMIT_OUTCOMES)[number];
      /** True for data commits, false for offset-only and schema commits. */
      data: boolean;
      durationMs: number;
      atMs: number;
    }
  | {
      type: "maintenance";
      operation: (typeof MAINTENANCE_OPERATIONS)[number];
      outcome: (typeof MAINTENANCE_OUTCOMES)[number];
      durationMs: number;
      bytesReclaimed: number;
      /** Files that it replaced by others; 0 for operations that replace none. */
      filesMerged: number;
    }
  | { type: "idempotent_retry"; reason: string }
  | { type: "freshness"; stage: "queryable" | "committed"; ageMs: number }
  | {
      type: "catalog";
      operation: string;
      catalogType: string;
      durationMs: number;
      error: string | null;
    }
  /** The metadata cache was asked; hit: an earlier answer was young enough. */
  | { type: "metadata_cache"; key: (typeof CACHE_KEYS)[number]; hit: boolean }
  | {
      type: "table_state";
      database: string;
      table: string;
      snapshots: number;
      metadataBytes: number;
    }
  /** A service failed, also where it is asked again (null: it answers again). */
  | { type: "service"; service: "kafka" | "storage" | "registry"; trouble: unknown }
  | { type: "error"; kind: ErrorKind };

/** Receives observations; must not throw. */
export type Observe = (observation: Observation) => void;

/** Drops observations. */
export const ignoreObservations: Observe = () => undefined;
