/**
 * What the pipeline does with the events of its consumer, and with records that are no rows.
 */
import "../../sim/syncZlib.ts";
import { expect, test } from "bun:test";
import { AppError, fail } from "#base/errors.ts";
import { feedKey } from "#base/offsets.ts";
import type { RowIndex } from "#keyindex/port.ts";
import type { TransactionLog } from "#txlog/log.ts";
import { foreignAppend, pause } from "../../sim/people.ts";
import { AppRig } from "../../support/appRig.ts";

const row = (n: number): string => JSON.stringify({ n });

function stopped(rig: AppRig): AppError {
  const { state } = rig.table;
  expect(state.kind).toBe("stopped");
  const error = state.kind === "stopped" ? state.error : null;
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

test("records become rows, offsets are in the table, then in Kafka", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(0, 0n, [row(0), row(1)]);
  rig.consumer.give(1, 0n, [row(0)]);
  await rig.pass(400);
  expect([await rig.rows(0), await rig.committed(0), await rig.committed(1)]).toEqual([
    [0, 1],
    2n,
    1n,
  ]);
  const said = rig.consumer.acknowledged.map(({ feed, offset }) => [feed.partition, offset]);
  expect(said).toEqual([
    [0, 2n],
    [1, 1n],
  ]);
  expect(rig.table.rowsCommitted).toBe(3);
});

test("skip: bad records are counted and named, the good ones of the batch are rows", async () => {
  const rig = await new AppRig({ rejects: { action: "skip" } }).start();
  rig.consumer.give(0, 0n, [row(0), "{", row(2), '{"n": "text"}']);
  await rig.pass(400);
  expect([await rig.rows(0), await rig.committed(0)]).toEqual([[0, 2], 4n]);
  const rejected = rig.observations.filter(({ type }) => type === "rejected");
  expect(rejected).toHaveLength(2);
  const said = rig.lines.map(({ message }) => message).filter((line) => line.startsWith("Skipped"));
  expect(said).toEqual([
    expect.stringContaining("t/0 offset 1"),
    expect.stringContaining("t/0 offset 3"),
  ]);
});

test("fail: the first bad record stops its table and is named; what was read before it is committed first", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(0, 0n, [row(0)]);
  rig.consumer.give(0, 1n, ["{"]);
  await rig.pass(400);
  const error = stopped(rig);
  expect(error.kind).toBe("data");
  expect(error.message).toContain("Record t/0 offset 1 cannot be written to db.t");
  expect([await rig.rows(0), await rig.committed(0)]).toEqual([[0], 1n]);
  expect(await rig.running).toBeUndefined();
});

test("a table at its end stops when its commit under way has landed, for the error that ended it", async () => {
  const rig = await new AppRig().start();
  rig.world.onRequest = () => undefined;
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.pass(300);
  expect(rig.table.flushing).toBe(true);
  rig.consumer.give(0, 1n, ["{"]);
  await rig.pass(100);
  expect(rig.table.state.kind).toBe("draining");
  rig.heal();
  await rig.pass(300);
  expect([rig.table.flushing, await rig.committed(0)]).toEqual([false, 1n]);
  expect(stopped(rig).kind).toBe("data");
});

test("a damaged batch is skipped by policy, and reading goes on behind it", async () => {
  const rig = await new AppRig({ rejects: { action: "skip" } }).start();
  const feed = rig.world.feed(0);
  const key = feedKey(feed);
  rig.consumer.give(0, 0n, [row(0)]);
  const error = fail("batch_corrupt", "CRC");
  const epoch = rig.consumer.epoch(key);
  rig.consumer.push({
    type: "batch_corrupt",
    feed,
    key,
    epoch,
    position: 1n,
    nextOffset: 5n,
    error,
  });
  await rig.settle();
  expect(rig.consumer.started.at(-1)).toEqual({ feed, offset: 5n });
  rig.consumer.give(0, 5n, [row(5)]);
  await rig.pass(400);
  expect([await rig.rows(0), await rig.committed(0)]).toEqual([[0, 5], 6n]);
});

