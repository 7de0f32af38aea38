/** The metadata cache: how old its answers may be, what commits do to it, and what it says while the catalog is away. */
import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { LIMITS } from "#base/limits.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import type { LoadedTable, TableName } from "#catalog/catalog.ts";
import { createMetadataCache } from "#catalog/metadataCache.ts";
import { openCatalog } from "#catalog/open.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { appendOf, nextSnapshot, sampleTable } from "../../support/icebergSamples.ts";
import { rejection } from "../../support/rejection.ts";

const NAME: TableName = { namespace: ["db"], table: "t" };

/** A table in a file catalog in memory, the cache over it, and a clock that tests move. */
async function rig() {
  const storage = createMemoryStorage();
  const seen: Observation[] = [];
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const parts = {
    storage,
    clock,
    random: systemRandom,
    log: silentLogger,
    observe: (observation: Observation) => void seen.push(observation),
  };
  const catalog = openCatalog({ type: "file", warehouse: "/wh", readOnly: false }, parts);
  await catalog.open();
  let loads = 0;
  const state = { isAway: false, before: async (): Promise<void> => undefined };
  const load = async (name: TableName): Promise<LoadedTable | null> => {
    loads++;
    if (state.isAway) throw fail("catalog_unreachable", "away");
    const table = await catalog.load(name);
    await state.before();
    return table;
  };
  const cache = createMetadataCache(
    { snapshotTtlMs: 1000, manifestTtlMs: 60_000, schemaTtlMs: 300_000 },
    { ...parts, catalog: { load } },
  );
  const watched = cache.watched(catalog);
  await watched.create({ name: NAME, metadataAt: (location) => sampleTable(location) });
  const append = async (through: typeof catalog, id: bigint): Promise<void> => {
    const head = await catalog.load(NAME);
    if (head === null) throw new Error("no table");
    const updates = appendOf(nextSnapshot(head.metadata, id));
    const outcome = await through.commit(NAME, [], updates);
    if (outcome.kind !== "committed") throw new Error(outcome.kind);
  };
  return {
    cache,
    catalog,
    watched,
    storage,
    state,
    append,
    loads: () => loads,
    rate: (key: string) => {
      const asked = seen.filter((each) => each.type === "metadata_cache" && each.key === key);
      return (
        asked.filter((each) => each.type === "metadata_cache" && each.hit).length / asked.length
      );
    },
    passMs: (ms: number) => {
      nowMs += ms;
    },
    head: async () => (await cache.head(NAME))?.value.metadata.currentSnapshotId,
  };
}

describe("the metadata cache", () => {
  test("answers from memory within its time, and asks again afterwards", async () => {
    const { cache, catalog, append, loads, passMs, head } = await rig();
    passMs(1000);
    await head();
    expect(loads()).toBe(1);
    await append(catalog, 7n);
    passMs(999);
    expect(await head()).not.toBe(7n);
    expect((await cache.head(NAME))?.ageMs).toBe(999);
    passMs(1);
    expect(await head()).toBe(7n);
    expect(loads()).toBe(2);
  });

  test("a schema may be older than a head", async () => {
    const { cache, loads, passMs } = await rig();
    passMs(299_000);
    expect((await cache.schema(NAME))?.value.fields.length).toBeGreaterThan(0);
    expect(loads()).toBe(0);
    passMs(2000);
    await cache.schema(NAME);
    expect(loads()).toBe(1);
  });

  test("a commit of ours replaces what is known, without asking the catalog", async () => {
    const { watched, append, loads, head } = await rig();
    await append(watched, 7n);
    expect(await head()).toBe(7n);
    await append(watched, 8n);
    expect(await head()).toBe(8n);
    expect(loads()).toBe(0);
  });

  test("of a commit of several tables each replaces what is known of it", async () => {
    const { cache, catalog, head, loads } = await rig();
    const watched = cache.watched({
      ...catalog,
      commitTogether: (changes) =>
        Promise.all(
          changes.map(({ name, requirements, updates }) =>
            catalog.commit(name, requirements, updates),
          ),
        ),
    });
    const table = await catalog.load(NAME);
    const updates = table === null ? [] : appendOf(nextSnapshot(table.metadata, 7n));
    await watched.commitTogether?.([{ name: NAME, requirements: [], updates }]);
    expect(await head()).toBe(7n);
    expect(loads()).toBe(0);
    expect(cache.watched(catalog).commitTogether).toBeUndefined();
  });

  test("a commit whose outcome is not known leaves nothing to be trusted for long, and a load from before it is not kept", async () => {
    const { watched, state, append, loads, passMs, head } = await rig();
    passMs(1000);
    const gate = Promise.withResolvers<void>();
    state.before = () => gate.promise;
    const early = head();
    await append(watched, 7n);
    gate.resolve();
    expect(await early).not.toBe(7n);
    state.before = async () => undefined;
    expect(await head()).toBe(7n);
    expect(loads()).toBe(1);
  });

  test("who asks while a load is on its way shares it", async () => {
    const { passMs, loads, head } = await rig();
    passMs(1000);
    await Promise.all([head(), head(), head()]);
    expect(loads()).toBe(1);
  });

  test("while the catalog is away its last answer is given, and said to be stale; without one the error is", async () => {
    const { cache, state, passMs } = await rig();
    state.isAway = true;
    passMs(5000);
    expect(await cache.head(NAME)).toMatchObject({ ageMs: 5000, isStale: true });
    const other = { namespace: ["db"], table: "other" };
    expect(await rejection(cache.head(other))).toMatchObject({ kind: "catalog_unreachable" });
    state.isAway = false;
    expect(await cache.head(NAME)).toMatchObject({ ageMs: 0, isStale: false });
    expect(await cache.head(other)).toBeNull();
  });

  test("manifests are those of the head that readers are told: a commit of ours asks the catalog for nothing", async () => {
    const { cache, watched, append, loads, passMs } = await rig();
    expect((await cache.manifests(NAME))?.value).toEqual([]);
    expect(loads()).toBe(0);
    passMs(60_000);
    expect((await cache.manifests(NAME))?.value).toEqual([]);
    expect(loads()).toBe(1);
    await append(watched, 7n);
    expect(await cache.head(NAME)).toMatchObject({ ageMs: 0 });
    await rejection(cache.manifests(NAME));
    expect(loads()).toBe(1);
  });

  test("a commit that found the catalog away takes no answer from readers, manifests included", async () => {
    const { cache, catalog, state, passMs } = await rig();
    const lost = cache.watched({
      ...catalog,
      commit: async () => {
        throw fail("catalog_unreachable", "away");
      },
    });
    await cache.manifests(NAME);
    await rejection(lost.commit(NAME, [], []));
    state.isAway = true;
    passMs(5000);
    expect(await cache.head(NAME)).toMatchObject({ isStale: true });
    expect(await cache.manifests(NAME)).toMatchObject({ value: [], ageMs: 5000, isStale: true });
  });

  test("of a steady reader 95 of 100 questions are answered from memory", async () => {
    const { rate, passMs, head } = await rig();
    for (let at = 0; at < 400; at++) {
      await head();
      passMs(25);
    }
    expect(rate("snapshot_id")).toBeGreaterThanOrEqual(0.95);
  });

  test("it holds a bounded number of tables, those asked for last", async () => {
    const { cache, state, loads, head } = await rig();
    await head();
    state.before = async () => undefined;
    for (let at = 0; at < LIMITS.cachedTablesMax; at++)
      await cache.head({ namespace: ["db"], table: `none${at}` });
    const before = loads();
    await head();
    expect(loads()).toBe(before + 1);
  });
});
