/**
 * Finds a child that does nothing any more. DuckDB has been seen to wait for a task that nobody had (`Executor::WaitForTask`, on
 * one thread): that ends neither by itself nor in an error, and would keep maintenance from a table as long as the process lives.
 */
import { readFileSync } from "node:fs";
import { systemClock } from "#base/clock.ts";

/** What is taken for doing nothing. */
export interface StallOptions {
  /** Time between two looks, ms. Default: 5 s. */
  readonly everyMs?: number;
  /** In so much time, ms. Default: two minutes. */
  readonly stalledMs?: number;
}

/** A child at work has more of a core than this, also on a full machine; one that looks whether there is work takes 0.004. */
const BUSY_SHARE = 0.01;
/** Linux's, on every platform that there is a build for. */
const MS_PER_TICK = 10;

/**
 * Tells once when a process has done next to nothing for two minutes, waiting for the disk included. Says nothing where its CPU
 * time cannot be read.
 * @returns ends it
 */
export function watchForStall(
  pid: number,
  onStalled: () => void,
  { everyMs = 5_000, stalledMs = 120_000 }: StallOptions = {},
): () => void {
  const ended = new AbortController();
  void watch(pid, { everyMs, stalledMs }, ended.signal).then((isStalled) => {
    if (isStalled) onStalled();
  });
  return () => ended.abort();
}

/** @returns true when the process has stalled, false when the watch was ended, or can see nothing */
async function watch(
  pid: number,
  { everyMs, stalledMs }: Required<StallOptions>,
  ended: AbortSignal,
): Promise<boolean> {
  let beganMs = systemClock.monotonicMs();
  let beganCpuMs = cpuMsOf(pid);
  while (beganCpuMs !== null) {
    await systemClock.sleep(everyMs, ended);
    const cpuMs = cpuMsOf(pid);
    if (ended.aborted || cpuMs === null) return false;
    const nowMs = systemClock.monotonicMs();
    const isBusy = cpuMs - beganCpuMs > BUSY_SHARE * stalledMs;
    // A process that was stopped together with its child, as in a debugger, begins anew.
    const wasAway = nowMs - beganMs > 2 * stalledMs;
    if (isBusy || wasAway) [beganMs, beganCpuMs] = [nowMs, cpuMs];
    else if (nowMs - beganMs >= stalledMs) return true;
  }
  return false;
}

/** User and system time; null: it cannot be read. */
function cpuMsOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may have spaces: the 12th and 13th field.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return MS_PER_TICK * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return null;
  }
}
