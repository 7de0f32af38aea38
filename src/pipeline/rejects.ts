/**
 * Records that did not become rows, by `dead_letter.action` (SPEC section 4). Good rows are unaffected.
 */
import { assert } from "#base/assert.ts";
import { describe, fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import { type Feed, NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import type { DecodeResult, Rejected } from "#decode/decoder.ts";
import { NO_TIMESTAMP } from "#decode/metadata.ts";
import { letterSide, putAside } from "./deadLetters.ts";
import type { Outlet, Side } from "./feeds.ts";
import type { PipelineParts } from "./pipelineParts.ts";
import { RejectRatio } from "./rejectRatio.ts";
import type { Sink } from "./sink.ts";
import type { Sinks } from "./sinks.ts";

/** What to do about rejected records. */
export interface RejectOptions {
  /**
   * `table`: into the dead-letter table beside theirs (`deadLetters.ts`); `topic`: into a Kafka topic
   * (`letterTopic.ts`).
   */
  readonly action: "table" | "topic" | "skip" | "fail";
  /** Share of the last records that may be rejected; default 1: no bound. */
  readonly ratioMax?: number;
}

/** A batch that cannot be read. */
export type CorruptBatch = Pick<
  Extract<ConsumerEvent, { type: "batch_corrupt" }>,
  "feed" | "position" | "nextOffset" | "error"
>;

/** Takes the rejected records of batches. */
export class Rejects {
  readonly #parts: Pick<PipelineParts, "clock" | "observe" | "logger" | "letterTopic">;
  readonly #options: RejectOptions;
  readonly #sinks: Sinks;
  readonly #readAgain: (feeds: readonly Feed[]) => void;
  readonly #ratioMax: number;
  readonly #ratio = new RejectRatio();
  /** Reasons that a line was written about, by table; one that is gone goes with its buffers. */
  readonly #told = new WeakMap<Sink, Set<string>>();

  /** @param readAgain feeds are to be read again from their tables' offsets */
  constructor(
    parts: Pick<PipelineParts, "clock" | "observe" | "logger" | "letterTopic">,
    options: RejectOptions,
    sinks: Sinks,
    readAgain: (feeds: readonly Feed[]) => void,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#sinks = sinks;
    this.#readAgain = readAgain;
    this.#ratioMax = options.ratioMax ?? 1;
  }

  /**
   * Puts rejected records where they belong; false when no row of their batch was kept.
   * @param takeBack takes the batch's rows back; called before anything else happens to their table
   */
  take(outlet: Outlet, batch: RecordBatch, result: DecodeResult, takeBack: () => void): boolean {
    const { sink } = outlet;
    if (this.#goesTooFar(result)) {
      takeBack();
      this.#stopAll(result);
      return false;
    }
    if (this.#options.action === "table") {
      const side = letterSide(outlet);
      if (side === null) {
        takeBack();
        this.beginSides(outlet);
        return false;
      }
      this.#putAside(outlet, side, batch, result.rejected);
      return true;
    }
    if (this.#options.action === "topic") {
      this.#putIntoTopic(outlet, batch.feed, result.rejected);
      return true;
    }
    const error = judgeRejects(this.#parts, this.#options, sink.name, result);
    if (error === null) return true;
    takeBack();
    sink.apply({ kind: "unreadable", error });
    return false;
  }

  /** Counts records that became rows. */
  noteRows(rows: number): void {
    if (this.#ratioMax < 1) this.#ratio.note(rows, 0);
  }

  /**
   * A batch of which no record can be read, by what is done about rejected ones. `stopped`: its tables
   * end; `later`: it is read again.
   */
  takeCorrupt(
    outlet: Outlet,
    { feed, position, nextOffset, error }: CorruptBatch,
  ): "taken" | "later" | "stopped" {
    const { sink } = outlet;
    if (this.#options.action === "fail") {
      sink.apply({ kind: "unreadable", error });
      return "stopped";
    }
    if (this.#options.action === "skip") {
      this.#parts.observe({ type: "rejected", reason: "batch_corrupt", records: 1 });
      const about = { table: sink.name, ...error.context };
      this.#parts.logger.log("warn", `Record batch skipped: ${describe(error)}`, about);
      return "taken";
    }
    const isForTopic = this.#options.action === "topic";
    const side = letterSide(outlet);
    if (side === null && !isForTopic) {
      this.beginSides(outlet);
      return "later";
    }
    if (outlet.taken?.offsets.has(position)) return "taken";
    const letter: Rejected = {
      topic: feed.topic,
      partition: feed.partition,
      offset: position,
      timestampMs: NO_TIMESTAMP,
      reason: "batch_corrupt",
      detail: `The record batch of offsets ${position} to ${nextOffset - 1n}: ${describe(error)}`,
      record: { key: null, value: null, headers: new Uint8Array(0) },
    };
    if (side === null) this.#putIntoTopic(outlet, feed, [letter]);
    else this.#putAside(outlet, side, { feed, nextOffset, leaderEpoch: NO_LEADER_EPOCH }, [letter]);
    return "taken";
  }

  #putAside(
    { sink }: Outlet,
    side: Side,
    batch: Pick<RecordBatch, "feed" | "nextOffset" | "leaderEpoch">,
    rejected: readonly Rejected[],
  ): void {
    countRejects(this.#parts.observe, rejected);
    putAside(side, batch, rejected, this.#parts.clock.nowMs());
    this.#sinks.touched.add(side.sink);
    this.#tell(sink, side.sink.name, rejected);
  }

  #putIntoTopic({ sink }: Outlet, feed: Feed, rejected: readonly Rejected[]): void {
    const { letterTopic, observe } = this.#parts;
    assert(letterTopic !== undefined, "a pipeline with a dead-letter topic has one");
    countRejects(observe, rejected);
    letterTopic.put(sink, feed, rejected);
    this.#tell(sink, `topic ${letterTopic.name}`, rejected);
  }

  /** One line for each table and reason. */
  #tell(sink: Sink, place: string, rejected: readonly Rejected[]): void {
    const told = this.#told.get(sink) ?? new Set();
    this.#told.set(sink, told);
    for (const { reason, topic, partition, offset, detail } of rejected) {
      if (told.has(reason)) continue;
      told.add(reason);
      const where = `${topic}/${partition} offset ${offset}`;
      const sentence = `Records go to ${place} (${reason}), the first at ${where}: ${detail}`;
      this.#parts.logger.log("warn", sentence, { table: sink.name, topic, partition, reason });
    }
  }

  /** Counts the records of a batch with rejected ones; true when too many of the last ones were. */
  #goesTooFar({ rows, rejected }: DecodeResult): boolean {
    if (this.#ratioMax >= 1) return false;
    this.#ratio.note(rows + rejected.length, rejected.length);
    return this.#ratio.share > this.#ratioMax;
  }

  #stopAll({ rejected: [first] }: DecodeResult): void {
    if (first === undefined) return;
    const { records, rejected } = this.#ratio;
    const { topic, partition, offset, detail } = first;
    const error = fail(
      "data",
      `${rejected} of the last ${records} records could not be written, a larger share than ` +
        `dead_letter.max_ratio (${this.#ratioMax}) allows: ${topic}/${partition} offset ${offset}: ` +
        `${detail}. Correct the source or the configuration, or raise dead_letter.max_ratio`,
      { topic, partition, offset },
    );
    for (const sink of this.#sinks)
      if (sink.rank === "main") sink.apply({ kind: "unreadable", error });
  }

  /** The first record for a side table: the feeds of its table begin anew, and own both. */
  beginSides({ sink }: Outlet): void {
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
