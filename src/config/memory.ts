/**
 * How much memory the process may use (`[memory]`), and how much of that its hot buffers may hold.
 *
 * The budget is 70 % of what the machine or the cgroup allows. The process itself needs 192 MiB of
 * it before a row is buffered. Files that are written ahead of their commit may hold a part of an upload
 * each, 8 MiB: an eighth of the rest at most. Children that rewrite data files, or count their values, take another
 * part: 448 MiB each, a quarter of the rest at most. Buffers may fill 60 % of what is left
 * then: the remaining 40 % is for memory that was given back and is not yet in use again. Key indexes
 * grow with their tables: what they take is taken from that room as long as they have it.
 */

import { totalmem } from "node:os";
import { LIMITS } from "#base/limits.ts";
import { cgroupMemoryLimit, type ReadText } from "./cgroup.ts";

const MIB = 1024 * 1024;
/** The other 30 % are for the page cache and for other programs. */
const BUDGET_SHARE = 0.7;
/** Of what the process itself leaves of the budget: for parts of files that are written ahead. */
const PARTS_SHARE = 1 / 8;
/** Of what the process itself leaves of the budget: for children that rewrite data files. */
const CHILDREN_SHARE = 1 / 4;
/** A child takes about as much beside its engine as the engine may take; below this the engine writes no wide row. */
const CHILD_ENGINES = 2;
const ENGINE_BYTES_MIN = 96 * MIB;
/** Of what is left then. */
const BUFFER_SHARE = 0.6;
/** Of each pipeline, whatever key indexes take: with less each flush would be of a few rows. */
const BUFFER_BYTES_BESIDE_INDEXES = 32 * MIB;

/** Bytes for the process and for its hot buffers. */
export interface MemoryBudget {
  readonly limitBytes: number;
  readonly bufferBytes: number;
  /** What of `bufferBytes` is left for one of so many pipelines, beside key indexes of so many bytes. */
  readonly bufferBytesBeside: (indexBytes: number, pipelines: number) => number;
  /** Files that may be written ahead of their commit at once. */
  readonly openFilesMax: number;
  /** What the engine of a child that rewrites data files may take. */
  readonly rewriteBytes: number;
  /** A sentence when the configured buffer was too large; else null. */
  readonly warning: string | null;
}

/**
 * The budget for configured sizes in MiB.
 * @param machineBytes what the process may use at most, from {@link machineMemory}
 * @param children that may read data files at once: of pipelines with compaction or statistics, and of copies
 */
export function memoryBudget(
  limitMb: number | "auto",
  bufferMb: number,
  machineBytes: number,
  children = 0,
): MemoryBudget {
  const limitBytes = limitMb === "auto" ? Math.floor(machineBytes * BUDGET_SHARE) : limitMb * MIB;
  const room = Math.max(0, limitBytes - LIMITS.processBytes);
  const parts = Math.floor((room * PARTS_SHARE) / LIMITS.uploadPartBytes);
  const openFilesMax = Math.min(LIMITS.openFilesMax, parts);
  const { childrenBytes, rewriteBytes } = childrenBudget(room, children);
  const left = room - openFilesMax * LIMITS.uploadPartBytes - childrenBytes;
  const mostIn = (room: number): number => Math.max(MIB, Math.floor(room * BUFFER_SHARE));
  const bufferBytes = Math.min(bufferMb * MIB, mostIn(left));
  const bufferBytesBeside = (indexBytes: number, pipelines: number): number => {
    const share = Math.max(BUFFER_BYTES_BESIDE_INDEXES, mostIn(left - indexBytes) / pipelines);
    return Math.floor(Math.min(bufferBytes / pipelines, share));
  };
  const lowered = bufferBytes < bufferMb * MIB;
  const warning = lowered
    ? `hot_buffer.max_size_mb is lowered from ${bufferMb} to ${Math.floor(bufferBytes / MIB)}: ` +
      `what fits into the memory budget of ${Math.floor(limitBytes / MIB)} MiB (memory.limit_mb)`
    : null;
  return { limitBytes, bufferBytes, bufferBytesBeside, openFilesMax, rewriteBytes, warning };
}

/** What children take of `room`, all together, and what the engine of each may take. */
function childrenBudget(
  room: number,
  children: number,
): { readonly childrenBytes: number; readonly rewriteBytes: number } {
  if (children === 0) return { childrenBytes: 0, rewriteBytes: LIMITS.rewriteBytesMax };
  const wanted = children * CHILD_ENGINES * LIMITS.rewriteBytesMax;
  const childrenBytes = Math.min(wanted, Math.floor(room * CHILDREN_SHARE));
  const share = Math.floor(childrenBytes / CHILD_ENGINES / children);
  return { childrenBytes, rewriteBytes: Math.max(ENGINE_BYTES_MIN, share) };
}

/** Bytes that this process may use: the smallest limit of its cgroups, at most the machine's memory. */
export async function machineMemory(read?: ReadText): Promise<number> {
  return Math.min(totalmem(), await cgroupMemoryLimit(read));
}

/** A pipeline with little room for rows has little for what waits to become rows: two answers at least. */
const QUEUE_SHARE = 1 / 16;
const QUEUE_BYTES_MIN = 8 * MIB;

/** Room for batches that were fetched and not handed over, beside a hot buffer of so many bytes: 16 MiB by default. */
export function queueBytesOf(bufferBytes: number): number {
  const share = Math.max(QUEUE_BYTES_MIN, bufferBytes * QUEUE_SHARE);
  return Math.min(share, LIMITS.fetchQueueBytesMax);
}
