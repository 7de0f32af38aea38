/**
 * Membership against a real broker: rebalances lose and double nothing and move little, a static
 * member comes back at once, and one topic's fate leaves the others alone.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Feed } from "#base/offsets.ts";
import type { KafkaConsumerOptions } from "#consumer/options.ts";
import { produceValues } from "../../scripts/events/events.ts";
import { createTopic, deleteTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { Driver } from "../support/consumerDriver.ts";

let broker: KafkaBroker;
let bootstrap: string;

beforeAll(async () => {
  broker = await startKafka({ properties: { "group.min.session.timeout.ms": "1000" } });
  bootstrap = broker.bootstrap;
}, 120_000);

afterAll(async () => {
  await broker?.stop();
});

function options(topics: string[], more: Partial<KafkaConsumerOptions> = {}): KafkaConsumerOptions {
  return {
    bootstrapServers: [bootstrap],
    topics,
    groupId: `group-${topics.join("-")}`,
    heartbeatIntervalMs: 200,
    ...more,
  };
}

const partitionsOf = (driver: Driver): number[] =>
  driver.assigned.map(({ partition }) => partition).sort((a, b) => a - b);

/** Records for every partition, named by a running number. */
function values(partitions: number, from: number, count: number) {
  return Array.from({ length: count }, (_, i) => ({
    partition: (from + i) % partitions,
    value: `v${from + i}`,
  }));
}

