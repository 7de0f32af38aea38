/**
 * Configuration -> options of maintenance (SPEC section 4, `[maintenance]`).
 */
import type { ExpiryPolicy } from "#iceberg/metadata/expiry.ts";
import type { TriggerSettings } from "#maintenance/compactTrigger.ts";
import { type DailyWindow, parseWindow } from "#maintenance/windows.ts";
import type { WriterOptions } from "#writer/parts.ts";
import type { PipelineConfig } from "./config.ts";
import type { PipelineValues } from "./keys.ts";

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 * 1024;

/** Which files are compacted, and to which size. */
export interface CompactOptions {
  readonly smallBytes: number;
  readonly targetBytes: number;
  /** 0 to 1. */
  readonly deleteRatio: number;
  /** Groups of files that are rewritten at the same time. */
  readonly jobs: number;
}

/** Scheduled runs; null: not by us. */
export interface MaintenanceOptions {
  readonly compact: {
    readonly intervalMs: number;
    readonly options: CompactOptions;
    readonly codec: Pick<WriterOptions, "codec" | "codecLevel" | "unset">;
    readonly trigger: Omit<TriggerSettings, "deleteRatio">;
  } | null;
  readonly expire: { readonly intervalMs: number; readonly policy: ExpiryPolicy } | null;
  readonly orphans: { readonly intervalMs: number; readonly ageMsMin: number } | null;
  readonly statistics: { readonly intervalMs: number } | null;
  /** Times of day at which runs may begin; none: always. */
  readonly windows: readonly DailyWindow[];
}

/**
 * The runs that a configuration asks for.
 * @param codec of rewritten files
 */
export function maintenanceOptions(
  pipeline: PipelineConfig,
  codec: Pick<WriterOptions, "codec" | "codecLevel" | "unset">,
): MaintenanceOptions {
  const { values } = pipeline;
  const orphansMs = values["maintenance.orphan_check_interval_seconds"] * SECOND_MS;
  const compactMs = values["maintenance.compact_interval_seconds"] * SECOND_MS;
  return {
    compact: values["maintenance.compact_enabled"]
      ? {
          intervalMs: compactMs,
          // One group at a time: ingest has the machine's other cores.
          options: { ...compactOptions(values), jobs: 1 },
          codec,
          trigger: {
            files: values["maintenance.compact_trigger_files"],
            closedAfterMs: values["maintenance.compact_closed_after_seconds"] * SECOND_MS,
          },
        }
      : null,
    expire: values["maintenance.snapshot_expiration_enabled"]
      ? { intervalMs: expireIntervalMs(pipeline), policy: expiryPolicy(values) }
      : null,
    orphans: values["maintenance.orphan_cleanup_enabled"]
      ? { intervalMs: orphansMs, ageMsMin: orphanAgeMs(values) }
      : null,
    statistics: values["maintenance.statistics_enabled"]
      ? { intervalMs: values["maintenance.statistics_update_interval_seconds"] * SECOND_MS }
      : null,
    windows: values["maintenance.windows"].flatMap((text) => parseWindow(text) ?? []),
  };
}

/**
 * Snapshots that delete rows are not thinned by the commits that follow: their files may be needed by
 * nobody else. At a commit every five seconds a day of them would be 17,280.
 */
function expireIntervalMs({ values, origins }: PipelineConfig): number {
  const key = "maintenance.snapshot_check_interval_seconds";
  const intervalMs = values[key] * SECOND_MS;
  if (values["source.mode"] === "kstream" || origins.has(key)) return intervalMs;
  return Math.min(intervalMs, HOUR_MS);
}

/** Which files are compacted. */
export function compactOptions(values: PipelineValues): CompactOptions {
  return {
    smallBytes: values["maintenance.compact_threshold_mb"] * MIB,
    targetBytes: values["maintenance.compact_target_mb"] * MIB,
    deleteRatio: values["maintenance.compact_delete_ratio"],
    jobs: values["maintenance.compact_parallel_jobs"],
  };
}

/** How old the files of a commit may be when it is sent, ms: an orphan cleaner waits three times as long. */
export function filesAgeMsMax(values: PipelineValues): number {
  return orphanAgeMs(values) / 3;
}

/** How old a file must be to be removed as an orphan, ms. */
export function orphanAgeMs(values: PipelineValues): number {
  return values["maintenance.orphan_retention_days"] * DAY_MS;
}

/** Which snapshots a table keeps, where it does not say so itself. */
export function expiryPolicy(values: PipelineValues): ExpiryPolicy {
  return {
    retentionMs: values["maintenance.snapshot_retention_days"] * DAY_MS,
    keepAllMs: values["maintenance.snapshot_keep_all_seconds"] * SECOND_MS,
    snapshotsMax: values["maintenance.snapshot_max"],
  };
}
