/**
 * The consumer port on a real Kafka cluster: wires connections, metadata, group membership, fetch
 * loops and the queue together, and answers the pipeline's calls.
 */
import type { Clock } from "#base/clock.ts";
import { AppError, describe, fail, kindOf, policyOf } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import type { Logger } from "#base/log.ts";
import { type Feed, type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { Random } from "#base/random.ts";
import type { ConsumerEvent, FreeConsumer, LogBounds } from "./consumer.ts";
import { Delivery } from "./fetch/delivery.ts";
import { Fetcher, largestAnswerBytes } from "./fetch/fetcher.ts";
import { type Partition, Partitions } from "./fetch/partitions.ts";
import { PausedLag } from "./fetch/pausedLag.ts";
import { FetchQueue } from "./fetch/queue.ts";
import { GroupMember } from "./group/group.ts";
import type { TopicPartition } from "./offsetRequests.ts";
import { type OffsetParts, readBounds, readGroupOffsets, readOffsetsAt } from "./offsets.ts";
import { type KafkaConsumerOptions, type Settings, withDefaults } from "./options.ts";
import { Signal } from "./signal.ts";
import { type FailedTopic, Topics } from "./topics.ts";
import { AnswerBuffers } from "./wire/answers.ts";
import { Cluster } from "./wire/cluster.ts";
import { checkKafkajs } from "./wire/kafkajs.ts";

/** What comes in from outside. */
export interface KafkaConsumerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly observe: Observe;
}

/** What a fetch answer has beside records, roughly: more only costs the re-use of its memory. */
const ANSWER_HEAD_BYTES_MAX = 64 * 1024;
/** Timers and sockets get their turn at least this often while batches are handed over. */
const TURN_MS = 4;
const UNSETTLED_REFRESH_MS = 1000;
const REFRESH_GAP_MS = 200;
const AHEAD_CHECK_MS = 1000;

/** A consumer of a real Kafka cluster; nothing is connected before `open`. */
export function createKafkaConsumer(
  options: KafkaConsumerOptions,
  parts: KafkaConsumerParts,
): FreeConsumer {
  checkKafkajs();
  return new KafkaConsumer(withDefaults(options), parts);
}

class KafkaConsumer implements FreeConsumer {
  private readonly settings: Settings;
  private readonly parts: KafkaConsumerParts;
  private readonly cluster: Cluster;
  private readonly topics: Topics;
  private readonly partitions = new Partitions();
  private readonly arrived: Signal;
  private readonly metadataDue: Signal;
  private readonly queue: FetchQueue;
  private readonly delivery: Delivery;
  private readonly pausedLag: PausedLag;
  private readonly fetcher: Fetcher;
  private readonly group: GroupMember;
  private readonly offsetParts: OffsetParts;
  private metadataStale = false;
  private release: { readonly keys: Set<FeedKey>; readonly done: () => void } | null = null;
  private fatal: AppError | null = null;
  private closed = false;
  private turnBeganMs = 0;

  constructor(settings: Settings, parts: KafkaConsumerParts) {
    this.settings = settings;
    this.parts = parts;
    const { clock } = parts;
    this.arrived = new Signal(clock);
    this.metadataDue = new Signal(clock);
    const changed = new Signal(clock);
    const answerBytes = largestAnswerBytes(settings) + ANSWER_HEAD_BYTES_MAX;
    const buffers = new AnswerBuffers(answerBytes, settings.queueBytesMax);
    this.cluster = new Cluster(settings, { ...parts, buffers });
    this.topics = new Topics(this.cluster, settings, clock, (failed) => this.onTopicFailed(failed));
    this.queue = new FetchQueue(this.arrived, changed, buffers, settings.queueBytesMax);
    const { cluster, topics, partitions, queue } = this;
    const shared = { ...parts, settings, cluster, topics, partitions, queue, buffers };
    this.offsetParts = shared;
    this.delivery = new Delivery(shared);
    const onTrouble = (error: unknown): void => this.onTrouble(error);
    this.pausedLag = new PausedLag(shared, (feeds) => this.bounds(feeds), onTrouble);
    this.fetcher = new Fetcher(
      shared,
      {
        onTrouble,
        onStaleMetadata: () => this.refreshSoon(),
        onOutOfRange: (partition, divergesAt) => void this.onOutOfRange(partition, divergesAt),
      },
      changed,
    );
    this.group = new GroupMember(shared, {
      topics: () => this.topics.views(),
      lookUp: (names) => this.topics.lookUp(names),
      onAssigned: (assigned) => this.onAssigned(assigned),
      onRevoked: (lost) => this.onRevoked(lost),
      onTrouble,
      onFatal: (error) => this.onFatal(error),
    });
  }

