/**
 * What follows a commit: Kafka's group offsets, for lag tools only, since the table is the truth
 * (SPEC 2.5), and the last line of the flush in the log. Offsets are written at most once per interval;
 * a failure is no error.
 */
import type { Clock } from "#base/clock.ts";
import { describe, policyOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import type { Logger } from "#base/log.ts";
import { type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { Consumer } from "#consumer/consumer.ts";
import { committedOf } from "./feeds.ts";
import type { Sink } from "./sink.ts";
import type { Landed } from "./states.ts";

/** The ports of an acknowledger. */
interface AcknowledgerParts {
  readonly consumer: Consumer;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Writes committed offsets to Kafka. */
export class Acknowledger {
  readonly #parts: AcknowledgerParts;
  readonly #options: { readonly enabled: boolean; readonly intervalMs: number };
  readonly #waiting = new Map<FeedKey, FeedOffset>();
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(
    parts: AcknowledgerParts,
    options: { readonly enabled: boolean; readonly intervalMs: number },
  ) {
    this.#parts = parts;
    this.#options = options;
  }

  /** The table has the rows by now, whatever becomes of Kafka's offsets and of the log's last entry. */
  async acknowledge(sink: Sink, landed: Landed): Promise<void> {
    const offsets: FeedOffset[] = [];
    for (const { feed, offset } of landed.result.offsets) {
      const key = feedKey(feed);
      const place = sink.outlets.get(key) ?? sink.sides.get(key);
      if (place === undefined) continue;
      place.committed = offset;
      offsets.push({ feed, offset: committedOf(place.feed) });
    }
    let failure: unknown = null;
    try {
      failpoint("acknowledge");
      await this.#commit(offsets);
    } catch (error) {
      failure = error;
    }
    try {
      // Without it every later start would look for what this flush left.
      await sink.complete(landed, failure === null);
    } catch (error) {
      failure ??= error;
    }
    if (failure === null) return;
    if (policyOf(failure).action !== "again") return sink.apply({ kind: "failed", error: failure });
    this.#parts.logger.log("warn", `Not acknowledged: ${describe(failure)}`, { table: sink.name });
  }

  /** Takes offsets that every table of their feeds has committed. */
  async #commit(offsets: readonly FeedOffset[]): Promise<void> {
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
