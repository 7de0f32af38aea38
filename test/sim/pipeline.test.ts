/**
 * Random schedules of whole pipelines in consumer groups keep the law of SPEC section 2: crashes,
 * zombies, rebalances, a re-created topic, rollbacks, foreign writers, lost and late answers.
 */
import { expect, test } from "bun:test";
import { runAll, SCHEDULES } from "./schedules.ts";

const { runPipelineSchedule } = await import("./pipelineSim.ts");
/** They are slower than the writer's; `SIM_PIPELINES` says how many, else as many as those. */
const COUNT = Number(process.env["SIM_PIPELINES"] ?? SCHEDULES.count);

for (const compareAndSet of ["sequence", "pointer"] as const) {
  for (const tables of [1, 2, 3] as const) {
    test(`no schedule of a group loses or doubles a row (${compareAndSet}, tables of a feed: ${tables})`, async () => {
      const ended = await runAll("pipeline", COUNT, (seed) =>
        runPipelineSchedule(seed, { steps: 250, compareAndSet, people: seed % 3 !== 0, tables }),
      );
      const snapshots = ended.reduce((sum, each) => sum + each.snapshots, 0);
      expect(snapshots).toBeGreaterThan(COUNT * 3);
    }, 900_000);
  }
}

test("a log that was lost and has grown again is never read on from", async () => {
  const count = Math.ceil(COUNT / 4);
  await runAll("pipeline", count, (seed) =>
    runPipelineSchedule(seed, {
      steps: 250,
      compareAndSet: "sequence",
      people: false,
      lostLogs: true,
      tables: 1,
    }),
  );
}, 900_000);

test("the same seed gives the same schedule", async () => {
  const troubles = { steps: 250, compareAndSet: "sequence", people: true, tables: 3 } as const;
  const once = await runPipelineSchedule(4, troubles);
  expect((await runPipelineSchedule(4, troubles)).trace).toEqual(once.trace);
});
