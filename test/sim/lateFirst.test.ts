/**
 * One schedule that chance hardly finds: a table's first request gets no answer, another engine
 * commits, replaces the table in place, and only then does the request arrive. It demands a branch
 * without a snapshot, which is what it finds, and a snapshot without a parent is compared with no
 * sequence number by Iceberg's own servers.
 */
import "./syncZlib.ts";
import { expect, test } from "bun:test";
import type { CatalogTraits } from "#catalog/catalog.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { foreignAppend, replaceWithoutData } from "./people.ts";
import { MemoryLog, optionsOf, partsOf, worldClock } from "./process.ts";
import { World } from "./world.ts";

/** A world whose table has format version 2 (in version 3 row ids refuse the request). */
function plainWorld(): World {
  for (let seed = 1; ; seed++) {
    const world = new World(seed, "parented");
    const { metadata, thinning, others } = world;
    if (metadata.formatVersion === 2 && thinning === null && others.length === 0) return world;
  }
}

/** What the law says when the request has arrived late, under a catalog that promises this. */
async function arrivesLate(promised: CatalogTraits["endsLateRequests"]): Promise<string[]> {
  const world = plainWorld();
  const clock = worldClock(
    world,
    () => true,
    (wake) => wake(),
  );
  const parts = partsOf(
    world,
    "A",
    new MemoryLog().reopen(() => 0),
    () => true,
    clock,
  );
  const traits = { ...world.traits, endsLateRequests: promised };
  const catalog = { ...parts.catalog, traits };
  const writer = await TableWriter.open({ ...parts, catalog }, optionsOf(world, "g"), []);
  const sent = Promise.withResolvers<void>();
  world.onRequest = () => sent.resolve();
  const claim = writer.claim([{ feed: world.feed(0), offset: 0n }]);
  await sent.promise;
  const [request] = world.pending;
  if (request === undefined) throw new Error("nothing was sent");
  await foreignAppend(world);
  world.giveUp(request, "late");
  expect((await claim).kind).toBe("dropped");
  replaceWithoutData(world);
  expect(world.apply(request, "lost")).toBe("applied");
  return world.law.violations();
}

test("the files of a first request without an answer stay where such requests never end", async () => {
  expect(await arrivesLate("with-parent")).toEqual([]);
});

test("under a catalog that promises too much its head would list a file that is gone", async () => {
  expect(await arrivesLate("all")).toEqual([expect.stringContaining("DANGLING")]);
});
