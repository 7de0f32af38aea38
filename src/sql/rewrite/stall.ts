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
/** Or it reads and writes: on a slow disk, copying takes next to no CPU. One that looks for work comes to a twentieth of it. */
const BUSY_BYTES = 1024 * 1024;
/** Or it runs, wants to, or waits for a disk when it is looked at: one that looks for work does so in one look of 250. */
const BUSY_STATES = ["R", "D"];
/** As a share of the whole time, that between two looks: after a longer one nothing is known of the child. */
const AWAY_SHARE = 1 / 4;

/**
 * Tells once when a process has done next to nothing for two minutes; waiting for a disk that does not answer is something. Says
 * nothing where its CPU time cannot be read.
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
  let lookedMs = beganMs;
  let began = workOf(pid);
  while (began !== null) {
    await systemClock.sleep(everyMs, ended);
    const work = workOf(pid);
    if (ended.aborted || work === null) return false;
    const nowMs = systemClock.monotonicMs();
    const isBusy =
      work.isRunning ||
      work.cpuMs - began.cpuMs > BUSY_SHARE * stalledMs ||
      work.bytes - began.bytes > BUSY_BYTES;
    // A process that was stopped, as in a debugger, or had no time for its looks: the child may have ended its task meanwhile.
    const wasAway = nowMs - lookedMs > AWAY_SHARE * stalledMs;
    lookedMs = nowMs;
    if (isBusy || wasAway) [beganMs, began] = [nowMs, work];
    else if (nowMs - beganMs >= stalledMs) return true;
  }
  return false;
}

/** What a process does, and what it has done since it began. */
interface Work {
  readonly isRunning: boolean;
  /** User and system time. */
  readonly cpuMs: number;
  /** Read and written, of files and pipes, wherever they came from. */
  readonly bytes: number;
}

/** Null: its CPU time cannot be read. Where only its bytes cannot, there are none. */
function workOf(pid: number): Work | null {
  const stat = textOf(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // Behind the name, which may have spaces: the state first, then the 12th and 13th field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const io = textOf(`/proc/${pid}/io`) ?? "";
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)`, "m").exec(io)?.[1] ?? 0);
  return {
    isRunning: BUSY_STATES.includes(fields[0] ?? ""),
    cpuMs: MS_PER_TICK * (Number(fields[11]) + Number(fields[12])),
    bytes: bytesOf("rchar") + bytesOf("wchar"),
  };
}

/** Null: it cannot be read. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
