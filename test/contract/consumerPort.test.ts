/**
 * The simulation's consumer keeps the same promises of the port as the real one does before a broker
 * in memory (consumer.test.ts): a fake that is easier than the real thing would prove nothing.
 */
import { expect, test } from "bun:test";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { Consumer, ConsumerEvent, RecordBatch } from "#consumer/consumer.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { SimConsumer, SimGroup } from "../sim/group.ts";
import { World } from "../sim/world.ts";
import { Rig } from "./consumerRig.ts";

/** A consumer of a topic with two partitions of many records each, and a way to make it fetch. */
interface Subject {
  readonly consumer: Consumer;
  /** Makes it fetch what it can of a partition; the real one does so by itself. */
  fetch(partition: number): void;
  stop(): Promise<void>;
}

const SUBJECTS: readonly { name: string; make: () => Promise<Subject> }[] = [
  {
    name: "Kafka consumer",
    make: async () => {
      const rig = new Rig();
      rig.broker.topic("t", 2);
      for (const partition of [0, 1]) {
        for (let offset = 0; offset < 30; offset++) {
          const records = [{ value: `${offset}` }];
          rig.broker.append("t", partition, buildBatch({ baseOffset: offset, records }));
        }
      }
      return { consumer: rig.create(), fetch: () => undefined, stop: () => rig.stop() };
    },
  },
  {
    name: "simulated consumer",
    make: async () => {
      const consumer = new SimConsumer("A", new SimGroup(new World(1, "sequence", 2)));
      const fetch = (partition: number): void => {
        consumer.deliver(partition);
        for (const feed of consumer.feeds()) consumer.arrive(feedKey(feed));
      };
      return { consumer, fetch, stop: () => consumer.close() };
    },
  },
];

async function next<T extends ConsumerEvent["type"]>(
  consumer: Consumer,
  type: T,
): Promise<Extract<ConsumerEvent, { type: T }>> {
  for (;;) {
    const event = await consumer.next();
    if (event === null) throw new Error("closed");
    if (event.type === type) return event as Extract<ConsumerEvent, { type: T }>;
  }
}

async function batches(
  { consumer, fetch }: Subject,
  feed: Feed,
  n: number,
): Promise<RecordBatch[]> {
  const found: RecordBatch[] = [];
  while (found.length < n) {
    fetch(feed.partition);
    const { batch } = await next(consumer, "batch");
    if (batch.epoch === consumer.epoch(feedKey(feed))) found.push(batch);
  }
  return found;
}

for (const { name, make } of SUBJECTS) {
  const promise = (
    words: string,
    check: (subject: Subject, feeds: Feed[]) => Promise<void>,
  ): void =>
    test(`${name}: ${words}`, async () => {
      const subject = await make();
      try {
        await subject.consumer.open();
        const { feeds } = await next(subject.consumer, "assigned");
        await check(subject, [...feeds]);
      } finally {
        await subject.stop();
      }
    });

  promise(
    "an assigned partition has an epoch, another one has none",
    async ({ consumer }, feeds) => {
      expect(consumer.feeds().map((feed) => feed.partition)).toEqual([0, 1]);
      for (const feed of feeds) expect(consumer.epoch(feedKey(feed))).toBeGreaterThan(0);
      expect(consumer.epoch(feedKey({ ...(feeds[0] as Feed), partition: 9 }))).toBe(0);
    },
  );

  promise("each batch continues its partition's position of this epoch", async (subject, feeds) => {
    const [feed] = feeds as [Feed];
    subject.consumer.start([{ feed, offset: 3n }]);
    let position = 3n;
    for (const batch of await batches(subject, feed, 4)) {
      expect(batch.wantedOffset).toBe(position);
      expect(batch.baseOffset <= position && batch.nextOffset > position).toBe(true);
      expect([batch.key, batch.feed]).toEqual([feedKey(feed), feed]);
      position = batch.nextOffset;
    }
  });

  promise("a new start is a new, higher epoch, at the new offset", async (subject, feeds) => {
    const [feed] = feeds as [Feed];
    const { consumer } = subject;
    consumer.start([{ feed, offset: 0n }]);
    await batches(subject, feed, 1);
    const before = consumer.epoch(feedKey(feed));
    consumer.start([{ feed, offset: 20n }]);
    expect(consumer.epoch(feedKey(feed))).toBeGreaterThan(before);
    const [batch] = await batches(subject, feed, 1);
    expect(batch?.wantedOffset).toBe(20n);
  });

  promise("bounds and looks into the past answer every feed", async ({ consumer }, feeds) => {
    for (const bound of await consumer.bounds(feeds)) {
      expect([bound.logStart, bound.highWatermark >= bound.lastStableOffset]).toEqual([0n, true]);
    }
    expect(await consumer.groupOffsets(feeds)).toEqual([null, null]);
  });

  promise("close ends next() with null", async ({ consumer }) => {
    const waiting = (async () => {
      while ((await consumer.next()) !== null);
      return "ended";
    })();
    await consumer.close();
    expect(await waiting).toBe("ended");
  });
}
