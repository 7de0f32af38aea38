/**
 * Thousands of random schedules of writers, catalog, people and foreign engines keep the law of SPEC
 * section 2 in every snapshot.
 */
import { expect, test } from "bun:test";
import { runAll, SCHEDULES } from "./schedules.ts";
import { runSchedule } from "./writerSim.ts";

/** Every combination of what a catalog promises (`CatalogTraits`), and whether people act. */
const WORLDS = (["sequence", "pointer", "parented", "nothing"] as const).flatMap((compareAndSet) =>
  [true, false].flatMap((showsAncestors) =>
    [true, false].map((people) => ({ compareAndSet, showsAncestors, people })),
  ),
);

for (const world of WORLDS) {
  const { compareAndSet, showsAncestors, people } = world;
  const name = `${compareAndSet}, ancestors: ${showsAncestors}, people: ${people}`;
  test(`no schedule loses or doubles a row (${name})`, async () => {
    const ended = await runAll("writer", SCHEDULES.count, (seed) =>
      runSchedule(seed, { steps: 100, ...world }),
    );
    const commits = ended.reduce((sum, each) => sum + each.commits, 0);
    expect(commits).toBeGreaterThan(SCHEDULES.count / 2);
  }, 900_000);
}

for (const compareAndSet of ["sequence", "nothing"] as const) {
  test(`no schedule loses or doubles a row that is written before its commit is due (${compareAndSet})`, async () => {
    await runAll("writer", SCHEDULES.count, (seed) =>
      runSchedule(seed, { steps: 100, compareAndSet, people: seed % 2 === 0, ahead: true }),
    );
  }, 900_000);
}

for (const { compareAndSet, showsAncestors } of WORLDS.filter(({ people }) => !people)) {
  const name = `${compareAndSet}, ancestors: ${showsAncestors}`;
  test(`no schedule loses, doubles or shows a deleted row while files are rewritten (${name})`, async () => {
    await runAll("writer", SCHEDULES.count, (seed) =>
      runSchedule(seed, {
        steps: 50,
        compareAndSet,
        showsAncestors,
        people: false,
        rewrites: true,
      }),
    );
  }, 900_000);
}

test("the same seed gives the same schedule", async () => {
  const troubles = { steps: 100, compareAndSet: "sequence", people: true } as const;
  const once = await runSchedule(7, troubles);
  expect((await runSchedule(7, troubles)).trace).toEqual(once.trace);
});
