/**
 * How old records were when their rows could be queried, and when they were committed.
 *
 * The pipeline tells the age of each record batch as it enters the hot buffer, and that a flush has
 * begun or was committed. A flush takes all that was buffered when it began; a load test has one table,
 * so that no other flush comes between. All batches have the same number of records, so that percentiles
 * over batches are percentiles over records.
 */
import type { Observation } from "#base/events.ts";

/** Relative width of a class of {@link Ages}. */
const STEP = 1.02;

/** Ages in classes of 2 %: percentiles of any number of them in little memory. */
export class Ages {
  readonly #counts = new Map<number, number>();
  #total = 0;

  /** @param ageMs below 0.1 ms counts as 0.1 ms */
  add(ageMs: number): void {
    const at = Math.ceil(Math.log(Math.max(0.1, ageMs)) / Math.log(STEP));
    this.#counts.set(at, (this.#counts.get(at) ?? 0) + 1);
    this.#total++;
  }

  /** The age, in ms, that this share of all is not older than; null when there is none. */
  percentile(share: number): number | null {
    let seen = 0;
    for (const [at, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      seen += count;
      if (seen >= share * this.#total) return STEP ** at;
    }
    return null;
  }
}

/** One flush that was committed. Times in ms since epoch. */
export interface CommittedFlush {
  readonly sealedMs: number;
  readonly committedMs: number;
  /** Rows of the table after it. */
  readonly rows: number;
}

/**
 * Rows a second that commits keep up with: what was sealed from the first flush to the last, over the time
 * between. The last flush counts with as much as it took longer than the flushes were apart: by so much
 * the next one would have come late. One flush alone is measured from the beginning.
 * @param intervalMs the configured commit interval
 */
export function commitRate(
  flushes: readonly CommittedFlush[],
  beganMs: number,
  intervalMs: number,
): number {
  const last = flushes.at(-1);
  if (last === undefined) return 0;
  const origin = { sealedMs: beganMs, rows: 0 };
  const [first = origin] = flushes.length > 1 ? flushes : [origin];
  const betweenMs = last.sealedMs - first.sealedMs;
  const apartMs = flushes.length > 1 ? betweenMs / (flushes.length - 1) : intervalMs;
  const lateMs = Math.max(0, last.committedMs - last.sealedMs - apartMs);
  return ((last.rows - first.rows) * 1000) / Math.max(1, betweenMs + lateMs);
}

/** Follows record batches from their timestamp into the hot buffer and into a snapshot. */
export class Freshness {
  readonly queryable: Ages = new Ages();
  readonly committed: Ages = new Ages();
  readonly #nowMs: () => number;
  /** When the last batch became queryable, ms since epoch; 0 before the first. */
  lastQueryableMs = 0;
  /** When the flush under way was sealed, or the last one. */
  sealedMs = 0;
  /** Timestamps of batches that no flush has taken yet, and of those in the flush under way. */
  #waiting: number[] = [];
  #flushing: number[] = [];
  #announced = false;
  #endingMs = 0;
  #committedMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** What is buffered now will be flushed as soon as the flush under way has ended. */
  ending(): void {
    this.#endingMs = this.#nowMs();
  }

  /** Takes what the pipeline observes. */
  observe(observation: Observation): void {
    if (observation.type === "pending_commits") {
      this.#announced = observation.count > 0;
      if (this.#announced) this.#seal(this.#nowMs());
    }
    if (observation.type !== "freshness") return;
    const nowMs = this.#nowMs();
    if (observation.stage === "queryable") {
      this.queryable.add(observation.ageMs);
      this.#waiting.push(nowMs - observation.ageMs);
      this.lastQueryableMs = nowMs;
      return;
    }
    // The last flush of a process is not announced: it takes what is there. One that is announced
    // tells of each of its segments, and nothing that came after it.
    if (!this.#announced) this.#seal(Math.max(this.#endingMs, this.#committedMs));
    for (const stampMs of this.#flushing) this.committed.add(nowMs - stampMs);
    this.#flushing = [];
    this.#committedMs = nowMs;
  }

  /** A flush that was held goes on with its own; nothing is added to it. */
  #seal(sealedMs: number): void {
    if (this.#flushing.length > 0 || this.#waiting.length === 0) return;
    this.sealedMs = sealedMs;
    this.#flushing = this.#waiting;
    this.#waiting = [];
  }
}
