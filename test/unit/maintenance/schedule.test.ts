/** Scheduled runs: at their intervals, by one process of several, also after a restart and a failure. */
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import type { Catalog } from "#catalog/catalog.ts";
import { commit, newCommit } from "#commit/commit.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { pauseChange } from "#commit/properties.ts";
import { type Schedule, Scheduler, type Trigger } from "#maintenance/schedule.ts";
import { type DailyWindow, parseWindow } from "#maintenance/windows.ts";
import type { LogEntry } from "#txlog/log.ts";
import { MaintainedTable } from "../../support/maintainedTable.ts";

const HOUR = 3_600_000;

/** A table, and processes that maintain it; sleeping is what lets time pass. */
class Rig {
  /** What the catalog does to the requests that it still has trouble with, the next one first. */
  readonly troubles: ("request is lost" | "answer is lost" | "head is lost afterwards")[] = [];
  #isAway = false;
  readonly table = new MaintainedTable((catalog) => this.#troubled(catalog));
  readonly runs: { readonly process: string; readonly atMs: number }[] = [];
  readonly logged: LogEntry[] = [];
  readonly observed: Observation[] = [];
  failures = 0;

  /** What asks for runs before their interval. */
  trigger: Trigger = { wanted: () => null, ended: () => undefined };
  windows: readonly DailyWindow[] = [];

  /** What status said, while each run was under way, of when the next one is due. */
  readonly seenInRuns: (number | null | undefined)[] = [];

  schedule(process: string, scheduler: () => Scheduler | undefined): Schedule {
    return {
      operation: "expire",
      intervalMs: HOUR,
      trigger: this.trigger,
      run: async () => {
        this.runs.push({ process, atMs: this.table.nowMs });
        this.seenInRuns.push(scheduler()?.runsOf("db.t")[0]?.nextMs);
        if (this.failures-- > 0) throw fail("storage_unreachable", "the store is away");
        return { counts: { snapshots: 3 }, bytesReclaimed: 10 };
      },
    };
  }

  #troubled(catalog: Catalog): Catalog {
    const away = fail("catalog_unreachable", "the catalog is away");
    return {
      ...{ traits: catalog.traits, open: () => catalog.open(), close: () => catalog.close() },
      ...{ locationOf: (name) => catalog.locationOf(name), list: (name) => catalog.list(name) },
      create: (request) => catalog.create(request),
      load: async (name) => {
        if (!this.#isAway) return catalog.load(name);
        this.#isAway = false;
        throw away;
      },
      commit: async (name, requirements, updates) => {
        const trouble = this.troubles.shift();
        this.#isAway = trouble !== undefined;
        if (trouble === "request is lost") return { kind: "unknown", cause: away };
        const outcome = await catalog.commit(name, requirements, updates);
        return trouble === "answer is lost" ? { kind: "unknown", cause: away } : outcome;
      },
    };
  }

  /** Processes of these names run for so long. */
  async passes(ms: number, ...processes: string[]): Promise<Scheduler[]> {
    const { table } = this;
    const endMs = table.nowMs + ms;
    const stop = new AbortController();
    const sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];
    const clock = {
      ...table.clock,
      sleep: (sleepMs: number) =>
        new Promise<void>((wake) => {
          sleepers.push({ untilMs: table.nowMs + sleepMs, wake });
          if (sleepers.length < processes.length) return;
          sleepers.sort((a, b) => a.untilMs - b.untilMs);
          const next = sleepers.shift();
          table.nowMs = Math.max(table.nowMs, Math.ceil(next?.untilMs ?? 0));
          if (table.nowMs >= endMs) {
            stop.abort();
            for (const { wake: end } of sleepers) end();
          }
          next?.wake();
        }),
    };
    const parts = {
      ...table.parts,
      txlog: {
        ...table.parts.txlog,
        append: async (entry: LogEntry) => void this.logged.push(entry),
      },
      observe: (observation: Observation) => void this.observed.push(observation),
    };
    const open = async () => new CommitTable(parts, table.options, await table.head());
    const all: Scheduler[] = processes.map(
      (name, at) =>
        new Scheduler(
          { clock, random: table.parts.random },
          [this.schedule(name, () => all[at])],
          () => [{ name: "db.t", open }],
          this.windows,
        ),
    );
    await Promise.all(all.map((each) => each.run(stop.signal)));
    return all;
  }
}

