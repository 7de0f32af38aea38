import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { openCatalog } from "#catalog/open.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";
import { rejection } from "../../support/rejection.ts";

const NAME = { namespace: ["db"], table: "t" };

function observed(storage = createMemoryStorage()): {
  seen: Observation[];
  catalog: ReturnType<typeof openCatalog>;
} {
  const seen: Observation[] = [];
  let ms = 0;
  const clock = { ...systemClock, monotonicMs: () => (ms += 5) };
  const catalog = openCatalog(
    { type: "file", warehouse: "/wh", readOnly: false },
    { storage, clock, random: systemRandom, log: silentLogger, observe: (o) => seen.push(o) },
  );
  return { seen, catalog };
}

describe("openCatalog", () => {
  test("each operation is observed with its duration and what went wrong", async () => {
    const { seen, catalog } = observed();
    const metadataAt = (location: string) => sampleTable(location);
    await catalog.open();
    await catalog.create({ name: NAME, metadataAt });
    await catalog.create({ name: NAME, metadataAt });
    await catalog.commit(NAME, [], []);
    await catalog.load(NAME);
    await catalog.list(["db"]);
    await catalog.close();
    expect(seen).toEqual(
      (
        [
          ["open", null],
          ["create", null],
          ["create", "conflict"],
          ["commit", null],
          ["load", null],
          ["list", null],
        ] as const
      ).map(([operation, error]) => ({
        type: "catalog",
        operation,
        catalogType: "file",
        durationMs: 5,
        error,
      })),
    );
  });

  test("a file catalog on a store whose conditional writes do not hold is refused, but for reading", async () => {
    const memory = createMemoryStorage();
    const putIfAbsent = async (location: string, content: Uint8Array): Promise<boolean> => {
      memory.objects.set(location, { content, modifiedMs: 0 });
      return true;
    };
    const storage = { ...memory, putIfAbsent };
    const parts = {
      storage,
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      observe: () => undefined,
    };
    const open = (warehouse: string, readOnly: boolean) =>
      openCatalog({ type: "file", warehouse, readOnly }, parts).open();
    for (const warehouse of ["s3://b/w", "gs://b/w", "abfss://c@a.dfs.core.windows.net/w"]) {
      expect(await rejection(open(warehouse, false))).toMatchObject({ kind: "catalog_refused" });
      await open(warehouse, true);
    }
    await open("/wh", false);
    expect(memory.objects.size).toBe(0);
  });

  test("what an operation throws is observed by its kind and thrown on", async () => {
    const storage = createMemoryStorage();
    storage.head = () => Promise.reject(fail("storage_unreachable", "no route"));
    storage.get = storage.head as never;
    const { seen, catalog } = observed(storage);
    expect((await rejection(catalog.load(NAME))).message).toContain("no route");
    expect(seen).toMatchObject([{ operation: "load", error: "storage_unreachable" }]);
  });

  test("the type chooses the catalog", () => {
    const parts = {
      storage: createMemoryStorage(),
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      observe: () => undefined,
    };
    const options = { warehouse: "/wh", readOnly: false };
    expect(openCatalog({ type: "file", ...options }, parts).traits.type).toBe("file");
    const sql = { type: "sql", uri: "sqlite:x.db", name: "default", ...options } as const;
    expect(openCatalog(sql, parts).traits.type).toBe("sql");
    expect(() => openCatalog({ ...sql, uri: "postgres://x" }, parts)).toThrow("user is missing");
  });
});
