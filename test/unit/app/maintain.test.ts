/** The runs of a configuration are those of the commands. */
import { expect, test } from "bun:test";
import { BOUNDLESS, DiskBudget } from "#app/diskBudget.ts";
import { schedulesOf, untilDecided } from "#app/maintain.ts";
import { systemClock } from "#base/clock.ts";
import { systemDisk } from "#base/disk.ts";
import { fail } from "#base/errors.ts";
import { type Logger, silentLogger } from "#base/log.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { compact } from "#maintenance/compact.ts";
import type { RewriteEngine } from "#maintenance/engine.ts";
import { takeTurn } from "#maintenance/turn.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { DAY, MaintainedTable } from "../../support/maintainedTable.ts";
import { rejection } from "../../support/rejection.ts";
import { fileOf, tableOf } from "../../support/tableOf.ts";

const POLICY = { keepAllMs: 3_600_000, retentionMs: 7 * DAY, snapshotsMax: 500 };

const NO_TRIGGER = { files: 0, closedAfterMs: 0 };
const SETTINGS = { smallBytes: 1e9, targetBytes: 1e9, deleteRatio: 0.1 };
const OPTIONS = { isDry: false, onProgress: () => undefined, stop: new AbortController().signal };
const REWRITES = {
  encoder: createInlineEncoder(),
  libraryFolder: null,
  scratch: "",
  room: BOUNDLESS,
};

test("a scheduled run compacts, expires, and removes orphans, as its command does", async () => {
  const table = new MaintainedTable();
  await table.create();
  for (let n = 0; n < 3; n++) await table.append();
  await table.storage.put("/wh/db/t/data/lost.parquet", new Uint8Array(7));
  table.nowMs += 8 * DAY;
  await table.append();
  const sizes = { smallBytes: 1, targetBytes: 10, deleteRatio: 0.1, jobs: 1 };
  const schedules = schedulesOf(
    {
      compact: {
        intervalMs: 1000,
        options: sizes,
        codec: { codec: "zstd", codecLevel: null },
        trigger: NO_TRIGGER,
      },
      expire: { intervalMs: 1000, policy: POLICY },
      orphans: { intervalMs: 2000, ageMsMin: 3 * DAY },
      statistics: null,
      windows: [],
    },
    REWRITES,
  );
  const stop = new AbortController().signal;
  const done: unknown[] = [];
  for (const { operation, run } of schedules) {
    const of = { name: "t", open: () => table.open() };
    done.push([operation, await run(await table.open(), stop, of)]);
  }
  expect(done).toMatchObject([
    ["compact", { counts: { groups: 0 } }],
    ["expire", { counts: { snapshots: 3 } }],
    ["orphans", { counts: { files: 1, uploads: 0 }, bytesReclaimed: 7 }],
  ]);
  expect(
    schedulesOf(
      { compact: null, expire: null, orphans: null, statistics: null, windows: [] },
      REWRITES,
    ),
  ).toEqual([]);
});

/** Writes files without looking into them. */
function engineOf(table: MaintainedTable): RewriteEngine {
  return {
    refusal: () => null,
    ready: () => undefined,
    writePositionDeletes: () => Promise.reject(new Error("nothing is carried over here")),
    rewrite: async ({ group: { inputs }, location }) => {
      const recordCount = inputs.reduce((sum, each) => sum + each.recordCount, 0n);
      await table.storage.put(location, new Uint8Array(3));
      const output = { ...fileOf("x"), filePath: location, recordCount, fileSizeBytes: 3n };
      return { output, moved: null };
    },
  };
}

