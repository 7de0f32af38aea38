/**
 * Kafka as the pipeline simulation sees it: one topic, a consumer group with rebalances, members that
 * were expelled and do not know it, and consumers that deliver when the schedule says so.
 *
 * The consumer is harder on its user than the real one: what it has queued is handed over even when
 * the partition was paused, started anew or lost since.
 */
import { fail } from "#base/errors.ts";
import {
  type Feed,
  type FeedKey,
  type FeedOffset,
  feedKey,
  NO_LEADER_EPOCH,
} from "#base/offsets.ts";
import type { Consumer, ConsumerEvent, LogBounds, RecordBatch } from "#consumer/consumer.ts";
import { recordBatch } from "../support/records.ts";
import { ServedLog } from "./logs.ts";
import type { Topic } from "./rows.ts";
import { eventTimeMs } from "./tables.ts";
import type { World } from "./world.ts";

/** Times of some records, ms: before 1970, far ahead, at the ends of what columns hold; else now. */
const ODD_TIMES_MS: Readonly<Record<number, number>> = {
  1: -2,
  5: -7_730_941_132_800_000,
  9: 7_730_941_132_799_999,
  13: 253_402_300_800_000,
};
/** Beyond: the last day of a JavaScript date, whose hour has no 32 bits. */
const REFUSED_TIME_MS = 8_640_000_000_000_000;

/** The group's coordinator. */
export class SimGroup {
  readonly world: World;
  members: SimConsumer[] = [];
  /** Members whose revocation is awaited before partitions move. */
  awaiting: Set<SimConsumer> = new Set();

  constructor(world: World) {
    this.world = world;
  }

  /** Begins a rebalance: everybody who knows that it is a member gives everything back. */
  rebalance(): void {
    this.world.say(`rebalance: ${this.members.map((each) => each.name).join(", ")}`);
    for (const member of this.members) {
      if (member.owned.size === 0 || this.awaiting.has(member)) continue;
      this.awaiting.add(member);
      const feeds = [...member.owned].map((partition) => member.feed(partition));
      member.push({ type: "revoked", feeds, lost: false });
    }
    this.progress();
  }

  /** Hands partitions out when everybody has given them back, or (`force`) was too slow. */
  progress(force = false): void {
    if (force) for (const member of this.awaiting) member.forget();
    if (force) this.awaiting.clear();
    const members = this.members.filter((each) => each.topic === this.world.topic);
    if (this.awaiting.size > 0 || members.length === 0) return;
    const shares = new Map<SimConsumer, number[]>();
    for (const partition of this.world.partitions) {
      const member = members[(partition + this.world.below(2)) % members.length];
      if (member === undefined) continue;
      shares.set(member, [...(shares.get(member) ?? []), partition]);
    }
    for (const [member, partitions] of shares) member.assign(partitions);
  }

  /** A member misses its session: others get its partitions at once, and it learns of it later. */
  expel(member: SimConsumer): void {
    this.world.say(`${member.name} is expelled and does not know it`);
    this.members = this.members.filter((each) => each !== member);
    this.awaiting.delete(member);
    this.rebalance();
  }
}

/** One member. */
export class SimConsumer implements Consumer {
  readonly name: string;
  readonly group: SimGroup;
  /** The life of the topic that it reads; it learns of another one by `topic_failed`. */
  readonly topic: Topic;
  readonly owned: Set<number> = new Set();
  readonly #events: (ConsumerEvent | null)[] = [];
  readonly #positions = new Map<FeedKey, bigint>();
  /** Leader epochs of the records below them. */
  readonly #leaders = new Map<FeedKey, number>();
  readonly #epochs = new Map<FeedKey, number>();
  readonly #paused = new Set<FeedKey>();
  /** Fetched and not arrived yet; they arrive in order, also after the partition was started anew. */
  readonly #onTheWay = new Map<FeedKey, RecordBatch[]>();
  #wake: (() => void) | null = null;
  #fetching = true;
  closed = false;
  #told = false;

  constructor(name: string, group: SimGroup) {
    this.name = name;
    this.group = group;
    this.topic = group.world.topic;
  }

  feed(partition: number): Feed {
    return this.group.world.feed(partition, this.topic);
  }

