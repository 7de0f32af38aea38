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
import type { LoadedTable } from "#catalog/catalog.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import type { RewrittenFile } from "#keyindex/port.ts";
import { type RunCounts, recordRun } from "./record.ts";
import { isLeftAlone, type Operation } from "./run.ts";
import { type Marks, takeTurn } from "./turn.ts";
import { type DailyWindow, msUntilWindow } from "./windows.ts";

/** One kind of run at its interval. */
export interface Schedule {
  readonly operation: Operation;
  readonly intervalMs: number;
  /** What makes a run begin before its interval is over. Default: nothing. */
  readonly trigger?: Trigger;
  /** Of a run that begins. Default: none. */
  marks?(table: ScheduledTable): Marks;
  run(table: CommitTable, stop: AbortSignal, of: ScheduledTable): Promise<RunCounts>;
}

/** Asks for runs between two intervals; looked at once a minute, so it asks nobody. */
export interface Trigger {
  /** Why a run of the table is wanted; null: none is. */
  wanted(table: ScheduledTable): string | null;
  /** A run of the table has ended, well or not. */
  ended(table: ScheduledTable): void;
}

/** A table of this process. */
export interface ScheduledTable {
  readonly name: string;
  /** That commits go to. Default: main. */
  readonly branch?: string;
  /** The newest head that this process has seen; null: none. Default: none. */
  seen?(): LoadedTable | null;
  /** How far its rows are, by their Kafka timestamps, ms since epoch; null: nobody knows. Default: so. */
  watermarkMs?(): number | null;
  /** The table as commits see it; null while this process does not write it. */
  open(): Promise<CommitTable | null>;
  /** Told of files of a compaction before they are committed. Default: nobody is. */
  rewritten?(files: readonly RewrittenFile[]): Promise<void>;
  /** True while a commit of this process's own is under way, or has no answer. Default: never. */
  isUndecided?(): boolean;
  /** False while the table is paused, or has stopped: what is undecided stays so. Default: it runs. */
  isRunning?(): boolean;
}

/** When a kind of run ended last in this process, and when the next one is due. */
export interface RunTimes {
  readonly operation: Operation;
  /** Ms since epoch; null: none has ended yet. */
  readonly endedMs: number | null;
  /** What it failed with; null: it went well. */
  readonly error: string | null;
  /**
   * Ms since epoch: it begins then, when no other run of this process is under way and no other process has had the
   * turn. Null while it is under way, and when it is not wanted any more.
   */
  readonly nextMs: number | null;
}

/** How a run ended. */
type Ended = Pick<RunTimes, "endedMs" | "error">;

interface Job {
  readonly table: ScheduledTable;
  readonly schedule: Schedule;
  /** When its last run here began (monotonic); null: none has. */
  beganMs: number | null;
  /** Why a trigger has asked for it; null: none has. */
  early: string | null;
  /** Names the turn that it is about to take (`turn.ts`); null: the next one has no name yet. */
  turn: string | null;
}

/** New tables are looked for so often; what is due is never late by more. */
const LOOK_MS = 60_000;
/** The start of a process is for its rows: nothing is maintained before. */
const FIRST_MS = 60_000;
/** Tables of one start, and processes of one group, are spread over so much of an interval. */
const JITTER_SHARE = 0.1;
const JITTER_MS_MAX = 300_000;
/** When a table whose turn could not be asked for, or whose run has failed, is looked at again. */
const AGAIN_MS = 600_000;
/** Between two runs of one kind, whatever triggers ask for. */
const EARLY_MS = 300_000;

/** The runs of a pipeline's tables. */
export class Scheduler {
  readonly #parts: { readonly clock: Clock; readonly random: Random };
  #schedules: readonly Schedule[];
  readonly #tables: () => Iterable<ScheduledTable>;
  #windows: readonly DailyWindow[];
  #due = new Heap<Job>();
  readonly #known = new Map<string, readonly Job[]>();
  /** When triggers were looked at last (monotonic). */
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** By table and kind, the last ones. */
  readonly #ended = new Map<string, Map<Operation, Ended>>();

  /**
   * @param tables those of this process now, each under its name once
   * @param windows times of day at which runs may begin; none: always
   */
  constructor(
    parts: { readonly clock: Clock; readonly random: Random },
    schedules: readonly Schedule[],
    tables: () => Iterable<ScheduledTable>,
    windows: readonly DailyWindow[] = [],
  ) {
    this.#parts = parts;
    this.#schedules = schedules;
    this.#tables = tables;
    this.#windows = windows;
  }

  /** Takes other schedules and windows over within a minute; a run that is under way goes on. */
  change(schedules: readonly Schedule[], windows: readonly DailyWindow[]): void {
    this.#schedules = schedules;
    this.#windows = windows;
    this.#due = new Heap<Job>();
    this.#known.clear();
  }

