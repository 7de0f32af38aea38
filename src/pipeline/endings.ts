/**
 * Where the reading of a feed ends for good: its log no longer has what comes next, or its topic is
 * gone. What was read is written first, since it may exist nowhere else by now; then the tables stop
 * (SPEC 2.5, section 10). A stop that only a person may answer is kept in the table.
 */
import { describe } from "#base/errors.ts";
import { type Feed, feedKey, NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { KeptStop } from "#commit/keptStops.ts";
import type { ConsumerEvent } from "#consumer/consumer.ts";
import type { Feeds } from "./feeds.ts";
import { keepStop } from "./keepStop.ts";
import type { PipelineParts } from "./pipelineParts.ts";
import type { Sink } from "./sink.ts";
import type { Sinks } from "./sinks.ts";
import { outOfRange, topicFailed } from "./start.ts";
import { takesRows } from "./states.ts";

/** What an ending asks of the rooms beside it. */
interface EndingActs {
  /** Records that wait for a schema become rows. */
  finishSamples(): void;
  /** Feeds are brought to their start once more, for the tables that go on. */
  seekAnew(feeds: readonly Feed[]): void;
  /** The pipeline does not end before this has. */
  track(work: Promise<unknown>): void;
}

/** Ends what can no longer be read, table by table. */
export class Endings {
  readonly #parts: PipelineParts;
  readonly #feeds: Feeds;
  readonly #tables: Sinks;
  readonly #signal: AbortSignal;
  readonly #acts: EndingActs;

  /** @param signal gives up keeping a stop */
  constructor(
    parts: PipelineParts,
    feeds: Feeds,
    tables: Sinks,
    signal: AbortSignal,
    acts: EndingActs,
  ) {
    this.#parts = parts;
    this.#feeds = feeds;
    this.#tables = tables;
    this.#signal = signal;
    this.#acts = acts;
  }

  /** Tables that lack what is gone write what they have and stop; the others of the feed go on. */
  outOfRange(event: Extract<ConsumerEvent, { type: "out_of_range" }>): void {
    const { feed, position, logStart, divergesAt } = event;
    const run = this.#feeds.get(feedKey(feed));
    if (run === undefined) return;
    this.#acts.finishSamples();
    for (const { sink, end } of run.outlets) {
      const isPassed = divergesAt === null && position < logStart;
      if (!takesRows(sink.state) || (isPassed && end >= logStart)) continue;
      const error = outOfRange(sink.name, { ...event, position: end });
      if (!isPassed && divergesAt === null && run.leaderEpoch === NO_LEADER_EPOCH) {
        this.#keepStop(sink, { feed, offset: end, logEnd: event.logEnd });
      }
      sink.apply({ kind: "unreadable", error });
    }
    if (run.outlets.some(({ sink }) => takesRows(sink.state))) this.#acts.seekAnew([feed]);
  }

  /** Nothing else would show the next process, once the log has grown again, that it had been lost. */
  #keepStop(sink: Sink, stop: KeptStop): void {
    const kept = sink.awaits(keepStop(sink, stop, this.#signal));
    this.#acts.track(kept.then(() => this.#tables.touched.add(sink)));
  }

  /** What was read of a topic that is gone is written; then its tables stop that have no other topic. */
  topicFailed(topic: string, cause: unknown): void {
    this.#acts.finishSamples();
    for (const { sink } of this.#tables.of(topic)) sink.catchUp();
    this.#feeds.remove(this.#feeds.all().flatMap(({ feed }) => (feed.topic === topic ? feed : [])));
    // Whichever partitions are ours now: the next assignment may bring those of the other topics.
    const others = new Set(this.#parts.consumer.feeds().map((feed) => feed.topic));
    others.delete(topic);
    const fed = new Set(
      [...others].flatMap((each) => this.#tables.of(each).map(({ sink }) => sink)),
    );
    for (const { sink } of this.#tables.of(topic)) {
      const error = topicFailed(sink.name, topic, cause);
      sink.failedTopics.set(topic, error);
      if (!fed.has(sink)) sink.apply({ kind: "unreadable", error });
      else this.#parts.logger.log("error", describe(error), { topic, table: sink.name });
    }
  }
}
