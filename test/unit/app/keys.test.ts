/** Where a process keeps its key indexes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openKeys } from "#app/keys.ts";
import { systemDisk } from "#base/disk.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { KeyedTable } from "../../support/keyedTable.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keys-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("tables of one name in two pipelines have indexes of their own, under one secret that stays", async () => {
  const parts = { disk: systemDisk, random: systemRandom, log: silentLogger };
  const keys = await openKeys(folder, parts);
  const table = new KeyedTable();
  const file = await table.dataFile([1n], 20_000);
  const head = await table.head([{ file, sequenceNumber: 1n }]);
  for (const pipeline of ["a", "b"]) {
    const index = await keys.of(pipeline).openIndex({ namespace: ["db"], table: "t" }, ["id"]);
    await index.bringTo(head, "main");
  }
  const { secret } = keys.of("a");
  await keys.close();
  expect((await readdir(join(folder, "keyindex"))).length).toBe(3);
  const again = await openKeys(folder, parts);
  expect(again.of("b").secret).toEqual(secret);
  await again.close();
});
