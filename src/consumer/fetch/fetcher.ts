/**
 * The fetch loops: per broker one long poll in flight for all of its partitions that are being
 * read, and a second one for partitions that were started while the first was on its way, so that
 * neither start nor resume waits for a poll to end.
 *
 * Answers are only cut into batches and queued here; checks and decompression happen when the
 * pipeline asks for the next batch. A fetch is sent only when the queue has room for its answer.
 */
import type { Clock } from "#base/clock.ts";
import { fail } from "#base/errors.ts";
import type { Observe } from "#base/events.ts";
import { NO_LEADER_EPOCH } from "#base/offsets.ts";
import type { Random } from "#base/random.ts";
import { backoffMs } from "#base/retry.ts";
import type { Settings } from "#consumer/options.ts";
import type { Signal } from "#consumer/signal.ts";
import type { Topics } from "#consumer/topics.ts";
import type { AnswerBuffers } from "#consumer/wire/answers.ts";
import type { Cluster, Role } from "#consumer/wire/cluster.ts";
import { CODE, codeName } from "#consumer/wire/codes.ts";
import { type Fetched, type FetchedPartition, fetchRequest } from "./fetchRequest.ts";
import type { Partition, Partitions } from "./partitions.ts";
import type { FetchQueue } from "./queue.ts";
import { walkBatches } from "./recordBatch.ts";

/** One answer is kept small, so that cutting it up never blocks the loop for long. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Of the queue: memory of an answer is used again when all of it is read, so that a few large ones hold more. */
const ANSWER_SHARE = 1 / 4;
/** However many brokers there are. */
const ANSWER_BYTES_MIN = 64 * 1024;
const PARTITION_BYTES_MIN = 1024 * 1024;
/** Fetches with answers below this are sent at least so far apart: each costs 0.2 ms of CPU. */
const SMALL_BYTES = 256 * 1024;
const PACE_MS = 3;
/** Before a partition is asked for again after an error of its own. */
const RETRY_MS = 200;
/** How long to read from a preferred replica before asking the leader again (as Java: 5 minutes). */
const REPLICA_MS = 300_000;
const ROLES: readonly Role[] = ["fetch-a", "fetch-b"];

/** The parts that come in. */
export interface FetcherParts {
  readonly cluster: Cluster;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly topics: Topics;
  readonly partitions: Partitions;
  readonly queue: FetchQueue;
  readonly buffers: AnswerBuffers;
}

/** What the fetcher reports. */
export interface FetcherCallbacks {
  /** A leader moved or a topic is gone: metadata should be looked up. */
  onStaleMetadata(): void;
  /** @param divergesAt where the leader's log parts from what was read; null: it does not */
  onOutOfRange(partition: Partition, divergesAt: bigint | null): void;
  onTrouble(error: unknown): void;
}

/** A partition as it was when it was asked for. */
interface Asked {
  readonly partition: Partition;
  readonly sequence: number;
}

/** Bytes to ask for at most, however few loops fetch: what memory is made for. */
export function largestAnswerBytes({ queueBytesMax }: Pick<Settings, "queueBytesMax">): number {
  return Math.min(ANSWER_BYTES_MAX, Math.ceil(queueBytesMax * ANSWER_SHARE));
}

/**
 * Bytes to ask for at most when so many loops fetch: a long poll reserves them in the queue while it
 * waits, and those of quiet brokers must not keep the others from theirs.
 */
export function answerBytesMax(
  loops: number,
  settings: Pick<Settings, "queueBytesMax" | "fetchBytesMax">,
): number {
  const share = Math.max(ANSWER_BYTES_MIN, Math.floor(settings.queueBytesMax / loops));
  return Math.min(share, largestAnswerBytes(settings), settings.fetchBytesMax);
}

/** The fetch loops of all brokers. */
export class Fetcher {
  private readonly parts: FetcherParts;
  private readonly callbacks: FetcherCallbacks;
  /** Fires when partitions, leaders or the queue changed. */
  readonly changed: Signal;
  private readonly loops = new Map<string, Promise<void>>();
  /** Loops with a fetch on its way, as `node/role`. */
  private readonly busy = new Set<string>();
  private stopped = false;
  private served = 0;
  private fullSinceMs: number | null = null;

  constructor(parts: FetcherParts, callbacks: FetcherCallbacks, changed: Signal) {
    this.parts = parts;
    this.callbacks = callbacks;
    this.changed = changed;
  }

  /** Looks at the partitions again: something was started, resumed or moved. */
  wake(): void {
    for (const partition of this.parts.partitions.all()) {
      const nodeId = this.nodeOf(partition);
      if (partition.state !== "reading" || nodeId < 0 || this.stopped) continue;
      for (const role of ROLES) {
        const key = `${nodeId}/${role}`;
        if (!this.loops.has(key)) this.loops.set(key, this.loop(nodeId, role));
      }
    }
    this.changed.fire();
  }

