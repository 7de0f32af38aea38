/** Thousands of random schedules of upserts keep the law of changes in every snapshot (SPEC 2.10, 6). */
import { expect, test } from "bun:test";
import { runAll } from "./schedules.ts";
import { runUpserts } from "./upsertSim.ts";

/** Schedules of each kind of world; one takes a quarter of a second. */
const COUNT = Number(process.env["SIM_UPSERTS"] ?? 25);

for (const foreign of [false, true]) {
  for (const compareAndSet of ["sequence", "pointer"] as const) {
    const name = `${compareAndSet}, foreign engines: ${foreign}`;
    test(`no schedule leaves an old row, brings one back or loses one (${name})`, async () => {
      const ended = await runAll("upsert", COUNT, (seed) =>
        runUpserts(seed, { steps: 120, compareAndSet, foreign }),
      );
      const commits = ended.reduce((sum, each) => sum + each.commits, 0);
      expect(commits).toBeGreaterThan(COUNT / 2);
    }, 900_000);
  }
}

for (const foreign of [false, true]) {
  for (const compareAndSet of ["sequence", "pointer"] as const) {
    const name = `${compareAndSet}, foreign engines: ${foreign}`;
    test(`no schedule leaves an old row, or loses one, while files are rewritten (${name})`, async () => {
      const troubles = { steps: 150, compareAndSet, foreign, rewrites: true };
      await runAll("upsert", Math.ceil(COUNT / 2), (seed) => runUpserts(seed, troubles));
    }, 900_000);
  }

  test(`no schedule lets an older change win, by any partition or commit (foreign engines: ${foreign})`, async () => {
    const troubles = { steps: 120, compareAndSet: "sequence", foreign, ordered: true } as const;
    const ended = await runAll("upsert", COUNT, (seed) => runUpserts(seed, troubles));
    const commits = ended.reduce((sum, each) => sum + each.commits, 0);
    expect(commits).toBeGreaterThan(COUNT / 2);
  }, 900_000);
}

for (const [deletes, how] of [
  ["equality", "by equality"],
  ["copy-on-write", "by copies"],
] as const) {
  for (const foreign of [false, true]) {
    for (const compareAndSet of ["sequence", "pointer"] as const) {
      const name = `${compareAndSet}, foreign engines: ${foreign}`;
      test(`no schedule of deletes ${how} leaves an old row, or loses one, while files are rewritten (${name})`, async () => {
        const troubles = { steps: 150, compareAndSet, foreign, deletes } as const;
        const ended = await runAll("upsert", Math.ceil(COUNT / 2), (seed) =>
          runUpserts(seed, { ...troubles, rewrites: true }),
        );
        const commits = ended.reduce((sum, each) => sum + each.commits, 0);
        expect(commits).toBeGreaterThan(COUNT / 4);
      }, 900_000);
    }
  }
}

test("no schedule keeps a row that was there before its source was emptied, or loses a later one", async () => {
  await runAll("upsert", COUNT, (seed) => {
    const compareAndSet = seed % 2 === 0 ? "sequence" : "pointer";
    const ways = ["position", "position", "equality", "copy-on-write"] as const;
    const deletes = ways[seed % 4];
    const troubles = {
      foreign: seed % 3 !== 0,
      rewrites: seed % 5 === 1,
      empties: true,
      ...(deletes === undefined ? {} : { deletes }),
    };
    return runUpserts(seed, { steps: 120, compareAndSet, ...troubles });
  });
}, 900_000);

for (const foreign of [false, true]) {
  test(`no schedule gives a row a value that the row before it did not have (foreign engines: ${foreign})`, async () => {
    const troubles = { steps: 120, compareAndSet: "sequence", foreign, partial: true } as const;
    const half = Math.ceil(COUNT / 2);
    await runAll("upsert", half, (seed) => runUpserts(seed, troubles));
    await runAll("upsert", half, (seed) => runUpserts(seed, { ...troubles, rewrites: true }));
  }, 900_000);
}

test("the same seed gives the same schedule of upserts", async () => {
  const troubles = { steps: 100, compareAndSet: "sequence", foreign: true } as const;
  const once = await runUpserts(7, troubles);
  expect((await runUpserts(7, troubles)).trace).toEqual(once.trace);
});
