/** The runs of a configuration are those of the commands. */
import { expect, test } from "bun:test";
import { schedulesOf, untilDecided } from "#app/maintain.ts";
import { compact, type RewriteEngine } from "#maintenance/compact.ts";
import { DAY, MaintainedTable } from "../../support/maintainedTable.ts";
import { fileOf } from "../../support/tableOf.ts";

const POLICY = { keepAllMs: 3_600_000, retentionMs: 7 * DAY, snapshotsMax: 500 };

const SETTINGS = { smallBytes: 1e9, targetBytes: 1e9, deleteRatio: 0.1 };
const OPTIONS = { isDry: false, onProgress: () => undefined, stop: new AbortController().signal };
const REWRITES = {
  library: () => Promise.reject(new Error("there is nothing to rewrite")),
  scratch: "",
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
      compact: { intervalMs: 1000, options: sizes, codec: { codec: "zstd", codecLevel: null } },
      expire: { intervalMs: 1000, policy: POLICY },
      orphans: { intervalMs: 2000, ageMsMin: 3 * DAY },
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
  expect(schedulesOf({ compact: null, expire: null, orphans: null }, REWRITES)).toEqual([]);
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
  const engine: RewriteEngine = {
    rewrite: async ({ group: { inputs }, location }) => {
      const recordCount = inputs.reduce((sum, each) => sum + each.recordCount, 0n);
      await table.storage.put(location, new Uint8Array(3));
      return { ...fileOf("x"), filePath: location, recordCount, fileSizeBytes: 3n };
    },
  };
  const whenDecided = (): Promise<void> => untilDecided(opened, of, stop);
  const report = await compact(opened, engine, { ...options, whenDecided });
  expect({ looks, ...report }).toMatchObject({
    looks: 4,
    groups: 1,
    filesBefore: 2,
    filesAfter: 1,
  });
  const after = await table.head();
  expect(after.metadata.snapshots.length).toBe(before.metadata.snapshots.length + 1);
});
