/**
 * Relations of a process that are no tables (SPEC section 7): `sync_points` and `transaction_log`. A table of
 * such a name stands before them.
 */
import type { Clock } from "#base/clock.ts";
import type { Disk } from "#base/disk.ts";
import { writePortableJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import type { LoggedEntry } from "#txlog/log.ts";
import { readTransactionLog } from "#txlog/read.ts";
import { selectObjects } from "./listings.ts";

/** Where a table stands in a partition (`commit/syncPoints.ts`). */
export interface SyncPointRow {
  readonly table: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly committedMs: number | null;
}

const SYNC_POINT_COLUMNS = {
  source_name: "VARCHAR",
  sync_key: "VARCHAR",
  sync_value: "VARCHAR",
  committed_at: "TIMESTAMPTZ",
  table_name: "VARCHAR",
};

/** A SELECT of sync points. */
export function selectSyncPoints(points: readonly SyncPointRow[]): string {
  const rows = points.map(({ table, topic, partition, offset, committedMs }) => ({
    source_name: topic,
    sync_key: `partition:${partition}`,
    sync_value: String(offset),
    committed_at: committedMs === null ? null : new Date(committedMs).toISOString(),
    table_name: table,
  }));
  return selectObjects(SYNC_POINT_COLUMNS, rows);
}

const LOG_COLUMNS = {
  sequence: "BIGINT",
  logged_at: "TIMESTAMPTZ",
  type: "VARCHAR",
  entry: "JSON",
};

/**
 * A SELECT of the newest entries of a transaction log, at most `LIMITS.listedFilesMax`. What is damaged is
 * left out; `kafka-iceberg log --verify` tells of it.
 */
export async function selectLog(
  folder: string,
  parts: { readonly disk: Disk; readonly clock: Clock },
): Promise<string> {
  let newest: LoggedEntry[] = [];
  for await (const item of readTransactionLog(folder, parts)) {
    if (item.kind === "entry") newest.push(item.logged);
    if (newest.length >= 2 * LIMITS.listedFilesMax) newest = newest.slice(-LIMITS.listedFilesMax);
  }
  const rows = newest.slice(-LIMITS.listedFilesMax).map(({ sequence, timeMs, entry }) => {
    const { type, ...members } = entry;
    return {
      sequence: String(sequence),
      logged_at: new Date(timeMs).toISOString(),
      type,
      entry: writePortableJson(members),
    };
  });
  return selectObjects(LOG_COLUMNS, rows);
}
