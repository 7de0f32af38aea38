/**
 * Many schedules of the simulations: `bun scripts/prove/sim.ts --schedules 100000 --seed 1`.
 *
 * Runs writer and pipeline schedules in blocks, one simulation a core, and prints how far they are.
 * The first schedule that breaks the law is printed with its trace and the command that repeats it.
 */
import { parseArgs } from "node:util";

/** Schedules of one process; memory is given back with it. */
const BLOCK = 500;

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
  },
});
const schedules = Number(values.schedules);
const first = Number(values.seed);
const codes = await Promise.all([run("writer"), run("pipeline")]);
process.exit(Math.max(...codes));

/** Runs one simulation to its end or to its first violation; its exit code. */
async function run(suite: string): Promise<number> {
  const began = performance.now();
  for (let done = 0; done < schedules; done += BLOCK) {
    const count = Math.min(BLOCK, schedules - done);
    const child = Bun.spawn([process.execPath, "test", `./test/sim/${suite}.test.ts`, "--bail"], {
      env: {
        ...process.env,
        SIM_SEED: String(first + done),
        SIM_SCHEDULES: String(count),
        SIM_PIPELINES: String(count),
        SIM_UPSERTS: String(count),
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = await new Response(child.stdout).text();
    const errors = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) {
      console.log(`${output}\n${errors}`);
      return 1;
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(
      `${suite}: seeds ${first} to ${first + done + count - 1} keep the law, ${seconds} s`,
    );
  }
  return 0;
}
