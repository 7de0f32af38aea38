/**
 * The memory budget of the process (`[memory]`): 70 % of the cgroup's limit or of the machine, and
 * the hot buffer's share of it.
 */
import { totalmem } from "node:os";

const MIB = 1024 * 1024;
/** The rest is for the runtime, the page cache and other programs. */
const BUDGET_SHARE = 0.7;
/** Measured: runtime, Worker, kernels and fetched bytes, whatever the buffer. */
const BASE_BYTES = 192 * MIB;
/** Of the rest: memory that was given back and is not yet used again comes on top. */
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
  const most = Math.max(MIB, Math.floor((limitBytes - BASE_BYTES) * BUFFER_SHARE));
  const bufferBytes = Math.min(bufferMb * MIB, most);
  const lowered = bufferBytes < bufferMb * MIB;
  const warning = lowered
    ? `hot_buffer.max_size_mb is lowered from ${bufferMb} to ${Math.floor(bufferBytes / MIB)}: ` +
      `what fits into the memory budget of ${Math.floor(limitBytes / MIB)} MiB (memory.limit_mb)`
    : null;
  return { limitBytes, bufferBytes, warning };
}

/** Bytes that this process may use: the cgroup's limit (v2, then v1), else the machine's memory. */
export async function machineMemory(
  files: readonly string[] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
  ],
): Promise<number> {
  const total = totalmem();
  for (const path of files) {
    const text = await Bun.file(path)
      .text()
      .catch(() => "");
    const limit = /^\d+$/.test(text.trim()) ? Number(text.trim()) : Number.POSITIVE_INFINITY;
    if (limit > 0 && limit < total) return limit;
  }
  return total;
}
