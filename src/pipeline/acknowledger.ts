/**
 * Kafka's group offsets, for lag tools only: the table is the truth (SPEC 2.5). Written after commits,
 * at most once per interval; a failure is no error.
 */
import type { Clock } from "#base/clock.ts";
import { type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { Consumer } from "#consumer/consumer.ts";

/** Writes committed offsets to Kafka. */
export class Acknowledger {
  readonly #parts: { readonly consumer: Consumer; readonly clock: Clock };
  readonly #options: { readonly enabled: boolean; readonly intervalMs: number };
  readonly #waiting = new Map<FeedKey, FeedOffset>();
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(
    parts: { readonly consumer: Consumer; readonly clock: Clock },
    options: { readonly enabled: boolean; readonly intervalMs: number },
  ) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Takes offsets that every table of their feeds has committed. */
  async commit(offsets: readonly FeedOffset[]): Promise<void> {
    if (!this.#options.enabled) return;
    for (const each of offsets) this.#waiting.set(feedKey(each.feed), each);
    const age = this.#parts.clock.monotonicMs() - this.#writtenMs;
    if (age >= this.#options.intervalMs) await this.flush();
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    const offsets = [...this.#waiting.values()];
    this.#waiting.clear();
    if (offsets.length === 0) return;
    this.#writtenMs = this.#parts.clock.monotonicMs();
    await this.#parts.consumer.acknowledge(offsets);
  }
}
