/**
 * What a process and all its descendants cost, read from /proc while they live and from the
 * kernel's accounts (wait4) after their end.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Subprocess } from "bun";

/** Cost so far. */
export interface Cost {
  /** User + system time of the whole tree, ended members included. */
  readonly cpuSeconds: number;
  /** The largest sum of VmHWM over the processes alive at one time. */
  readonly peakBytes: number;
  /** VmRSS of the tree now. */
  readonly residentBytes: number;
}

/** A process tree under measurement. */
export interface Meter {
  cost(): Cost;
  /**
   * Resident memory of the tree with what several share counted once (Pss), bytes; null: Linux does not
   * say. The kernel walks all pages for it: for once a second, not for every sample.
   */
  proportionalBytes(): number | null;
  stop(): void;
}

const SAMPLE_MS = 50;
/** Looking for new children means reading all of /proc, about 2 ms. */
const SAMPLES_PER_SCAN = 5;
const TICKS_PER_SECOND = 100;

/**
 * Measures a child of ours until stopped. Descendants count once two scans have seen them: a JVM
 * that starts a program is two processes with one memory for a moment. What shorter lives cost is in
 * the accounts of those who waited for them.
 */
export function meterOf(child: Pick<Subprocess, "pid" | "resourceUsage">): Meter {
  let scanned: readonly number[] = [];
  let pids: readonly number[] = [child.pid];
  let samples = 0;
  let cost: Cost = { cpuSeconds: 0, peakBytes: 0, residentBytes: 0 };
  const sample = (): void => {
    if (samples++ % SAMPLES_PER_SCAN === 0) {
      const before = scanned;
      scanned = descendantsOf(child.pid);
      pids = [child.pid, ...scanned.filter((pid) => before.includes(pid))];
    }
    const usages = pids.map(usageOf).filter((usage) => usage !== null);
    const sum = (of: (usage: ProcessUsage) => number): number =>
      usages.reduce((total, usage) => total + of(usage), 0);
    const ended = child.resourceUsage()?.cpuTime.total;
    const seconds = ended === undefined ? sum((u) => u.cpuSeconds) : Number(ended) / 1e6;
    cost = {
      cpuSeconds: Math.max(cost.cpuSeconds, seconds),
      peakBytes: Math.max(
        cost.peakBytes,
        sum((u) => u.peakBytes),
      ),
      residentBytes: sum((u) => u.residentBytes),
    };
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    cost: () => {
      sample();
      return cost;
    },
    proportionalBytes: () => {
      const bytes = pids.map(proportionalBytesOf).filter((each) => each !== null);
      return bytes.length === 0 ? null : bytes.reduce((total, each) => total + each, 0);
    },
    stop: () => clearInterval(timer),
  };
}

interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly residentBytes: number;
}

/** One process and the children that it has waited for; null when it has ended. */
function usageOf(pid: number): ProcessUsage | null {
  const stat = statOf(pid);
  if (stat === null) return null;
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const bytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
    const ticks = stat.slice(11, 15).reduce((total, field) => total + Number(field), 0);
    return {
      cpuSeconds: ticks / TICKS_PER_SECOND,
      peakBytes: bytes("VmHWM"),
      residentBytes: bytes("VmRSS"),
    };
  } catch {
    return null;
  }
}

/** Null when it has ended, or Linux does not say. */
function proportionalBytesOf(pid: number): number | null {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const kib = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}

function descendantsOf(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : null;
    if (stat !== null) parents.set(Number(name), Number(stat[1]));
  }
  const descendants: number[] = [];
  for (let member: number | undefined = root; member !== undefined; ) {
    for (const [pid, parent] of parents) if (parent === member) descendants.push(pid);
    member = descendants[descendants.indexOf(member) + 1];
  }
  return descendants;
}

/** Fields of /proc/PID/stat after the command: [0] state, [1] parent, [11..14] CPU ticks. */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}
