/**
 * A feed that fills several tables (SPEC 2.8): each has its own offsets, and none waits for one that
 * has stopped. The simulation has the rest: crashes, fences, groups.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { feedKey } from "#base/offsets.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { committedOf } from "#pipeline/feeds.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import type { StartPolicy } from "#pipeline/start.ts";
import { TableWriter } from "#writer/tableWriter.ts";
import { optionsOf, partsOf } from "../../sim/process.ts";
import { routeOf, tablesOf } from "../../sim/tables.ts";
import { AppRig } from "../../support/appRig.ts";

/** Two tables, of which the second gets every fifth record. */
function make(reset: StartPolicy["reset"] = "earliest") {
  const rig = new AppRig();
  for (const partition of rig.world.partitions) {
    rig.world.topic.records[partition] = [...Array(40).keys()];
  }
  const tables = tablesOf(rig.world, { mains: 2, letters: false });
  const targets = tables.map(({ world, rank }) => {
    world.onRequest = (request) =>
      queueMicrotask(() => {
        if (request.answer !== null) world.apply(request, "arrives");
      });
    const parts = partsOf(world, "A", rig.txlog, () => true, rig.clock);
    const decoder = createDecoder({ ...DECODER_DEFAULTS, inferRows: 1 });
    const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
    const sink = new Sink(optionsOf(world, "g"), parts, decoder, policy, rank);
    return { sink, source: new Source(decoder) };
  });
  const ports = { consumer: rig.consumer, clock: rig.clock, random: rig.world.random };
  const pipeline = new Pipeline(
    {
      ...ports,
      logger: silentLogger,
      observe: () => undefined,
      targetsOf: () => targets,
      route: routeOf(2),
    },
    {
      name: "p",
      start: { reset, timestampMs: 0, fromGroup: false },
      revokeFlushMs: 300,
      bufferBytesMax: () => 1 << 22,
      inferRows: 1,
      inferWaitMs: 100,
      rejects: { action: "skip" },
      acknowledge: { enabled: true, intervalMs: 0 },
    },
  );
  const start = async (): Promise<void> => {
    await pipeline.open();
    pipeline.run().catch(() => undefined);
    await rig.settle();
  };
  const committed = (): (bigint | undefined)[] =>
    tables.map(({ world }) => world.law.truth(world.metadata.currentSnapshotId).offsets.get(0));
  const give = async (from: number, end: number): Promise<void> => {
    rig.consumer.give(
      0,
      BigInt(from),
      Array.from({ length: end - from }, () => "{}"),
    );
    await rig.pass(500);
  };
  const sinks = targets.map(({ sink }) => sink);
  return { rig, tables, sinks, pipeline, start, committed, give };
}

const acknowledged = ({ consumer }: AppRig): bigint | undefined =>
  consumer.acknowledged.filter(({ feed }) => feed.partition === 0).at(-1)?.offset;

test("each table gets its records, and both are committed to where the feed is", async () => {
  const { rig, tables, start, committed, give } = make();
  await start();
  await give(0, 10);
  await give(10, 12);
  expect(committed()).toEqual([12n, 12n]);
  for (const { world } of tables) expect(await world.law.violations()).toEqual([]);
  expect(acknowledged(rig)).toBe(12n);
});

test("a table that has stopped does not stop the others of its feed, nor hold their offsets back", async () => {
  const { rig, sinks, pipeline, start, committed, give } = make();
  await start();
  await give(0, 6);
  sinks[1]?.apply({ kind: "failed", error: fail("table_gone", "dropped by its owner") });
  await give(6, 12);
  expect(committed()).toEqual([12n, 6n]);
  expect([rig.consumer.paused.size, acknowledged(rig)]).toEqual([0, 12n]);
  const [run] = pipeline.feeds.all();
  expect(run === undefined ? null : committedOf(run)).toBe(12n);
});

test("a feed whose tables have all stopped is read no more", async () => {
  const { rig, sinks, start } = make();
  await start();
  for (const sink of sinks) sink.apply({ kind: "failed", error: fail("table_gone", "dropped") });
  await rig.pass(100);
  expect(rig.consumer.closed).toBe(true);
});

