/**
 * The consumer against a real broker: what it hands over is, record by record, what librdkafka
 * reads under the same isolation level, whatever the codec, the transactions and the holes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Codec,
  createCompactedTopic,
  freezeWithHoles,
  produceEvents,
  produceTransactions,
  produceValues,
} from "../../scripts/events/events.ts";
import { addPartitions, createTopic, deleteRecords } from "../../scripts/events/topics.ts";
import { readTopic } from "../../scripts/judge/judge.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { run } from "../../scripts/services/process.ts";
import { Driver } from "../support/consumerDriver.ts";

let broker: KafkaBroker;
let bootstrap: string;

beforeAll(async () => {
  broker = await startKafka();
  bootstrap = broker.bootstrap;
}, 120_000);

afterAll(async () => {
  await broker?.stop();
});

/** What librdkafka finds in a topic, digested as {@link Driver.summary} does. */
async function truth(topic: string): Promise<{
  summary: Record<string, { count: number; digest: string }>;
  partitions: Readonly<Record<string, { start: number; end: number; count: number }>>;
}> {
  const copy = await readTopic(bootstrap, topic);
  const script = join(import.meta.dir, "..", "support", "topic_digest.py");
  const summary = JSON.parse(await run([await readersPython(), script, copy.file]));
  return { summary, partitions: copy.partitions };
}

function driver(topics: string[], more: Partial<ConstructorParameters<typeof Driver>[0]> = {}) {
  const groupId = `group-${crypto.randomUUID()}`;
  return new Driver({ bootstrapServers: [bootstrap], topics, groupId, ...more });
}

/** Reads a whole topic up to its last stable offsets. */
async function readAll(topic: string, more = {}): Promise<Driver> {
  const reader = await driver([topic], more).open();
  await reader.until("assignment", () => reader.assigned.length > 0);
  const bounds = await reader.consumer.bounds(reader.assigned);
  await reader.until(`reading ${topic} to its end`, () =>
    bounds.every(({ feed, lastStableOffset, logStart }) => {
      const nothing = lastStableOffset === logStart;
      return nothing || reader.position(topic, feed.partition) >= lastStableOffset;
    }),
  );
  await reader.close();
  return reader;
}

