/**
 * A log that ends before the table's offset stops the table, also for the processes to come: once it
 * has grown past that offset, nothing else would show that it had been lost (decision 0240).
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { startOffsets } from "#pipeline/start.ts";
import { AppRig } from "../../support/appRig.ts";

const POLICY = {
  reset: "earliest",
  timestampMs: 0,
  fromGroup: false,
  initialTopics: new Set(["t"]),
} as const;

/** The table has both partitions up to offset 5, without an epoch; the log of partition 1 ends at 2. */
async function lost(): Promise<AppRig> {
  const rig = new AppRig();
  rig.consumer.logStart = 5n;
  await rig.start();
  rig.consumer.logStart = 0n;
  const bounds = { position: 5n, logStart: 0n, logEnd: 2n, divergesAt: null };
  rig.consumer.push({ type: "out_of_range", feed: rig.world.feed(1), ...bounds });
  return rig;
}

/** Where a next process begins with a partition; else what it says. */
async function next(rig: AppRig, partition: number): Promise<bigint | string | undefined> {
  const feeds = [rig.world.feed(partition)];
  const started = startOffsets(rig.consumer, await rig.writer(), POLICY, feeds);
  return started.then(([first]) => first?.offset, String);
}

test("a restart after the log has grown again does not read on, and says how to go on", async () => {
  const rig = await lost();
  await rig.pass(300);
  expect(rig.table.state.kind).toBe("stopped");
  expect(await next(rig, 0)).toBe(5n);
  const said = String(await next(rig, 1));
  expect(said).toContain("t/1 ended at offset 2, before the committed offset 5 of db.t");
  expect(said).toContain("kafka-iceberg offsets db.t --set t:1=2");
  expect(said).toContain("kafka-iceberg resume db.t");
});

test("the table is at its end only when its stop is kept, however long the catalog is away", async () => {
  const rig = new AppRig();
  rig.consumer.logStart = 5n;
  await rig.start();
  rig.world.onRequest = () => undefined;
  const bounds = { position: 5n, logStart: 0n, logEnd: 2n, divergesAt: null };
  rig.consumer.push({ type: "out_of_range", feed: rig.world.feed(1), ...bounds });
  await rig.pass(5000);
  expect(rig.table.state.kind).toBe("draining");
  rig.heal();
  await rig.pass(5000);
  expect(rig.table.state.kind).toBe("stopped");
  rig.consumer.logStart = 0n;
  expect(String(await next(rig, 1))).toContain("t/1 ended at offset 2");
});

test("a stop does not hold for an offset past it, nor for a topic of another id", async () => {
  const rig = await lost();
  await rig.pass(300);
  const writer = await rig.writer();
  const feed = rig.world.feed(1);
  expect(writer.keptLogEnd({ feed, offset: 4n })).toBe(2n);
  expect(writer.keptLogEnd({ feed, offset: 5n })).toBe(2n);
  expect(writer.keptLogEnd({ feed, offset: 6n })).toBeNull();
  expect(writer.keptLogEnd({ feed: { ...feed, topicId: "another" }, offset: 5n })).toBeNull();
});

test("where the leader epoch is known nothing is kept: Kafka tells the next start", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(1, 0n, ['{"n":0}', '{"n":1}']);
  await rig.pass(300);
  const bounds = { position: 2n, logStart: 0n, logEnd: 1n, divergesAt: null };
  rig.consumer.push({ type: "out_of_range", feed: rig.world.feed(1), ...bounds });
  await rig.pass(300);
  expect(rig.table.state.kind).toBe("stopped");
  expect(await next(rig, 1)).toBe(2n);
});
