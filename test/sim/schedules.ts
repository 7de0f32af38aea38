/**
 * Runs many schedules of a simulation; of the first one that breaks the law it prints the seed, the
 * trace and the command that repeats it. `SIM_SCHEDULES` and `SIM_SEED` choose how many and which.
 */
import "./syncZlib.ts";
import { expect } from "bun:test";

/** How a schedule ended, of any simulation. */
export interface Ended {
  readonly violations: readonly string[];
  readonly trace: readonly string[];
}

/** What is asked for by the environment. */
export const SCHEDULES: { readonly count: number; readonly first: number } = {
  count: Number(process.env["SIM_SCHEDULES"] ?? 50),
  first: Number(process.env["SIM_SEED"] ?? 1),
};

/** Runs `count` schedules from `first` on and expects every one to keep the law. */
export async function runAll<T extends Ended>(
  suite: string,
  count: number,
  run: (seed: number) => Promise<T>,
): Promise<T[]> {
  const ended: T[] = [];
  for (let seed = SCHEDULES.first; seed < SCHEDULES.first + count; seed++) {
    const outcome = await run(seed).catch((error: unknown): T => {
      report(suite, seed, { violations: [`THROWN: ${String(error)}`], trace: [] });
      throw error;
    });
    ended.push(outcome);
    if (outcome.violations.length > 0) report(suite, seed, outcome);
    expect({ seed, violations: outcome.violations }).toEqual({ seed, violations: [] });
    if ((seed - SCHEDULES.first) % 500 === 499) console.log(`${suite}: ${seed} schedules`);
  }
  return ended;
}

function report(suite: string, seed: number, { violations, trace }: Ended): void {
  const lines = [
    `${suite}: seed ${seed} breaks the law: ${violations[0]}`,
    ...trace.map((line, index) => `  ${index + 1}. ${line}`),
    `repeat: SIM_SEED=${seed} SIM_SCHEDULES=1 bun test ./test/sim/${suite}.test.ts`,
  ];
  console.log(lines.join("\n"));
}
