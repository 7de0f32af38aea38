/**
 * Thousands of random schedules of writers, catalog, people and foreign engines keep the law of SPEC
 * section 2 in every snapshot. `SIM_SCHEDULES` and `SIM_SEED` choose how many and which.
 */
import { expect, test } from "bun:test";
import { runSchedule } from "./writerSim.ts";

const SCHEDULES = Number(process.env["SIM_SCHEDULES"] ?? 50);
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1);

for (const compareAndSet of ["sequence", "pointer"] as const) {
  for (const people of [false, true]) {
    test(`no schedule loses or doubles a row (${compareAndSet}, people: ${people})`, async () => {
      let commits = 0;
      for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
        const outcome = await runSchedule(seed, { steps: 80, compareAndSet, people });
        commits += outcome.commits;
        if (outcome.violations.length > 0) {
          console.log(`seed ${seed}\n${outcome.trace.join("\n")}`);
        }
        expect({ seed, violations: outcome.violations }).toEqual({ seed, violations: [] });
      }
      expect(commits).toBeGreaterThan(SCHEDULES);
    }, 600_000);
  }
}
