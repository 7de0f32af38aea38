/**
 * Backpressure: above the buffer's limit every partition is paused, below 80 % of it they go on
 * (SPEC section 10). Fetched batches that wait in the consumer are bounded there.
 *
 * Before that, at half of the limit, the fullest tables are flushed ahead of their time: the other
 * half is for what comes while they are written. Counted is the memory that rows and samples hold,
 * not the bytes of their values.
 */
import type { Clock } from "#base/clock.ts";
import type { Observe } from "#base/events.ts";
import type { Consumer } from "#consumer/consumer.ts";
import type { Feeds } from "./feeds.ts";
import type { TableRun } from "./tableRun.ts";

/** Share of the limit below which fetching goes on. */
const RESUME_SHARE = 0.8;
/** Share of the limit from which tables are flushed ahead of time: one half is written, one fills. */
const FLUSH_SHARE = 0.5;

/** Pauses and resumes the partitions of one pipeline. */
export class Backpressure {
  readonly #parts: { consumer: Consumer; clock: Clock; observe: Observe };
  readonly #bytesMax: number;
  #sinceMs: number | null = null;
  /** Bytes that a table must have waiting to be flushed ahead of time; null: there is room. */
  #flushBytes: number | null = null;

  constructor(parts: { consumer: Consumer; clock: Clock; observe: Observe }, bytesMax: number) {
    this.#parts = parts;
    this.#bytesMax = bytesMax;
  }

  /** True while partitions are held back. */
  get active(): boolean {
    return this.#sinceMs !== null;
  }

  /** Whether a table is to be flushed before its commit is due, to make room. */
  relievedBy(table: TableRun): boolean {
    if (this.#flushBytes === null || !table.ready) return false;
    return table.buffer.waitingBytes > 0 && table.heldBytes >= this.#flushBytes;
  }

  /** Compares what is buffered with the limit. */
  check(tables: ReadonlySet<TableRun>, feeds: Feeds): void {
    let bytes = 0;
    let records = 0;
    for (const table of tables) {
      bytes += table.heldBytes;
      records += table.buffer.rows;
    }
    const limit = this.#limit(tables);
    // Rows that the table has go first, before anything is flushed early or held back for them.
    for (const { buffer } of tables) {
      if (bytes < limit * FLUSH_SHARE) break;
      bytes -= buffer.makeRoom(bytes - limit * FLUSH_SHARE);
    }
    this.#parts.observe({ type: "buffer", bytes, records });
    const isHigh = bytes >= limit * FLUSH_SHARE;
    this.#flushBytes = isHigh ? (limit * FLUSH_SHARE) / tables.size : null;
    if (this.#sinceMs === null && bytes >= limit) this.#pause(feeds);
    else if (this.#sinceMs !== null && bytes < limit * RESUME_SHARE) this.#resume(feeds);
  }

  /**
   * While every commit goes through, one in the writing and one in the filling per table are enough:
   * more would only take memory. The whole buffer is for the time when a catalog or store is away.
   */
  #limit(tables: ReadonlySet<TableRun>): number {
    let bytes = 0;
    for (const table of tables) {
      if (table.state.kind === "retrying") return this.#bytesMax;
      bytes += 2 * table.policy.bytesMax;
    }
    return bytes === 0 ? this.#bytesMax : Math.min(bytes, this.#bytesMax);
  }

  #pause(feeds: Feeds): void {
    this.#sinceMs = this.#parts.clock.monotonicMs();
    const keys = feeds.all().map((run) => run.key);
    this.#parts.consumer.pause(keys);
  }

  #resume(feeds: Feeds): void {
    const durationMs = this.#parts.clock.monotonicMs() - (this.#sinceMs ?? 0);
    this.#sinceMs = null;
    const reading = feeds
      .all()
      .filter(({ table }) => table.state.kind !== "stopped" && !table.readingHeld);
    this.#parts.consumer.resume(reading.map((run) => run.key));
    this.#parts.observe({ type: "backpressure", durationMs });
  }
}