describe("what is read", () => {
  const codecs: Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];
  for (const codec of codecs) {
    test(`records compressed with ${codec} arrive as librdkafka reads them`, async () => {
      const topic = `codec-${codec}`;
      await createTopic(bootstrap, { topic, partitions: 3 });
      await produceEvents({ bootstrap, topic, codec, count: 20_000 });
      const reader = await readAll(topic);
      const { summary } = await truth(topic);
      expect(reader.count).toBe(20_000);
      expect(reader.summary(topic)).toEqual(summary);
    }, 60_000);
  }

  test("of interleaved transactions the committed records arrive, and no other", async () => {
    const topic = "transactions";
    await createTopic(bootstrap, { topic, partitions: 3 });
    await produceTransactions({
      bootstrap,
      topic,
      partitions: 3,
      count: 40_000,
      recordsMax: 700,
      abortShare: 0.4,
      zeroKeyShare: 0.1,
    });
    const reader = await readAll(topic);
    const { summary, partitions } = await truth(topic);
    expect(reader.summary(topic)).toEqual(summary);
    for (const [partition, { end }] of Object.entries(partitions)) {
      expect(reader.position(topic, Number(partition))).toBe(BigInt(end));
    }
  }, 120_000);

  test("reading begun at any offset amid transactions gives the same records from there", async () => {
    const topic = "transactions";
    const whole = new Map<string, string[]>();
    const full = driver([topic]);
    full.onRecords = (records, { feed }) => {
      const list = whole.get(String(feed.partition)) ?? [];
      list.push(...records.map(({ offset }) => String(offset)));
      whole.set(String(feed.partition), list);
    };
    await full.open();
    await full.until("assignment", () => full.assigned.length > 0);
    const bounds = await full.consumer.bounds(full.assigned);
    const atEnd = (reader: Driver) => () =>
      bounds.every(
        ({ feed, lastStableOffset }) => reader.position(topic, feed.partition) >= lastStableOffset,
      );
    await full.until("the end", atEnd(full));
    await full.close();
    for (const share of [7n, 31n, 50n, 77n, 93n]) {
      const part = driver([topic]);
      const got = new Map<string, string[]>();
      part.startAt = async (feed) => {
        const end = bounds.find((b) => b.feed.partition === feed.partition)?.lastStableOffset ?? 0n;
        return (end * share) / 100n;
      };
      part.onRecords = (records, { feed }) => {
        const list = got.get(String(feed.partition)) ?? [];
        list.push(...records.map(({ offset }) => String(offset)));
        got.set(String(feed.partition), list);
      };
      await part.open();
      await part.until("the end", atEnd(part));
      await part.close();
      for (const { feed, lastStableOffset } of bounds) {
        const from = (lastStableOffset * share) / 100n;
        const expected = whole.get(String(feed.partition))?.filter((o) => BigInt(o) >= from);
        expect(got.get(String(feed.partition)) ?? []).toEqual(expected ?? []);
      }
    }
  }, 120_000);

  test("read_uncommitted also hands over what was aborted and what is still open", async () => {
    const topic = "uncommitted";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const made = await produceTransactions({ bootstrap, topic, partitions: 1, count: 4000 });
    const reader = await driver([topic], { isolationLevel: "read_uncommitted" }).open();
    const all = made.committed + made.aborted + made.open;
    await reader.until("all records", () => reader.count >= all);
    expect(reader.count).toBe(all);
    await reader.close();
  }, 60_000);

  test("a compacted topic's holes neither lose nor stop anything", async () => {
    const topic = "compacted";
    await createCompactedTopic(bootstrap, topic, 2);
    await produceEvents({ bootstrap, topic, count: 30_000, codec: "lz4" });
    await freezeWithHoles(bootstrap, topic);
    const reader = await readAll(topic);
    const { summary } = await truth(topic);
    expect(reader.count).toBeLessThan(30_000);
    expect(reader.summary(topic)).toEqual(summary);
  }, 120_000);

  test("a batch far larger than the fetch size arrives, and what stands behind it", async () => {
    const topic = "large";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const big = { hex: Buffer.alloc(900_000, 7).toString("hex") };
    const records = [{ value: "a" }, { value: big }, { value: big }, { value: "z" }];
    await produceValues({ bootstrap, topic, batchBytes: 1_000_000 }, records);
    const reader = await driver([topic], { fetchBytesMax: 1000 }).open();
    await reader.until("four records", () => reader.count === 4);
    await reader.close();
  }, 60_000);

  test("a batch that grows past the bound is named, and can be skipped", async () => {
    const topic = "bomb";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const bomb = { hex: Buffer.alloc(900_000, 1).toString("hex") };
    for (const value of ["before", bomb, "after"]) {
      await produceValues({ bootstrap, topic, codec: "zstd" }, [{ value }]);
    }
    const reader = await driver([topic], { decompressedBatchBytesMax: 100_000 }).open();
    await reader.until("the event", () => reader.of("batch_corrupt").length === 1);
    const [event] = reader.of("batch_corrupt");
    expect(event?.error.kind).toBe("batch_corrupt");
    expect(event?.error.message).toContain("bomb partition 0 offset 1");
    expect([event?.position, event?.nextOffset]).toEqual([1n, 2n]);
    expect(reader.count).toBe(1);
    if (event !== undefined) {
      reader.consumer.start([{ feed: event.feed, offset: event.nextOffset }]);
    }
    await reader.until("the record behind it", () => reader.count === 2);
    await reader.close();
  }, 60_000);
});

