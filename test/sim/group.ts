/**
 * Kafka as the pipeline simulation sees it: one topic, a consumer group with rebalances, members that
 * were expelled and do not know it, and consumers that deliver when the schedule says so.
 */
import { type Feed, type FeedKey, type FeedOffset, feedKey } from "#base/offsets.ts";
import type { Consumer, ConsumerEvent, LogBounds, RecordBatch } from "#consumer/consumer.ts";
import { recordBatch } from "../support/records.ts";
import type { World } from "./world.ts";

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
      const feeds = [...member.owned].map((partition) => this.world.feed(partition));
      member.push({ type: "revoked", feeds, lost: false });
    }
    this.progress();
  }

  /** Hands partitions out when everybody has given them back, or (`force`) was too slow. */
  progress(force = false): void {
    if (force) for (const member of this.awaiting) member.forget();
    if (force) this.awaiting.clear();
    if (this.awaiting.size > 0 || this.members.length === 0) return;
    const shares = new Map<SimConsumer, number[]>();
    for (const partition of this.world.records.keys()) {
      const member = this.members[(partition + this.world.below(2)) % this.members.length];
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
  readonly owned: Set<number> = new Set();
  readonly #events: (ConsumerEvent | null)[] = [];
  readonly #positions = new Map<FeedKey, bigint>();
  readonly #epochs = new Map<FeedKey, number>();
  readonly #paused = new Set<FeedKey>();
  #wake: (() => void) | null = null;
  #fetching = true;

  constructor(name: string, group: SimGroup) {
    this.name = name;
    this.group = group;
  }

  push(event: ConsumerEvent | null): void {
    this.#events.push(event);
    this.#wake?.();
  }

  assign(partitions: readonly number[]): void {
    for (const partition of partitions) this.owned.add(partition);
    const feeds = partitions.map((partition) => this.group.world.feed(partition));
    this.push({ type: "assigned", feeds });
  }

  forget(): void {
    for (const partition of this.owned) {
      const key = feedKey(this.group.world.feed(partition));
      this.#positions.delete(key);
      this.#epochs.set(key, (this.#epochs.get(key) ?? 0) + 1);
    }
    this.owned.clear();
  }

  /** The zombie learns that it was expelled. */
  learn(): void {
    const feeds = [...this.owned].map((partition) => this.group.world.feed(partition));
    this.forget();
    if (feeds.length > 0) this.push({ type: "revoked", feeds, lost: true });
  }

  /** Delivers the next batch of a partition that this member believes to own. */
  deliver(partition: number): void {
    const { world } = this.group;
    const feed = world.feed(partition);
    const key = feedKey(feed);
    const position = this.#positions.get(key);
    if (position === undefined || this.#paused.has(key) || !this.#fetching) return;
    const end = position + BigInt(1 + world.below(8));
    const nextOffset = end > world.logEnd(partition) ? world.logEnd(partition) : end;
    if (nextOffset <= position) return;
    this.#positions.set(key, nextOffset);
    this.push({ type: "batch", batch: this.#batch(feed, key, position, nextOffset) });
  }

  #batch(feed: Feed, key: FeedKey, position: bigint, nextOffset: bigint): RecordBatch {
    const { world } = this.group;
    // A batch may begin before the position, as compressed ones do.
    const baseOffset = position > 2n ? position - 2n : 0n;
    const offsets = (world.records[feed.partition] ?? []).filter(
      (offset) => BigInt(offset) >= baseOffset && BigInt(offset) < nextOffset,
    );
    const records = offsets.map((offset) => ({
      value: JSON.stringify({ n: offset }),
      offsetDelta: offset - Number(baseOffset),
    }));
    const epoch = this.epoch(key);
    const bytes = recordBatch(records, { baseOffset });
    return {
      feed,
      key,
      epoch,
      wantedOffset: position,
      baseOffset,
      nextOffset,
      recordCount: records.length,
      payload: records.length === 0 ? null : bytes.payload,
      baseTimestampMs: world.nowMs,
      appendTimestampMs: null,
    };
  }

  open(): Promise<void> {
    this.group.members.push(this);
    this.group.rebalance();
    return Promise.resolve();
  }

  feeds(): readonly Feed[] {
    return [...this.group.world.records.keys()].map((partition) =>
      this.group.world.feed(partition),
    );
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
    for (const { feed, offset } of positions) {
      const key = feedKey(feed);
      this.#epochs.set(key, (this.#epochs.get(key) ?? 0) + 1);
      if (this.owned.has(feed.partition)) this.#positions.set(key, offset);
    }
  }

  epoch(key: FeedKey): number {
    return this.#epochs.get(key) ?? 0;
  }

  released(feeds: readonly Feed[]): void {
    for (const feed of feeds) {
      this.owned.delete(feed.partition);
      this.#positions.delete(feedKey(feed));
    }
    if (this.group.awaiting.delete(this)) this.group.progress();
  }

  pause(keys: readonly FeedKey[]): void {
    for (const key of keys) this.#paused.add(key);
  }

  resume(keys: readonly FeedKey[]): void {
    for (const key of keys) this.#paused.delete(key);
  }

  bounds(feeds: readonly Feed[]): Promise<LogBounds[]> {
    const { world } = this.group;
    return Promise.resolve(
      feeds.map((feed) => {
        const end = world.logEnd(feed.partition);
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
    this.group.members = this.group.members.filter((each) => each !== this);
    this.group.awaiting.delete(this);
    this.push(null);
    return Promise.resolve();
  }
}
