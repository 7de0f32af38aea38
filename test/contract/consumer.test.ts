/**
 * The promises of the consumer port about opening, batches and damage, kept by the Kafka consumer
 * before a broker in memory that can be made to err, to damage and to be silent.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import { buildBatch } from "../fakes/recordBatches.ts";
import { fastClock, Rig } from "./consumerRig.ts";

let rig: Rig;

beforeEach(() => {
  rig = new Rig();
});

afterEach(() => rig.stop());

const text = ({ payload }: RecordBatch): string => Buffer.from(payload ?? []).toString("latin1");

describe("opening", () => {
  test("open() resolves cluster, topic ids and partitions, and nothing is read before start()", async () => {
    const { id } = rig.broker.topic("t", 2);
    rig.put(0);
    await rig.create().open();
    const feeds = [0, 1].map((partition) => ({
      clusterId: "fake-cluster",
      topic: "t",
      topicId: id,
      partition,
    }));
    expect([...rig.consumer.feeds()]).toEqual(feeds);
    expect((await rig.next("assigned")).feeds).toEqual(feeds);
    expect(rig.broker.count("Fetch")).toBe(0);
  });

  test("open({ join: false }) looks without joining the group", async () => {
    rig.broker.topic("t");
    await rig.create().open({ join: false });
    expect(rig.consumer.feeds()).toHaveLength(1);
    await Bun.sleep(20);
    expect(rig.broker.count("JoinGroup")).toBe(0);
  });

  test("open() throws kafka_unreachable when nobody listens, and names the address", async () => {
    rig.broker.topic("t");
    rig.create({ bootstrapServers: ["127.0.0.1:1"] });
    const error = await rig.consumer.open().catch((e: unknown) => e);
    expect(kindOf(error)).toBe("kafka_unreachable");
    expect(String(error)).toContain("127.0.0.1:1");
  });

  test("open() throws kafka_refused for a topic or a group that is denied", async () => {
    rig.broker.topic("t").code = 29;
    const denied = await rig
      .create()
      .open()
      .catch((e: unknown) => e);
    expect([kindOf(denied), String(denied)]).toEqual([
      "kafka_refused",
      expect.stringContaining("denies user anonymous to read topic t"),
    ]);
    await rig.consumer.close();
    rig.broker.topic("t");
    rig.broker.failNext("FindCoordinator", 30);
    const group = await rig
      .create()
      .open()
      .catch((e: unknown) => e);
    expect([kindOf(group), String(group)]).toEqual([
      "kafka_refused",
      expect.stringContaining("consumer group g"),
    ]);
  });

  test("a broker that is too old is refused with the version that is needed", async () => {
    rig.broker.topic("t");
    rig.broker.versionMax = 1;
    const error = await rig
      .create()
      .open()
      .catch((e: unknown) => e);
    expect(kindOf(error)).toBe("kafka_refused");
    expect(String(error)).toContain("Kafka 3.1 or newer is needed");
  });

  test("a broker that never answers is given up after the request's timeout", async () => {
    rig.broker.topic("t");
    rig.broker.silent.add("Metadata");
    const error = await rig
      .create({ requestTimeoutMs: 500 })
      .open()
      .catch((e: unknown) => e);
    expect(kindOf(error)).toBe("kafka_unreachable");
  });
});

describe("batches", () => {
  test("arrive in order with positions, times and payload, and are observed", async () => {
    rig.broker.topic("t");
    rig.put(0, "first", { baseTimestampMs: 7, maxTimestampMs: 9 });
    rig.put(1, "second", { codec: "gzip", logAppendTime: true, maxTimestampMs: 44 });
    const [feed] = await rig.reading();
    const one = await rig.batch();
    expect(one).toMatchObject({
      feed,
      wantedOffset: 0n,
      baseOffset: 0n,
      nextOffset: 1n,
      recordCount: 1,
      baseTimestampMs: 7,
      appendTimestampMs: null,
    });
    expect(text(one)).toContain("first");
    const two = await rig.batch();
    expect(two).toMatchObject({ wantedOffset: 1n, nextOffset: 2n, appendTimestampMs: 44 });
    expect(text(two)).toContain("second");
    const consumed = rig.observations.flatMap((o) => (o.type === "consumed" ? o.records : []));
    expect(consumed.reduce((a, b) => a + b, 0)).toBe(2);
    expect(rig.observations).toContainEqual(
      expect.objectContaining({ type: "position", position: 2n, highWatermark: 2n }),
    );
  });

  test("say when their answer had arrived: after reading began, before they are handed over", async () => {
    rig.broker.topic("t");
    rig.put(0);
    const beforeMs = fastClock.monotonicMs();
    await rig.reading();
    const { arrivedMs } = await rig.batch();
    expect(arrivedMs).toBeGreaterThanOrEqual(beforeMs);
    expect(arrivedMs).toBeLessThanOrEqual(fastClock.monotonicMs());
  });

  test("a start inside a batch hands the whole batch over, with the wanted offset", async () => {
    rig.broker.topic("t");
    const records = ["a", "b", "c"].map((value) => ({ value }));
    rig.broker.append("t", 0, buildBatch({ baseOffset: 0, records }));
    await rig.reading({}, 2n);
    expect(await rig.batch()).toMatchObject({ baseOffset: 0n, wantedOffset: 2n, nextOffset: 3n });
  });

  test("what a committed reader may not see moves the position alone", async () => {
    const [log] = rig.broker.topic("t").partitions;
    const aborted = { producerId: 9, transactional: true };
    rig.put(0, "gone", aborted);
    rig.broker.append("t", 0, buildBatch({ baseOffset: 1, control: "abort", producerId: 9 }));
    log?.aborted.push({ producerId: 9n, firstOffset: 0n });
    await rig.reading();
    expect(await rig.batch()).toMatchObject({ nextOffset: 1n, payload: null, recordCount: 0 });
    expect(await rig.batch()).toMatchObject({ nextOffset: 2n, payload: null, recordCount: 0 });
  });

  test("start() moves reading in a new epoch, and nothing of the old one arrives after it", async () => {
    rig.broker.topic("t");
    for (let i = 0; i < 20; i++) rig.put(i);
    const [feed] = await rig.reading();
    const { epoch } = await rig.batch();
    if (feed === undefined) throw new Error("no feed");
    expect(rig.consumer.epoch(feedKey(feed))).toBe(epoch);
    rig.consumer.start([{ feed, offset: 10n }]);
    const moved = await rig.batch();
    expect(moved.nextOffset).toBe(11n);
    expect(moved.epoch).toBeGreaterThan(epoch);
    expect(rig.consumer.epoch(feedKey({ ...feed, partition: 5 }))).toBe(0);
  });

  test("a start while a long poll is under way does not wait for it", async () => {
    rig.broker.topic("t", 2);
    await rig.create({ fetchWaitMsMax: 5000 }).open();
    const { feeds } = await rig.next("assigned");
    const [first, second] = feeds;
    if (first === undefined || second === undefined) throw new Error("no feeds");
    rig.consumer.start([{ feed: first, offset: 0n }]);
    while (rig.broker.count("Fetch") === 0) await Bun.sleep(1);
    rig.broker.append("t", 1, buildBatch({ baseOffset: 0, records: [{ value: "x" }] }));
    while (rig.broker.count("Fetch") === 1) await Bun.sleep(1);
    const began = performance.now();
    rig.consumer.start([{ feed: second, offset: 0n }]);
    expect((await rig.batch()).feed).toEqual(second);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test("a start that moves everything does not wait for the long poll of before", async () => {
    rig.broker.topic("t");
    rig.put(0);
    const [feed] = await rig.reading({ fetchWaitMsMax: 5000 });
    expect((await rig.batch()).nextOffset).toBe(1n);
    while (rig.broker.count("Fetch") < 2) await Bun.sleep(1);
    for (let round = 0; round < 2; round++) {
      const began = performance.now();
      rig.consumer.start(feed === undefined ? [] : [{ feed, offset: 0n }]);
      expect((await rig.batch()).nextOffset).toBe(1n);
      expect(performance.now() - began).toBeLessThan(300);
      rig.broker.append("t", 0);
    }
  });

  test("partitions are read on when the poll that they are not part of ends for good", async () => {
    rig.broker.topic("t", 2);
    await rig.create({ fetchWaitMsMax: 60 }).open();
    const { feeds } = await rig.next("assigned");
    const [first, second] = feeds as [Feed, Feed];
    rig.consumer.start([{ feed: first, offset: 0n }]);
    while (rig.broker.count("Fetch") === 0) await Bun.sleep(1);
    rig.consumer.start([{ feed: second, offset: 0n }]);
    await Bun.sleep(20);
    rig.consumer.pause([feedKey(first)]);
    await Bun.sleep(200);
    const began = performance.now();
    const record = buildBatch({ baseOffset: 0, records: [{ value: "x" }] });
    rig.broker.append("t", 1, record);
    expect((await rig.batch()).feed).toEqual(second);
    expect(performance.now() - began).toBeLessThan(300);
  });

  test("paused partitions stand still, in the queue too, and resume where they stood", async () => {
    rig.broker.topic("t");
    for (let i = 0; i < 6; i++) rig.put(i);
    const [feed] = await rig.reading();
    if (feed === undefined) throw new Error("no feed");
    expect((await rig.batch()).nextOffset).toBe(1n);
    rig.consumer.pause([feedKey(feed)]);
    const waiting = rig.batch();
    const state = await Promise.race([
      waiting.then(() => "came"),
      Bun.sleep(60).then(() => "still"),
    ]);
    expect(state).toBe("still");
    rig.consumer.resume([feedKey(feed)]);
    expect((await waiting).nextOffset).toBe(2n);
    for (const offset of [3n, 4n, 5n, 6n]) expect((await rig.batch()).nextOffset).toBe(offset);
    expect(rig.observations).toContainEqual({ type: "paused", count: 1 });
  });

  test("stopFetching() ends fetching, and the membership goes on", async () => {
    rig.broker.topic("t");
    await rig.reading();
    rig.consumer.stopFetching();
    await Bun.sleep(50);
    const [fetches, beats] = [rig.broker.count("Fetch"), rig.broker.count("Heartbeat")];
    await Bun.sleep(200);
    expect(rig.broker.count("Fetch")).toBe(fetches);
    expect(rig.broker.count("Heartbeat")).toBeGreaterThan(beats);
  });

  test("a preferred replica that cannot be reached is left for the leader again", async () => {
    const [log] = rig.broker.topic("t").partitions;
    rig.put(0);
    if (log !== undefined) log.preferredReplica = 1;
    rig.broker.failNext("Fetch", 0, 6);
    await rig.reading({ rackId: "r" });
    expect((await rig.batch()).nextOffset).toBe(1n);
  });
});

describe("damage", () => {
  test("a batch whose CRC is wrong once is read again, and nothing is lost or doubled", async () => {
    rig.broker.topic("t");
    for (let i = 0; i < 4; i++) rig.put(i);
    rig.broker.damagedReads = 2;
    await rig.reading();
    for (const offset of [1n, 2n, 3n, 4n]) expect((await rig.batch()).nextOffset).toBe(offset);
  });

  test("a batch that stays damaged is named, stands still, and can be skipped", async () => {
    rig.broker.topic("t");
    rig.put(0);
    const bad = buildBatch({ baseOffset: 1, records: [{ value: "a" }] });
    bad.writeUInt8(bad.readUInt8(40) ^ 1, 40);
    rig.broker.append("t", 0, bad);
    rig.put(2);
    await rig.reading();
    expect((await rig.batch()).nextOffset).toBe(1n);
    const event = await rig.next("batch_corrupt", "batch");
    if (event.type !== "batch_corrupt") throw new Error("the damaged batch arrived");
    expect(event.error.message).toBe("The record batch at t partition 0 offset 1 is damaged");
    expect(String(event.error.cause)).toContain("CRC");
    expect([event.position, event.nextOffset, event.key]).toEqual([1n, 2n, feedKey(event.feed)]);
    rig.consumer.start([{ feed: event.feed, offset: event.nextOffset }]);
    expect((await rig.batch()).nextOffset).toBe(3n);
  });

  test("an old message format is refused by name", async () => {
    rig.broker.topic("t");
    const old = buildBatch({ baseOffset: 0, records: [{ value: "a" }] });
    old.writeUInt8(1, 16);
    rig.broker.append("t", 0, old);
    await rig.reading();
    const { error } = await rig.next("batch_corrupt");
    expect(String(error.cause)).toContain("message format 1");
  });

  test("a decompression bomb is refused at once: reading it again would not help", async () => {
    rig.broker.topic("t");
    rig.put(0, "x".repeat(5000), { codec: "zstd" });
    await rig.reading({ decompressedBatchBytesMax: 1000 });
    const { error, nextOffset } = await rig.next("batch_corrupt");
    expect(String(error.cause)).toContain("1000 bytes");
    expect(nextOffset).toBe(1n);
  });
});