test("that a table's columns cannot be compacted is told once, not at every run", async () => {
  const table = new MaintainedTable();
  const code = {
    id: 1,
    name: "code",
    required: false,
    type: { kind: "fixed", length: 4 },
  } as const;
  await table.parts.catalog.create({
    name: table.options.name,
    metadataAt: (location) => {
      const metadata = tableOf(2);
      const schemas = metadata.schemas.map((schema) => ({ ...schema, fields: [code] }));
      return { ...metadata, location, schemas };
    },
  });
  const reasons: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    log: (_, __, context) => void reasons.push(context?.["reason"]),
  };
  const opened = new CommitTable({ ...table.parts, logger }, table.options, await table.head());
  const options = { ...SETTINGS, jobs: 1 };
  const codec = { codec: "zstd", codecLevel: null } as const;
  const compaction = { intervalMs: 1000, options, codec, trigger: NO_TRIGGER };
  const [schedule] = schedulesOf(
    { compact: compaction, expire: null, orphans: null, statistics: null, windows: [] },
    REWRITES,
  );
  const of = { name: "t", open: () => table.open() };
  for (let runs = 0; runs < 3; runs++) await schedule?.run(opened, OPTIONS.stop, of);
  expect(reasons).toEqual([expect.stringContaining("column code is of type fixed")]);
});

test("of pipelines that compact at the same time only those begin whose scratch files fit together, also after a failure", async () => {
  const parts = { clock: systemClock, disk: systemDisk, logger: silentLogger };
  const budget = new DiskBudget(parts, [], 3e9);
  const options = { ...SETTINGS, jobs: 1 };
  const codec = { codec: "zstd", codecLevel: null } as const;
  const compaction = { intervalMs: 1000, options, codec, trigger: NO_TRIGGER };
  const maintained = { compact: compaction, expire: null, orphans: null, windows: [] };
  const reasons: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    log: (_, __, context) => void reasons.push(context?.["reason"]),
  };
  /** A pipeline with a table of its own, which waits for `gate` in the middle of a run. */
  const pipeline = async (gate: Promise<void>): Promise<() => Promise<unknown>> => {
    const table = new MaintainedTable();
    await table.create();
    const [compacts, counts] = schedulesOf(
      { ...maintained, statistics: { intervalMs: 1000 } },
      { ...REWRITES, room: budget },
    );
    const opened = new CommitTable({ ...table.parts, logger }, table.options, await table.head());
    const load = opened.load.bind(opened);
    opened.load = () => gate.then(load);
    const of = { name: "t", open: () => table.open() };
    return async () => {
      await compacts?.run(opened, OPTIONS.stop, of);
      await counts?.run(opened, OPTIONS.stop, of);
    };
  };
  const gate = Promise.withResolvers<void>();
  const first = (await pipeline(gate.promise))();
  await (await pipeline(Promise.resolve()))();
  expect(reasons).toEqual([expect.stringContaining("state.max_disk_mb")]);
  gate.reject(fail("catalog_unreachable", "the catalog is away"));
  await first.catch(() => undefined);
  await (await pipeline(Promise.resolve()))();
  expect(reasons).toHaveLength(1);
});

test("a day that closed while nobody ran is put together by the next run", async () => {
  const table = new MaintainedTable();
  const field = { sourceId: 2, fieldId: 1000, name: "day", transform: "day" };
  await table.parts.catalog.create({
    name: table.options.name,
    metadataAt: (location) => ({ ...tableOf(2, {}, { specId: 0, fields: [field] }), location }),
  });
  const started = Math.floor(table.nowMs / DAY);
  const options = { smallBytes: 1e5, targetBytes: 1e6, deleteRatio: 0.1, jobs: 1 };
  const codec = { codec: "zstd", codecLevel: null } as const;
  const trigger = { files: 0, closedAfterMs: 600_000 };
  const compaction = { intervalMs: 3_600_000, options, codec, trigger };
  /** A run of a process that begins then. */
  const run = async (): Promise<unknown> => {
    const [schedule] = schedulesOf(
      { compact: compaction, expire: null, orphans: null, statistics: null, windows: [] },
      REWRITES,
    );
    const of = { name: "t", open: () => table.open(), watermarkMs: () => table.nowMs };
    const opened = await table.open();
    const turn = { intervalMs: 60_000, token: `${table.nowMs}`, marks: schedule?.marks?.(of) };
    expect(await takeTurn(opened, "compact", turn)).toBe(0);
    return schedule?.run(opened, OPTIONS.stop, of);
  };
  await table.append(started);
  // One is too large to be written anew for the other's sake, as long as more may come.
  const large = { ...(await table.file(started)), fileSizeBytes: 90_000n };
  await table.foreignRewrite(() => false, [large]);
  for (let runs = 0; runs < 5; runs++) {
    expect(await run()).toMatchObject({ counts: { groups: 0 } });
    table.nowMs += 600_000;
  }
  table.nowMs += 10 * DAY;
  // The day's two files are to become one, for which there is no folder.
  expect(String(await rejection(run()))).toContain("mkdir");
});