describe("rebalances", () => {
  test("members that come and go lose and double nothing, and keep most partitions", async () => {
    const topic = "rebalance";
    const partitions = 6;
    await createTopic(bootstrap, { topic, partitions });
    /** What a table would hold: per partition the committed offset, and every value. */
    const committed = new Map<number, bigint>();
    const stored: string[] = [];
    const member = (): Driver => {
      const driver = new Driver(options([topic]));
      const pending = new Map<number, { values: string[]; end: bigint }>();
      driver.startAt = async ({ partition }) => {
        pending.delete(partition);
        return committed.get(partition) ?? 0n;
      };
      driver.onRecords = (records, { feed: { partition }, nextOffset }) => {
        const list = pending.get(partition) ?? { values: [], end: 0n };
        list.values.push(
          ...records.map(({ value }) => new TextDecoder().decode(value ?? undefined)),
        );
        list.end = nextOffset;
        pending.set(partition, list);
      };
      driver.onRevoked = async (feeds: readonly Feed[]) => {
        await Bun.sleep(50);
        for (const { partition } of feeds) {
          const list = pending.get(partition);
          if (list === undefined) continue;
          stored.push(...list.values);
          committed.set(partition, list.end);
          pending.delete(partition);
        }
      };
      return driver;
    };
    const settled =
      (...members: Driver[]) =>
      () => {
        const all = members.flatMap(partitionsOf);
        const share = partitions / members.length;
        return all.length === partitions && members.every((m) => m.assigned.length === share);
      };
    let produced = 0;
    const more = async (): Promise<void> => {
      await produceValues({ bootstrap, topic }, values(partitions, produced, 600));
      produced += 600;
    };
    const a = await member().open();
    await more();
    await a.until("one member", settled(a));
    const b = await member().open();
    await more();
    await a.until("two members", settled(a, b));
    const [beforeA, beforeB] = [partitionsOf(a), partitionsOf(b)];
    const c = await member().open();
    await a.until("three members", settled(a, b, c));
    expect(beforeA).toEqual(expect.arrayContaining(partitionsOf(a)));
    expect(beforeB).toEqual(expect.arrayContaining(partitionsOf(b)));
    await more();
    await b.onRevoked(b.assigned);
    await b.close();
    await a.until("two members again", settled(a, c));
    await more();
    const reached = (): boolean => [...a.seen, ...c.seen].length > 0;
    await a.until("records", reached);
    const ends = await a.consumer.bounds(a.consumer.feeds());
    const atEnd = () =>
      ends.every(({ feed, highWatermark }) => {
        const owner = [a, c].find((m) => m.assigned.some((f) => f.partition === feed.partition));
        return owner !== undefined && owner.position(topic, feed.partition) >= highWatermark;
      });
    await a.until("the end", atEnd);
    for (const each of [a, c]) {
      await each.onRevoked(each.assigned);
      await each.close();
    }
    expect(stored.length).toBe(produced);
    expect(new Set(stored).size).toBe(produced);
  }, 90_000);

  test("a static member that was killed takes its partitions back without a rebalance", async () => {
    const topic = "static";
    await createTopic(bootstrap, { topic, partitions: 4 });
    const more = { sessionTimeoutMs: 20_000 };
    const other = await new Driver(options([topic], { ...more, groupInstanceId: "other" })).open();
    const first = await new Driver(options([topic], { ...more, groupInstanceId: "one" })).open();
    await first.until("both", () => first.assigned.length === 2 && other.assigned.length === 2);
    const [before, revocations] = [partitionsOf(first), other.of("revoked").length];
    await first.close();
    const again = new Driver(options([topic], { ...more, groupInstanceId: "one" }));
    const began = performance.now();
    await again.open();
    await again.until("partitions", () => again.assigned.length === 2);
    expect(performance.now() - began).toBeLessThan(1000);
    expect(partitionsOf(again)).toEqual(before);
    await Bun.sleep(500);
    expect(other.of("revoked").length).toBe(revocations);
    await again.close();
    await other.close();
  }, 60_000);

  test("of two processes with one instance id the older one ends with one clear sentence", async () => {
    const topic = "fenced";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const more = { groupInstanceId: "same" };
    const older = await new Driver(options([topic], more)).open();
    await older.until("partitions", () => older.assigned.length === 1);
    const newer = await new Driver(options([topic], more)).open();
    await older.until("the end", () => older.ended !== undefined);
    expect(String(older.ended)).toContain("group_instance_id same");
    expect(older.of("revoked").map(({ lost }) => lost)).toEqual([true]);
    await newer.until("partitions", () => newer.assigned.length === 1);
    await older.close();
    await newer.close();
  }, 60_000);

  test("a session that ran out is told as lost, and the partitions come back", async () => {
    const topic = "expired";
    await createTopic(bootstrap, { topic, partitions: 1 });
    // Heartbeats rarer than the session is long: the coordinator gives the member up.
    const more = { sessionTimeoutMs: 1000, heartbeatIntervalMs: 2500 };
    const driver = await new Driver(options([topic], more)).open();
    await driver.until("the loss", () => driver.of("revoked").length === 1);
    expect(driver.of("revoked")[0]?.lost).toBe(true);
    await driver.until("the return", () => driver.of("assigned").length === 2);
    await driver.close();
  }, 60_000);

  test("a release that never comes holds a rebalance up for half the timeout, not longer", async () => {
    const topic = "stuck";
    await createTopic(bootstrap, { topic, partitions: 2 });
    const more = { rebalanceTimeoutMs: 6000 };
    const stuck = new Driver(options([topic], more));
    stuck.onRevoked = () => new Promise(() => undefined);
    await stuck.open();
    await stuck.until("all", () => stuck.assigned.length === 2);
    const began = performance.now();
    const other = await new Driver(options([topic], more)).open();
    await other.until("a share", () => other.assigned.length === 1);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThan(2800);
    expect(tookMs).toBeLessThan(5500);
    await other.close();
    await stuck.consumer.close();
  }, 60_000);

  test("a group that another kind of consumer uses is refused", async () => {
    const topic = "foreign";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const { Kafka, logLevel } = await import("kafkajs");
    const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
    const foreign = kafka.consumer({ groupId: `group-${topic}` });
    await foreign.connect();
    await foreign.subscribe({ topic });
    const joined = new Promise((resolve) => foreign.on("consumer.group_join", resolve));
    await foreign.run({ eachMessage: async () => undefined });
    await joined;
    const driver = await new Driver(options([topic])).open();
    await driver.until("the end", () => driver.ended !== undefined);
    expect(String(driver.ended)).toContain("another kind of consumer");
    await driver.close();
    await foreign.disconnect();
  }, 60_000);
});

