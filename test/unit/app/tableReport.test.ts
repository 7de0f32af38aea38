/** `GET /tables/NAME`. */
import { expect, test } from "bun:test";
import { tableRoute } from "#app/tableReport.ts";
import { systemClock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import { createMetadataCache } from "#catalog/metadataCache.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { sampleTable } from "../../support/icebergSamples.ts";

const NAME = { namespace: ["db"], table: "t" };

function rig() {
  const state = { isAway: false, isThere: true };
  let nowMs = 0;
  const storage = createMemoryStorage();
  const metadata = sampleTable("/wh/db/t");
  const load = async () => {
    if (state.isAway) throw fail("catalog_unreachable", "The catalog is away");
    if (!state.isThere) return null;
    return { name: NAME, metadata, metadataLocation: "/wh/db/t/metadata/v1", storage };
  };
  const cache = createMetadataCache(
    { snapshotTtlMs: 1000, manifestTtlMs: 1000, schemaTtlMs: 1000 },
    {
      catalog: { load },
      clock: { ...systemClock, monotonicMs: () => nowMs },
      observe: () => undefined,
    },
  );
  const route = tableRoute(() => [{ pipeline: "p", cache, tables: [NAME] }]);
  const ask = async (path: string) => {
    const url = new URL(`http://localhost${path}`);
    const request = { url, headers: new Headers(), body: new Uint8Array() };
    const answer = await route.answer({ ...request, signal: new AbortController().signal });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const passMs = (ms: number): void => {
    nowMs += ms;
  };
  return { state, route, ask, passMs };
}

test("a table is told by its full name or its own, with its columns", async () => {
  const { ask, route } = rig();
  for (const path of ["/tables/db.t", "/tables/t"]) {
    const { status, body } = await ask(path);
    expect(status).toBe(200);
    expect(body).toMatchObject({ table: "db.t", pipeline: "p", rows: 0, stale: false, age_ms: 0 });
    expect(body["columns"]).toContainEqual({
      name: "id",
      type: "long",
      required: expect.any(Boolean),
    });
  }
  expect(route.access).toBe("token");
});

test("while the catalog is away the last answer is told to be stale, and without one it is said", async () => {
  const { ask, state, passMs } = rig();
  state.isAway = true;
  expect(await ask("/tables/t")).toEqual({
    status: 503,
    body: { error: "The catalog is away" },
  });
  state.isAway = false;
  await ask("/tables/t");
  state.isAway = true;
  passMs(90_000);
  expect((await ask("/tables/t")).body).toMatchObject({ stale: true, age_ms: 90_000 });
});

test("tables that are not there, or that no pipeline writes, are 404 and not asked for", async () => {
  const { ask, state } = rig();
  state.isThere = false;
  expect((await ask("/tables/t")).status).toBe(404);
  state.isAway = true;
  expect((await ask("/tables/other")).status).toBe(404);
  expect((await ask("/tables/db%2Ft")).status).toBe(404);
});
