/**
 * A process that opens the state directory given as its argument, says so, and stays.
 */
import { systemDisk } from "#base/disk.ts";
import { describe } from "#base/errors.ts";
import { systemRandom } from "#base/random.ts";
import { openStateDir } from "#txlog/stateDir.ts";

const parts = { disk: systemDisk, random: systemRandom, pid: process.pid };
try {
  const state = await openStateDir(process.argv[2] ?? "", parts);
  process.stdout.write(`open ${state.instanceId}\n`);
  setInterval(() => undefined, 1000);
} catch (error) {
  process.stdout.write(`${describe(error)}\n`);
}
