/**
 * Records that did not become rows, by `dead_letter.action` `skip` or `fail` (SPEC section 4; tables
 * and topics of dead letters come later). Good rows are unaffected.
 */
import { fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { DecodeResult, Rejected } from "#decode/decoder.ts";

/** What to do about rejected records. */
export interface RejectOptions {
  readonly action: "skip" | "fail";
}

/** Runs of offsets that one log line names; more than these are counted. */
const RUNS_MAX = 100;

/** Counts and names rejected records; the error that stops their table, null when they are skipped. */
export function judgeRejects(
  parts: { observe: Observe; logger: Logger },
  options: RejectOptions,
  table: string,
  result: DecodeResult,
): Error | null {
  const reasons = new Map<string, number>();
  for (const { reason } of result.rejected) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, records] of reasons) parts.observe({ type: "rejected", reason, records });
  const first = result.rejected[0];
  if (options.action === "fail" && first !== undefined) {
    return fail(
      "data",
      `Record ${first.topic}/${first.partition} offset ${first.offset} cannot be written to ` +
        `${table}: ${first.detail}. Correct it at its source, or set dead_letter.action = ` +
        '"skip" to go on without such records',
      { topic: first.topic, partition: first.partition, offset: first.offset },
    );
  }
  logSkipped(parts.logger, table, result.rejected);
  return null;
}

/**
 * One line per batch and reason, which shows the first record's sentence: a topic whose records each
 * have another field would otherwise write a line for each. The offsets stand in the message, since nothing else will ever tell
 * them: lines with the same message are counted, not repeated.
 */
function logSkipped(logger: Logger, table: string, rejected: readonly Rejected[]): void {
  const causes = new Map<string, Rejected[]>();
  for (const each of rejected) {
    const same = causes.get(each.reason);
    if (same === undefined) causes.set(each.reason, [each]);
    else same.push(each);
  }
  for (const [reason, records] of causes) {
    const { topic, partition, detail } = records[0] as Rejected;
    const others = new Set(records.map((each) => each.detail)).size - 1;
    const more = others > 0 ? ` (the first of ${others + 1} such causes)` : "";
    const offsets = runsOf(records.map(({ offset }) => offset));
    logger.log("warn", `Skipped at ${topic}/${partition} offset ${offsets}: ${detail}${more}`, {
      table,
      topic,
      partition,
      kafka_offset_range: offsets,
      reason,
      records_skipped: records.length,
    });
  }
}

/** Ascending offsets as text: `3, 5-9`. */
function runsOf(offsets: readonly bigint[]): string {
  const runs: { first: bigint; last: bigint }[] = [];
  for (const offset of offsets) {
    const run = runs.at(-1);
    if (run !== undefined && offset === run.last + 1n) run.last = offset;
    else runs.push({ first: offset, last: offset });
  }
  const named = runs
    .slice(0, RUNS_MAX)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  const more = runs.length - named.length;
  return more > 0 ? `${named.join(", ")} and ${more} more` : named.join(", ");
}