test("a compaction is committed only when no commit of the process is undecided", async () => {
  const table = new MaintainedTable();
  await table.create();
  await table.append();
  await table.append();
  const before = await table.head();
  let looks = 0;
  const isUndecided = (): boolean => ++looks < 4;
  const options = { ...OPTIONS, settings: SETTINGS, jobs: 1 };
  const of = { name: "t", open: () => table.open(), isUndecided };
  const stop = new AbortController().signal;
  const opened = await table.open();
  const whenDecided = (): ReturnType<typeof untilDecided> => untilDecided(opened, of, stop);
  const report = await compact(opened, engineOf(table), { ...options, whenDecided });
  expect({ looks, ...report }).toMatchObject({
    looks: 4,
    groups: 1,
    filesBefore: 2,
    filesAfter: 1,
  });
  const after = await table.head();
  expect(after.metadata.snapshots.length).toBe(before.metadata.snapshots.length + 1);
});

for (const [why, isRunning, atMost] of [
  ["is paused or has stopped", false, 1],
  ["has had no answer for five minutes", true, 6001],
] as const) {
  test(`a compaction whose table ${why} is given up, and removes what it has written`, async () => {
    const table = new MaintainedTable();
    await table.create();
    await table.append();
    await table.append();
    const before = await table.head();
    const warnings: string[] = [];
    const sleep = async (ms: number): Promise<void> => {
      table.nowMs += ms;
    };
    const opened = new CommitTable(
      {
        ...table.parts,
        clock: { ...table.clock, sleep },
        logger: { ...silentLogger, log: (_, sentence) => void warnings.push(sentence) },
      },
      table.options,
      before,
    );
    let looks = 0;
    const isUndecided = (): boolean => ++looks < 10_000;
    const of = { name: "t", open: () => table.open(), isUndecided, isRunning: () => isRunning };
    const whenDecided = (): ReturnType<typeof untilDecided> =>
      untilDecided(opened, of, OPTIONS.stop);
    const options = { ...OPTIONS, settings: SETTINGS, jobs: 1, whenDecided };
    expect(await compact(opened, engineOf(table), options)).toMatchObject({ groups: 0, left: 1 });
    expect(looks).toBe(atMost);
    expect(warnings).toEqual([expect.stringContaining("A compaction was given up")]);
    expect((await table.head()).metadataLocation).toBe(before.metadataLocation);
    expect(compacted(table)).toEqual([]);
  });
}

test("what a compaction has written goes when its commit fails for good", async () => {
  const table = new MaintainedTable();
  await table.create();
  await table.append();
  await table.append();
  let isFull = false;
  const append = async (): Promise<void> => {
    if (isFull) throw fail("state", "the log cannot be written");
  };
  const parts = { ...table.parts, txlog: { ...table.parts.txlog, append } };
  const opened = new CommitTable(parts, table.options, await table.head());
  const whenDecided = async (): Promise<"decided"> => {
    isFull = true;
    return "decided";
  };
  const options = { ...OPTIONS, settings: SETTINGS, jobs: 1, whenDecided };
  const run = compact(opened, engineOf(table), options);
  expect(run).rejects.toMatchObject({ kind: "state" });
  await run.catch(() => undefined);
  expect(compacted(table)).toEqual([]);
});

/** What compactions have written and nobody has removed. */
function compacted({ storage }: MaintainedTable): string[] {
  return [...storage.objects.keys()].filter((path) => path.includes("compacted-"));
}
