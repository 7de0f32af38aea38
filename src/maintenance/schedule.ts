/**
 * Scheduled maintenance: every table that this process writes gets its runs, each kind at its
 * interval, one after the other, so that they take little from ingest (SPEC section 4,
 * `[maintenance]`). Whose turn it is among several processes, the table says (`turn.ts`).
 *
 * A run that fails is told of and tried again at the next interval; it never stops a table.
 */
import type { Clock } from "#base/clock.ts";
import { describe, kindOf } from "#base/errors.ts";
import { Heap } from "#base/heap.ts";
import type { Random } from "#base/random.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { type RunCounts, recordRun } from "./record.ts";
import { isLeftAlone, type Operation } from "./run.ts";
import { takeTurn } from "./turn.ts";

/** One kind of run at its interval. */
export interface Schedule {
  readonly operation: Operation;
  readonly intervalMs: number;
  run(table: CommitTable, stop: AbortSignal, of: ScheduledTable): Promise<RunCounts>;
}

/** A table of this process. */
export interface ScheduledTable {
  readonly name: string;
  /** The table as commits see it; null while this process does not write it. */
  open(): Promise<CommitTable | null>;
  /** True while a commit of this process's own is under way, or has no answer. Default: never. */
  isUndecided?(): boolean;
  /** False while the table is paused, or has stopped: what is undecided stays so. Default: it runs. */
  isRunning?(): boolean;
}

/** How the last run of a kind ended. */
export interface LastRun {
  readonly operation: Operation;
  readonly endedMs: number;
  /** Null: well. */
  readonly error: string | null;
}

interface Job {
  readonly table: ScheduledTable;
  readonly schedule: Schedule;
}

/** New tables are looked for so often; what is due is never late by more. */
const LOOK_MS = 60_000;
/** The start of a process is for its rows: nothing is maintained before. */
const FIRST_MS = 60_000;
/** Tables of one start, and processes of one group, are spread over so much of an interval. */
const JITTER_SHARE = 0.1;
const JITTER_MS_MAX = 300_000;
/** When a table whose turn could not be asked for is asked again. */
const AGAIN_MS = 600_000;

/** The runs of a pipeline's tables. */
export class Scheduler {
  readonly #parts: { readonly clock: Clock; readonly random: Random };
  readonly #schedules: readonly Schedule[];
  readonly #tables: () => Iterable<ScheduledTable>;
  readonly #due = new Heap<Job>();
  readonly #known = new Set<string>();
  readonly #lastRuns = new Map<string, Map<Operation, LastRun>>();

  /** @param tables those of this process now, each under its name once */
  constructor(
    parts: { readonly clock: Clock; readonly random: Random },
    schedules: readonly Schedule[],
    tables: () => Iterable<ScheduledTable>,
  ) {
    this.#parts = parts;
    this.#schedules = schedules;
    this.#tables = tables;
  }

  /** The last runs of a table in this process, by kind. */
  lastRuns(table: string): readonly LastRun[] {
    return [...(this.#lastRuns.get(table)?.values() ?? [])];
  }

  /** Runs what is due until `stop`; never fails. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    if (this.#schedules.length === 0) return;
    while (!stop.aborted) {
      this.#takeIn();
      const next = this.#due.peek();
      const waitMs = (next?.key ?? Number.POSITIVE_INFINITY) - clock.monotonicMs();
      if (next === undefined || waitMs > 0) {
        await clock.sleep(Math.min(waitMs, LOOK_MS), stop);
        continue;
      }
      const job = next.item;
      const afterMs = await this.#do(job, stop);
      this.#due.set(job, clock.monotonicMs() + afterMs);
    }
  }

  #takeIn(): void {
    const { clock } = this.#parts;
    for (const table of this.#tables()) {
      if (this.#known.has(table.name)) continue;
      this.#known.add(table.name);
      for (const schedule of this.#schedules) {
        const beginMs = clock.monotonicMs() + FIRST_MS + this.#jitterMs(schedule);
        this.#due.set({ table, schedule }, beginMs);
      }
    }
  }

  #jitterMs({ intervalMs }: Schedule): number {
    return this.#parts.random.unit() * Math.min(intervalMs * JITTER_SHARE, JITTER_MS_MAX);
  }

  /** One job, if it is its turn; when to look again, ms. */
  async #do({ table: of, schedule }: Job, stop: AbortSignal): Promise<number> {
    const { name } = of;
    const { operation, intervalMs } = schedule;
    const againMs = Math.min(intervalMs, AGAIN_MS);
    let table: CommitTable | null = null;
    try {
      table = await of.open();
      if (table === null) return againMs;
      if (isLeftAlone(await table.load(), table.parts.catalog.traits)) return againMs;
      const leftMs = await takeTurn(table, operation, intervalMs);
      if (leftMs > 0) return leftMs + this.#jitterMs(schedule);
      const opened = table;
      await recordRun(
        table,
        operation,
        () => schedule.run(opened, stop, of),
        (counts) => counts,
      );
      this.#note(name, { operation, endedMs: this.#parts.clock.nowMs(), error: null });
      return intervalMs + this.#jitterMs(schedule);
    } catch (error) {
      if (stop.aborted) return againMs;
      table?.parts.observe({ type: "error", kind: kindOf(error) });
      const endedMs = this.#parts.clock.nowMs();
      this.#note(name, { operation, endedMs, error: describe(error) });
      return againMs;
    }
  }

  #note(table: string, last: LastRun): void {
    const runs = this.#lastRuns.get(table) ?? new Map<Operation, LastRun>();
    runs.set(last.operation, last);
    this.#lastRuns.set(table, runs);
  }
}
