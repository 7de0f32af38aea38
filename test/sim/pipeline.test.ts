/**
 * Random schedules of whole pipelines in consumer groups keep the law of SPEC section 2: crashes,
 * zombies, rebalances, a re-created topic, rollbacks, foreign writers, lost and late answers.
 */
import { expect, test } from "bun:test";
import { runAll, SCHEDULES } from "./schedules.ts";

const { runPipelineSchedule } = await import("./pipelineSim.ts");
/** They are slower than the writer's; `SIM_PIPELINES` says how many, else as many as those. */
const COUNT = Number(process.env["SIM_PIPELINES"] ?? SCHEDULES.count);

const SHAPES = [
  ["one table", { mains: 1, letters: false }],
  ["two tables of a feed", { mains: 2, letters: false }],
  ["dead letters", { mains: 1, letters: true }],
  ["two tables with dead letters", { mains: 2, letters: true }],
  ["a log of changes with dead letters", { mains: 1, letters: true, log: true }],
  ["late rows beside letters", { mains: 1, letters: true, late: true }],
] as const;

for (const compareAndSet of ["sequence", "pointer"] as const) {
  for (const [what, tables] of SHAPES) {
    test(`no schedule of a group loses or doubles a row (${compareAndSet}, ${what})`, async () => {
      const ended = await runAll("pipeline", COUNT, (seed) =>
        runPipelineSchedule(seed, { steps: 250, compareAndSet, people: seed % 3 !== 0, tables }),
      );
      const snapshots = ended.reduce((sum, each) => sum + each.snapshots, 0);
      expect(snapshots).toBeGreaterThan(COUNT * 3);
    }, 900_000);
  }
}

// Where a person has acted a record may be in two tables: with dead letters few schedules have people.
for (const [what, tables] of SHAPES) {
  test(`no schedule in which processes stand still does (${what})`, async () => {
    await runAll("pipeline", Math.ceil(COUNT / 2), (seed) => {
      const compareAndSet = seed % 2 === 0 ? "sequence" : "pointer";
      const people = seed % 4 === 0 || !tables.letters;
      return runPipelineSchedule(seed, { steps: 250, compareAndSet, people, stalls: true, tables });
    });
  }, 900_000);
}

for (const [what, tables] of SHAPES) {
  test(`no schedule in which rows are written before their commit is due does (${what})`, async () => {
    await runAll("pipeline", Math.ceil(COUNT / 2), (seed) => {
      const compareAndSet = seed % 2 === 0 ? "sequence" : "pointer";
      const people = seed % 4 === 0;
      const shape = { ...tables, ahead: true };
      return runPipelineSchedule(seed, { steps: 250, compareAndSet, people, tables: shape });
    });
  }, 900_000);
}

for (const [what, tables] of SHAPES) {
  if (tables.mains === 1) continue;
  test(`no schedule in which tables are committed in one request does (${what})`, async () => {
    await runAll("pipeline", Math.ceil(COUNT / 2), (seed) => {
      const compareAndSet = seed % 2 === 0 ? "sequence" : "pointer";
      const people = seed % 3 !== 0 && !tables.letters;
      const shape = { ...tables, together: true };
      const stalls = seed % 4 === 1;
      return runPipelineSchedule(seed, {
        steps: 250,
        compareAndSet,
        people,
        stalls,
        tables: shape,
      });
    });
  }, 900_000);
}

test("a log that was lost and has grown again is never read on from", async () => {
  const count = Math.ceil(COUNT / 4);
  await runAll("pipeline", count, (seed) =>
    runPipelineSchedule(seed, {
      steps: 250,
      compareAndSet: "sequence",
      people: false,
      lostLogs: true,
      tables: { mains: 1, letters: false },
    }),
  );
}, 900_000);

test("the same seed gives the same schedule", async () => {
  const tables = { mains: 2, letters: true } as const;
  const troubles = { steps: 250, compareAndSet: "sequence", people: true, tables } as const;
  const once = await runPipelineSchedule(4, troubles);
  expect((await runPipelineSchedule(4, troubles)).trace).toEqual(once.trace);
});
