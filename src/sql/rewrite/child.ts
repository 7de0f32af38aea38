/**
 * A child process that reads data files once, to rewrite them or to count values, and is ended by its parent (`rewriteProcess.ts`). It
 * yields to every other process of the machine, so that ingest keeps its latency, is what the system ends
 * first when memory runs out, and ends with its parent.
 */
import { describe, kindOf } from "#base/errors.ts";
import { openLibc } from "#base/libc.ts";
import { offerFirst } from "#sql/confine.ts";
import { sketchFiles } from "#sql/sketch/sketchFiles.ts";
import { copyPages } from "./copyPages.ts";
import type { ChildReply, ChildTask } from "./protocol.ts";
import { rewriteFiles } from "./rewriteFiles.ts";

/** Of the scheduler: about a ninth of the time of a process that yields to nobody. */
const NICENESS = 10;
const PRIO_PROCESS = 0;
const DIE_WITH_PARENT = 1;
const SIGKILL = 9n;

process.on("message", (task: ChildTask) => {
  done(task).then(reply, (error: unknown) =>
    reply({ type: "failed", kind: kindOf(error), message: describe(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches every process of a terminal: the parent decides when this one ends.
process.on("SIGINT", () => undefined);
openLibc<{ setpriority: (which: number, who: number, value: number) => number }>({
  setpriority: { args: ["i32", "u32", "i32"], returns: "i32" },
})?.setpriority(PRIO_PROCESS, 0, NICENESS);
try {
  offerFirst();
} catch {
  // Where the system has no such order, it chooses by itself.
}
// While it is inside the engine, nothing tells it that its parent is gone.
openLibc<{ prctl: (option: number, signal: bigint) => number }>({
  prctl: { args: ["i32", "u64"], returns: "i32" },
})?.prctl(DIE_WITH_PARENT, SIGKILL);

async function done(task: ChildTask): Promise<ChildReply> {
  return task.kind === "rewrite"
    ? { type: "rewritten", result: copyPages(task) ?? (await rewriteFiles(task)) }
    : { type: "sketched", result: await sketchFiles(task) };
}

function reply(message: ChildReply): void {
  process.send?.(message);
}
