/**
 * `run --until-end`: waits until everything that the topics held at the start, up to the last stable
 * offset, is in the tables.
 */
import type { Clock } from "#base/clock.ts";
import { describe, EXIT, fail, kindOf, policyOf } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { Consumer, LogBounds } from "#consumer/consumer.ts";
import { committedOf } from "#pipeline/feeds.ts";
import type { Pipeline } from "#pipeline/pipeline.ts";
import type { Sink } from "#pipeline/sink.ts";
import { tablePaused } from "#pipeline/start.ts";
import { takesRows } from "#pipeline/states.ts";

const POLL_MS = 50;
/** Partitions that other members read are looked up in the table this often. */
const TABLE_POLL_MS = 1000;

/** What the end depends on. */
export interface Ending {
  /** Topics subscribed to by name: each must be read, or be known to have failed. */
  readonly topics: readonly string[];
  /** A service may be away this long, ms; 0: for ever. */
  readonly awayMsMax: number;
  /** Why Kafka does not answer now, as an error; null while it does. */
  readonly kafkaTrouble: () => unknown;
  /** The end of a partition's log by Kafka's last answer; null before the first one. */
  readonly logEnd: (feed: Feed) => bigint | null;
}

/** The parts that come in. */
export interface EndingParts {
  readonly consumer: Consumer;
  readonly pipeline: Pipeline;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Resolves when every partition's committed offset has reached the end, or its table has stopped.
 * @throws AppError `kafka_unreachable`, `catalog_unreachable`, `storage_unreachable` when a service
 * has been away for too long, `paused` when a person has held a table for as long
 */
export async function untilEnd(
  { consumer, pipeline, clock, logger }: EndingParts,
  ending: Ending,
  signal: AbortSignal,
): Promise<void> {
  const patience = new Patience(clock, ending.awayMsMax);
  const said = new Set<string>();
  const sayOnce = (sentence: string): void => {
    if (!said.has(sentence)) logger.log("warn", `--until-end waits: ${sentence}`);
    said.add(sentence);
  };
  for (;;) {
    const missing = missingTopic(consumer, pipeline, ending.topics);
    if (missing === null || signal.aborted) break;
    patience.check(fail("kafka_unreachable", `Topic ${missing} has no leader`));
    await clock.sleep(POLL_MS, signal);
  }
  const bounds = await patientBounds(consumer, clock, patience, signal);
  let open: Open[] = bounds.map(({ feed, lastStableOffset, highWatermark }) => {
    return { feed, end: lastStableOffset, logEnd: highWatermark };
  });
  let lookedMs = clock.monotonicMs();
  while (open.length > 0 && !signal.aborted) {
    open = open.filter((each) => !reached(pipeline, each, ending));
    pipeline.hurry(open);
    const away = whatIsAway(pipeline, open, ending.kafkaTrouble());
    if (kindOf(away) === "paused") sayOnce(describe(away));
    patience.check(away);
    if (clock.monotonicMs() - lookedMs >= TABLE_POLL_MS) {
      lookedMs = clock.monotonicMs();
      open = await notInTable(consumer, pipeline, open);
    }
    if (open.length > 0) await clock.sleep(POLL_MS, signal);
  }
}

function reached(pipeline: Pipeline, { feed, end, logEnd }: Open, ending: Ending): boolean {
  const run = pipeline.feeds.get(feedKey(feed));
  const tables = pipeline.tables.of(feed.topic).map(({ sink }) => sink);
  const isOver = ({ state, failedTopics, pending }: Sink): boolean =>
    state.kind === "stopped" || (failedTopics.has(feed.topic) && !pending);
  if (tables.every(isOver)) return true;
  const committed = run === undefined || run.epoch === 0 ? null : committedOf(run);
  if (committed === null || committed < end) return false;
  // A log that ends before what the table has is no end that was reached: the consumer looks at it
  // for 30 s, in case a leader is behind, and then stops the table.
  return committed <= (ending.logEnd(feed) ?? logEnd);
}

/** The ends as they are at the start; leaders may be away for a while. */
async function patientBounds(
  consumer: Consumer,
  clock: Clock,
  patience: Patience,
  signal: AbortSignal,
): Promise<LogBounds[]> {
  while (!signal.aborted) {
    try {
      return await consumer.bounds(consumer.feeds());
    } catch (error) {
      if (policyOf(error).action !== "again") throw error;
      patience.check(error);
      await clock.sleep(POLL_MS, signal);
    }
  }
  return [];
}

/** A topic that is neither there nor known to have failed; null when there is none. */
function missingTopic(
  consumer: Consumer,
  pipeline: Pipeline,
  topics: readonly string[],
): string | null {
  const there = new Set(consumer.feeds().map((feed) => feed.topic));
  const tables = [...pipeline.tables];
  const hasFailed = (topic: string): boolean => tables.some((each) => each.failedTopics.has(topic));
  return topics.find((topic) => !there.has(topic) && !hasFailed(topic)) ?? null;
}

/** The service or person that what is open waits for, as an error; null when there is none. */
function whatIsAway(pipeline: Pipeline, open: readonly Open[], kafka: unknown): unknown {
  const tables = new Set(open.flatMap(({ feed }) => pipeline.tables.of(feed.topic)));
  for (const { state, name } of [...tables].map(({ sink }) => sink)) {
    if (state.kind === "paused") return tablePaused(name);
    if (state.kind !== "retrying") continue;
    if (policyOf(state.cause).exitCode === EXIT.unreachable) return state.cause;
  }
  const unread = open.some(({ feed, end }) => {
    const run = pipeline.feeds.get(feedKey(feed));
    return run === undefined || run.epoch === 0 || run.position < end;
  });
  return unread ? kafka : null;
}

/** Counts how long something has been away without a break. */
class Patience {
  readonly #clock: Clock;
  readonly #awayMsMax: number;
  #sinceMs: number | null = null;

