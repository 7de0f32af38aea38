/**
 * The promises of the consumer port about positions, the group and topics, kept by the Kafka
 * consumer before a broker in memory.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import { type Feed, feedKey } from "#base/offsets.ts";
import { decodeSubscription } from "#consumer/group/subscription.ts";
import { fastClock, Rig } from "./consumerRig.ts";

let rig: Rig;

beforeEach(() => {
  rig = new Rig();
});

afterEach(() => rig.stop());

describe("positions", () => {
  test("bounds(), offsetsAt() and groupOffsets() answer per feed, after an error as well", async () => {
    const [log] = rig.broker.topic("t", 2).partitions;
    rig.put(0, "a", { maxTimestampMs: 100 });
    rig.put(1, "b", { maxTimestampMs: 200 });
    if (log !== undefined) log.stable = 1n;
    rig.broker.failNext("ListOffsets", 6);
    await rig.create().open();
    const { feeds } = await rig.next("assigned");
    const [bounds] = await rig.consumer.bounds(feeds);
    expect(bounds).toEqual({
      feed: feeds[0] as Feed,
      logStart: 0n,
      highWatermark: 2n,
      lastStableOffset: 1n,
    });
    expect(await rig.consumer.offsetsAt(feeds, 150)).toEqual([1n, null]);
    await rig.consumer.acknowledge([{ feed: feeds[1] as Feed, offset: 8n }]);
    rig.broker.failNext("OffsetFetch", 14);
    expect(await rig.consumer.groupOffsets(feeds)).toEqual([null, 8n]);
    rig.broker.failNext("OffsetFetch", 30);
    const error = await rig.consumer.groupOffsets(feeds).catch((e: unknown) => e);
    expect(kindOf(error)).toBe("kafka_refused");
  });

  test("acknowledge() never throws", async () => {
    rig.broker.topic("t");
    const [feed] = await rig.reading();
    rig.broker.failNext("OffsetCommit", 22);
    await rig.consumer.acknowledge([{ feed: feed as Feed, offset: 1n }]);
    await rig.consumer.acknowledge([]);
    expect(rig.broker.count("OffsetCommit")).toBe(1);
  });

  test("a position that the log has passed is an event with the log's bounds, never a reset", async () => {
    const [log] = rig.broker.topic("t").partitions;
    rig.put(0);
    rig.put(1);
    if (log !== undefined) log.logStart = 1n;
    await rig.reading();
    expect(await rig.next("out_of_range", "batch")).toMatchObject({
      type: "out_of_range",
      position: 0n,
      logStart: 1n,
      logEnd: 2n,
    });
  });

  test("a position past the end is one only when it stays so, and is read on when the log grows", async () => {
    rig.broker.topic("t");
    rig.put(0);
    const [feed] = await rig.reading({}, 2n);
    await Bun.sleep(100);
    rig.put(1);
    rig.put(2);
    expect((await rig.batch()).nextOffset).toBe(3n);
    rig.consumer.start([{ feed: feed as Feed, offset: 9n }]);
    expect(await rig.next("out_of_range")).toMatchObject({ position: 9n, logEnd: 3n });
  });
});

describe("the group", () => {
  test("a rebalance revokes, waits for released(), and assigns in a new epoch", async () => {
    rig.broker.topic("t", 2);
    const feeds = await rig.reading();
    const epoch = rig.consumer.epoch(feedKey(feeds[0] as Feed));
    rig.broker.failNext("Heartbeat", 27);
    const revoked = await rig.next("revoked");
    expect([revoked.feeds.length, revoked.lost]).toEqual([2, false]);
    const { generation } = rig.broker;
    // A start between revocation and release counts for nothing.
    rig.consumer.start(feeds.map((feed) => ({ feed, offset: 0n })));
    await rig.consumer.acknowledge([{ feed: feeds[0] as Feed, offset: 5n }]);
    expect(rig.broker.committed.get("t/0")).toBe(5n);
    expect(rig.broker.generation).toBe(generation);
    rig.consumer.released(revoked.feeds);
    const again = await rig.next("assigned");
    expect(rig.consumer.epoch(feedKey(again.feeds[0] as Feed))).toBeGreaterThan(epoch);
    expect(decodeSubscription(rig.broker.lastSubscription)).toMatchObject({
      generation,
      topics: ["t"],
    });
    expect(decodeSubscription(rig.broker.lastSubscription).owned).toHaveLength(2);
  });

  test("a release that does not come is waited for half the rebalance timeout", async () => {
    rig.broker.topic("t");
    await rig.reading({ rebalanceTimeoutMs: 40_000 });
    rig.broker.failNext("Heartbeat", 27);
    await rig.next("revoked");
    const began = fastClock.monotonicMs();
    await rig.next("assigned");
    expect(fastClock.monotonicMs() - began).toBeGreaterThan(19_000);
    expect(rig.broker.count("Heartbeat")).toBeGreaterThan(1);
  });

  test("a member or generation that the coordinator no longer knows is told as lost", async () => {
    rig.broker.topic("t");
    for (const code of [25, 22]) {
      const [feed] = await rig.reading();
      rig.broker.failNext("Heartbeat", code);
      expect((await rig.next("revoked")).lost).toBe(true);
      expect(rig.consumer.epoch(feedKey(feed as Feed))).toBe(0);
      expect((await rig.next("assigned")).feeds).toHaveLength(1);
      await rig.consumer.close();
    }
  });

  test("a coordinator that moved or is loading is looked for again, with the partitions kept", async () => {
    rig.broker.topic("t");
    await rig.reading();
    const looked = rig.broker.count("FindCoordinator");
    rig.broker.failNext("Heartbeat", 16, 14);
    rig.put(0);
    const { error } = await rig.next("trouble");
    expect(error.kind).toBe("kafka_unreachable");
    while (rig.broker.count("FindCoordinator") < looked + 2) await Bun.sleep(5);
    expect(rig.broker.count("JoinGroup")).toBe(1);
  });

  test("joins that must be repeated are repeated: member id, rebalance during sync, errors", async () => {
    rig.broker.topic("t");
    rig.broker.failNext("JoinGroup", 79, 25, 0, 0);
    rig.broker.failNext("SyncGroup", 27);
    await rig.create().open();
    expect((await rig.next("assigned")).feeds).toHaveLength(1);
    expect(rig.broker.count("JoinGroup")).toBe(4);
  });

  test("rig.next() throws when another process took our instance id, or the group is refused", async () => {
    rig.broker.topic("t");
    for (const [code, sentence] of [
      [82, "group_instance_id me"],
      [30, "denies user anonymous"],
      [23, "another kind of consumer"],
      [26, "INVALID_SESSION_TIMEOUT"],
    ] as const) {
      await rig.reading({ groupInstanceId: "me" });
      rig.broker.failNext("Heartbeat", code);
      expect((await rig.next("revoked")).lost).toBe(true);
      const error = await rig.consumer.next().catch((e: unknown) => e);
      expect([kindOf(error), String(error)]).toEqual([
        "kafka_refused",
        expect.stringContaining(sentence),
      ]);
      await rig.consumer.close();
    }
  });

  test("close() leaves as a dynamic member, silently as a static one, and rig.next() answers null", async () => {
    rig.broker.topic("t");
    await rig.reading();
    await rig.consumer.close();
    expect(await rig.consumer.next()).toBeNull();
    expect(rig.broker.count("LeaveGroup")).toBe(1);
    await rig.reading({ groupInstanceId: "me" });
    const waiting = rig.consumer.next();
    await rig.consumer.close();
    await rig.consumer.close();
    expect(await waiting).toBeNull();
    expect(rig.broker.count("LeaveGroup")).toBe(1);
  });
});

describe("topics", () => {
  const soon = { topics: ["t", "u"], metadataRefreshMs: 500 };

  test("a deleted topic fails alone; the others go on", async () => {
    rig.broker.topic("t");
    rig.broker.topic("u");
    await rig.reading(soon);
    rig.broker.topics.delete("u");
    const failed = await rig.next("topic_failed");
    expect([failed.topic, failed.error.message]).toEqual(["u", "Topic u was deleted"]);
    rig.put(0);
    expect((await rig.batch()).feed.topic).toBe("t");
    expect(rig.consumer.feeds()).toHaveLength(1);
  });

  test("a topic that does not exist is told before anything is assigned, and read when it appears", async () => {
    rig.broker.topic("t");
    await rig.create(soon).open();
    const first = await rig.next("topic_failed", "assigned");
    expect(first).toMatchObject({ type: "topic_failed", topic: "u" });
    expect((await rig.next("assigned")).feeds).toHaveLength(1);
    rig.broker.topic("u");
    rig.consumer.released((await rig.next("revoked")).feeds);
    expect((await rig.next("topic_failed", "assigned")).type).toBe("assigned");
    expect(rig.consumer.feeds()).toHaveLength(2);
  });

  test("a topic under another id is another topic", async () => {
    rig.broker.topic("t");
    rig.broker.topic("u");
    await rig.reading(soon);
    rig.broker.topic("u");
    const failed = await rig.next("topic_failed");
    expect(failed.error.message).toContain("created again");
    expect(failed.error.kind).toBe("topic_unreadable");
  });

  test("a topic that a fetch may not read fails with our user's name", async () => {
    rig.broker.topic("t");
    rig.broker.failNext("Fetch", 29);
    await rig.reading();
    const { error } = await rig.next("topic_failed");
    expect([error.kind, error.message]).toEqual([
      "kafka_refused",
      expect.stringContaining("denies user anonymous to read topic t"),
    ]);
  });

  test("an impossible topic name fails as such", async () => {
    rig.broker.topic("t");
    rig.broker.topic("u").code = 17;
    await rig.create(soon).open();
    expect((await rig.next("topic_failed")).error.message).toContain(
      "allows no topic of the name u",
    );
  });

  test("topics by pattern, and new partitions, are taken over with a rebalance", async () => {
    rig.broker.topic("a-1");
    rig.broker.topic("b");
    await rig.create({ topics: [], topicPattern: "a-.", metadataRefreshMs: 500 }).open();
    const first = await rig.next("assigned");
    expect(first.feeds.map(({ topic }) => topic)).toEqual(["a-1"]);
    const [log] = rig.broker.topic("a-2").partitions;
    if (log !== undefined) rig.broker.topics.get("a-1")?.partitions.push(log);
    rig.consumer.released((await rig.next("revoked")).feeds);
    expect((await rig.next("assigned")).feeds).toHaveLength(3);
  });

  test("a pattern that is no regular expression is a usage error", () => {
    expect(() => rig.create({ topicPattern: "(" })).toThrow("topic_pattern");
  });

  test("a partition whose leader moved is asked for again", async () => {
    rig.broker.topic("t");
    rig.put(0);
    rig.broker.failNext("Fetch", 6);
    await rig.reading();
    expect((await rig.batch()).nextOffset).toBe(1n);
  });
});
