import { describe, expect, test } from "bun:test";
import { systemClock } from "#base/clock.ts";
import { LIMITS } from "#base/limits.ts";
import { feedKey } from "#base/offsets.ts";
import { type Partition, Partitions } from "#consumer/fetch/partitions.ts";
import { FetchQueue, type QueuedBatch } from "#consumer/fetch/queue.ts";
import { walkBatches } from "#consumer/fetch/recordBatch.ts";
import { Signal } from "#consumer/signal.ts";
import { AnswerBuffers } from "#consumer/wire/answers.ts";
import { buildBatch } from "../../fakes/recordBatches.ts";

const feeds = [0, 1].map((partition) => ({ clusterId: "c", topic: "t", topicId: "i", partition }));

const MAX = LIMITS.fetchQueueBytesMax;

function setUp(): { queue: FetchQueue; partitions: Partitions; all: Partition[]; room: Signal } {
  const partitions = new Partitions();
  partitions.assign(feeds);
  partitions.start(feeds.map((feed) => ({ feed, offset: 0n })));
  const room = new Signal(systemClock);
  const queue = new FetchQueue(new Signal(systemClock), room, new AnswerBuffers(1024, 4096), MAX);
  return { queue, partitions, all: partitions.all(), room };
}

function fetched(partition: Partition, baseOffset: number, bytes = 10): QueuedBatch {
  const records = [{ value: "x".repeat(bytes) }];
  const { batches } = walkBatches(buildBatch({ baseOffset, records }), 0n, [], true);
  return {
    type: "fetched",
    partition,
    sequence: partition.sequence,
    view: batches[0] ?? null,
    reason: "",
    highWatermark: 100n,
    lastStableOffset: 100n,
    arrivedMs: 0,
    last: true,
  };
}

const offsetOf = (item: unknown): bigint | undefined => (item as QueuedBatch).view?.baseOffset;

describe("FetchQueue", () => {
  test("reserved and queued bytes together never pass the bound, and room is announced when made", async () => {
    const { queue, all, room } = setUp();
    const [partition] = all as [Partition];
    const half = LIMITS.fetchQueueBytesMax / 2;
    expect(queue.reserve(half)).toBe(true);
    queue.push(fetched(partition, 0, half / 2));
    expect(queue.reserve(half / 2)).toBe(false);
    const announced = room.wait();
    queue.release(half);
    await announced;
    expect(queue.reserve(half)).toBe(true);
    expect(queue.reserve(half)).toBe(false);
    const again = room.wait();
    expect(offsetOf(queue.shift())).toBe(0n);
    await again;
    expect(queue.reserve(half)).toBe(true);
  });

  test("batches of an older sequence are dropped unseen, and their room is given back", () => {
    const { queue, partitions, all } = setUp();
    const [partition] = all as [Partition];
    queue.push(fetched(partition, 0, LIMITS.fetchQueueBytesMax / 2));
    partition.position = 5n;
    partitions.rewind(partition);
    queue.push(fetched(partition, 5));
    expect(offsetOf(queue.shift())).toBe(5n);
    expect(queue.shift()).toBeUndefined();
    expect(queue.reserve(LIMITS.fetchQueueBytesMax)).toBe(true);
  });

  test("a paused partition's batches stand aside while others pass, and come back in order", () => {
    const { queue, all } = setUp();
    const [one, two] = all as [Partition, Partition];
    for (const [partition, offset] of [
      [one, 0],
      [two, 0],
      [one, 1],
      [two, 1],
    ] as const) {
      queue.push(fetched(partition, offset));
    }
    one.paused = true;
    for (const offset of [0n, 1n]) {
      const item = queue.shift();
      expect([(item as QueuedBatch).partition, offsetOf(item)]).toEqual([two, offset]);
    }
    expect(queue.shift()).toBeUndefined();
    queue.push(fetched(one, 2));
    one.paused = false;
    queue.unhold();
    for (const offset of [0n, 1n, 2n]) expect(offsetOf(queue.shift())).toBe(offset);
  });

  test("what stood aside can be given up: its partition fetches it again from its position", () => {
    const { queue, partitions, all } = setUp();
    const [one] = all as [Partition];
    one.position = 0n;
    queue.push(fetched(one, 0));
    queue.push(fetched(one, 1));
    one.fetchOffset = 2n;
    one.paused = true;
    expect(queue.shift()).toBeUndefined();
    queue.dropHeld(partitions);
    expect(one.fetchOffset).toBe(0n);
    one.paused = false;
    queue.unhold();
    expect(queue.shift()).toBeUndefined();
    expect(queue.reserve(LIMITS.fetchQueueBytesMax)).toBe(true);
  });

  test("events keep their place among thousands of batches", () => {
    const { queue, all } = setUp();
    const [partition] = all as [Partition];
    for (let i = 0; i < 3000; i++) queue.push(fetched(partition, i));
    queue.push({ type: "assigned", feeds: [] });
    for (let i = 0; i < 3000; i++) expect(offsetOf(queue.shift())).toBe(BigInt(i));
    expect(queue.shift()).toEqual({ type: "assigned", feeds: [] });
  });
});

describe("Partitions", () => {
  test("a start counts only for partitions that are ours and not being given back", () => {
    const partitions = new Partitions();
    const [mine, foreign] = feeds as [(typeof feeds)[number], (typeof feeds)[number]];
    partitions.assign([mine]);
    partitions.start([{ feed: foreign, offset: 1n }]);
    expect(partitions.get(feedKey(foreign))).toBeUndefined();
    const partition = partitions.get(feedKey(mine));
    if (partition === undefined) throw new Error("not assigned");
    partitions.halt(partition, "revoked");
    const { epoch } = partition;
    partitions.start([{ feed: mine, offset: 1n }]);
    expect([partition.state, partition.epoch]).toEqual(["revoked", epoch]);
  });
});