  /** The runs of a table by kind: those that have ended, and those to come. */
  runsOf(table: string): readonly RunTimes[] {
    const ended = this.#ended.get(table) ?? new Map<Operation, Ended>();
    const jobs = this.#known.get(table) ?? [];
    const next = new Map(jobs.map((job) => [job.schedule.operation, this.#nextMs(job)]));
    return [...new Set([...next.keys(), ...ended.keys()])].map((operation) => ({
      ...{ operation, endedMs: null, error: null },
      ...ended.get(operation),
      nextMs: next.get(operation) ?? null,
    }));
  }

  #nextMs(job: Job): number | null {
    const dueMs = this.#due.keyOf(job);
    if (dueMs === undefined) return null;
    const { clock } = this.#parts;
    const beginMs = Math.round(clock.nowMs() + Math.max(0, dueMs - clock.monotonicMs()));
    return beginMs + msUntilWindow(this.#windows, beginMs);
  }

  /** Runs what is due until `stop`; never fails. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (!stop.aborted) {
      this.#takeIn();
      const closedMs = msUntilWindow(this.#windows, clock.nowMs());
      const next = this.#due.peek();
      const waitMs = (next?.key ?? Number.POSITIVE_INFINITY) - clock.monotonicMs();
      if (next === undefined || waitMs > 0 || closedMs > 0) {
        await clock.sleep(Math.min(Math.max(waitMs, closedMs), LOOK_MS), stop);
        continue;
      }
      const job = next.item;
      this.#due.delete(job);
      const afterMs = await this.#do(job, stop);
      job.early = null;
      // Its schedule may have gone meanwhile.
      if (!this.#schedules.includes(job.schedule)) continue;
      this.#due.set(job, clock.monotonicMs() + afterMs);
    }
  }

  #takeIn(): void {
    const { clock } = this.#parts;
    const isLook = clock.monotonicMs() - this.#lookedMs >= LOOK_MS;
    if (isLook) this.#lookedMs = clock.monotonicMs();
    for (const table of this.#tables()) {
      const known = this.#known.get(table.name);
      if (known !== undefined) {
        if (isLook) for (const job of known) this.#hasten(job);
        continue;
      }
      const jobs = this.#schedules.map(
        (schedule): Job => ({ table, schedule, beganMs: null, early: null, turn: null }),
      );
      this.#known.set(table.name, jobs);
      for (const job of jobs) {
        const beginMs = clock.monotonicMs() + FIRST_MS + this.#jitterMs(job.schedule);
        this.#due.set(job, beginMs);
      }
    }
  }

  /** Makes a job due whose trigger asks for it. Before its first run there is nothing to hasten. */
  #hasten(job: Job): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const { beganMs, early, table, schedule } = job;
    if (beganMs === null || early !== null || nowMs - beganMs < EARLY_MS) return;
    job.early = schedule.trigger?.wanted(table) ?? null;
    if (job.early !== null) this.#due.set(job, nowMs);
  }

  #jitterMs({ intervalMs }: Schedule): number {
    return this.#parts.random.unit() * Math.min(intervalMs * JITTER_SHARE, JITTER_MS_MAX);
  }

  /** One job, if it is its turn; when to look again, ms. */
  async #do(job: Job, stop: AbortSignal): Promise<number> {
    const { table: of, schedule, early } = job;
    const { name } = of;
    const { operation, intervalMs } = schedule;
    const againMs = Math.min(intervalMs, AGAIN_MS);
    let table: CommitTable | null = null;
    try {
      table = await of.open();
      if (table === null) return againMs;
      if (isLeftAlone(await table.load(), table.parts.catalog.traits)) return againMs;
      const sinceMs = early === null ? intervalMs : Math.min(intervalMs, EARLY_MS);
      job.beganMs = this.#parts.clock.monotonicMs();
      job.turn ??= this.#parts.random.uuid();
      const wanted = { intervalMs: sinceMs, token: job.turn, marks: schedule.marks?.(of) };
      const leftMs = await takeTurn(table, operation, wanted);
      job.turn = null;
      if (leftMs > 0) return leftMs + this.#jitterMs(schedule);
      if (early !== null) {
        const context = { table: name, operation, reason: early };
        table.parts.logger.log("info", "Maintenance begins before its interval", context);
      }
      const opened = table;
      await recordRun(
        table,
        operation,
        () => schedule.run(opened, stop, of).finally(() => schedule.trigger?.ended(of)),
        (counts) => counts,
      );
      this.#note(job, null);
      return intervalMs + this.#jitterMs(schedule);
    } catch (error) {
      if (stop.aborted) return againMs;
      table?.parts.observe({ type: "error", kind: kindOf(error) });
      this.#note(job, describe(error));
      return againMs;
    }
  }

  #note({ table: { name }, schedule: { operation } }: Job, error: string | null): void {
    const runs = this.#ended.get(name) ?? new Map<Operation, Ended>();
    runs.set(operation, { endedMs: this.#parts.clock.nowMs(), error });
    this.#ended.set(name, runs);
  }
}
