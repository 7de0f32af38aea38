/** Random schedules of replays keep the law in every snapshot (CHANGE_RULES 13, SPEC 2.13). */
import { expect, test } from "bun:test";
import { runReplays } from "./replaySim.ts";
import { runAll } from "./schedules.ts";

/** Schedules of each kind of world; one takes a quarter of a second. */
const COUNT = Number(process.env["SIM_REPLAYS"] ?? 25);

for (const foreign of [false, true]) {
  for (const compareAndSet of ["sequence", "pointer"] as const) {
    const name = `${compareAndSet}, foreign engines: ${foreign}`;
    test(`no replay loses a row, doubles one or touches another (${name})`, async () => {
      const ended = await runAll("replay", COUNT, (seed) =>
        runReplays(seed, { steps: 160, compareAndSet, foreign }),
      );
      const replays = ended.reduce((sum, each) => sum + each.replays, 0);
      expect(replays).toBeGreaterThan(COUNT / 2);
    }, 900_000);
  }
}

test("the same seed gives the same schedule of replays", async () => {
  const troubles = { steps: 100, compareAndSet: "sequence", foreign: true } as const;
  const once = await runReplays(7, troubles);
  expect((await runReplays(7, troubles)).trace).toEqual(once.trace);
});