  /** Ends the loops; answers on their way are dropped. */
  stop(): void {
    this.stopped = true;
    this.changed.fire();
  }

  private async loop(nodeId: number, role: Role): Promise<void> {
    for (let failures = 0; !this.stopped; ) {
      const bytesMax = answerBytesMax(this.loops.size, this.parts.settings);
      const ready = this.ready(nodeId, role);
      if (ready.length === 0) {
        await this.changed.wait(this.nextRetryMs());
      } else if (this.reserve(bytesMax)) {
        const sentMs = this.parts.clock.monotonicMs();
        const { bytes, error } = await this.fetchOnce(nodeId, role, ready, bytesMax);
        failures = error === null ? 0 : failures + 1;
        const small = bytes < Math.min(SMALL_BYTES, bytesMax / 2);
        await this.rest(nodeId, error, failures, small ? sentMs + PACE_MS : sentMs);
      } else {
        await this.changed.wait();
      }
    }
  }

  /** Takes room for an answer, and tells how long there was none, also while there still is none. */
  private reserve(bytesMax: number): boolean {
    const { queue, clock, observe } = this.parts;
    const nowMs = clock.monotonicMs();
    const durationMs = nowMs - (this.fullSinceMs ?? nowMs);
    if (durationMs > 0) observe({ type: "backpressure", durationMs });
    const isReserved = queue.reserve(bytesMax);
    this.fullSinceMs = isReserved ? null : nowMs;
    return isReserved;
  }

  /** Before the next fetch: a back-off, or a moment for a few batches to gather at the broker. */
  private async rest(
    nodeId: number,
    error: unknown,
    failures: number,
    untilMs: number,
  ): Promise<void> {
    if (this.stopped) return;
    if (error !== null) return this.backOff(nodeId, error, failures - 1);
    const restMs = untilMs - this.parts.clock.monotonicMs();
    if (restMs > 0) await this.parts.clock.sleep(restMs);
  }

  /** One fetch; the size of its answer, and what went wrong, null when nothing did. */
  private async fetchOnce(
    nodeId: number,
    role: Role,
    asked: readonly Asked[],
    bytesMax: number,
  ): Promise<{ bytes: number; error: unknown }> {
    const key = `${nodeId}/${role}`;
    this.busy.add(key);
    try {
      return { bytes: await this.fetch(nodeId, role, asked, bytesMax), error: null };
    } catch (error) {
      return { bytes: 0, error };
    } finally {
      for (const { partition } of asked) {
        if (partition.inFlight === role) partition.inFlight = null;
      }
      this.busy.delete(key);
      this.parts.queue.release(bytesMax);
      // The other loop of this broker may have been waiting for these partitions.
      this.changed.fire();
    }
  }

  /** The partitions that this loop should ask for now. */
  private ready(nodeId: number, role: Role): Asked[] {
    const nowMs = this.parts.clock.monotonicMs();
    const here = this.parts.partitions.all().filter((p) => this.nodeOf(p) === nodeId);
    if (role === "fetch-b" && !this.busy.has(`${nodeId}/fetch-a`)) return [];
    return here
      .filter(
        (p) => p.state === "reading" && !p.paused && p.inFlight === null && p.notBeforeMs <= nowMs,
      )
      .sort((a, b) => a.lastServed - b.lastServed)
      .map((partition) => ({ partition, sequence: partition.sequence }));
  }

  private async fetch(
    nodeId: number,
    role: Role,
    asked: readonly Asked[],
    bytesMax: number,
  ): Promise<number> {
    const { settings, cluster, buffers } = this.parts;
    for (const { partition } of asked) partition.inFlight = role;
    const request = fetchRequest(
      asked.map(({ partition: { feed, fetchOffset, fetchEpoch } }) => ({
        topicId: feed.topicId,
        partition: feed.partition,
        offset: fetchOffset,
        lastEpoch: fetchEpoch,
      })),
      {
        waitMsMax: settings.fetchWaitMsMax,
        bytesMax,
        partitionBytesMax: Math.max(PARTITION_BYTES_MIN, Math.floor(bytesMax / asked.length)),
        readCommitted: settings.readCommitted,
        rackId: settings.rackId,
      },
    );
    const answer = await cluster.send(nodeId, role, request);
    try {
      this.takeAll(nodeId, asked, answer);
      return answer.bytes.length;
    } finally {
      buffers.release(answer.bytes);
    }
  }

  private takeAll(nodeId: number, asked: readonly Asked[], answer: Fetched): void {
    if (this.stopped) return;
    if (answer.code !== CODE.none) {
      throw fail("kafka_unreachable", `A fetch was answered with ${codeName(answer.code)}`);
    }
    const byFeed = new Map(
      asked.map((item) => [
        `${item.partition.feed.topicId}/${item.partition.feed.partition}`,
        item,
      ]),
    );
    for (const fetched of answer.partitions) {
      const item = byFeed.get(`${fetched.topicId}/${fetched.partition}`);
      if (item === undefined || item.partition.sequence !== item.sequence) continue;
      item.partition.inFlight = null;
      this.take(item.partition, fetched, nodeId);
    }
  }