async function rigOf(properties: Readonly<Record<string, string>> = {}): Promise<Rig> {
  const rig = new Rig();
  await rig.table.create(properties);
  return rig;
}

test("a table has one run in each interval, whichever process does it, and none in the first minute", async () => {
  const rig = await rigOf();
  const began = rig.table.nowMs;
  await rig.passes(10 * HOUR, "a", "b", "c");
  const times = rig.runs.map(({ atMs }) => atMs);
  expect(times.length).toBeGreaterThan(7);
  expect(times[0]).toBeGreaterThanOrEqual(began + 60_000);
  const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
  expect(gaps.every((gapMs) => gapMs >= HOUR && gapMs < 1.2 * HOUR)).toBe(true);
});

test("other schedules are taken over while it runs, also by a run that is under way", async () => {
  const rig = await rigOf();
  const { table } = rig;
  const stop = new AbortController();
  const ran: string[] = [];
  const schedule = (name: string, then: () => void): Schedule => ({
    operation: name === "expire" ? "expire" : "orphans",
    intervalMs: HOUR,
    run: async () => {
      ran.push(name);
      then();
      return { counts: {}, bytesReclaimed: 0 };
    },
  });
  const endMs = table.nowMs + 4 * HOUR;
  const clock = {
    ...table.clock,
    sleep: async (ms: number) => {
      table.nowMs += Math.ceil(ms);
      if (table.nowMs > endMs) stop.abort();
    },
  };
  const open = async () => new CommitTable(table.parts, table.options, await table.head());
  const others = [schedule("orphans", () => undefined)];
  const first = schedule("expire", () => scheduler.change(others, []));
  const scheduler: Scheduler = new Scheduler({ clock, random: table.parts.random }, [first], () => [
    { name: "db.t", open },
  ]);
  await scheduler.run(stop.signal);
  expect(ran[0]).toBe("expire");
  expect(ran.slice(1).length).toBeGreaterThan(1);
  expect(new Set(ran.slice(1))).toEqual(new Set(["orphans"]));
});

test("a restart waits for what is left of the interval", async () => {
  const rig = await rigOf();
  await rig.passes(HOUR / 4, "a");
  for (let restart = 0; restart < 3; restart++) await rig.passes(HOUR / 8, "a");
  expect(rig.runs).toHaveLength(1);
  await rig.passes(HOUR, "a");
  expect(rig.runs).toHaveLength(2);
});

test("a run is told of: log entry, metrics, status; one that fails as well, and the next one comes", async () => {
  const rig = await rigOf();
  rig.failures = 1;
  const [failed] = await rig.passes(HOUR / 2, "a");
  expect(failed?.runsOf("db.t")).toMatchObject([
    { operation: "expire", error: "the store is away" },
  ]);
  const [scheduler] = await rig.passes(2 * HOUR, "a");
  expect(scheduler?.runsOf("db.t")).toMatchObject([{ operation: "expire", error: null }]);
  const entries = rig.logged.filter(({ type }) => type === "MaintenanceRun");
  expect(entries[0]).toMatchObject({ outcome: "failed", error: "the store is away" });
  expect(entries[1]).toMatchObject({
    ...{ table: "db.t", operation: "expire", outcome: "done", error: "" },
    counts: { snapshots: 3n, bytes_reclaimed: 10n },
  });
  const outcomes = rig.observed.flatMap((each) =>
    each.type === "maintenance" ? [each.outcome] : [],
  );
  expect(outcomes.slice(0, 2)).toEqual(["failed", "done"]);
});