describe("positions", () => {
  test("bounds, times and group offsets are exact", async () => {
    const topic = "bounds";
    await createTopic(bootstrap, { topic, partitions: 2 });
    const records = Array.from({ length: 50 }, (_, i) => ({ partition: 0, value: `v${i}` }));
    await produceValues({ bootstrap, topic }, records);
    await deleteRecords(bootstrap, topic, { 0: 20 });
    const reader = await driver([topic]).open();
    await reader.until("the records", () => reader.count === 30);
    const { consumer } = reader;
    const [first, second] = await consumer.bounds(reader.assigned);
    expect([first?.logStart, first?.highWatermark, first?.lastStableOffset]).toEqual([
      20n,
      50n,
      50n,
    ]);
    expect([second?.logStart, second?.highWatermark]).toEqual([0n, 0n]);
    expect(await consumer.offsetsAt(reader.assigned, 0)).toEqual([20n, null]);
    expect(await consumer.offsetsAt(reader.assigned, Date.now() + 60_000)).toEqual([null, null]);
    expect(await consumer.groupOffsets(reader.assigned)).toEqual([null, null]);
    const [feed] = reader.assigned;
    if (feed !== undefined) await consumer.acknowledge([{ feed, offset: 33n }]);
    expect(await consumer.groupOffsets(reader.assigned)).toEqual([33n, null]);
    await reader.close();
  }, 60_000);

  test("an open transaction holds the last stable offset below the high watermark", async () => {
    const topic = "stable";
    await createTopic(bootstrap, { topic, partitions: 1 });
    await produceTransactions({ bootstrap, topic, partitions: 1, count: 500, openRecords: 10 });
    const reader = await driver([topic]).open();
    // The broker may write the marker of the transaction before after it has answered its producer.
    let gap = 0n;
    for (let tries = 0; gap !== 10n && tries < 50; tries++) {
      const [bounds] = await reader.consumer.bounds(reader.consumer.feeds());
      gap = (bounds?.highWatermark ?? 0n) - (bounds?.lastStableOffset ?? 0n);
      if (gap !== 10n) await Bun.sleep(100);
    }
    expect(gap).toBe(10n);
    await reader.close();
  }, 60_000);

  test("a position that retention has passed is an event, and never a reset", async () => {
    const topic = "retention";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const records = Array.from({ length: 20 }, (_, i) => ({ value: `v${i}` }));
    await produceValues({ bootstrap, topic }, records);
    await deleteRecords(bootstrap, topic, { 0: 10 });
    const reader = driver([topic]);
    reader.startAt = async () => 4n;
    await reader.open();
    await reader.until("out of range", () => reader.of("out_of_range").length === 1);
    const [event] = reader.of("out_of_range");
    expect([event?.position, event?.logStart, event?.logEnd]).toEqual([4n, 10n, 20n]);
    expect(reader.count).toBe(0);
    await reader.close();
  }, 60_000);

  test("a position past the log's end is out of range only after the time given", async () => {
    const topic = "ahead";
    await createTopic(bootstrap, { topic, partitions: 1 });
    await produceValues({ bootstrap, topic }, [{ value: "a" }]);
    const reader = driver([topic], { aheadOfLogMsMax: 2500 });
    reader.startAt = async () => 3n;
    const began = performance.now();
    await reader.open();
    await reader.until("out of range", () => reader.of("out_of_range").length === 1);
    expect(performance.now() - began).toBeGreaterThan(2400);
    expect(reader.of("out_of_range")[0]?.logEnd).toBe(1n);
    await reader.close();
  }, 60_000);

  test("a log that was lost and has grown past the position again is out of range, not read on", async () => {
    const topic = "lost";
    const own = await startKafka();
    const reader = driver([topic], { bootstrapServers: [own.bootstrap] });
    await createTopic(own.bootstrap, { topic, partitions: 1 });
    const target = { bootstrap: own.bootstrap, topic };
    await produceValues(target, [{ value: "a" }, { value: "b" }, { value: "c" }]);
    await reader.open();
    await reader.until("three records", () => reader.count === 3);
    await own.kill();
    rmSync(join(own.dataDir, "data", `${topic}-0`), { recursive: true });
    await own.restart();
    await produceValues(
      target,
      Array.from({ length: 9 }, (_, i) => ({ value: `new ${i}` })),
    );
    await reader.until("out of range", () => reader.of("out_of_range").length === 1);
    const [event] = reader.of("out_of_range");
    expect([event?.position, event?.divergesAt]).toEqual([3n, 0n]);
    expect(reader.count).toBe(3);
    await reader.close();
    await own.stop();
  }, 120_000);

  test("paused partitions are not handed over, others are, and resume misses nothing", async () => {
    const topic = "pause";
    await createTopic(bootstrap, { topic, partitions: 2 });
    const reader = await driver([topic]).open();
    await reader.until("assignment", () => reader.assigned.length === 2);
    const [first] = reader.assigned;
    const key = `${first?.clusterId}/${topic}/0` as Parameters<typeof reader.consumer.epoch>[0];
    reader.consumer.pause([key]);
    const records = [0, 1].flatMap((partition) =>
      Array.from({ length: 100 }, (_, i) => ({ partition, value: `v${i}` })),
    );
    await produceValues({ bootstrap, topic }, records);
    await reader.until("the other partition", () => reader.position(topic, 1) === 100n);
    expect(reader.position(topic, 0)).toBe(-1n);
    const began = performance.now();
    reader.consumer.resume([key]);
    await reader.until("the resumed partition", () => reader.position(topic, 0) === 100n);
    expect(performance.now() - began).toBeLessThan(400);
    expect(reader.count).toBe(200);
    await reader.close();
  }, 60_000);
});

describe("topics", () => {
  test("topics by pattern and partitions that appear later are read from their beginning", async () => {
    await createTopic(bootstrap, { topic: "pat-a", partitions: 1 });
    const reader = await driver([], { topicPattern: "pat-.*", metadataRefreshMs: 300 }).open();
    await reader.until("the first topic", () => reader.assigned.length === 1);
    await createTopic(bootstrap, { topic: "pat-b", partitions: 2 });
    await reader.until("the second topic", () => reader.assigned.length === 3);
    await addPartitions(bootstrap, "pat-a", 2);
    await reader.until("the new partition", () => reader.assigned.length === 4);
    await produceValues({ bootstrap, topic: "pat-b" }, [{ partition: 1, value: "x" }]);
    await reader.until("a record", () => reader.count === 1);
    expect(reader.consumer.feeds()).toHaveLength(4);
    await reader.close();
  }, 60_000);
});
