/**
 * The data path on one page: two small loops, joined only by sealed segments, so that a slow catalog
 * never stops decoding before a stated limit does.
 *
 *   ingest: Kafka record batches -> decode into columns -> open segments of the hot buffer
 *   commit: seal -> Parquet files -> one Iceberg snapshot with its offsets -> Kafka's offsets
 *
 * Why nothing is lost or doubled, whatever stops in between: docs/EXACTLY_ONCE.md.
 */
import { describe, fail, kindOf, policyOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import { type Feed, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { JobResult } from "#commit/job.ts";
import type { ConsumerEvent } from "#consumer/consumer.ts";
import { Acknowledger } from "./acknowledger.ts";
import { Backpressure } from "./backpressure.ts";
import { byTable, Feeds } from "./feeds.ts";
import { Ingest } from "./ingest.ts";
import type { PipelineOptions, PipelineParts } from "./pipelineParts.ts";
import { outOfRange, topicFailed } from "./start.ts";
import { Starts } from "./starts.ts";
import type { TableRun } from "./tableRun.ts";

/** Decoding and handing over go on this long before timers and sockets get their turn. */
const WORK_MS_MAX = 4;
/** Starts that are told to end get this long to write their last line into the log. */
const LAST_WORDS_MS = 500;
/** How often due commits are looked for. */
const TICK_MS = 50;
/** How often quiet tables are looked at for foreign heads (SPEC 2.2). */
const REFRESH_MS = 60_000;

/** One subscription and the tables that it feeds. */
export class Pipeline {
  readonly feeds: Feeds = new Feeds();
  readonly tables: Set<TableRun> = new Set();
  readonly options: PipelineOptions;
  readonly #parts: PipelineParts;
  readonly #pressure: Backpressure;
  readonly #acknowledger: Acknowledger;
  readonly #stop: AbortController = new AbortController();
  readonly #ingest: Ingest;
  readonly #starts: Starts;
  /** Commits under way, up to their last line in the log: a shutdown waits for them. */
  readonly #underWay: Set<Promise<void>> = new Set();
  #phase: "running" | "ending" = "running";
  #refreshedMs = 0;

  constructor(parts: PipelineParts, options: PipelineOptions) {
    this.#parts = parts;
    this.options = options;
    this.#pressure = new Backpressure(parts, options.bufferBytesMax);
    this.#acknowledger = new Acknowledger(parts, options.acknowledge);
    this.#ingest = new Ingest(parts, options, this.feeds, () => this.#release());
    this.#starts = new Starts(
      parts,
      options.start,
      { feeds: this.feeds, pressure: this.#pressure, signal: this.#stop.signal },
      (table, error) => this.#stopTable(table, error),
    );
  }

  /** Joins the group. Throws when Kafka cannot be reached or refuses. */
  async open(): Promise<void> {
    await this.#parts.consumer.open();
    const topics = new Set(this.#parts.consumer.feeds().map((feed) => feed.topic));
    this.#starts.initialTopics = topics;
    for (const topic of topics) this.tables.add(this.#parts.tableOf(topic));
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

  /** The table that a feed goes to. */
  tableFor(feed: Feed): TableRun {
    return this.#parts.tableOf(feed.topic);
  }

  /** For `--until-end`: commits at once what has reached these ends, however little it is. */
  hurry(ends: readonly { readonly feed: Feed; readonly end: bigint }[]): void {
    const waiting = new Set<TableRun>();
    const tables = new Set<TableRun>();
    for (const { feed, end } of ends) {
      const run = this.feeds.get(feedKey(feed));
      if (run === undefined) continue;
      tables.add(run.table);
      if (run.epoch === 0 || run.position < end) waiting.add(run.table);
    }
    for (const table of tables) {
      if (!waiting.has(table) && table.ready) this.#begin(this.#commit(table));
    }
  }

  /** Stops fetching, flushes what is buffered within `timeoutMs`, leaves the group. */
  async shutdown(timeoutMs: number): Promise<void> {
    this.#phase = "ending";
    this.#parts.consumer.stopFetching();
    for (const table of this.tables) this.#ingest.finishSample(table);
    await this.#within(timeoutMs, this.#flushAndAcknowledge());
    this.#stop.abort();
    await this.#within(LAST_WORDS_MS, this.#starts.ended(), new AbortController().signal);
    await this.#parts.consumer.close();
  }

  /** What is buffered into the tables, and everything that follows a commit to its end. */
  async #flushAndAcknowledge(): Promise<void> {
    await this.#flushTables([...this.tables]);
    await this.#ended();
    await this.#acknowledger.flush();
  }

  /** Keeps work in mind until it has ended. */
  #begin(work: Promise<void>): void {
    const kept = work.finally(() => this.#underWay.delete(kept));
    this.#underWay.add(kept);
  }

  /** Resolves when no commit is under way. */
  async #ended(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** Kafka -> columns: takes events as they come and never reacts to them elsewhere. */
  async #ingestLoop(): Promise<void> {
    let workedSince = this.#parts.clock.monotonicMs();
    for (;;) {
      const event = await this.#parts.consumer.next();
      if (event === null) return;
      await this.#handle(event);
      if (this.#parts.clock.monotonicMs() - workedSince > WORK_MS_MAX) {
        this.#pressure.check(this.tables, this.feeds);
        await this.#parts.clock.turn();
        workedSince = this.#parts.clock.monotonicMs();
      }
    }
  }

  async #handle(event: ConsumerEvent): Promise<void> {
    switch (event.type) {
      case "batch":
        // What was not yet buffered when the end was asked for is the next process's.
        return this.#phase === "running" ? this.#ingest.take(event.batch) : undefined;
      case "assigned":
        return this.#assigned(event.feeds);
      case "revoked":
        return this.#revoked(event.feeds, event.lost);
      case "out_of_range": {
        const run = this.feeds.get(feedKey(event.feed));
        run?.table.stop(outOfRange(run.table.name, event));
        return this.#release();
      }
      case "batch_corrupt":
        return this.#ingest.skip(event);
      case "topic_failed":
        return this.#topicFailed(event.topic, event.error);
      case "trouble":
        this.#parts.observe({ type: "error", kind: kindOf(event.error) });
        this.#parts.logger.log("warn", event.error.message, { ...event.error.context });
        return;
    }
  }

  /** Columns -> table: begins every flush that is due; flushes of different tables run side by side. */
  async #commitLoop(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(TICK_MS, this.#stop.signal);
      const now = clock.monotonicMs();
      for (const table of this.tables) {
        const { sample } = table;
        if (sample !== null && now - sample.sinceMs >= this.options.inferWaitMs) {
          this.#ingest.finishSample(table);
        }
        if (table.due(now) || this.#pressure.relievedBy(table)) {
          this.#begin(this.#commit(table));
        }
      }
      if (now - this.#refreshedMs >= REFRESH_MS) this.#refresh(now);
      this.#pressure.check(this.tables, this.feeds);
    }
  }

  /** Seal -> write -> commit (in `writer/`), then Kafka's offsets, then the log. */
  async #commit(table: TableRun): Promise<void> {
    const flush = table.flush();
    this.#observePending();
    const result = await flush;
    this.#observePending();
    if (result !== null) await this.#settle(table, result);
    if (table.state.kind === "stopped") this.#release();
  }

  async #settle(table: TableRun, result: JobResult): Promise<void> {
    if (result.kind === "committed") {
      for (const { feed, offset } of result.offsets) {
        const run = this.feeds.get(feedKey(feed));
        if (run !== undefined) run.committed = offset;
      }
      await this.#acknowledge(table, result.offsets);
    }
    if (result.kind === "committed" || result.kind === "dropped")
      this.#starts.seekAnew(result.fenced);
    this.#heedPause(table, result);
    this.#pressure.check(this.tables, this.feeds);
  }

  #observePending(): void {
    const count = [...this.tables].filter((table) => table.flushing).length;
    this.#parts.observe({ type: "pending_commits", count });
  }

  /** A paused table's partitions are not read until a commit succeeds again (`resume TABLE`). */
  #heedPause(table: TableRun, result: JobResult): void {
    const keys = this.feeds.of(table).map((run) => run.key);
    if (result.kind === "paused") {
      table.readingHeld = true;
      this.#parts.consumer.pause(keys);
    } else if (table.readingHeld && result.kind !== "held") {
      table.readingHeld = false;
      if (!this.#pressure.active) this.#parts.consumer.resume(keys);
    }
  }

  /** The table has the rows by now, whatever becomes of Kafka's offsets and of the log's last entry. */
  async #acknowledge(table: TableRun, offsets: readonly FeedOffset[]): Promise<void> {
    try {
      failpoint("acknowledge");
      await this.#acknowledger.commit(offsets);
      await table.complete();
    } catch (error) {
      if (policyOf(error).action !== "again") return this.#stopTable(table, error);
      this.#parts.logger.log("warn", `Not acknowledged: ${describe(error)}`, { table: table.name });
    }
  }

  #assigned(feeds: readonly Feed[]): void {
    const runs = this.feeds.add(feeds, (feed) => this.#parts.tableOf(feed.topic));
    for (const { feed, table } of runs) table.failedTopics.delete(feed.topic);
    for (const [table, group] of byTable(runs)) {
      this.tables.add(table);
      this.#starts.begin(table, group);
    }
  }

  /** Rows of lost feeds are dropped; those of revoked ones are flushed in half the rebalance timeout. */
  async #revoked(feeds: readonly Feed[], lost: boolean): Promise<void> {
    const runs = feeds.flatMap((feed) => this.feeds.get(feedKey(feed)) ?? []);
    const groups = byTable(runs);
    if (!lost) {
      for (const table of this.tables) this.#ingest.finishSample(table);
      await this.#within(this.options.revokeFlushMs, this.#flushTables([...groups.keys()]));
    }
    this.feeds.remove(feeds);
    for (const [table, group] of groups) table.drop(group.map((run) => run.key));
    this.#parts.consumer.released(feeds);
  }

  async #flushTables(tables: readonly TableRun[]): Promise<void> {
    await Promise.all(
      tables.map(async (table) => {
        for (const result of await table.flushAll()) await this.#settle(table, result);
        if (table.state.kind === "stopped") this.#release();
      }),
    );
  }

  /** Waits for `work`, but not longer than `ms` nor past a shutdown; the work itself goes on. */
  async #within(ms: number, work: Promise<void>, stop = this.#stop.signal): Promise<void> {
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, stop]);
    await Promise.race([work, this.#parts.clock.sleep(ms, signal)]);
    done.abort();
  }

  #topicFailed(topic: string, cause: unknown): void {
    const table = this.#parts.tableOf(topic);
    const error = topicFailed(table.name, topic, cause);
    this.tables.add(table);
    table.failedTopics.set(topic, error);
    // Whichever partitions are ours now: the next assignment may bring those of the other topics.
    const others = this.#parts.consumer
      .feeds()
      .some((feed) => feed.topic !== topic && this.#parts.tableOf(feed.topic) === table);
    if (others) this.#parts.logger.log("error", describe(error), { topic, table: table.name });
    else this.#stopTable(table, error);
  }

  #stopTable(table: TableRun, error: unknown): void {
    table.stop(error);
    this.#release();
  }

  /** Feeds of stopped tables are read no more; a pipeline whose tables have all stopped ends. */
  #release(): void {
    const stopped = this.feeds.all().filter((run) => run.table.state.kind === "stopped");
    this.#parts.consumer.pause(stopped.map((run) => run.key));
    for (const run of stopped) run.table.drop([run.key]);
    const running = [...this.tables].some((table) => table.state.kind !== "stopped");
    if (running || this.tables.size === 0) return;
    this.#stop.abort(fail("internal", "every table has stopped"));
    void this.#parts.consumer.close();
  }

  /** Looks at the heads of tables without a commit of late. */
  #refresh(now: number): void {
    this.#refreshedMs = now;
    for (const table of this.tables) {
      const quiet = table.state.kind === "running" && !table.pending;
      if (!quiet) continue;
      const looked = this.#lookAtHead(table).catch((error: unknown) => {
        if (policyOf(error).action !== "again") this.#stopTable(table, error);
      });
      this.#begin(looked);
    }
  }

  /** An own empty snapshot on a foreign head; offsets that a person has set are read on from. */
  async #lookAtHead(table: TableRun): Promise<void> {
    const { writer } = table;
    if (writer === null) return;
    await writer.refresh();
    const runs = this.feeds.of(table).filter((run) => run.epoch > 0);
    const seen = runs.map((run) => run.committed);
    const offsets = await writer.positions(runs.map((run) => run.feed));
    // A commit under way finds out by itself, and a new start has read the table since.
    if (table.pending) return;
    const moved = runs.filter(
      (run, i) => run.committed === seen[i] && run.committed !== offsets[i],
    );
    this.#starts.seekAnew(moved.map((run) => run.feed));
  }
}
