/**
 * Keeps a stop that only a person may answer in the table, so that the next process, or the next member
 * of the group, does not read on (decision 0240).
 */
import { describe } from "#base/errors.ts";
import type { KeptStop } from "#commit/keptStops.ts";
import type { Sink } from "./sink.ts";

/** A stop that did not get into the table is tried again after this time. */
const AGAIN_MS = 1000;

/**
 * Tries until the table has it. Never fails: the table stops in any case.
 * @param signal gives up
 */
export async function keepStop(sink: Sink, stop: KeptStop, signal: AbortSignal): Promise<void> {
  const { writer, parts } = sink;
  try {
    while (writer !== null && !signal.aborted) {
      if ((await writer.keepStop(stop)).kind === "committed") return;
      await parts.clock.sleep(AGAIN_MS, signal);
    }
  } catch (error) {
    const what = `The stop is not kept in the table: ${describe(error)}`;
    parts.logger.log("warn", what, { table: sink.name });
  }
}
