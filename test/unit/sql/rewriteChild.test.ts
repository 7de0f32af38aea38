/** What the process that rewrites data files does for the other processes of its machine. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const CHILD = join(import.meta.dir, "../../../src/sql/rewrite/child.ts");

test("when memory runs out the system takes the process that rewrites files, and not ingest", async () => {
  const { promise, resolve } = Promise.withResolvers<{ type: string }>();
  const child = Bun.spawn([process.execPath, CHILD], {
    stdio: ["ignore", "ignore", "ignore"],
    serialization: "advanced",
    ipc: resolve,
  });
  try {
    child.send({ library: "/nothing" });
    expect((await promise).type).toBe("failed");
    expect(readFileSync(`/proc/${child.pid}/oom_score_adj`, "utf8")).toBe("1000\n");
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