test("a damaged batch stops its table when nothing may be skipped", async () => {
  const rig = await new AppRig().start();
  const feed = rig.world.feed(0);
  const key = feedKey(feed);
  const error = fail("batch_corrupt", "CRC");
  const epoch = rig.consumer.epoch(key);
  rig.consumer.push({
    type: "batch_corrupt",
    feed,
    key,
    epoch,
    position: 0n,
    nextOffset: 5n,
    error,
  });
  await rig.pass(50);
  expect(stopped(rig)).toBe(error);
});

test("out of range stops the table with what is missing", async () => {
  const rig = await new AppRig().start();
  const feed = rig.world.feed(1);
  rig.consumer.push({
    type: "out_of_range",
    feed,
    position: 3n,
    logStart: 9n,
    logEnd: 20n,
    divergesAt: null,
  });
  await rig.pass(50);
  expect(stopped(rig).message).toContain("t/1 from offset 0 to 8");
});

test("a topic that is gone stops its table, and the pipeline with its last table", async () => {
  const rig = await new AppRig().start();
  rig.consumer.push({ type: "topic_failed", topic: "t", error: fail("topic_unreadable", "gone") });
  await rig.settle();
  await rig.pass(100);
  expect(stopped(rig).kind).toBe("topic_unreadable");
  expect(await rig.running).toBeUndefined();
});

test("trouble is told, and nothing else happens", async () => {
  const rig = await new AppRig().start();
  rig.consumer.push({ type: "trouble", error: fail("kafka_unreachable", "away") });
  await rig.settle();
  expect(rig.lines).toContainEqual({ level: "warn", message: "away" });
  expect(rig.table.state.kind).toBe("running");
});

test("above its limit the buffer holds every partition back, and lets go when it is committed", async () => {
  const rig = await new AppRig({ bufferBytesMax: () => 64 }).start();
  rig.world.onRequest = () => undefined;
  rig.consumer.give(
    0,
    0n,
    Array.from({ length: 50 }, (_, n) => row(n)),
  );
  await rig.pass(100);
  expect([rig.pipeline.holding, rig.consumer.paused.size]).toEqual([true, 2]);
  await rig.pass(300);
  rig.heal();
  await rig.pass(300);
  expect([rig.pipeline.holding, rig.consumer.paused.size]).toEqual([false, 0]);
  expect(await rig.rows(0)).toHaveLength(50);
  expect(rig.observations.map(({ type }) => type)).toContain("backpressure");
});

test("shutdown flushes what is buffered, however little, and leaves", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.settle();
  await rig.pipeline.shutdown(1000);
  expect([await rig.committed(0), rig.consumer.closed]).toEqual([1n, true]);
});

test("shutdown does not wait longer than it was told to", async () => {
  const rig = await new AppRig().start();
  rig.world.onRequest = () => undefined;
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.settle();
  const ended = rig.pipeline.shutdown(1000);
  await rig.pass(1100);
  await ended;
  expect(rig.consumer.closed).toBe(true);
});

test("hurry commits what has reached the end without waiting for the interval", async () => {
  const rig = await new AppRig().start();
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.settle();
  rig.pipeline.hurry([{ feed: rig.world.feed(0), end: 2n }]);
  await rig.settle();
  expect(await rig.committed(0)).toBe(0n);
  rig.pipeline.hurry([{ feed: rig.world.feed(0), end: 1n }]);
  await rig.settle();
  expect(await rig.committed(0)).toBe(1n);
});

test("a revocation flushes first; rows of lost partitions are dropped", async () => {
  const rig = await new AppRig().start();
  const feeds = rig.consumer.feeds();
  rig.consumer.give(0, 0n, [row(0)]);
  rig.consumer.push({ type: "revoked", feeds, lost: false });
  await rig.pass(100);
  expect([await rig.committed(0), rig.pipeline.feeds.all()]).toEqual([1n, []]);
  rig.consumer.assign([0, 1]);
  await rig.pass(100);
  rig.consumer.give(0, 1n, [row(1)]);
  rig.consumer.push({ type: "revoked", feeds, lost: true });
  await rig.pass(400);
  expect([await rig.committed(0), rig.table.buffer.rows]).toEqual([1n, 0]);
});

