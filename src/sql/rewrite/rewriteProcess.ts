/**
 * Data files are rewritten, and their values counted, in a child process, one for each task: its memory goes with it, it is ended
 * at any moment, and what it breaks is its own (decision 0351 says the same of statements).
 */
import { join } from "node:path";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import type {
  ChildReply,
  ChildTask,
  RewriteTask,
  Rewritten,
  SketchedColumn,
  SketchTask,
} from "./protocol.ts";
import { watchForStall } from "./stall.ts";

/** It uses kernels when its parent does. */
const KERNEL: Readonly<Record<string, string>> = KERNELS_ON ? {} : { KAFKA_ICEBERG_KERNEL: "off" };

/** The word that makes this program the child; `main.ts` knows it too. */
const CHILD_WORD = "rewrite-engine";

/**
 * Rewrites data files.
 * @throws AppError `query`, `query_engine`; `rewrite_process` when the child ended or has no engine; `stopped` when `stop` ended it
 */
export async function rewriteInProcess(task: RewriteTask, stop: AbortSignal): Promise<Rewritten> {
  const reply = await inProcess({ kind: "rewrite", ...task }, stop);
  assert(reply.type === "rewritten", "the child does what it was asked for");
  return reply.result;
}

/** Counts values. Throws as {@link rewriteInProcess}. */
export async function sketchInProcess(
  task: SketchTask,
  stop: AbortSignal,
): Promise<readonly SketchedColumn[]> {
  const reply = await inProcess({ kind: "sketch", ...task }, stop);
  assert(reply.type === "sketched", "the child does what it was asked for");
  return reply.result;
}

async function inProcess(
  task: ChildTask,
  stop: AbortSignal,
): Promise<Exclude<ChildReply, { type: "failed" }>> {
  const { promise, resolve, reject } =
    Promise.withResolvers<Exclude<ChildReply, { type: "failed" }>>();
  const child = Bun.spawn(childCommand(), {
    cwd: "/",
    // What the parent's holds is no business of the engine; a crash is reported to nobody.
    env: { BUN_ENABLE_CRASH_REPORTING: "0", DO_NOT_TRACK: "1", ...KERNEL },
    stdio: ["ignore", "ignore", "ignore"],
    serialization: "advanced",
    ipc: (reply: ChildReply) => {
      if (reply.type === "failed") reject(fail(reply.kind, reply.message));
      else resolve(reply);
    },
    onExit: () => reject(fail("rewrite_process", "The process that reads data files has ended")),
  });
  const end = (): void => child.kill("SIGKILL");
  const unwatch = watchForStall(child.pid, () => {
    const sentence = "The process that reads data files did nothing for minutes, and was ended";
    reject(fail("rewrite_process", sentence));
  });
  stop.addEventListener("abort", end, { once: true });
  try {
    child.send(task);
    return await promise;
  } catch (error) {
    throw stop.aborted ? fail("stopped", "Stopped on request; what was done stands") : error;
  } finally {
    unwatch();
    stop.removeEventListener("abort", end);
    end();
    await child.exited;
  }
}

function childCommand(): string[] {
  const isExecutable = Bun.embeddedFiles.length > 0;
  return [process.execPath, isExecutable ? CHILD_WORD : join(import.meta.dir, "child.ts")];
}
