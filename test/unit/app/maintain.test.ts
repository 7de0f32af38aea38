/** The runs of a configuration are those of the commands. */
import { expect, test } from "bun:test";
import { schedulesOf } from "#app/maintain.ts";
import { DAY, MaintainedTable } from "../../support/maintainedTable.ts";

const POLICY = { keepAllMs: 3_600_000, retentionMs: 7 * DAY, snapshotsMax: 500 };

test("a scheduled run expires, and removes orphans, as its command does", async () => {
  const table = new MaintainedTable();
  await table.create();
  for (let n = 0; n < 3; n++) await table.append();
  await table.storage.put("/wh/db/t/data/lost.parquet", new Uint8Array(7));
  table.nowMs += 8 * DAY;
  await table.append();
  const schedules = schedulesOf({
    expire: { intervalMs: 1000, policy: POLICY },
    orphans: { intervalMs: 2000, ageMsMin: 3 * DAY },
  });
  const stop = new AbortController().signal;
  const done: unknown[] = [];
  for (const { operation, run } of schedules) {
    done.push([operation, await run(await table.open(), stop)]);
  }
  expect(done).toMatchObject([
    ["expire", { counts: { snapshots: 3 } }],
    ["orphans", { counts: { files: 1, uploads: 0 }, bytesReclaimed: 7 }],
  ]);
  expect(schedulesOf({ expire: null, orphans: null })).toEqual([]);
});
