/**
 * The data path on one page: two small loops, joined only by sealed segments, so that a slow catalog
 * never stops decoding before a stated limit does.
 *
 *   ingest: Kafka record batches -> decode into columns -> open segments of the hot buffer
 *   commit: seal -> Parquet files -> one Iceberg snapshot with its offsets -> Kafka's offsets
 *
 * Neither walks over all tables or partitions: whatever happens to a table touches it, and the next
 * look visits what was touched.
 *
 * Why nothing is lost or doubled, whatever stops in between: docs/EXACTLY_ONCE.md.
 */
import { describe, fail, kindOf } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import { Acknowledger } from "./acknowledger.ts";
import { Backpressure } from "./backpressure.ts";
import { Commits } from "./commits.ts";
import { Endings } from "./endings.ts";
import { Feeds, placesOf } from "./feeds.ts";
import { HeadLooks } from "./headLooks.ts";
import { Ingest } from "./ingest.ts";
import type { PipelineOptions, PipelineParts } from "./pipelineParts.ts";
import { type Phase, Reading } from "./reading.ts";
import { FanOut } from "./routes.ts";
import type { Sink } from "./sink.ts";
import { Sinks } from "./sinks.ts";
import { Starts } from "./starts.ts";

/** Decoding and handing over go on this long before timers and sockets get their turn. */
const WORK_MS_MAX = 4;
/** How often due commits are looked for. */
const TICK_MS = 50;
/** Starts that are told to end get this long to write their last line into the log. */
const LAST_WORDS_MS = 500;
/** How often tables that other members have made are looked for. */
const ROUTES_LOOK_MS = 60_000;
/** A line that names the topics of a table names so many. */
const TOPICS_NAMED_MAX = 10;

/** One subscription and the tables that it fills. */
export class Pipeline {
  readonly feeds: Feeds = new Feeds();
  readonly tables: Sinks;
  readonly #parts: PipelineParts;
  readonly #options: PipelineOptions;
  readonly #stop: AbortController = new AbortController();
  readonly #pressure: Backpressure;
  readonly #reading: Reading;
  readonly #acknowledger: Acknowledger;
  readonly #ingest: Ingest;
  readonly #starts: Starts;
  readonly #commits: Commits;
  readonly #heads: HeadLooks;
  readonly #fanOut: FanOut;
  #routesLookedMs: number;
  readonly #endings: Endings;
  #phase: Phase = "running";

