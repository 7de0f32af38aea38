/**
 * Scheduled maintenance of a running pipeline: its tables, as `maintenance/schedule.ts` asks for them,
 * and the runs that the configuration wants.
 */
import { CommitTable } from "#commit/commitTable.ts";
import type { MaintenanceOptions } from "#config/buildMaintenance.ts";
import { expireCounts, expireSnapshots } from "#maintenance/expire.ts";
import { orphanCounts, removeOrphans } from "#maintenance/orphans.ts";
import type { RunOptions } from "#maintenance/run.ts";
import type { Schedule, ScheduledTable } from "#maintenance/schedule.ts";
import type { Sink } from "#pipeline/sink.ts";
import { readCoordinates } from "#writer/coordinates.ts";

/** The runs that a configuration asks for. */
export function schedulesOf({ expire, orphans }: MaintenanceOptions): Schedule[] {
  const schedules: Schedule[] = [];
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
  return schedules;
}

function optionsOf(stop: AbortSignal): RunOptions {
  return { isDry: false, onProgress: () => undefined, stop };
}

/**
 * The tables of a pipeline. A run has a view of its own of the table, so that it never stands in the
 * way of a flush: what both of them change, the catalog decides.
 */
export function* scheduledTables(sinks: Iterable<Sink>): Generator<ScheduledTable> {
  for (const sink of sinks) {
    yield {
      name: sink.name,
      open: async () => {
        const isOurs = [...sink.outlets.values()].some(({ feed }) => feed.epoch > 0);
        if (sink.state.kind !== "running" || sink.writer === null || !isOurs) return null;
        const parts = { readCoordinates, ...sink.parts };
        return new CommitTable(parts, sink.options, sink.writer.lastSeen);
      },
    };
  }
}