  async open({ join } = { join: true }): Promise<void> {
    let denied: AppError | null = null;
    await this.topics.refresh();
    for (const error of this.topics.failures()) {
      if (kindOf(error) === "kafka_refused") denied ??= error;
    }
    if (denied !== null && this.topics.feeds().length === 0) throw denied;
    await this.group.findCoordinator().catch((error: unknown) => {
      // A coordinator that is not there yet is looked for again while joining.
      if (policyOf(error).action !== "again") throw error;
    });
    if (!join) return;
    // Topics that are missing are told before the first assignment, so that nobody takes the
    // others for the whole subscription.
    while (this.topics.unsettled && !this.closed) {
      await this.parts.clock.sleep(REFRESH_GAP_MS);
      await this.topics.refresh();
    }
    void this.group.run();
    void this.watchMetadata();
  }

  feeds(): readonly Feed[] {
    return this.topics.feeds();
  }

  assign(feeds: readonly Feed[]): void {
    this.partitions.assign(feeds);
  }

  async next(): Promise<ConsumerEvent | null> {
    for (;;) {
      if (this.isTurnOver) await this.yieldTurn();
      // From here to the wait nothing is awaited, so that no wake-up can be missed.
      if (this.closed) return null;
      const item = this.queue.shift();
      if (item === undefined) {
        await this.waitForMore();
      } else if (item.type === "fetched") {
        const event = this.delivery.deliver(item);
        if (event !== null) return event;
        this.fetcher.wake();
      } else {
        return item;
      }
    }
  }

  start(positions: readonly FeedOffset[]): void {
    this.partitions.start(positions);
    this.fetcher.wake();
  }

  epoch(key: FeedKey): number {
    return this.partitions.get(key)?.epoch ?? 0;
  }

  released(feeds: readonly Feed[]): void {
    this.releaseKeys(feeds.map(feedKey));
  }

  pause(keys: readonly FeedKey[]): void {
    this.setPaused(keys, true);
  }

  resume(keys: readonly FeedKey[]): void {
    this.setPaused(keys, false);
    this.queue.unhold();
    this.fetcher.wake();
  }

  bounds(feeds: readonly Feed[]): Promise<LogBounds[]> {
    return readBounds(this.offsetParts, feeds);
  }

  offsetsAt(feeds: readonly Feed[], timestampMs: number): Promise<(bigint | null)[]> {
    return readOffsetsAt(this.offsetParts, feeds, timestampMs);
  }

  groupOffsets(feeds: readonly Feed[]): Promise<(bigint | null)[]> {
    return readGroupOffsets(this.offsetParts, this.group, feeds);
  }

  async acknowledge(offsets: readonly FeedOffset[]): Promise<void> {
    const items = offsets.map(({ feed: { topic, partition }, offset }) => ({
      topic,
      partition,
      offset,
    }));
    try {
      if (items.length > 0) await this.group.commit(items);
    } catch (error) {
      const fields = { error: describe(error), partitions: items.length };
      this.parts.log.log(
        "warn",
        "Kafka group offsets were not written; the table has them",
        fields,
      );
    }
  }

  stopFetching(): void {
    this.fetcher.stop();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.pausedLag.stop();
    this.fetcher.stop();
    await this.group.leave();
    this.cluster.close();
    this.metadataDue.fire();
    this.arrived.fire();
  }

  private async waitForMore(): Promise<void> {
    if (this.fatal !== null) throw this.fatal;
    if (this.queue.full && this.anyReading()) this.queue.dropHeld(this.partitions);
    await this.arrived.wait();
    this.turnBeganMs = this.parts.clock.monotonicMs();
  }

  private get isTurnOver(): boolean {
    return this.parts.clock.monotonicMs() - this.turnBeganMs >= TURN_MS;
  }

  /** Lets timers and sockets run: handing over queued batches alone would never leave this turn. */
  private async yieldTurn(): Promise<void> {
    const { clock } = this.parts;
    await clock.turn();
    this.turnBeganMs = clock.monotonicMs();
  }

  private anyReading(): boolean {
    return this.partitions.all().some(({ state, paused }) => state === "reading" && !paused);
  }

  private setPaused(keys: readonly FeedKey[], paused: boolean): void {
    for (const key of keys) {
      const partition = this.partitions.get(key);
      if (partition !== undefined) partition.paused = paused;
    }
    const count = this.partitions.all().filter((partition) => partition.paused).length;
    this.parts.observe({ type: "paused", count });
    if (count > 0) this.pausedLag.watch();
  }

  private async onAssigned(assigned: readonly TopicPartition[]): Promise<void> {
    this.releaseKeys(this.partitions.all().map(({ key }) => key));
    this.partitions.drop(this.partitions.all());
    const unknown = assigned.some((item) => this.topics.feed(item.topic, item.partition) === null);
    if (unknown) await this.topics.refresh();
    const feeds = assigned.flatMap(
      ({ topic, partition }) => this.topics.feed(topic, partition) ?? [],
    );
    this.partitions.assign(feeds);
    this.parts.observe({ type: "assigned", count: feeds.length });
    this.queue.push({ type: "assigned", feeds });
  }

