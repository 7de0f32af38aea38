/** The body that SQLite, PostgreSQL, Glue and Hive share: files around a pointer that is swapped. */
import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { Catalog, CommitOutcome } from "#catalog/catalog.ts";
import { createPointerCatalog } from "#catalog/pointer.ts";
import { memoryPointers, memoryRows } from "../../fakes/memoryPointers.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

const NAME = { namespace: ["a", "b"], table: "t" };

function bench() {
  const rows = memoryRows();
  const storage = createMemoryStorage();
  const parts = { storage, clock: systemClock, random: systemRandom, log: silentLogger };
  return { rows, storage, open: () => createPointerCatalog(memoryPointers(rows), parts) };
}

async function created(catalog: Catalog, properties: Record<string, string> = {}): Promise<void> {
  const metadataAt = (location: string) => sampleTable(location, { properties });
  expect((await catalog.create({ name: NAME, metadataAt })).kind).toBe("committed");
}

const touch = (catalog: Catalog, value: string): Promise<CommitOutcome> =>
  catalog.commit(NAME, [], [{ action: "set-properties", properties: { touched: value } }]);

test("a table lives where its namespace says, and its metadata with it", async () => {
  const { open } = bench();
  await created(open());
  const table = await open().load(NAME);
  expect(table?.metadata.location).toBe("/lake/a/b.db/t");
  expect(table?.metadataLocation).toStartWith("/lake/a/b.db/t/metadata/00000-");
});

describe("the metadata file of a commit", () => {
  test("is removed when the pointer had moved: nothing names it", async () => {
    const { rows, storage, open } = bench();
    const catalog = open();
    await created(catalog);
    const store = memoryPointers(rows);
    const late = createPointerCatalog(
      { ...store, swap: async () => ({ kind: "taken" }) },
      { storage, clock: systemClock, random: systemRandom, log: silentLogger },
    );
    expect((await touch(late, "x")).kind).toBe("conflict");
    expect(storage.objects.size).toBe(1);
  });

  test("stays when the answer was lost: the pointer may name it, now or later", async () => {
    for (const fault of ["before", "after"] as const) {
      const { rows, storage, open } = bench();
      const catalog = open();
      await created(catalog);
      rows.fault = fault;
      expect((await touch(catalog, "x")).kind).toBe("unknown");
      expect(storage.objects.size).toBe(2);
      const touched = (await open().load(NAME))?.metadata.properties["touched"];
      expect(touched).toBe(fault === "after" ? "x" : undefined);
    }
  });

  test("is read once for each time that the pointer moves, the pointer every time", async () => {
    const { rows, storage, open } = bench();
    await created(open());
    const [one, other] = [open(), open()];
    for (let n = 0; n < 5; n++) await one.load(NAME);
    expect([storage.calls["get"], rows.reads.get("a.b.t")]).toEqual([1, 5]);
    await touch(other, "x");
    for (let n = 0; n < 5; n++) {
      expect((await one.load(NAME))?.metadata.properties["touched"]).toBe("x");
    }
    // Once more by each: `other` read it before it committed, `one` after.
    expect(storage.calls["get"]).toBe(3);
  });
});

test("metadata is gzip'ed, and named so, where the table asks for it", async () => {
  const { storage, open } = bench();
  await created(open(), { "write.metadata.compression-codec": "gzip" });
  expect((await touch(open(), "x")).kind).toBe("committed");
  const table = await open().load(NAME);
  expect(table?.metadataLocation).toMatch(/\/00001-[0-9a-f-]{36}\.gz\.metadata\.json$/);
  expect(table?.metadata.properties["touched"]).toBe("x");
  const bytes = await storage.get(table?.metadataLocation ?? "");
  expect([...bytes.subarray(0, 2)]).toEqual([0x1f, 0x8b]);
});