  private take(partition: Partition, fetched: FetchedPartition, nodeId: number): void {
    if (fetched.code !== CODE.none) {
      this.takeError(partition, fetched.code, nodeId);
      return;
    }
    if (fetched.divergesAt !== null) {
      this.takeDivergence(partition, fetched.divergesAt, nodeId);
      return;
    }
    const nowMs = this.parts.clock.monotonicMs();
    if (fetched.preferredReplica >= 0) {
      partition.replica = { nodeId: fetched.preferredReplica, untilMs: nowMs + REPLICA_MS };
      this.wake();
    }
    partition.aheadSinceMs = null;
    if (fetched.records.length > 0) partition.lastServed = ++this.served;
    this.enqueue(partition, fetched, nowMs);
  }

  private enqueue(partition: Partition, fetched: FetchedPartition, arrivedMs: number): void {
    const { queue, settings, observe } = this.parts;
    const { fetchOffset, sequence, feed } = partition;
    const { batches, malformed } = walkBatches(
      fetched.records,
      fetchOffset,
      fetched.aborted,
      settings.readCommitted,
    );
    const { highWatermark, lastStableOffset } = fetched;
    const common = {
      type: "fetched",
      partition,
      sequence,
      highWatermark,
      lastStableOffset,
      arrivedMs,
    } as const;
    batches.forEach((view, i) => {
      const last = i === batches.length - 1;
      queue.push({ ...common, view, reason: "", last });
      partition.fetchOffset = view.nextOffset;
      partition.fetchEpoch = view.leaderEpoch;
    });
    if (malformed !== null) {
      queue.push({ ...common, view: null, reason: malformed.reason, last: true });
      // Nothing behind it can be found before the pipeline or a second reading has decided.
      partition.notBeforeMs = Number.POSITIVE_INFINITY;
    }
    if (batches.length > 0) return;
    observe({
      type: "position",
      topic: feed.topic,
      partition: feed.partition,
      position: partition.position,
      highWatermark,
      lastStableOffset,
      timestampMs: 0,
    });
  }

  /**
   * The broker's log is not the one that was read. A follower may only be behind, so the leader is
   * asked; and an epoch that the log has forgotten (all of its records were compacted away) says
   * nothing while the position lies within the part that agrees: the offset counts, as for Java's
   * consumer.
   */
  private takeDivergence(partition: Partition, divergesAt: bigint, nodeId: number): void {
    if (this.leaveReplica(partition, nodeId)) return;
    if (divergesAt >= partition.fetchOffset) partition.fetchEpoch = NO_LEADER_EPOCH;
    else this.callbacks.onOutOfRange(partition, divergesAt);
  }

  /** Asks the leader next, after trouble with a preferred replica; false when it was the leader. */
  private leaveReplica(partition: Partition, nodeId: number): boolean {
    if (partition.replica?.nodeId !== nodeId) return false;
    partition.replica = null;
    return true;
  }

  private takeError(partition: Partition, code: number, nodeId: number): void {
    const { topics, clock } = this.parts;
    partition.notBeforeMs = clock.monotonicMs() + RETRY_MS;
    if (this.leaveReplica(partition, nodeId)) return;
    if (code === CODE.offsetOutOfRange) {
      this.callbacks.onOutOfRange(partition, null);
    } else if (code === CODE.topicAuthorizationFailed) {
      topics.fail(partition.feed.topic, topics.denied(partition.feed.topic));
    } else {
      this.callbacks.onStaleMetadata();
    }
  }

  private async backOff(nodeId: number, error: unknown, failures: number): Promise<void> {
    const { settings, random, partitions } = this.parts;
    for (const partition of partitions.all()) {
      if (partition.replica?.nodeId === nodeId) partition.replica = null;
    }
    this.callbacks.onTrouble(error);
    this.callbacks.onStaleMetadata();
    const options = {
      retriesMax: 0,
      baseDelayMs: settings.retryBaseDelayMs,
      delayMsMax: Math.min(settings.retryDelayMsMax, 5000),
    };
    await this.parts.clock.sleep(backoffMs(options, failures, random));
  }

  /** Where the partition is read from: the preferred replica while that holds, else the leader. */
  private nodeOf(partition: Partition): number {
    const { replica } = partition;
    if (replica !== null && replica.untilMs > this.parts.clock.monotonicMs()) return replica.nodeId;
    return this.parts.topics.leader(partition.feed);
  }

  private nextRetryMs(): number {
    const nowMs = this.parts.clock.monotonicMs();
    let nextMs = nowMs + 60_000;
    for (const { notBeforeMs, state } of this.parts.partitions.all()) {
      if (state === "reading" && notBeforeMs > nowMs) nextMs = Math.min(nextMs, notBeforeMs);
    }
    return nextMs - nowMs;
  }
}
