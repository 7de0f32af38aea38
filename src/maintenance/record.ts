/**
 * Tells of a maintenance run: metrics, a log line, and an entry of the transaction log, whether it
 * ends well or not (SPEC sections 8 and 9).
 */
import { describe } from "#base/errors.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import type { Operation } from "./run.ts";

/** What a run did, in numbers by name, as the log shows them. */
export interface RunCounts {
  readonly counts: Readonly<Record<string, number>>;
  readonly bytesReclaimed: number;
}

/**
 * Runs `action` and tells how it ended.
 * @throws what the action throws, after it was told
 */
export async function recordRun<T>(
  table: CommitTable,
  operation: Operation,
  action: () => Promise<T>,
  countsOf: (result: T) => RunCounts,
): Promise<T> {
  const { clock } = table.parts;
  const began = clock.monotonicMs();
  try {
    const result = await action();
    await tell(table, operation, clock.monotonicMs() - began, countsOf(result), null);
    return result;
  } catch (error) {
    const nothing = { counts: {}, bytesReclaimed: 0 };
    await tell(table, operation, clock.monotonicMs() - began, nothing, error);
    throw error;
  }
}

async function tell(
  { name, parts: { observe, logger, txlog } }: CommitTable,
  operation: Operation,
  durationMs: number,
  { counts, bytesReclaimed }: RunCounts,
  error: unknown,
): Promise<void> {
  const outcome = error === null ? "done" : "failed";
  const text = error === null ? "" : describe(error);
  const filesMerged = operation === "compact" ? (counts["files_before"] ?? 0) : 0;
  observe({ type: "maintenance", operation, outcome, durationMs, bytesReclaimed, filesMerged });
  logger.log(error === null ? "info" : "warn", `Maintenance run ${outcome}`, {
    ...{ table: name, operation, duration_ms: Math.round(durationMs) },
    ...(error === null ? { ...counts, bytes_reclaimed: bytesReclaimed } : { error: text }),
  });
  const all = { ...counts, bytes_reclaimed: bytesReclaimed };
  const bigCounts = Object.fromEntries(
    Object.entries(all).map(([key, value]) => [key, BigInt(value)]),
  );
  try {
    await txlog.append({
      ...{ type: "MaintenanceRun", table: name, operation, outcome, duration_ms: durationMs },
      ...{ counts: bigCounts, error: text },
    });
  } catch (failure) {
    // The log may be full or closed: what the run did stands all the same.
    logger.log("warn", "A maintenance run was not logged", {
      table: name,
      error: describe(failure),
    });
  }
}
