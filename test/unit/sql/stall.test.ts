/** A child that does nothing is found; one that works is not. */
import { expect, test } from "bun:test";
import { watchForStall } from "#sql/rewrite/stall.ts";

const SOON = { everyMs: 20, stalledMs: 400 };

/** Whether a command is told of, before `ms` are over. */
async function isTold(command: string[], ms: number, options = SOON): Promise<boolean> {
  const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
  const told = Promise.withResolvers<true>();
  const end = watchForStall(child.pid, () => told.resolve(true), options);
  try {
    return await Promise.race([told.promise, Bun.sleep(ms).then(() => false)]);
  } finally {
    end();
    child.kill("SIGKILL");
    await child.exited;
  }
}

test("a process that only waits is told of", async () => {
  expect(await isTold(["sleep", "600"], 60_000)).toBe(true);
});

test("a process that copies slowly is not, though it takes no CPU", async () => {
  const copies = `const { openSync, readSync } = require("node:fs");
    const [file, bytes] = [openSync("/dev/zero", "r"), new Uint8Array(2 ** 21)];
    for (const never = new Int32Array(new SharedArrayBuffer(4)); ; Atomics.wait(never, 0, 0, 250)) readSync(file, bytes);`;
  const command = [process.execPath, "-e", copies];
  expect(await isTold(command, 4_000, { everyMs: 20, stalledMs: 1_000 })).toBe(false);
});

test("a process that works is not, and one that has ended is not either", async () => {
  expect(await isTold(["sh", "-c", "while :; do :; done"], 2_000)).toBe(false);
  expect(await isTold(["true"], 1_000)).toBe(false);
});
