/**
 * A table and the log of its changes end together, whichever of the two cannot go on: the log may be ahead of its
 * table, never behind. The simulation has the rest: crashes, fences, groups.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import { silentLogger } from "#base/log.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Pipeline } from "#pipeline/pipeline.ts";
import type { PipelineOptions } from "#pipeline/pipelineParts.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { optionsOf, partsOf } from "../../sim/process.ts";
import { pickyFormat, tablesOf } from "../../sim/tables.ts";
import { AppRig } from "../../support/appRig.ts";

/** Each record that the log's decoder refuses: at once, and after the table's head was asked. */
const REFUSED = { "at once": 50, "by its schema": 100 } as const;

/** A table that takes every record, and its log, which refuses some; `stop`: a commit of the log throws. */
function make(more: Partial<PipelineOptions> = {}) {
  const rig = new AppRig();
  for (const partition of rig.world.partitions) {
    rig.world.topic.records[partition] = [...Array(40).keys()];
  }
  const tables = tablesOf(rig.world, { mains: 1, letters: false, log: true });
  const stop = { isOn: false };
  const targets = tables.map(({ world, rank }) => {
    world.onRequest = (request) =>
      queueMicrotask(() => {
        if (request.answer !== null) world.apply(request, "arrives");
      });
    const parts = partsOf(world, "A", rig.txlog, () => true, rig.clock);
    const commit = parts.catalog.commit.bind(parts.catalog);
    parts.catalog.commit = (...args) => {
      const isGone = stop.isOn && rank === "changes";
      return isGone ? Promise.reject(fail("table_gone", "dropped")) : commit(...args);
    };
    const decoder =
      rank === "main"
        ? createDecoder({ ...DECODER_DEFAULTS, infer: false })
        : createDecoder(
            { ...DECODER_DEFAULTS, inferRows: 1 },
            pickyFormat(() => 0, 50),
          );
    const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
    const sink = new Sink(optionsOf(world, "g"), parts, decoder, policy, rank);
    return { sink, source: new Source(decoder) };
  });
  const ports = { consumer: rig.consumer, clock: rig.clock, random: rig.world.random };
  const observed = { logger: silentLogger, observe: () => undefined, targetsOf: () => targets };
  const pipeline = new Pipeline(
    { ...ports, ...observed },
    {
      name: "p",
      start: { reset: "earliest", timestampMs: 0, fromGroup: false },
      revokeFlushMs: 300,
      bufferBytesMax: () => 1 << 22,
      inferRows: 1,
      inferWaitMs: 100,
      rejects: { action: "fail" },
      acknowledge: { enabled: true, intervalMs: 0 },
      ...more,
    },
  );
  const begin = async (): Promise<void> => {
    await pipeline.open();
    pipeline.run().catch(() => undefined);
    await rig.settle();
  };
  /** Of the table, and of its log. */
  const committed = (): (bigint | undefined)[] =>
    tables.map(({ world }) => world.law.truth(world.metadata.currentSnapshotId).offsets.get(0));
  const states = (): string[] => targets.map(({ sink }) => sink.state.kind);
  /** The columns of the log are still to be learned from records. */
  const sample = (): unknown =>
    Object.assign(targets[1]?.source.decoder ?? {}, { samplesValues: true });
  return { rig, targets, stop, begin, sample, committed, states };
}

const row = (n: number): string => JSON.stringify({ n });

for (const [when, n] of Object.entries(REFUSED)) {
  test(`what the log of changes refuses its table does not commit either, but what came before it (${when})`, async () => {
    const { rig, begin, committed, states } = make();
    await begin();
    rig.consumer.give(0, 0n, [row(1), row(2)]);
    rig.consumer.give(0, 2n, [row(3), row(n), row(5)]);
    rig.consumer.give(0, 5n, [row(6)]);
    await rig.pass(1000);
    expect([states(), committed()]).toEqual([
      ["stopped", "stopped"],
      [2n, 2n],
    ]);
  });

  test(`nor where the log has waited for its columns, and the table has gone on (${when})`, async () => {
    const { rig, begin, sample, committed, states } = make({ inferRows: 1000 });
    await begin();
    sample();
    rig.consumer.give(0, 0n, [row(1), row(2)]);
    rig.consumer.give(0, 2n, [row(3), row(n), row(5)]);
    await rig.pass(1000);
    expect(states()).toEqual(["stopped", "stopped"]);
    expect(committed()).toEqual([0n, 2n]);
  });
}

test("a table whose log has waited for its columns ends where the log does, whatever ends it", async () => {
  const waiting = { inferRows: 1000, inferWaitMs: 60_000 };
  const { rig, targets, begin, sample, committed, states } = make(waiting);
  await begin();
  sample();
  rig.consumer.give(0, 0n, [row(1), row(2)]);
  await rig.settle();
  targets[0]?.sink.apply({ kind: "unreadable", error: fail("data", "it cannot be read") });
  await rig.pass(1000);
  expect([states(), committed()]).toEqual([
    ["stopped", "stopped"],
    [0n, 0n],
  ]);
});

test("a table that is at its end commits nothing more when its log cannot be written", async () => {
  const { rig, stop, begin, committed, states } = make();
  await begin();
  rig.consumer.give(0, 0n, [row(1), row(2)]);
  await rig.settle();
  stop.isOn = true;
  rig.consumer.push({ type: "topic_failed", topic: "t", error: fail("topic_unreadable", "gone") });
  await rig.pass(1000);
  expect([states(), committed()]).toEqual([
    ["stopped", "stopped"],
    [0n, 0n],
  ]);
});

test("a log that is ahead is written to its end, also where its table has nothing left", async () => {
  const { rig, targets, begin, committed, states } = make();
  await begin();
  rig.consumer.give(0, 0n, [row(1), row(2)]);
  await rig.settle();
  targets[0]?.sink.apply({ kind: "failed", error: fail("table_gone", "dropped") });
  await rig.pass(1000);
  expect([states(), committed()]).toEqual([
    ["stopped", "stopped"],
    [0n, 2n],
  ]);
});