test("status says when the next run is due, from the first look on; while one is under way, none is", async () => {
  const rig = await rigOf();
  const [idle] = await rig.passes(30_000, "a");
  const [before] = idle?.runsOf("db.t") ?? [];
  expect(before).toMatchObject({ operation: "expire", endedMs: null, error: null });
  expect(before?.nextMs ?? 0).toBeGreaterThan(rig.table.nowMs);
  const [scheduler] = await rig.passes(HOUR / 2, "a");
  const [after] = scheduler?.runsOf("db.t") ?? [];
  const endedMs = after?.endedMs ?? 0;
  expect(rig.runs.map(({ atMs }) => atMs)).toEqual([endedMs]);
  expect((after?.nextMs ?? 0) - endedMs).toBeGreaterThanOrEqual(HOUR);
  expect((after?.nextMs ?? 0) - endedMs).toBeLessThan(1.2 * HOUR);
  expect(rig.seenInRuns).toEqual([null]);
  expect(scheduler?.runsOf("db.other")).toEqual([]);
});

test("tables that are paused or forbid removal are left alone without a word", async () => {
  const forbidden = await rigOf({ "gc.enabled": "false" });
  const paused = await rigOf();
  const opened = await paused.table.open();
  await commit(opened, newCommit(opened, pauseChange(true)));
  for (const rig of [forbidden, paused]) {
    await rig.passes(5 * HOUR, "a");
    expect([rig.runs, rig.observed]).toEqual([[], []]);
  }
});

test("a trigger makes a run begin before its interval, of one process, and five minutes apart", async () => {
  const rig = await rigOf();
  let wanted = 0;
  rig.trigger = {
    wanted: () => (wanted > 0 ? "many files came" : null),
    ended: () => void wanted--,
  };
  await rig.passes(HOUR / 2, "a", "b");
  expect(rig.runs).toHaveLength(1);
  const before = rig.table.nowMs;
  wanted = 1;
  await rig.passes(HOUR / 2, "a", "b");
  const early = rig.runs.slice(1).map(({ atMs }) => atMs);
  expect(early.length).toBeGreaterThan(0);
  // The first look of a process takes its tables in, and runs nothing early.
  expect((early[0] ?? 0) - before).toBeLessThan(HOUR / 2);
  wanted = 1_000_000;
  const since = rig.runs.length;
  await rig.passes(2 * HOUR, "a", "b");
  const gaps = rig.runs
    .slice(since + 1)
    .map(({ atMs }, at) => atMs - (rig.runs[since + at]?.atMs ?? 0));
  expect(gaps.length).toBeGreaterThan(5);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(300_000);
});

test("runs begin within their windows only", async () => {
  const rig = await rigOf();
  const window = parseWindow("22:00-02:00");
  if (window === null) throw new Error("it is a window");
  rig.windows = [window];
  await rig.passes(72 * HOUR, "a");
  const hours = new Set(rig.runs.map(({ atMs }) => new Date(atMs).getUTCHours()));
  expect(rig.runs.length).toBeGreaterThan(8);
  expect([...hours].sort((a, b) => a - b)).toEqual([0, 1, 22, 23]);
  const noon = 12 * HOUR - (rig.table.nowMs % (24 * HOUR));
  const [scheduler] = await rig.passes(noon > 0 ? noon : noon + 24 * HOUR, "a");
  const [next] = scheduler?.runsOf("db.t") ?? [];
  expect(new Date(next?.nextMs ?? 0).getUTCHours()).toBe(22);
});

for (const trouble of ["request is lost", "answer is lost", "head is lost afterwards"] as const) {
  test(`a turn whose ${trouble} costs ten minutes and is told of, not a whole interval`, async () => {
    const rig = await rigOf();
    rig.troubles.push(trouble);
    const untilMs = rig.table.nowMs + HOUR / 2;
    await rig.passes(HOUR, "a");
    expect(rig.observed).toContainEqual({ type: "error", kind: "catalog_unreachable" });
    const [first] = rig.runs;
    expect(first?.atMs).toBeLessThan(untilMs);
    // What one turn has begun, no other one of the interval does.
    expect(rig.runs).toHaveLength(1);
  });
}
