/**
 * Data files are rewritten in a child process, one for each task: its memory goes with it, it is ended
 * at any moment, and what it breaks is its own (decision 0351 says the same of statements).
 */
import { join } from "node:path";
import { fail } from "#base/errors.ts";
import type { RewriteReply, RewriteTask, Rewritten } from "./protocol.ts";

/** The word that makes this program the child; `main.ts` knows it too. */
const CHILD_WORD = "rewrite-engine";

/**
 * Does a task.
 * @throws AppError `query`, `query_engine`; `stopped` when `stop` ended it
 */
export async function rewriteInProcess(task: RewriteTask, stop: AbortSignal): Promise<Rewritten> {
  const { promise, resolve, reject } = Promise.withResolvers<Rewritten>();
  const child = Bun.spawn(childCommand(), {
    cwd: "/",
    // What the parent's holds is no business of the engine; a crash is reported to nobody.
    env: { BUN_ENABLE_CRASH_REPORTING: "0", DO_NOT_TRACK: "1" },
    stdio: ["ignore", "ignore", "ignore"],
    serialization: "advanced",
    ipc: (reply: RewriteReply) => {
      if (reply.type === "done") resolve(reply.rewritten);
      else reject(fail(reply.kind, reply.message));
    },
    onExit: () => reject(fail("query_engine", "The engine that rewrites data files has crashed")),
  });
  const end = (): void => child.kill("SIGKILL");
  stop.addEventListener("abort", end, { once: true });
  try {
    child.send(task);
    return await promise;
  } catch (error) {
    throw stop.aborted ? fail("stopped", "Stopped on request; what was done stands") : error;
  } finally {
    stop.removeEventListener("abort", end);
    end();
    await child.exited;
  }
}

function childCommand(): string[] {
  const isExecutable = Bun.embeddedFiles.length > 0;
  return [process.execPath, isExecutable ? CHILD_WORD : join(import.meta.dir, "child.ts")];
}
