/**
 * Records that did not become rows, by `dead_letter.action` `skip` or `fail` (SPEC section 4; tables
 * and topics of dead letters come later). Good rows are unaffected.
 */
import { fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { DecodeResult } from "#decode/decoder.ts";
import type { TableRun } from "./tableRun.ts";

/** What to do about rejected records. */
export interface RejectOptions {
  readonly action: "skip" | "fail";
}

/** Rejects named one by one in the log, per batch; the rest is counted. */
const NAMED_MAX = 5;

/** False when the table was stopped by them. */
export function handleRejects(
  parts: { observe: Observe; logger: Logger },
  options: RejectOptions,
  table: TableRun,
  result: DecodeResult,
): boolean {
  const reasons = new Map<string, number>();
  for (const { reason } of result.rejected) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, records] of reasons) parts.observe({ type: "rejected", reason, records });
  const first = result.rejected[0];
  if (options.action === "fail" && first !== undefined) {
    table.stop(
      fail(
        "data",
        `Record ${first.topic}/${first.partition} offset ${first.offset} cannot be written to ` +
          `${table.name}: ${first.detail}. Correct it at its source, or set dead_letter.action = ` +
          '"skip" to go on without such records',
        { topic: first.topic, partition: first.partition, offset: first.offset },
      ),
    );
    return false;
  }
  for (const each of result.rejected.slice(0, NAMED_MAX)) {
    parts.logger.log("warn", `Record skipped: ${each.detail}`, {
      table: table.name,
      topic: each.topic,
      partition: each.partition,
      kafka_offset: each.offset,
      reason: each.reason,
      skipped_in_batch: result.rejected.length,
    });
  }
  return true;
}
