/**
 * Scheduled maintenance of a running pipeline: its tables, as `maintenance/schedule.ts` asks for them,
 * and the runs that the configuration wants.
 */

import { describe, kindOf } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { CommitTable } from "#commit/commitTable.ts";
import type { MaintenanceOptions } from "#config/buildMaintenance.ts";
import { closedSpan, markClosed } from "#maintenance/closedPartitions.ts";
import { compact, SORT_SPILL_SHARE } from "#maintenance/compact.ts";
import { compactCounts } from "#maintenance/compactRun.ts";
import { CompactTrigger } from "#maintenance/compactTrigger.ts";
import { expireCounts, expireSnapshots } from "#maintenance/expire.ts";
import { orphanCounts, removeOrphans } from "#maintenance/orphans.ts";
import type { RunCounts } from "#maintenance/record.ts";
import {
  createRewriteEngine,
  type RewriteEngineParts,
  rewriteOrder,
} from "#maintenance/rewriteEngine.ts";
import { type RunOptions, refuseStopped } from "#maintenance/run.ts";
import type { Schedule, ScheduledTable } from "#maintenance/schedule.ts";
import { createSketchEngine } from "#maintenance/sketchEngine.ts";
import { statisticsCounts, updateStatistics } from "#maintenance/statistics.ts";
import { VainGroups } from "#maintenance/vainGroups.ts";
import type { Sink } from "#pipeline/sink.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { DiskRoom } from "./diskBudget.ts";
import type { Positions } from "./positions.ts";

/** What rewriting takes of the process. */
export interface RewriteParts extends Omit<RewriteEngineParts, "codec"> {
  /** Where scratch files go. */
  readonly room: DiskRoom;
}

/**
 * The runs that a configuration asks for.
 * @param rewrites what the engine that rewrites data files is made of
 */
export function schedulesOf(
  { compact: compaction, expire, orphans, statistics }: MaintenanceOptions,
  rewrites: RewriteParts,
): Schedule[] {
  const schedules: Schedule[] = [];
  if (compaction !== null) {
    const { jobs, ...settings } = compaction.options;
    const { closedAfterMs } = compaction.trigger;
    const engine = createRewriteEngine({ ...rewrites, codec: compaction.codec });
    const refusals = new Refusals();
    const vain = new VainGroups();
    schedules.push({
      operation: "compact",
      intervalMs: compaction.intervalMs,
      trigger: new CompactTrigger({ ...compaction.trigger, deleteRatio: settings.deleteRatio }),
      marks: (of) => (head) => {
        const watermarkMs = of.watermarkMs?.() ?? null;
        if (watermarkMs === null || closedAfterMs === 0) return {};
        return markClosed(head.metadata, watermarkMs - closedAfterMs);
      },
      run: async (table, stop, of) => {
        const whenDecided = (): ReturnType<typeof untilDecided> => untilDecided(table, of, stop);
        const bytes = SCRATCH_SHARE * settings.targetBytes;
        return withRoom(rewrites.room, bytes, { table, refusals }, async () => {
          const head = await table.load();
          const refusal = engine.refusal(head);
          if (refusal !== null) {
            refusals.tell(table, refusal);
            return NOTHING;
          }
          const backMs = INTERVALS_AFTER_CLOSE * compaction.intervalMs;
          const closed = closedAfterMs === 0 ? undefined : closedSpan(head.metadata, backMs);
          const sortBytes = SORT_SPILL_SHARE * settings.targetBytes;
          const report = await withSort(rewrites.room, sortBytes, head, (sortSpillBytesMax) =>
            compact(table, engine, {
              ...{ ...optionsOf(stop), jobs, whenDecided, sortSpillBytesMax, vain },
              onRewritten: async (files) => of.rewritten?.(files),
              settings: { ...settings, closed },
            }),
          );
          if (report.refusal !== null) refusals.tell(table, report.refusal);
          return compactCounts(report);
        });
      },
    });
  }
  if (expire !== null) {
    const { intervalMs, policy } = expire;
    schedules.push({
      operation: "expire",
      intervalMs,
      run: async (table, stop) =>
        expireCounts(await expireSnapshots(table, policy, optionsOf(stop))),
    });
  }
  if (orphans !== null) {
    const { intervalMs, ageMsMin } = orphans;
    schedules.push({
      operation: "orphans",
      intervalMs,
      run: async (table, stop) => {
        const options = { ...optionsOf(stop), ageMsMin, isForced: false };
        return orphanCounts(await removeOrphans(table, options));
      },
    });
  }
  if (statistics !== null) {
    const count = createSketchEngine(rewrites);
    const refusals = new Refusals();
    schedules.push({
      operation: "statistics",
      intervalMs: statistics.intervalMs,
      run: async (table, stop) => {
        try {
          const bytes = LIMITS.statisticsBytesAtOnce;
          return await withRoom(rewrites.room, bytes, { table, refusals }, async () =>
            statisticsCounts(await updateStatistics(table, count, optionsOf(stop))),
          );
        } catch (error) {
          // It will be so at every run: another try within the interval would read the table in vain.
          if (!UNREADABLE.has(kindOf(error))) throw error;
          refusals.tell(table, describe(error));
          return NOTHING;
        }
      },
    });
  }
  return schedules;
}

