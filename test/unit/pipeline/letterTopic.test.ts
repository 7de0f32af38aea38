/**
 * Rejected records on their way into a Kafka topic: no offset of their table passes them before.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { feedKey } from "#base/offsets.ts";
import type { ProducedRecord } from "#consumer/produce/recordBatch.ts";
import { type LetterProducer, LetterTopic } from "#pipeline/letterTopic.ts";
import { AppRig } from "../../support/appRig.ts";

const row = (n: number): string => JSON.stringify({ n });

/** A topic that has what it was told to have. */
class SlowTopic implements LetterProducer {
  readonly topic = "letters";
  waitingBytes = 0;
  readonly records: ProducedRecord[] = [];
  closed = false;
  #arrived: PromiseWithResolvers<void> = Promise.withResolvers();

  open(): Promise<void> {
    return Promise.resolve();
  }

  put(_number: number, record: ProducedRecord): number {
    this.waitingBytes += record.value?.length ?? 0;
    return this.records.push(record);
  }

  delivered(): Promise<void> {
    return this.#arrived.promise;
  }

  troubled: (error: unknown) => void = () => undefined;

  close(): void {
    this.closed = true;
  }

  arrive(): void {
    this.waitingBytes = 0;
    this.#arrived.resolve();
  }

  refuse(): void {
    this.#arrived.promise.catch(() => undefined);
    this.#arrived.reject(fail("kafka_refused", "Kafka refuses records for topic letters"));
  }
}

async function rigOn(topic: SlowTopic): Promise<AppRig> {
  const ports = { letterTopic: new LetterTopic(topic) };
  return await new AppRig({ rejects: { action: "topic" } }, {}, {}, {}, ports).start();
}

test("a table's offset passes a rejected record when the topic has it, and not before", async () => {
  const topic = new SlowTopic();
  const rig = await rigOn(topic);
  rig.consumer.give(0, 0n, [row(0), "{", row(2)]);
  await rig.pass(1000);
  expect([await rig.committed(0), topic.records.length]).toEqual([0n, 1]);
  topic.arrive();
  await rig.pass(400);
  expect([await rig.rows(0), await rig.committed(0)]).toEqual([[0, 2], 3n]);
});

test("a letter is the record as it came, and its headers say where it is from and why", async () => {
  const topic = new SlowTopic();
  const rig = await rigOn(topic);
  rig.consumer.give(0, 0n, [row(0), "{"]);
  await rig.pass(100);
  const [letter] = topic.records;
  const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString();
  const headers = (letter?.headers ?? []).map(({ key, value }) => [text(key), text(value)]);
  expect([letter?.key ?? null, text(letter?.value)]).toEqual([null, "{"]);
  expect(Object.fromEntries(headers)).toEqual({
    "kafka-iceberg.table": "db.t",
    "kafka-iceberg.topic": "t",
    "kafka-iceberg.topic-id": rig.world.topic.id,
    "kafka-iceberg.partition": "0",
    "kafka-iceberg.offset": "1",
    "kafka-iceberg.timestamp": "1760000000001",
    "kafka-iceberg.reason": "bad_json",
    "kafka-iceberg.detail": "The value is not valid JSON",
  });
});

test("a topic that takes no letters stops the table, whose offset stays in front of them", async () => {
  const topic = new SlowTopic();
  const rig = await rigOn(topic);
  rig.consumer.give(0, 0n, [row(0), "{"]);
  await rig.pass(100);
  topic.refuse();
  await rig.pass(400);
  expect(rig.table.state).toMatchObject({ kind: "stopped", error: { kind: "kafka_refused" } });
  expect(await rig.committed(0)).toBe(0n);
});

test("while too many letters are on their way nothing is read, and what is no record goes on", async () => {
  const topic = new SlowTopic();
  const rig = await rigOn(topic);
  rig.consumer.give(0, 0n, [row(0), `{${" ".repeat(17 * 1024 * 1024)}`]);
  await rig.settle();
  expect([topic.records.length, rig.consumer.paused.size]).toEqual([1, 2]);
  const feed = rig.consumer.feed(1);
  rig.consumer.push({ type: "revoked", feeds: [feed], lost: true });
  await rig.settle();
  expect(rig.pipeline.feeds.all().map(({ feed: { partition } }) => partition)).toEqual([0]);
  topic.arrive();
  await rig.pass(300);
  const isPaused = rig.consumer.paused.has(feedKey(rig.consumer.feed(0)));
  expect([isPaused, await rig.rows(0)]).toEqual([false, [0]]);
});

test("a table whose commit waits for its letters says why, until it has gone through", async () => {
  const topic = new SlowTopic();
  const rig = await rigOn(topic);
  rig.consumer.give(0, 0n, [row(0), "{", row(2)]);
  topic.troubled(fail("kafka_unreachable", "no commit waits yet"));
  expect(rig.table.state.kind).toBe("running");
  await rig.pass(400);
  topic.troubled(fail("kafka_unreachable", "Kafka does not take records for topic letters now"));
  expect(rig.table.state).toMatchObject({
    kind: "retrying",
    cause: { kind: "kafka_unreachable" },
  });
  topic.arrive();
  await rig.pass(400);
  expect([rig.table.state.kind, await rig.rows(0)]).toEqual(["running", [0, 2]]);
});
