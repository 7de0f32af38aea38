/**
 * The state directory's lock between real processes, and after SIGKILL.
 */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = join(import.meta.dir, "..", "support", "stateDirHolder.ts");

/** Starts a holder; what it says first. */
async function start(path: string) {
  const child = Bun.spawn([process.execPath, PROGRAM, path], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  return { child, said: new TextDecoder().decode(value).trim() };
}

test("one process per state directory; a killed one's lock is gone at once, its id stays", async () => {
  const root = await mkdtemp(join(tmpdir(), "kafka-iceberg-state-"));
  const path = join(root, "state");
  const holders = [];
  try {
    const first = await start(path);
    holders.push(first);
    expect(first.said).toMatch(/^open [0-9a-f-]{36}$/);
    const second = await start(path);
    expect(second.said).toContain(`in use by process ${first.child.pid}`);
    expect(await second.child.exited).toBe(0);
    for (let round = 0; round < 3; round++) {
      const last = holders.at(-1);
      last?.child.kill("SIGKILL");
      await last?.child.exited;
      const next = await start(path);
      holders.push(next);
      expect(next.said).toBe(first.said);
    }
  } finally {
    for (const { child } of holders) child.kill("SIGKILL");
    await rm(root, { recursive: true, force: true });
  }
}, 60_000);