/** Intervals in which a closed partition is put together, also when runs follow each other sooner. */
const INTERVALS_AFTER_CLOSE = 3;

/** Scratch files of a group, by the size of the file that it becomes: its inputs, and itself. */
const SCRATCH_SHARE = 2.2;
/** What the engine says of files that it cannot read. */
const UNREADABLE: ReadonlySet<string> = new Set([
  "table_unsupported",
  "query",
  "query_engine",
  "rewrite_process",
]);
const NOTHING: RunCounts = { counts: {}, bytesReclaimed: 0 };
const NO_ROOM = "its scratch files would not be within state.max_disk_mb";

/** A run whose scratch files have room set aside while it lasts; without room it is left out, and told of. */
async function withRoom(
  room: DiskRoom,
  bytes: number,
  { table, refusals }: { readonly table: CommitTable; readonly refusals: Refusals },
  run: () => Promise<RunCounts>,
): Promise<RunCounts> {
  const release = room.reserve(bytes);
  if (release === null) {
    refusals.tell(table, NO_ROOM);
    return NOTHING;
  }
  try {
    return await run();
  } finally {
    release();
  }
}

/** Rows are sorted where the table says so and the disk has room for it while the run lasts; else they stay as they come. */
async function withSort<T>(
  room: DiskRoom,
  bytes: number,
  head: LoadedTable,
  run: (spillBytesMax: number) => Promise<T>,
): Promise<T> {
  const release = rewriteOrder(head).terms.length > 0 ? room.reserve(bytes) : null;
  try {
    return await run(release === null ? 0 : bytes);
  } finally {
    release?.();
  }
}

/** What cannot be compacted stays so: each table's is told once, not at every run. */
class Refusals {
  readonly #told = new Map<string, string>();

  /** Tells it, unless it was told last. */
  tell({ name, parts: { logger } }: CommitTable, reason: string): void {
    if (this.#told.get(name) === reason) return;
    this.#told.set(name, reason);
    logger.log("warn", "Maintenance of a table leaves files out", { table: name, reason });
  }
}

/**
 * Waits while a flush of the table is under way, or held: a commit whose answer is missing may be found only
 * while the head does not move (CHANGE_RULES 10i). Not for ever: the runs of all tables wait behind it.
 * @returns `undecided` when the table no longer runs, or after five minutes
 * @throws AppError `stopped`
 */
export async function untilDecided(
  { parts: { clock } }: CommitTable,
  table: ScheduledTable,
  stop: AbortSignal,
): Promise<"decided" | "undecided"> {
  const endMs = clock.monotonicMs() + UNDECIDED_MS_MAX;
  while (table.isUndecided?.() === true) {
    refuseStopped(stop);
    if (table.isRunning?.() === false || clock.monotonicMs() >= endMs) return "undecided";
    await clock.sleep(UNDECIDED_MS, stop);
  }
  return "decided";
}

/** Between two looks at a commit that has no answer. */
const UNDECIDED_MS = 50;
/** A catalog that is back has answered by then. */
const UNDECIDED_MS_MAX = 300_000;

function optionsOf(stop: AbortSignal): RunOptions {
  return { isDry: false, onProgress: () => undefined, stop };
}

/**
 * The tables of a pipeline. A run has a view of its own of the table, so that it never stands in the
 * way of a flush: what both of them change, the catalog decides.
 */
export function* scheduledTables(
  sinks: Iterable<Sink>,
  positions: Pick<Positions, "of">,
): Generator<ScheduledTable> {
  for (const sink of sinks) {
    yield {
      name: sink.name,
      branch: sink.options.branch,
      seen: () => sink.writer?.lastSeen ?? null,
      watermarkMs: () => watermarkOf(sink, positions),
      rewritten: async (files) => sink.writer?.rewritten(files),
      isUndecided: () => sink.flushing || sink.sealed,
      isRunning: () => sink.state.kind === "running" || sink.state.kind === "retrying",
      open: async () => {
        const isOurs = [...sink.outlets.values()].some(({ feed }) => feed.epoch > 0);
        if (sink.state.kind !== "running" || sink.writer === null || !isOurs) return null;
        const parts = { readCoordinates, ...sink.parts };
        return new CommitTable(parts, sink.options, sink.writer.lastSeen);
      },
    };
  }
}

/**
 * The Kafka timestamp that every partition of a table has reached: a partition that is read to its end has
 * reached now. Null: one of them has not been read yet.
 */
function watermarkOf(sink: Sink, positions: Pick<Positions, "of">): number | null {
  let watermarkMs = sink.parts.clock.nowMs();
  for (const { feed } of sink.outlets.values()) {
    const { topic, partition } = feed.feed;
    const known = positions.of(topic, partition);
    if (known === undefined) return null;
    const isAtEnd = feed.position >= known.lastStableOffset;
    if (!isAtEnd) watermarkMs = Math.min(watermarkMs, known.timestampMs);
  }
  return sink.outlets.size === 0 ? null : watermarkMs;
}
