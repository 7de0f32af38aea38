/**
 * How much memory the process may use (`[memory]`), and how much of that its hot buffers may hold.
 *
 * The budget is 70 % of what the machine or the cgroup allows. The process itself needs 192 MiB of
 * it before a row is buffered. Buffers may fill 60 % of the rest: the remaining 40 % is for memory
 * that was given back and is not yet in use again.
 */

import { totalmem } from "node:os";
import { LIMITS } from "#base/limits.ts";
import { cgroupMemoryLimit, type ReadText } from "./cgroup.ts";

const MIB = 1024 * 1024;
/** The other 30 % are for the page cache and for other programs. */
const BUDGET_SHARE = 0.7;
/** Of what the process itself leaves of the budget. */
const BUFFER_SHARE = 0.6;

/** Bytes for the process and for its hot buffers. */
export interface MemoryBudget {
  readonly limitBytes: number;
  readonly bufferBytes: number;
  /** A sentence when the configured buffer was too large; else null. */
  readonly warning: string | null;
}

/**
 * The budget for configured sizes in MiB.
 * @param machineBytes what the process may use at most, from {@link machineMemory}
 */
export function memoryBudget(
  limitMb: number | "auto",
  bufferMb: number,
  machineBytes: number,
): MemoryBudget {
  const limitBytes = limitMb === "auto" ? Math.floor(machineBytes * BUDGET_SHARE) : limitMb * MIB;
  const most = Math.max(MIB, Math.floor((limitBytes - LIMITS.processBytes) * BUFFER_SHARE));
  const bufferBytes = Math.min(bufferMb * MIB, most);
  const lowered = bufferBytes < bufferMb * MIB;
  const warning = lowered
    ? `hot_buffer.max_size_mb is lowered from ${bufferMb} to ${Math.floor(bufferBytes / MIB)}: ` +
      `what fits into the memory budget of ${Math.floor(limitBytes / MIB)} MiB (memory.limit_mb)`
    : null;
  return { limitBytes, bufferBytes, warning };
}

/** Bytes that this process may use: the smallest limit of its cgroups, at most the machine's memory. */
export async function machineMemory(read?: ReadText): Promise<number> {
  return Math.min(totalmem(), await cgroupMemoryLimit(read));
}
