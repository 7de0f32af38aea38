/**
 * A thousand tables cost nothing while nothing happens to them: visits are counted, not time.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { silentLogger } from "#base/log.ts";
import type { Feed, FeedKey } from "#base/offsets.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { AppRig, RigConsumer } from "../../support/appRig.ts";

const TABLES = 1000;

/** A table that counts how often somebody looks at it. */
class CountingSink extends Sink {
  visits = 0;

  override get dueMs(): number | null {
    this.visits++;
    return super.dueMs;
  }

  override get heldBytes(): number {
    this.visits++;
    return super.heldBytes;
  }

  override get pending(): boolean {
    this.visits++;
    return super.pending;
  }
}

/** A consumer of one topic for each table. */
class ManyTopics extends RigConsumer {
  readonly told: FeedKey[] = [];
  readonly topics: readonly Feed[] = Array.from({ length: TABLES }, (_, n) => {
    return { clusterId: "c", topic: `t${n}`, topicId: `${n}`, partition: 0 };
  });

  override open(): Promise<void> {
    return Promise.resolve();
  }

  override feeds(): readonly Feed[] {
    return this.topics;
  }

  override epoch(): number {
    return 1;
  }

  override start(): void {}

  override pause(keys: readonly FeedKey[]): void {
    this.told.push(...keys);
  }

  override resume(keys: readonly FeedKey[]): void {
    this.told.push(...keys);
  }
}

async function thousand() {
  const rig = new AppRig();
  const consumer = new ManyTopics("A", rig.consumer.group);
  const first = await TableWriter.open(rig.parts, rig.options, []);
  await first.claim(consumer.topics.map((feed) => ({ feed, offset: 0n })));
  const sinks = new Map<string, CountingSink>();
  const policy = { intervalMs: 1000, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 1000 };
  const parts = {
    consumer,
    clock: rig.clock,
    random: rig.world.random,
    logger: silentLogger,
    observe: () => undefined,
    targetsOf: (topic: string) => {
      const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 1 });
      const sink = new CountingSink(rig.options, rig.parts, decoder, policy);
      sinks.set(topic, sink);
      return [{ sink, source: new Source(decoder) }];
    },
  };
  const pipeline = new Pipeline(parts, {
    name: "p",
    start: { reset: "earliest", timestampMs: 0, fromGroup: false },
    revokeFlushMs: 300,
    bufferBytesMax: () => 1 << 28,
    inferRows: 1,
    inferWaitMs: 100,
    rejects: { action: "skip" },
    acknowledge: { enabled: false, intervalMs: 0 },
  });
  await pipeline.open();
  void pipeline.run();
  consumer.push({ type: "assigned", feeds: consumer.topics });
  const isReading = (): boolean => pipeline.feeds.all().every(({ epoch }) => epoch > 0);
  for (let turn = 0; turn < 500 && !isReading(); turn++) await rig.pass(50);
  expect(isReading()).toBe(true);
  await rig.pass(200);
  consumer.told.length = 0;
  for (const sink of sinks.values()) sink.visits = 0;
  return { rig, consumer, sinks, pipeline };
}

test("no table and no partition is visited while nothing happens; one that gets a batch is the only one", async () => {
  const { rig, consumer, sinks } = await thousand();
  const visited = (): string[] =>
    [...sinks].filter(([, { visits }]) => visits > 0).map(([topic]) => topic);
  await rig.pass(5000);
  expect([visited(), consumer.told]).toEqual([[], []]);
  const feed = consumer.topics[7] as Feed;
  const template = rig.consumer;
  template.give(0, 0n, ['{"n":1}']);
  const event = await template.next();
  if (event?.type !== "batch") throw new Error("no batch");
  const key = `c/${feed.topic}/0` as FeedKey;
  consumer.push({ type: "batch", batch: { ...event.batch, feed, key, epoch: 1 } });
  await rig.pass(3000);
  expect(visited()).toEqual(["t7"]);
  expect(sinks.get("t7")?.rowsCommitted).toBe(1);
  expect(sinks.get("t7")?.visits).toBeLessThan(60);
}, 60_000);