  constructor(parts: PipelineParts, options: PipelineOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#routesLookedMs = parts.clock.monotonicMs();
    this.tables = new Sinks(
      parts.targetsOf,
      this.feeds,
      () => this.#endWithTheLast(),
      (topic, error) => {
        parts.observe({ type: "error", kind: kindOf(error) });
        parts.logger.log("error", `Topic not read: ${describe(error)}`, { topic });
      },
    );
    const isHeld = (): boolean => parts.isHeld?.() === true || parts.letterTopic?.isFull === true;
    this.#pressure = new Backpressure(parts, this.tables, options.bufferBytesMax, isHeld);
    this.#reading = new Reading(parts.consumer, this.feeds);
    this.#acknowledger = new Acknowledger(parts, options.acknowledge);
    const { feeds, tables } = this;
    this.#fanOut = new FanOut(parts, feeds, tables, (sink) => this.#heads.add(sink));
    const seekAnew = (again: readonly Feed[]): void => this.#starts.seekAnew(again);
    this.#ingest = new Ingest(parts, options, feeds, tables, seekAnew, this.#fanOut);
    const { signal } = this.#stop;
    const look = (): void => this.#look();
    this.#starts = new Starts(parts, options.start, feeds, tables, signal, look, this.#fanOut);
    this.#commits = new Commits(parts, {
      landed: (sink, landed) => this.#acknowledger.acknowledge(sink, landed),
      fenced: (feeds) => this.#starts.fence(feeds),
      seekAnew: (feeds) => this.#starts.seekAnew(feeds),
      touched: (sink) => this.tables.touched.add(sink),
    });
    this.#heads = new HeadLooks(parts.clock, (feeds) => this.#starts.seekAnew(feeds));
    this.#endings = new Endings(parts, this.feeds, this.tables, signal, {
      finishSamples: () => this.#ingest.finishSamples(),
      seekAnew: (feeds) => this.#starts.seekAnew(feeds),
      track: (work) => this.#commits.track(work),
    });
  }

  /** Joins the group. Throws when Kafka cannot be reached or refuses, and when no topic feeds a table. */
  async open(): Promise<void> {
    await this.#parts.consumer.open();
    const topics = new Set(this.#parts.consumer.feeds().map((feed) => feed.topic));
    this.#starts.initialTopics = topics;
    // In the order of their names: which topics are within a bound does not depend on the broker.
    for (const topic of [...topics].sort()) this.tables.of(topic);
    const [refused] = this.tables.refused.values();
    if (this.tables.size === 0 && refused !== undefined) throw refused;
    this.#warnShared();
  }

  /** Runs both loops until `shutdown`, or until every table has stopped. */
  async run(): Promise<void> {
    try {
      await Promise.all([this.#ingestLoop(), this.#commitLoop()]);
    } finally {
      this.#stop.abort();
    }
  }

  /** True while backpressure holds every partition. */
  get holding(): boolean {
    return this.#pressure.active;
  }

  /** Bytes of memory that the rows of all tables hold. */
  get bufferedBytes(): number {
    return this.#pressure.bytes;
  }

  /** For `--until-end`: commits at once what has reached these ends, however little it is. */
  hurry(ends: readonly { readonly feed: Feed; readonly end: bigint }[]): void {
    const waiting = new Set<Sink>();
    const tables = new Set<Sink>();
    for (const { feed, end } of ends) {
      const run = this.feeds.get(feedKey(feed));
      for (const { sink } of run?.outlets ?? []) {
        tables.add(sink);
        if (run === undefined || run.epoch === 0 || run.position < end) waiting.add(sink);
      }
    }
    for (const sink of tables.difference(waiting)) if (sink.ready) this.#commits.hurry(sink);
    this.#commits.beginDue();
  }

  /** Stops fetching, flushes what is buffered within `timeoutMs`, leaves the group. */
  async shutdown(timeoutMs: number): Promise<void> {
    this.#phase = "ending";
    this.#parts.consumer.stopFetching();
    this.#ingest.finishSamples();
    await this.#within(timeoutMs, this.#flushAndAcknowledge());
    this.#look();
    this.#stop.abort();
    this.#parts.letterTopic?.close();
    await this.#within(LAST_WORDS_MS, this.#starts.ended(), new AbortController().signal);
    await this.#parts.consumer.close();
  }

  /** Kafka -> columns: takes events as they come and never reacts to them elsewhere. */
  async #ingestLoop(): Promise<void> {
    let workedSince = this.#parts.clock.monotonicMs();
    for (;;) {
      const event = await this.#parts.consumer.next();
      if (event === null) return;
      // Most batches need nothing: each wait would cost a turn of the microtask queue.
      const work = event.type === "batch" ? this.#take(event.batch) : this.#react(event);
      if (work !== undefined) await work;
      if (this.#parts.clock.monotonicMs() - workedSince > WORK_MS_MAX) {
        this.#look();
        await this.#parts.clock.turn();
        workedSince = this.#parts.clock.monotonicMs();
      }
    }
  }

  #take(batch: RecordBatch): Promise<void> | undefined {
    // What was not yet buffered when the end was asked for is the next process's.
    if (this.#phase !== "running") return undefined;
    const taken = this.#ingest.take(batch);
    if (taken !== undefined) return taken.then(() => this.#lookAtLetters());
    this.#lookAtLetters();
    return undefined;
  }

  /** Told at once, not at the next look: each batch may bring more letters. */
  #lookAtLetters(): void {
    if (this.#parts.letterTopic?.isFull === true) this.#look();
  }

  async #react(event: Exclude<ConsumerEvent, { type: "batch" }>): Promise<void> {
    switch (event.type) {
      case "assigned":
        return this.#assigned(event.feeds);
      case "revoked":
        return this.#revoked(event.feeds, event.lost);
      case "out_of_range":
        return this.#endings.outOfRange(event);
      case "batch_corrupt":
        return this.#ingest.skip(event);
      case "topic_failed":
        return this.#endings.topicFailed(event.topic, event.error);
      case "trouble":
        this.#parts.observe({ type: "error", kind: kindOf(event.error) });
        this.#parts.logger.log("warn", event.error.message, { ...event.error.context });
        return;
    }
  }

  /** Columns -> table: begins every flush that is due; flushes of different tables run side by side. */
  async #commitLoop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#parts.clock.sleep(TICK_MS, this.#stop.signal);
      this.#ingest.finishDueSamples();
      this.#look();
      this.#commits.beginDue();
      const looking = this.#heads.look();
      if (looking !== null) this.#commits.track(looking);
      this.#lookForRoutes();
    }
  }

  /**
   * Tables that other members have made for their records: our partitions have first positions there, and
   * a quiet one is moved on like any other.
   */
  #lookForRoutes(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (!this.#fanOut.isOn || nowMs - this.#routesLookedMs < ROUTES_LOOK_MS) return;
    this.#routesLookedMs = nowMs;
    const feeds = this.feeds.all().map(({ feed }) => feed);
    const looking = this.#fanOut.find(feeds.map(({ topic }) => topic)).then(
      (grown) => {
        // At the end what is buffered is written, and the next process looks itself.
        if (this.#phase !== "running") return;
        this.#starts.seekAnew(feeds.filter(({ topic }) => grown.has(topic)));
      },
      (error: unknown) => {
        const what = `Tables of routes are looked for again: ${describe(error)}`;
        this.#parts.logger.log("warn", what);
      },
    );
    this.#commits.track(looking);
  }

  /** Takes in what has changed since the last look: budget, due times, tables at their end, who is read. */
  #look(): void {
    const { touched } = this.tables;
    for (const sink of touched) {
      touched.delete(sink);
      if (sink.state.kind === "draining" && !sink.pending) sink.apply({ kind: "drained" });
      sink.writeAhead();
      this.#pressure.measure(sink);
      this.#commits.schedule(sink);
    }
    this.#pressure.judge();
    for (let full = this.#pressure.takeFullest(); full !== null; ) {
      this.#commits.hurry(full);
      full = this.#pressure.takeFullest();
    }
    this.#reading.compare({ phase: this.#phase, isFull: this.#pressure.active });
  }

  #assigned(feeds: readonly Feed[]): void {
    const runs = this.feeds.add(feeds, (topic) => this.tables.of(topic));
    this.#warnShared();
    for (const run of runs) {
      for (const { sink } of placesOf(run)) {
        sink.failedTopics.delete(run.feed.topic);
        this.#heads.add(sink);
      }
    }
    this.#starts.begin(runs);
  }

  /** Nobody shall find out by a query that topics meet in one table: one line for each such table. */
  #warnShared(): void {
    for (const { name, topics } of this.tables.takeShared()) {
      const more =
        topics.size > TOPICS_NAMED_MAX ? ` and ${topics.size - TOPICS_NAMED_MAX} more` : "";
      const named = [...topics].slice(0, TOPICS_NAMED_MAX).join(", ");
      const sentence =
        `Topics ${named}${more} fill one table, ${name}. To part them, write {topic} into ` +
        "iceberg.table_name, or leave that key out";
      this.#parts.logger.log("warn", sentence, { table: name, topics: topics.size });
    }
  }

  /** Rows of lost feeds are dropped; those of revoked ones are flushed in half the rebalance timeout. */
  async #revoked(feeds: readonly Feed[], lost: boolean): Promise<void> {
    const runs = feeds.flatMap((feed) => this.feeds.get(feedKey(feed)) ?? []);
    if (!lost) {
      this.#ingest.finishSamples();
      const sinks = new Set(runs.flatMap((run) => placesOf(run).map(({ sink }) => sink)));
      await this.#within(this.#options.revokeFlushMs, this.#commits.flushAll([...sinks]));
    }
    this.tables.drop(runs);
    const places = runs.flatMap(placesOf);
    this.feeds.remove(feeds);
    this.#parts.consumer.released(feeds);
    for (const sink of new Set(places.map((place) => place.sink))) {
      // An index that cannot be closed is one that nobody has.
      if (sink.outlets.size === 0) sink.writer?.rest().catch(() => undefined);
    }
  }

  /** What is buffered into the tables, and everything that follows a commit to its end. */
  async #flushAndAcknowledge(): Promise<void> {
    await this.#commits.flushAll([...this.tables]);
    await this.#commits.ended();
    await this.#acknowledger.flush();
  }

  /** Waits for `work`, but not longer than `ms` nor past a shutdown; the work itself goes on. */
  async #within(ms: number, work: Promise<void>, stop = this.#stop.signal): Promise<void> {
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, stop]);
    await Promise.race([work, this.#parts.clock.sleep(ms, signal)]);
    done.abort();
  }

  /** A pipeline whose tables have all stopped ends. */
  #endWithTheLast(): void {
    if (this.tables.running > 0) return;
    this.#parts.letterTopic?.close();
    this.#stop.abort(fail("internal", "every table has stopped"));
    void this.#parts.consumer.close();
  }
}