test("a process that has lost all partitions of a table lets the table's key index go, and asks it again when one is back", async () => {
  const asked: string[] = [];
  const rows: RowIndex = {
    bringTo: async () => void asked.push("brought"),
    newer: async () => new Uint32Array(0),
    values: () => Promise.reject(new Error("no row lacks values")),
    rowIds: async (_, { count }) => new Float64Array(count).fill(-1),
    locate: async () => [],
    rewritten: async () => undefined,
    apply: async () => undefined,
    close: async () => void asked.push("closed"),
  };
  const keys = { secret: { k0: 1n, k1: 2n }, openIndex: () => Promise.resolve(rows) };
  const rig = await new AppRig({}, { key: ["offset"], coordinates: null }, { keys }).start();
  const flush = async (offset: bigint): Promise<void> => {
    rig.consumer.give(0, offset, [`{"partition":0,"offset":${offset}}`]);
    await rig.pass(400);
  };
  await flush(0n);
  rig.consumer.push({ type: "revoked", feeds: [rig.world.feed(1)], lost: false });
  await rig.pass(100);
  expect(asked).toEqual(["brought"]);
  rig.consumer.push({ type: "revoked", feeds: [rig.world.feed(0)], lost: false });
  await rig.pass(100);
  rig.consumer.assign([0]);
  await rig.pass(100);
  await flush(1n);
  expect([await rig.committed(0), asked]).toEqual([2n, ["brought", "closed", "brought"]]);
});

test("files that are being written are counted up and down; a commit that fails for good is told", async () => {
  let isClosed = false;
  const append = async (): Promise<void> => {
    if (isClosed) throw fail("state", "The log cannot be written");
  };
  const txlog = { recovered: [], append, close: async () => undefined };
  const rig = await new AppRig({}, {}, { txlog }).start();
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.pass(300);
  const changes = rig.observations.flatMap((each) =>
    each.type === "open_files" ? each.change : [],
  );
  expect(changes).toEqual([1, -1]);
  isClosed = true;
  rig.consumer.give(0, 1n, [row(1)]);
  await rig.pass(600);
  expect(stopped(rig).kind).toBe("state");
  const failed = rig.observations.filter(
    (each) => each.type === "commit" && each.outcome === "failed",
  );
  expect(failed).toHaveLength(1);
});

test("a quiet table puts an own snapshot on a foreign head within a minute", async () => {
  const rig = await new AppRig().start();
  await foreignAppend(rig.world);
  const foreign = rig.world.metadata.currentSnapshotId;
  await rig.pass(61_000);
  expect(rig.world.metadata.currentSnapshotId).not.toBe(foreign);
  expect(await rig.committed(0)).toBe(0n);
}, 60_000);

test("a paused table commits nothing and reads no further, until it is resumed", async () => {
  const rig = await new AppRig().start();
  await pause(rig.world, true);
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.pass(400);
  expect([rig.table.state.kind, await rig.committed(0)]).toEqual(["paused", 0n]);
  await pause(rig.world, false);
  await rig.pass(400);
  expect([rig.table.state.kind, await rig.committed(0)]).toEqual(["running", 1n]);
});

test("rows whose feed was fenced by another writer are read again from its offset", async () => {
  const rig = await new AppRig().start();
  const other = await rig.writer();
  const feed = rig.world.feed(0);
  await other.flush(other.newFlush([{ range: { feed, start: 0n, end: 2n }, batch: null }]));
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.pass(400);
  expect(rig.consumer.started.at(-1)).toEqual({ feed, offset: 2n });
  expect(await rig.rows(0)).toEqual([]);
  const outcomes = rig.observations.flatMap((each) =>
    each.type === "commit" && each.outcome === "fenced" ? each.table : [],
  );
  expect(outcomes).toEqual([rig.options.name.table]);
});

test("a flush ends in the log although Kafka does not take its offsets", async () => {
  const entries: string[] = [];
  const log: TransactionLog = {
    recovered: [],
    append: ({ type }) => Promise.resolve(void entries.push(type)),
    close: () => Promise.resolve(),
  };
  const rig = await new AppRig({}, {}, { txlog: log }).start();
  rig.consumer.acknowledge = () => Promise.reject(fail("kafka_unreachable", "away"));
  rig.consumer.give(0, 0n, [row(0)]);
  await rig.pass(400);
  const count = (type: string): number => entries.filter((each) => each === type).length;
  expect(await rig.rows(0)).toEqual([0]);
  expect(count("FlushComplete")).toBe(count("FlushStarted"));
  expect(count("OffsetCommit")).toBe(0);
});