test("a further table begins where the first one stands, whatever auto_offset_reset says", async () => {
  const { rig, tables, start, committed, give } = make("latest");
  const { world } = rig;
  const parts = partsOf(world, "A", rig.txlog, () => true, rig.clock);
  const writer = await TableWriter.open(parts, optionsOf(world, "g"), []);
  await writer.claim([0, 1].map((partition) => ({ feed: world.feed(partition), offset: 7n })));
  await start();
  expect(committed()).toEqual([7n, 7n]);
  await give(7, 20);
  expect(committed()).toEqual([20n, 20n]);
  for (const table of tables) expect(await table.world.law.violations()).toEqual([]);
});

test("a table that is ahead of its sibling is given no record twice", async () => {
  const { rig, tables, start, committed, give } = make();
  const ahead = tables[1]?.world;
  if (ahead === undefined) throw new Error("no second table");
  const parts = partsOf(ahead, "A", rig.txlog, () => true, rig.clock);
  const writer = await TableWriter.open(parts, optionsOf(ahead, "g"), []);
  const feed = ahead.feed(0);
  await writer.claim([{ feed, offset: 9n }]);
  ahead.law.firstPositions.set(`${feed.topicId}/0`, 9n);
  await start();
  expect(rig.consumer.started.find((each) => each.feed.partition === 0)?.offset).toBe(0n);
  await give(0, 15);
  expect(committed()).toEqual([15n, 15n]);
  for (const { world } of tables) expect(await world.law.violations()).toEqual([]);
});

test("a damaged batch is skipped by the table that lacks it; one that is ahead stays where it is", async () => {
  const { rig, tables, pipeline, start, committed, give } = make();
  const ahead = tables[1]?.world;
  if (ahead === undefined) throw new Error("no second table");
  const parts = partsOf(ahead, "A", rig.txlog, () => true, rig.clock);
  const writer = await TableWriter.open(parts, optionsOf(ahead, "g"), []);
  const feed = ahead.feed(0);
  await writer.claim([{ feed, offset: 9n }]);
  ahead.law.firstPositions.set(`${feed.topicId}/0`, 9n);
  await start();
  const key = feedKey(feed);
  const place = { feed, key, epoch: rig.consumer.epoch(key), position: 0n, nextOffset: 4n };
  rig.consumer.push({ type: "batch_corrupt", ...place, error: fail("batch_corrupt", "CRC") });
  await rig.settle();
  expect(pipeline.feeds.get(key)?.outlets.map(({ end }) => end)).toEqual([4n, 9n]);
  await give(4, 15);
  expect(committed()).toEqual([15n, 15n]);
  expect(await ahead.law.violations()).toEqual([]);
});

test("rows that retention has passed are written, also when a sibling of their table reads on", async () => {
  const { rig, tables, sinks, start, committed, give } = make();
  const ahead = tables[1]?.world;
  if (ahead === undefined) throw new Error("no second table");
  const parts = partsOf(ahead, "A", rig.txlog, () => true, rig.clock);
  const writer = await TableWriter.open(parts, optionsOf(ahead, "g"), []);
  const feed = ahead.feed(0);
  await writer.claim([{ feed, offset: 9n }]);
  ahead.law.firstPositions.set(`${feed.topicId}/0`, 9n);
  await start();
  rig.consumer.give(0, 0n, ["{}", "{}", "{}", "{}", "{}", "{}"]);
  rig.consumer.logStart = 8n;
  const bounds = { position: 6n, logStart: 8n, logEnd: 40n, divergesAt: null };
  rig.consumer.push({ type: "out_of_range", feed, ...bounds });
  await rig.pass(500);
  expect(committed()[0]).toBe(6n);
  expect(sinks.map(({ state }) => state.kind)).toEqual(["stopped", "running"]);
  rig.consumer.give(0, 9n, ["{}", "{}", "{}"]);
  await give(12, 15);
  await rig.pass(500);
  expect(committed()).toEqual([6n, 15n]);
});
