/**
 * Side tables that come into use because another process has used them, while partitions of their table
 * are being read without an owner.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { TableWriter } from "#writer/tableWriter.ts";
import { SimGroup } from "../../sim/group.ts";
import { Process, startProcess } from "../../sim/pipelineProcess.ts";
import { MemoryLog, optionsOf, partsOf } from "../../sim/process.ts";
import { SimClock } from "../../sim/simClock.ts";
import { tablesOf, unionViolations } from "../../sim/tables.ts";
import { World } from "../../sim/world.ts";

test("a partition that is read without an owner begins anew when its table's letters come into use for another", async () => {
  const world = new World(2, "sequence", 1);
  const tables = tablesOf(world, { mains: 1, letters: true });
  const clock = new SimClock(world.nowMs, (nowMs) => {
    world.nowMs = Math.max(world.nowMs, nowMs);
  });
  for (const { world: each } of tables) {
    each.onRequest = (request) => queueMicrotask(() => each.apply(request, "arrives"));
    // An earlier process has had two partitions, and dead letters of the second one.
    const parts = partsOf(
      each,
      "earlier",
      new MemoryLog().reopen(() => 0),
      () => true,
      clock,
    );
    const writer = await TableWriter.open(parts, { ...optionsOf(each, "g"), thinning: null }, []);
    await writer.claim([0, 1].map((partition) => ({ feed: world.feed(partition), offset: 0n })));
    await writer.own([{ feed: world.feed(1), offset: 0n, isKnown: true }], "earlier");
  }
  const { pipeline, consumer } = startProcess({
    process: new Process("A", "g"),
    tables,
    group: new SimGroup(world),
    clock,
    alive: () => true,
    badOf: 3,
    isSlow: null,
  });
  const pass = async (ms: number): Promise<void> => {
    for (let gone = 0; gone < ms; gone += 20) {
      clock.advance(20);
      for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await pipeline.open();
  const running = pipeline.run();
  await pass(100);
  expect(pipeline.feeds.all().map(({ epoch }) => epoch > 0)).toEqual([true]);
  world.topic.records.push([0, 1, 2, 3]);
  consumer.assign([1]);
  for (let turn = 0; turn < 60; turn++) {
    consumer.deliver(0);
    // The letters' table cannot be opened for a while; the rows' table can be committed to.
    if (turn < 30) for (const { world: each, beside } of tables) each.loadFails = beside !== null;
    await pass(40);
    // What the letters have is no longer due in the table.
    for (const { world: each } of tables.toReversed()) {
      expect(await each.law.violations()).toEqual([]);
    }
    expect(await unionViolations(tables, false)).toEqual([]);
  }
  expect(pipeline.feeds.all().every(({ outlets }) => outlets[0]?.sides.length === 1)).toBe(true);
  await Promise.all([pipeline.shutdown(500), pass(600)]);
  await Promise.race([running, pass(600)]);
});
