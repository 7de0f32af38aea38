/**
 * What makes a compaction begin before its interval is over: many files came, many rows were deleted, or an hour or
 * a day has closed. Told by what is in memory of the table's head, without a request.
 */
import type { LoadedTable } from "#catalog/catalog.ts";
import { headOf } from "#commit/progress.ts";
import { MAIN_BRANCH } from "#iceberg/metadata/tableMetadataJson.ts";
import { lastEnd, spanOf } from "./closedPartitions.ts";
import type { ScheduledTable, Trigger } from "./schedule.ts";
import { lastBegan } from "./turn.ts";

/** When a compaction is wanted. */
export interface TriggerSettings {
  /** Data files that came since the last run; 0: never. */
  readonly files: number;
  /** Share of the rows that was deleted since the last run, 0 to 1. */
  readonly deleteRatio: number;
  /** A partition is closed so long after its end, by the time of the rows, ms; 0: never. */
  readonly closedAfterMs: number;
}

/** Totals of a snapshot, as its summary has them. */
interface Totals {
  readonly files: number;
  readonly deletes: number;
  readonly rows: number;
}

/** Watches the tables of a pipeline. */
export class CompactTrigger implements Trigger {
  readonly #settings: TriggerSettings;
  /** By table: the totals after its last run, or when it was first seen. */
  readonly #before = new Map<string, Totals>();

  constructor(settings: TriggerSettings) {
    this.#settings = settings;
  }

  wanted(table: ScheduledTable): string | null {
    const head = table.seen?.() ?? null;
    if (head === null) return null;
    const now = totalsOf(head, table.branch ?? MAIN_BRANCH);
    const before = this.#before.get(table.name) ?? now;
    // Another process may have compacted: fewer are there than there were.
    const least = {
      files: Math.min(before.files, now.files),
      deletes: Math.min(before.deletes, now.deletes),
      rows: now.rows,
    };
    this.#before.set(table.name, least);
    const { files, deleteRatio } = this.#settings;
    const came = now.files - least.files;
    if (files > 0 && came >= files) return `${came} data files came`;
    const deleted = now.deletes - least.deletes;
    if (deleted > 0 && deleted >= deleteRatio * now.rows) return `${deleted} rows were deleted`;
    return this.#closed(head, table);
  }

  ended({ name }: ScheduledTable): void {
    this.#before.delete(name);
  }

  #closed(head: LoadedTable, table: ScheduledTable): string | null {
    const { closedAfterMs } = this.#settings;
    const { metadata } = head;
    const spec = metadata.partitionSpecs.find(({ specId }) => specId === metadata.defaultSpecId);
    const span = spec === undefined ? null : spanOf(spec);
    const watermarkMs = table.watermarkMs?.() ?? null;
    const beganMs = lastBegan(head, "compact");
    if (closedAfterMs === 0 || span === null || watermarkMs === null || beganMs === null)
      return null;
    const endMs = lastEnd(span, watermarkMs - closedAfterMs);
    if (endMs === null || beganMs >= endMs + closedAfterMs) return null;
    return `the ${span} until ${new Date(endMs).toISOString()} has closed`;
  }
}

function totalsOf({ metadata }: LoadedTable, branch: string): Totals {
  const id = headOf(metadata, branch);
  const summary = metadata.snapshots.find(({ snapshotId }) => snapshotId === id)?.summary ?? {};
  const total = (name: string): number => Number(summary[`total-${name}`] ?? 0) || 0;
  return {
    files: total("data-files"),
    deletes: total("position-deletes"),
    rows: total("records"),
  };
}