  private onRevoked(lost: boolean): Promise<void> {
    const { observe } = this.parts;
    observe({ type: "rebalance" });
    const revoked = this.partitions.all();
    const feeds = revoked.map(({ feed }) => feed);
    for (const { topic, partition } of feeds) observe({ type: "revoked", topic, partition });
    if (lost) this.partitions.drop(revoked);
    else for (const partition of revoked) this.partitions.halt(partition, "revoked");
    if (feeds.length === 0) return Promise.resolve();
    this.queue.push({ type: "revoked", feeds, lost });
    if (lost) return Promise.resolve();
    return new Promise((done) => {
      this.release = { keys: new Set(revoked.map(({ key }) => key)), done };
    });
  }

  private releaseKeys(keys: readonly FeedKey[]): void {
    const { release } = this;
    if (release === null) return;
    for (const key of keys) {
      if (!release.keys.delete(key)) continue;
      const partition = this.partitions.get(key);
      if (partition !== undefined) this.partitions.drop([partition]);
    }
    if (release.keys.size > 0) return;
    this.release = null;
    release.done();
  }

  private onTopicFailed({ topic, error }: FailedTopic): void {
    const gone = this.partitions.all().filter(({ feed }) => feed.topic === topic);
    this.releaseKeys(gone.map(({ key }) => key));
    this.partitions.drop(gone);
    for (const { feed } of gone) {
      this.parts.observe({ type: "revoked", topic, partition: feed.partition });
    }
    this.queue.push({ type: "topic_failed", topic, error });
    // The group hears of it, wherever the metadata was looked up.
    this.refreshSoon();
  }

  private onTrouble(cause: unknown): void {
    if (this.closed) return;
    // What is no error of ours comes from reading an answer: not a reason to end the process.
    const unreadable = "An answer of Kafka cannot be read; it is asked again";
    const error =
      cause instanceof AppError ? cause : fail("kafka_unreachable", unreadable, {}, cause);
    this.parts.observe({ type: "service", service: "kafka", trouble: error });
    this.queue.push({ type: "trouble", error });
  }

  private onFatal(error: AppError): void {
    this.fetcher.stop();
    this.fatal = error;
    void this.onRevoked(true);
    this.arrived.fire();
  }

  /**
   * The broker does not have the position: says so, at once or when it stays past the end. A log that
   * was cut and has grown past the position again (`divergesAt`) holds other records: no wait helps.
   */
  private async onOutOfRange(partition: Partition, divergesAt: bigint | null): Promise<void> {
    const { clock } = this.parts;
    const { sequence, feed } = partition;
    partition.notBeforeMs = Number.POSITIVE_INFINITY;
    let bounds: LogBounds | undefined;
    try {
      [bounds] = await this.bounds([feed]);
    } catch (error) {
      this.onTrouble(error);
    }
    if (partition.sequence !== sequence) return;
    const nowMs = clock.monotonicMs();
    partition.notBeforeMs = nowMs + AHEAD_CHECK_MS;
    this.fetcher.wake();
    if (bounds === undefined) return;
    const { fetchOffset: position } = partition;
    const { logStart, highWatermark: logEnd } = bounds;
    if (position > logEnd) {
      partition.aheadSinceMs ??= nowMs;
      if (nowMs - partition.aheadSinceMs < this.settings.aheadOfLogMsMax) return;
    } else if (position >= logStart && divergesAt === null) {
      return;
    }
    // Batches that were read before are still handed over, in front of this event.
    partition.state = "halted";
    this.queue.push({ type: "out_of_range", feed, position, logStart, logEnd, divergesAt });
  }

  private refreshSoon(): void {
    this.metadataStale = true;
    this.metadataDue.fire();
  }

  /** Looks the metadata up every so often, and soon after something pointed at the wrong broker. */
  private async watchMetadata(): Promise<void> {
    while (!this.closed) {
      const unhurriedMs = this.topics.unsettled
        ? UNSETTLED_REFRESH_MS
        : this.settings.metadataRefreshMs;
      if (!this.metadataStale) await this.metadataDue.wait(unhurriedMs);
      else await this.parts.clock.sleep(REFRESH_GAP_MS);
      if (this.closed) return;
      this.metadataStale = false;
      try {
        await this.topics.refresh();
        this.group.topicsChanged();
        this.fetcher.wake();
      } catch (error) {
        this.onTrouble(error);
        await this.metadataDue.wait(UNSETTLED_REFRESH_MS);
      }
    }
  }
}
