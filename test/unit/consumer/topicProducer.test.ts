/**
 * Records into a topic of a broker in memory, whatever it answers.
 */
import { afterEach, expect, test } from "bun:test";
import { type Clock, systemClock } from "#base/clock.ts";
import { kindOf } from "#base/errors.ts";
import type { Observation } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { ProducedRecord } from "#consumer/produce/recordBatch.ts";
import { TopicProducer } from "#consumer/produce/topicProducer.ts";
import { headersOf, RecordCursor } from "#decode/records.ts";
import { FakeKafka } from "../../fakes/kafkaBroker.ts";

const HEADER_BYTES = 61;
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function producer(partitions = 1, clock = systemClock) {
  const observations: Observation[] = [];
  const broker = new FakeKafka();
  const log = broker.topic("letters", partitions).partitions;
  const made = new TopicProducer({ bootstrapServers: [broker.address], groupId: "g" }, "letters", {
    clock,
    random: seededRandom(1),
    log: silentLogger,
    observe: (observation) => observations.push(observation),
  });
  ends.push(
    () => made.close(),
    () => broker.stop(),
  );
  /** Values of a partition, in order. */
  const values = (partition: number): (string | null)[] =>
    (log[partition]?.batches ?? []).flatMap((batch) => recordsOf(batch).map(({ value }) => value));
  return { broker, made, observations, values, batches: () => log[0]?.batches ?? [] };
}

function recordsOf(batch: Buffer) {
  const payload = batch.subarray(HEADER_BYTES);
  const recordCount = batch.readInt32BE(57);
  const place = { topic: "letters", partition: 0, wantedOffset: 0n, baseOffset: 0n };
  const times = { baseTimestampMs: 0, appendTimestampMs: null };
  const cursor = new RecordCursor({ ...place, ...times, recordCount, payload });
  const records: { key: string | null; value: string | null; headers: unknown }[] = [];
  const text = (from: number, to: number): string | null =>
    from < 0 ? null : Buffer.from(payload.subarray(from, to)).toString();
  while (cursor.next()) {
    const headers = headersOf(payload.subarray(cursor.headersStart, cursor.nextPosition)) ?? [];
    records.push({
      key: text(cursor.keyStart, cursor.keyEnd),
      value: text(cursor.valueStart, cursor.valueEnd),
      headers: headers.map(({ key, value }) => [
        Buffer.from(key).toString(),
        value === null ? null : Buffer.from(value).toString(),
      ]),
    });
  }
  return records;
}

function record(value: string | null, key: string | null = null): ProducedRecord {
  const bytes = (text: string | null) => (text === null ? null : Buffer.from(text));
  const headers = [{ key: Buffer.from("why"), value: Buffer.from("bad") }];
  return { key: bytes(key), value: bytes(value), headers };
}

test("records are in the topic with key, value and headers, those of a number in one partition in their order", async () => {
  const { made, values, batches } = producer(2);
  await made.open();
  for (let at = 0; at < 5; at++) made.put(at % 2, record(`v${at}`, "k"), null);
  await made.delivered(made.put(0, record(null), null));
  expect([values(0), values(1), made.waitingBytes]).toEqual([
    ["v0", "v2", "v4", null],
    ["v1", "v3"],
    0,
  ]);
  const [first] = recordsOf(batches()[0] as Buffer);
  expect(first).toEqual({ key: "k", value: "v0", headers: [["why", "bad"]] });
});

test("what the leader does not take now is sent again, once", async () => {
  const { broker, made, values } = producer();
  await made.open();
  broker.failNext("Produce", 6, 19);
  await made.delivered(made.put(0, record("a"), null));
  expect(values(0)).toEqual(["a"]);
});

test("records that are too large together go one by one, and one that is too large by itself in its smaller form", async () => {
  const { broker, made, values } = producer();
  await made.open();
  const big = "b".repeat(150_000);
  broker.failNext("Produce", 10, 10);
  const tickets = [big, "c", "d"].map((value) => made.put(0, record(value), record("small")));
  await made.delivered(Math.max(...tickets));
  expect(values(0)).toEqual(["small", "c", "d"]);
});

test("a topic that does not exist, or is not for us, is told at once and never waited for", async () => {
  const { broker, made } = producer();
  await made.open();
  broker.failNext("Produce", 29);
  const ticket = made.put(0, record("a"), null);
  const error = await made.delivered(ticket).catch((thrown: unknown) => thrown);
  expect([kindOf(error), String(error)]).toEqual([
    "kafka_refused",
    expect.stringContaining("Kafka refuses records for topic letters (TOPIC_AUTHORIZATION_FAILED)"),
  ]);
  broker.topics.delete("letters");
  const missing = await made.open().catch((thrown: unknown) => thrown);
  expect(String(missing)).toContain("create it, or name another one with dead_letter.topic");
});

test("who waits is told when it is closed", async () => {
  const { broker, made } = producer();
  await made.open();
  broker.silent.add("Produce");
  const waiting = made.delivered(made.put(0, record("a"), null)).catch(kindOf);
  made.close();
  expect(await waiting).toBe("kafka_unreachable");
});

/** Waits between tries take a moment, and by its own time as long as was asked for; no request runs out of time. */
function hurried(): Clock {
  let slept = 0;
  return {
    ...systemClock,
    monotonicMs: () => slept,
    sleep: (ms, signal) => {
      if (ms > 5000) return systemClock.sleep(ms, signal);
      slept += ms;
      return systemClock.turn();
    },
  };
}

test("each try that failed is counted and told, with the reason", async () => {
  const { broker, made, observations } = producer();
  const told: string[] = [];
  made.troubled = (error) => told.push(String(error));
  await made.open();
  broker.failNext("Produce", 6, 19, 7);
  await made.delivered(made.put(0, record("a"), null));
  const again = { type: "error" as const, kind: "kafka_unreachable" as const };
  expect(observations).toEqual([again, again, again]);
  expect(told.map((each) => /\(.*\)/.exec(each)?.[0])).toEqual([
    "(NOT_LEADER_OR_FOLLOWER)",
    "(NOT_ENOUGH_REPLICAS)",
    "(REQUEST_TIMED_OUT)",
  ]);
});

test("a topic that is gone is waited for as long as it may come back, and is an error then, which holds no memory", async () => {
  const { broker, made } = producer(1, hurried());
  const told: string[] = [];
  made.troubled = (error) => told.push(kindOf(error));
  await made.open();
  broker.topics.delete("letters");
  const ticket = made.put(0, record("a"), null);
  const error = await made.delivered(ticket).catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("create it, or name another one with dead_letter.topic");
  expect(told.slice(0, 2)).toEqual(["kafka_unreachable", "kafka_refused"]);
  expect(told.length).toBeGreaterThan(10);
  const later = made.delivered(made.put(0, record("b"), null));
  expect([await later.catch(kindOf), made.waitingBytes]).toEqual(["kafka_refused", 0]);
});

test("a topic that is made again in time takes what waited", async () => {
  const { broker, made, observations } = producer(1, hurried());
  await made.open();
  broker.topics.delete("letters");
  made.troubled = () => {
    if (observations.length === 5) broker.topic("letters");
  };
  await made.delivered(made.put(0, record("a"), null));
  expect(observations.length).toBe(5);
});
