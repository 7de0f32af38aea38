/**
 * Many generated schemas and records against avsc and protobufjs:
 * `bun scripts/prove/formats.ts --records 1000000 --seed 1`.
 *
 * Runs the differential tests of test/fuzz in blocks with seeds of their own, one format after the other,
 * and prints how far they are. The first record that is read otherwise than by the judge is printed with
 * its schema, its bytes and the command that repeats it.
 */
import { parseArgs } from "node:util";

/** Records of one process; memory is given back with it. */
const BLOCK = 50_000;

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    format: { type: "string", multiple: true, default: ["avro", "protobuf"] },
  },
});
const records = Number(values.records);
const first = Number(values.seed);
for (const format of values.format) {
  if (!(await prove(format))) process.exit(1);
}

/** Runs one format's test to its end or to its first difference; whether there was none. */
async function prove(format: string): Promise<boolean> {
  const began = performance.now();
  for (let done = 0, seed = first; done < records; seed++) {
    const count = Math.min(BLOCK, records - done);
    const env = { FUZZ_SEED: String(seed), FUZZ_RUNS: String(count) };
    const command = ["test", `./test/fuzz/${format}.test.ts`, "--bail"];
    const child = Bun.spawn([process.execPath, ...command], {
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [output, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) {
      const again = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      console.log(`${output}\n${errors}\nagain: ${again.join(" ")} bun ${command.join(" ")}`);
      return false;
    }
    done += count;
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(`${format}: ${done} records as the judge reads them, seed ${seed}, ${seconds} s`);
  }
  return true;
}
