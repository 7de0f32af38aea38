/**
 * Bringing feeds to their start: after an assignment, and again whenever they were fenced.
 */
import { describe, kindOf, policyOf } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import { backoffMs } from "#base/retry.ts";
import type { Backpressure } from "./backpressure.ts";
import { byTable, type FeedRun, type Feeds } from "./feeds.ts";
import type { PipelineOptions, PipelineParts } from "./pipelineParts.ts";
import { startOffsets } from "./start.ts";
import type { TableRun } from "./tableRun.ts";

const START_BACKOFF = { retriesMax: 0, baseDelayMs: 100, delayMsMax: 5000 };

/** Starts the feeds of one pipeline. */
export class Starts {
  /** Topics known when the group was joined. */
  initialTopics: ReadonlySet<string> = new Set();
  readonly #parts: PipelineParts;
  readonly #policy: PipelineOptions["start"];
  readonly #feeds: Feeds;
  readonly #pressure: Backpressure;
  readonly #signal: AbortSignal;
  readonly #underWay: Set<Promise<void>> = new Set();
  readonly #stopTable: (table: TableRun, error: unknown) => void;

  /** @param signal ends every start under way */
  constructor(
    parts: PipelineParts,
    policy: PipelineOptions["start"],
    state: { readonly feeds: Feeds; readonly pressure: Backpressure; readonly signal: AbortSignal },
    stopTable: (table: TableRun, error: unknown) => void,
  ) {
    this.#parts = parts;
    this.#policy = policy;
    this.#feeds = state.feeds;
    this.#pressure = state.pressure;
    this.#signal = state.signal;
    this.#stopTable = stopTable;
  }

  /** Fenced feeds lose their rows and start again from the table (SPEC 2.3). */
  seekAnew(fenced: readonly Feed[]): void {
    const runs = fenced.flatMap((feed) => this.#feeds.get(feedKey(feed)) ?? []);
    for (const run of runs) {
      run.epoch = 0;
      run.table.drop([run.key]);
    }
    for (const [table, group] of byTable(runs)) this.begin(table, group);
  }

  /** Starts a table's feeds; retries for as long as they are ours and nobody starts them anew. */
  begin(table: TableRun, runs: readonly FeedRun[]): void {
    const kept = this.#begin(table, runs).finally(() => this.#underWay.delete(kept));
    this.#underWay.add(kept);
  }

  /** Resolves when no start is under way: soon after the signal. */
  async ended(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async #begin(table: TableRun, runs: readonly FeedRun[]): Promise<void> {
    const { clock, random, logger } = this.#parts;
    const tickets = runs.map((run) => ({ run, ticket: ++run.starts }));
    const mine = (): FeedRun[] =>
      tickets
        .filter(({ run, ticket }) => this.#feeds.get(run.key) === run && run.starts === ticket)
        // A topic that is gone has no bounds: asking for them would hold the others back.
        .filter(({ run }) => !run.table.failedTopics.has(run.feed.topic))
        .map(({ run }) => run);
    for (let tries = 0; !this.#signal.aborted; tries++) {
      if (mine().length === 0 || table.state.kind === "stopped") return;
      try {
        return await this.#startOnce(table, mine);
      } catch (error) {
        if (policyOf(error).action !== "again") return this.#stopTable(table, error);
        const isPaused = kindOf(error) === "paused";
        table.become(isPaused ? { kind: "paused" } : { kind: "retrying", cause: error });
        logger.log("warn", `Table not ready: ${describe(error)}`, { table: table.name });
        await clock.sleep(backoffMs(START_BACKOFF, tries, random), this.#signal);
      }
    }
  }

  /** Finds the start offsets of a table's feeds and lets the consumer read them. */
  async #startOnce(table: TableRun, mine: () => FeedRun[]): Promise<void> {
    const { consumer } = this.#parts;
    const writer = await table.open();
    const policy = { ...this.#policy, initialTopics: this.initialTopics };
    const feeds = mine().map((run) => run.feed);
    const offsets = await startOffsets(consumer, writer, policy, feeds);
    if (table.state.kind !== "running") table.become({ kind: "running" });
    const still = new Set(mine().map((run) => run.key));
    const begin = offsets.filter(({ feed }) => still.has(feedKey(feed)));
    table.drop([...still]);
    consumer.start(begin);
    if (this.#pressure.active || table.readingHeld) consumer.pause([...still]);
    for (const { feed, offset } of begin) {
      const run = this.#feeds.get(feedKey(feed));
      if (run === undefined) continue;
      run.position = offset;
      run.committed = offset;
      run.epoch = consumer.epoch(run.key);
    }
  }
}
