/**
 * How far the event times of one partition have come, and which rows are late (SPEC section 4,
 * `source.late_threshold_seconds`).
 *
 * The watermark is the greatest event time among the rows that were read since the reading of the
 * partition began. A row is late when its event time lies further behind the watermark in front of it
 * than the threshold. Another reading of the same records may begin elsewhere, and judge otherwise.
 */
import { assert } from "#base/assert.ts";
import { getBit } from "#columns/bitmap.ts";
import type { ColumnBuilder } from "#columns/builder.ts";

/** A wrong clock at a producer must not make everything that follows late: at least so far ahead of ours is right. */
const AHEAD_MS_MAX = 60_000;
const MICROS_PER_MS = 1000;

/** The watermark of one partition in one table. */
export class Watermark {
  readonly #thresholdMs: number;
  /** In microseconds; before the first event time less than any. */
  #micros = Number.NEGATIVE_INFINITY;

  /** @param thresholdMs how far behind a row is not late yet; 0: no row is late */
  constructor(thresholdMs: number) {
    this.#thresholdMs = thresholdMs;
  }

  /** UTC ms; null before the first event time. */
  get ms(): number | null {
    return Number.isFinite(this.#micros) ? Math.floor(this.#micros / MICROS_PER_MS) : null;
  }

  /** The partition is read from elsewhere: what was seen of it may lie ahead. */
  reset(): void {
    this.#micros = Number.NEGATIVE_INFINITY;
  }

  /**
   * Moves past the rows from `first` on, and returns the numbers of late ones. A row without an event time
   * is not late; one that is ahead of our clock by more than a minute, and than the threshold, moves nothing.
   * @param times a column of timestamps
   */
  pass(times: ColumnBuilder, first: number, nowMs: number): readonly number[] {
    const { words, validity, length } = times;
    const { kind } = times.field.type;
    assert(kind === "timestamp" || kind === "timestamp_ns", "an event time is a timestamp");
    const unitsPerMicro = kind === "timestamp" ? 1 : 1000;
    const threshold = this.#thresholdMs * MICROS_PER_MS;
    const behindMax = threshold === 0 ? Number.POSITIVE_INFINITY : threshold;
    const aheadMax = (nowMs + Math.max(this.#thresholdMs, AHEAD_MS_MAX)) * MICROS_PER_MS;
    const late: number[] = [];
    let reached = this.#micros;
    for (let row = first; row < length; row++) {
      if (validity.length > 0 && !getBit(validity, row)) continue;
      const low = (words[2 * row] as number) >>> 0;
      const micros = ((words[2 * row + 1] as number) * 0x1_0000_0000 + low) / unitsPerMicro;
      if (micros > reached) {
        if (micros <= aheadMax) reached = micros;
      } else if (reached - micros > behindMax) late.push(row);
    }
    this.#micros = reached;
    return late;
  }
}