  constructor(clock: Clock, awayMsMax: number) {
    this.#clock = clock;
    this.#awayMsMax = awayMsMax;
  }

  /** Throws `cause` when something has been away for too long; null: nothing is away. */
  check(cause: unknown): void {
    const now = this.#clock.monotonicMs();
    this.#sinceMs = cause === null ? null : (this.#sinceMs ?? now);
    if (this.#sinceMs === null || this.#awayMsMax === 0) return;
    if (now - this.#sinceMs >= this.#awayMsMax) throw cause;
  }
}

/** A partition whose end has not been reached: the last stable offset and the log's end at the start. */
type Open = { readonly feed: Feed; readonly end: bigint; readonly logEnd: bigint };

/** Asks the tables about partitions that this process does not read. */
async function notInTable(
  consumer: Consumer,
  pipeline: Pipeline,
  open: readonly Open[],
): Promise<Open[]> {
  const still: Open[] = [];
  for (const each of open) {
    const mine = pipeline.feeds.get(feedKey(each.feed)) !== undefined;
    const committed = mine ? null : await committedTo(pipeline, each.feed);
    if (committed === null || committed < each.end) still.push(each);
    else if (committed > each.logEnd) still.push(await withNewEnd(consumer, each));
  }
  return still;
}

/** The least of what the tables of a feed have that are not stopped; null when one cannot say. */
async function committedTo(pipeline: Pipeline, feed: Feed): Promise<bigint | null> {
  let least: bigint | null = null;
  for (const { sink } of pipeline.tables.of(feed.topic)) {
    if (!takesRows(sink.state)) continue;
    const positions = await sink.writer?.positions([feed]).catch((error: unknown) => {
      if (policyOf(error).action !== "again") throw error;
      return null;
    });
    const committed = positions?.[0] ?? null;
    if (committed === null) return null;
    if (least === null || committed < least) least = committed;
  }
  return least;
}

/** The log grows while another process reads it: its end is looked at anew. */
async function withNewEnd(consumer: Consumer, open: Open): Promise<Open> {
  const [bounds] = await consumer.bounds([open.feed]).catch((error: unknown) => {
    if (policyOf(error).action !== "again") throw error;
    return [];
  });
  return { ...open, logEnd: bounds?.highWatermark ?? open.logEnd };
}