describe("topics that fail", () => {
  test("a deleted topic fails alone, and so does one re-created under another id", async () => {
    for (const topic of ["doomed", "reborn", "spared"]) {
      await createTopic(bootstrap, { topic, partitions: 1 });
      await produceValues({ bootstrap, topic }, [{ value: "a" }]);
    }
    const topics = ["doomed", "reborn", "spared"];
    const driver = await new Driver(options(topics, { metadataRefreshMs: 1000 })).open();
    await driver.until("three records", () => driver.count === 3);
    await deleteTopic(bootstrap, "doomed");
    await deleteTopic(bootstrap, "reborn");
    await Bun.sleep(300);
    await createTopic(bootstrap, { topic: "reborn", partitions: 1 });
    await produceValues({ bootstrap, topic: "reborn" }, [{ value: "b" }, { value: "c" }]);
    await driver.until("two failures", () => driver.of("topic_failed").length === 2);
    const failures = driver.of("topic_failed").map(({ topic, error }) => [topic, error.message]);
    expect(Object.fromEntries(failures)).toEqual({
      doomed: "Topic doomed was deleted",
      reborn: expect.stringContaining("created again"),
    });
    await produceValues({ bootstrap, topic: "spared" }, [{ value: "d" }]);
    await driver.until("the spared topic", () => driver.position("spared", 0) === 2n);
    expect(driver.count).toBe(4);
    await driver.close();
  }, 60_000);

  test("a topic that does not exist yet is told once, and read when it appears", async () => {
    await createTopic(bootstrap, { topic: "there", partitions: 1 });
    const driver = await new Driver(
      options(["there", "later"], { metadataRefreshMs: 1000 }),
    ).open();
    await driver.until("the failure", () => driver.of("topic_failed").length === 1);
    expect(driver.of("topic_failed")[0]?.error.message).toBe("Topic later does not exist");
    await createTopic(bootstrap, { topic: "later", partitions: 1 });
    await produceValues({ bootstrap, topic: "later" }, [{ value: "a" }]);
    await driver.until("its record", () => driver.count === 1);
    await driver.close();
  }, 60_000);
});

describe("brokers that fail", () => {
  test("a broker that is killed and comes back is read on, without a gap or a double", async () => {
    const own = await startKafka();
    const topic = "outage";
    await createTopic(own.bootstrap, { topic, partitions: 2 });
    await produceValues({ bootstrap: own.bootstrap, topic }, values(2, 0, 100));
    const driver = new Driver({ ...options([topic]), bootstrapServers: [own.bootstrap] });
    await driver.open();
    await driver.until("the first records", () => driver.count === 100);
    await own.kill();
    await driver.until("trouble", () => driver.of("trouble").length > 0);
    await own.restart();
    await produceValues({ bootstrap: own.bootstrap, topic }, values(2, 100, 100));
    await driver.until("the other records", () => driver.count === 200, 60_000);
    expect(driver.of("trouble").every(({ error }) => error.kind === "kafka_unreachable")).toBe(
      true,
    );
    await driver.close();
    await own.stop();
  }, 120_000);

  test("a bit that flipped on the broker's disk is named by offset, and only its batch is skipped", async () => {
    const own = await startKafka();
    const topic = "flipped";
    await createTopic(own.bootstrap, { topic, partitions: 1 });
    for (const value of ["first", "second", "third"]) {
      await produceValues({ bootstrap: own.bootstrap, topic }, [{ value }]);
    }
    await own.stop();
    const segment = join(own.dataDir, "data", `${topic}-0`, "00000000000000000000.log");
    const bytes = readFileSync(segment);
    const at = bytes.indexOf("second");
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(segment, bytes);
    await own.restart();
    const driver = new Driver({ ...options([topic]), bootstrapServers: [own.bootstrap] });
    await driver.open();
    await driver.until("the event", () => driver.of("batch_corrupt").length === 1);
    const [event] = driver.of("batch_corrupt");
    expect(event?.error.message).toBe(
      `The record batch at ${topic} partition 0 offset 1 is damaged`,
    );
    expect(driver.count).toBe(1);
    if (event !== undefined) {
      driver.consumer.start([{ feed: event.feed, offset: event.nextOffset }]);
    }
    await driver.until("the third record", () => driver.count === 2);
    expect(driver.position(topic, 0)).toBe(3n);
    await driver.close();
    await own.stop();
  }, 120_000);

  test("close() does not wait for the end of a long poll", async () => {
    const topic = "close";
    await createTopic(bootstrap, { topic, partitions: 1 });
    const driver = await new Driver(options([topic], { fetchWaitMsMax: 20_000 })).open();
    await driver.until("partitions", () => driver.assigned.length === 1);
    const began = performance.now();
    await driver.close();
    expect(performance.now() - began).toBeLessThan(300);
  }, 60_000);
});
