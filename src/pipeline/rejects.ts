/**
 * Records that did not become rows, by `dead_letter.action` (SPEC section 4). Good rows are unaffected.
 */
import { fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import type { Feed } from "#base/offsets.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { DecodeResult, Rejected } from "#decode/decoder.ts";
import { letterSide, putAside } from "./deadLetters.ts";
import type { Outlet } from "./feeds.ts";
import type { PipelineParts } from "./pipelineParts.ts";
import type { Sinks } from "./sinks.ts";

/** What to do about rejected records. */
export interface RejectOptions {
  /** `table`: into the dead-letter table beside theirs (`deadLetters.ts`). */
  readonly action: "table" | "skip" | "fail";
}

/** Takes the rejected records of batches. */
export class Rejects {
  readonly #parts: Pick<PipelineParts, "clock" | "observe" | "logger">;
  readonly #options: RejectOptions;
  readonly #sinks: Sinks;
  readonly #readAgain: (feeds: readonly Feed[]) => void;

  /** @param readAgain feeds are to be read again from their tables' offsets */
  constructor(
    parts: Pick<PipelineParts, "clock" | "observe" | "logger">,
    options: RejectOptions,
    sinks: Sinks,
    readAgain: (feeds: readonly Feed[]) => void,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#sinks = sinks;
    this.#readAgain = readAgain;
  }

  /**
   * Puts rejected records where they belong; false when no row of their batch was kept.
   * @param takeBack takes the batch's rows back; called before anything else happens to their table
   */
  take(outlet: Outlet, batch: RecordBatch, result: DecodeResult, takeBack: () => void): boolean {
    const { sink } = outlet;
    if (this.#options.action === "table") {
      const side = letterSide(outlet);
      if (side === null) {
        takeBack();
        this.#beginSides(outlet);
        return false;
      }
      countRejects(this.#parts.observe, result.rejected);
      putAside(side, batch, result.rejected, this.#parts.clock.nowMs());
      this.#sinks.touched.add(side.sink);
      return true;
    }
    const error = judgeRejects(this.#parts, this.#options, sink.name, result);
    if (error === null) return true;
    takeBack();
    sink.apply({ kind: "unreadable", error });
    return false;
  }

  /** The first record for a side table: the feeds of its table begin anew, and own both. */
  #beginSides({ sink }: Outlet): void {
    this.#sinks.useSides(sink);
    this.#readAgain([...sink.outlets.values()].map(({ feed }) => feed.feed));
  }
}

/** Runs of offsets that one log line names; more than these are counted. */
const RUNS_MAX = 100;

/** Counts rejected records. */
export function countRejects(observe: Observe, rejected: readonly Rejected[]): void {
  const reasons = new Map<string, number>();
  for (const { reason } of rejected) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, records] of reasons) observe({ type: "rejected", reason, records });
}

/** Counts and names rejected records; the error that stops their table, null when they are skipped. */
export function judgeRejects(
  parts: { observe: Observe; logger: Logger },
  options: RejectOptions,
  table: string,
  result: DecodeResult,
): Error | null {
  countRejects(parts.observe, result.rejected);
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
