/**
 * Random schedules of whole pipelines in a consumer group: crashes, zombies, rebalances, rollbacks,
 * foreign writers, lost and late answers. `SIM_SCHEDULES` and `SIM_SEED` choose how many and which.
 */
import { expect, mock, test } from "bun:test";
import * as zlib from "node:zlib";

// Compression on a thread pool would make the order of events depend on the machine.
type Done = (error: null, result: Buffer) => void;
const atOnce =
  (run: (bytes: Uint8Array) => Buffer) =>
  (bytes: Uint8Array, ...rest: unknown[]): void =>
    (rest.at(-1) as Done)(null, run(bytes));
mock.module("node:zlib", () => ({
  ...zlib,
  deflateRaw: atOnce((bytes) => zlib.deflateRawSync(bytes)),
  inflateRaw: atOnce((bytes) => zlib.inflateRawSync(bytes)),
}));
const { runPipelineSchedule } = await import("./pipelineSim.ts");

const SCHEDULES = Number(process.env["SIM_SCHEDULES"] ?? 50);
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1);

for (const compareAndSet of ["sequence", "pointer"] as const) {
  test(`no schedule of a group loses or doubles a row (${compareAndSet})`, async () => {
    let snapshots = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      const people = seed % 2 === 0;
      const outcome = await runPipelineSchedule(seed, { steps: 250, compareAndSet, people });
      snapshots += outcome.snapshots;
      if (outcome.violations.length > 0) console.log(`seed ${seed}\n${outcome.trace.join("\n")}`);
      expect({ seed, violations: outcome.violations }).toEqual({ seed, violations: [] });
    }
    expect(snapshots).toBeGreaterThan(SCHEDULES * 3);
  }, 600_000);
}