  push(event: ConsumerEvent | null): void {
    this.#events.push(event);
    this.#wake?.();
  }

  assign(partitions: readonly number[]): void {
    for (const partition of partitions) {
      this.owned.add(partition);
      this.#newEpoch(feedKey(this.feed(partition)));
    }
    this.push({ type: "assigned", feeds: partitions.map((partition) => this.feed(partition)) });
  }

  forget(): void {
    this.#giveBack([...this.owned].map((partition) => this.feed(partition)));
  }

  /** The zombie learns that it was expelled, and joins again. */
  rejoin(): void {
    if (this.closed) return;
    this.learn();
    this.group.members.push(this);
    this.group.rebalance();
  }

  learn(): void {
    const feeds = [...this.owned].map((partition) => this.feed(partition));
    this.forget();
    if (feeds.length > 0) this.push({ type: "revoked", feeds, lost: true });
  }

  /** It learns that its topic is gone, if so; false when it is not, or was known. */
  learnOfTopic(): boolean {
    if (this.topic === this.group.world.topic || this.#told || this.closed) return false;
    this.#told = true;
    this.forget();
    const error = fail("topic_unreadable", "topic t was deleted and made again");
    this.push({ type: "topic_failed", topic: "t", error });
    return true;
  }

  /** Delivers the next batch of a partition that this member believes to own. */
  deliver(partition: number): void {
    const { world } = this.group;
    const feed = this.feed(partition);
    const key = feedKey(feed);
    const position = this.#positions.get(key);
    if (world.random.unit() < 0.3) this.arrive(key);
    if (position === undefined || this.#paused.has(key) || !this.#fetching) return;
    const end = position + BigInt(1 + world.below(8));
    const log = this.#log(partition);
    const divergesAt = log.divergesAt(position, this.#leaders.get(key) ?? NO_LEADER_EPOCH);
    if (divergesAt !== null) {
      this.#positions.delete(key);
      const about = { position, logStart: 0n, logEnd: log.end, divergesAt };
      this.push({ type: "out_of_range", feed, ...about });
      return;
    }
    const nextOffset = end > log.end ? log.end : end;
    if (nextOffset <= position) return;
    this.#positions.set(key, nextOffset);
    this.#leaders.set(key, log.epochBelow(nextOffset));
    const batches = this.#onTheWay.get(key) ?? [];
    batches.push(this.#batch(feed, key, position, nextOffset));
    this.#onTheWay.set(key, batches);
    if (world.random.unit() < 0.7) this.arrive(key);
  }

  #log(partition: number): ServedLog {
    return new ServedLog(this.group.world, this.topic, partition);
  }

  /** What was fetched of a partition arrives. */
  arrive(key: FeedKey): void {
    for (const batch of this.#onTheWay.get(key)?.splice(0) ?? [])
      this.push({ type: "batch", batch });
  }

  #batch(feed: Feed, key: FeedKey, position: bigint, nextOffset: bigint): RecordBatch {
    // A batch may begin before the position, as compressed ones do.
    const baseOffset = position > 2n ? position - 2n : 0n;
    const log = this.#log(feed.partition);
    const baseTimestampMs = this.group.world.nowMs;
    const place = { baseOffset, nextOffset, baseTimestampMs };
    return {
      feed,
      key,
      epoch: this.epoch(key),
      wantedOffset: position,
      baseOffset,
      nextOffset,
      leaderEpoch: log.epochBelow(nextOffset),
      ...payloadOf(log, place, this.group.world.has),
      baseTimestampMs,
      appendTimestampMs: null,
      arrivedMs: this.group.world.nowMs,
    };
  }

  open(): Promise<void> {
    this.group.members.push(this);
    this.group.rebalance();
    return Promise.resolve();
  }

  feeds(): readonly Feed[] {
    return [...this.topic.records.keys()].map((partition) => this.feed(partition));
  }

  async next(): Promise<ConsumerEvent | null> {
    while (this.#events.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events.shift() ?? null;
  }

  start(positions: readonly FeedOffset[]): void {
    for (const { feed, offset, leaderEpoch = NO_LEADER_EPOCH } of positions) {
      if (!this.owned.has(feed.partition)) continue;
      const key = feedKey(feed);
      this.#newEpoch(key);
      this.#positions.set(key, offset);
      this.#leaders.set(key, leaderEpoch);
    }
  }

  #newEpoch(key: FeedKey): void {
    this.#epochs.set(key, (this.#epochs.get(key) ?? 0) + 1);
  }

  epoch(key: FeedKey): number {
    const mine = [...this.owned].some((partition) => feedKey(this.feed(partition)) === key);
    return mine ? (this.#epochs.get(key) ?? 0) : 0;
  }

  /** An answer to a revocation that was given up (too slow, expelled) changes nothing. */
  released(feeds: readonly Feed[]): void {
    if (!this.group.awaiting.has(this)) return;
    this.#giveBack(feeds);
    this.group.awaiting.delete(this);
    this.group.progress();
  }

  #giveBack(feeds: readonly Feed[]): void {
    for (const feed of feeds) {
      const key = feedKey(feed);
      this.owned.delete(feed.partition);
      this.#positions.delete(key);
      this.#paused.delete(key);
    }
  }

  pause(keys: readonly FeedKey[]): void {
    for (const key of keys) this.#paused.add(key);
  }

  resume(keys: readonly FeedKey[]): void {
    for (const key of keys) this.#paused.delete(key);
  }

  bounds(feeds: readonly Feed[]): Promise<LogBounds[]> {
    const { world } = this.group;
    if (world.kafkaFails) {
      world.kafkaFails = false;
      return Promise.reject(fail("kafka_unreachable", "the broker is away"));
    }
    return Promise.resolve(
      feeds.map((feed) => {
        const { end } = this.#log(feed.partition);
        return { feed, logStart: 0n, highWatermark: end, lastStableOffset: end };
      }),
    );
  }

  offsetsAt(feeds: readonly Feed[]): Promise<null[]> {
    return Promise.resolve(feeds.map(() => null));
  }

  groupOffsets(feeds: readonly Feed[]): Promise<null[]> {
    return Promise.resolve(feeds.map(() => null));
  }

  acknowledge(): Promise<void> {
    return Promise.resolve();
  }

  stopFetching(): void {
    this.#fetching = false;
  }

  close(): Promise<void> {
    this.closed = true;
    const member = this.group.members.includes(this);
    this.group.members = this.group.members.filter((each) => each !== this);
    this.group.awaiting.delete(this);
    this.push(null);
    if (member) this.group.rebalance();
    return Promise.resolve();
  }
}

/** The records of a batch. */
function payloadOf(
  log: ServedLog,
  batch: Pick<RecordBatch, "baseOffset" | "nextOffset" | "baseTimestampMs">,
  { oddRecords, eventTimes }: World["has"],
): Pick<RecordBatch, "payload" | "recordCount"> {
  const { baseOffset, nextOffset, baseTimestampMs } = batch;
  const offsets = log.offsets.filter(
    (offset) => BigInt(offset) >= baseOffset && BigInt(offset) < nextOffset,
  );
  const records = offsets.map((offset) => ({
    value: JSON.stringify({
      ...recordValue(log.numberAt(offset), offset),
      ...(eventTimes ? { at: eventTimeMs(offset) } : {}),
    }),
    offsetDelta: offset - Number(baseOffset),
    timestampDelta: (ODD_TIMES_MS[offset % 16] ?? baseTimestampMs) - baseTimestampMs,
  }));
  // No column holds its time: it is no row, and nothing else comes of it.
  const refused = Number(nextOffset) - 1;
  if (oddRecords && refused % 4 === 1 && !offsets.includes(refused)) {
    const timestampDelta = REFUSED_TIME_MS - baseTimestampMs;
    const offsetDelta = refused - Number(baseOffset);
    records.push({ value: '{"n":-1}', offsetDelta, timestampDelta });
  }
  if (records.length === 0) return { payload: null, recordCount: 0 };
  const { payload } = recordBatch(records, { baseOffset });
  return { payload, recordCount: records.length };
}

/** The value of a record: its number, and now and then a field that others have not. */
function recordValue(n: number, offset: number): Record<string, number> {
  const value: Record<string, number> = { n };
  if (offset % 11 === 10) value["a"] = offset;
  if (offset % 17 === 16) value["b"] = offset + 0.5;
  return value;
}
