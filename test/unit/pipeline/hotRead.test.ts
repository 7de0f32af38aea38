/**
 * Which rows in memory a reader gets beside a head: those that it does not have, without a gap.
 */
import { expect, test } from "bun:test";
import { NO_LEADER_EPOCH } from "#base/offsets.ts";
import { HotBuffer } from "#buffer/hotBuffer.ts";
import type { GrowingRows } from "#buffer/segment.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { SegmentMemory } from "#columns/segmentMemory.ts";
import { readHot, readMemory } from "#pipeline/hotRead.ts";
import type { Sink } from "#pipeline/sink.ts";

const FEED = { clusterId: "c", topic: "t", topicId: "id", partition: 0 };
const head = (name: string): LoadedTable => ({ name }) as unknown as LoadedTable;

function rows(): GrowingRows {
  const memory = new SegmentMemory();
  const seal = () => ({ fields: [], rowCount: 0, columns: [], byteCount: 0 });
  return { rowCount: 0, byteCount: 0, usedBytes: 0, memory, live: () => [], seal };
}

/** A table with segments that begin at these offsets, and a writer that has seen heads one by one. */
function sinkOf(
  starts: readonly bigint[],
  heads: readonly (readonly [LoadedTable, bigint | null])[],
): { sink: Sink; asked: LoadedTable[] } {
  const buffer = new HotBuffer<GrowingRows>();
  for (const [at, start] of starts.entries()) {
    const segment = buffer.segment(FEED, start, rows);
    buffer.advance(segment, starts[at + 1] ?? start + 100n, NO_LEADER_EPOCH);
    buffer.closeOpen("c/t/0" as never);
  }
  let seen = 0;
  const asked: LoadedTable[] = [];
  const writer = {
    get lastSeen() {
      return heads[seen]?.[0];
    },
    offsetsSeen: async (table: LoadedTable) => {
      asked.push(table);
      const offset = heads[seen]?.[1] ?? null;
      // While it is looked up, the next head comes.
      if (seen < heads.length - 1) seen++;
      return () => offset;
    },
  };
  const outlets = new Map([["c/t/0", { feed: { feed: FEED } }]]);
  return { sink: { writer, buffer, outlets } as unknown as Sink, asked };
}

const startsOf = async (sink: Sink): Promise<readonly bigint[] | undefined> =>
  (await readHot([sink]))?.segments.map(({ start }) => start);

test("rows that the head has are left out, whether or not their flush knows that it landed", async () => {
  for (const [committed, expected] of [
    [0n, [0n, 100n, 200n]],
    [100n, [100n, 200n]],
    [200n, [200n]],
    [300n, []],
  ] as const) {
    const { sink } = sinkOf([0n, 100n, 200n], [[head("h"), committed]]);
    expect(await startsOf(sink)).toEqual([...expected]);
  }
});

test("where records change rows they come with the key by which they do, and with the column of their order", async () => {
  for (const order of [null, "n"]) {
    const { sink } = sinkOf([0n, 100n], [[head("h"), 0n]]);
    const named = { key: { value: ["id"] }, order: { value: order } };
    const writer = Object.defineProperties(sink.writer, named);
    const read = await readHot([{ ...sink, writer } as unknown as Sink]);
    expect([read?.key, read?.order, read?.segments.length]).toEqual([["id"], order, 2]);
    expect(read?.partitions).toEqual(["t/0"]);
  }
});

test("of a table that several pipelines fill changes stay changes when the first of them closes its writer", async () => {
  const [one, two] = [sharingSink("t", 7n, 5), sharingSink("u", 7n, 5)];
  Object.assign(two.writer as object, { key: ["id"], order: null });
  const closed = { ...one, writer: null } as unknown as Sink;
  for (const read of [await readHot([closed, two]), readMemory([closed, two])]) {
    expect([read?.key, read?.order, read?.segments.length]).toEqual([["id"], null, 2]);
  }
});

test("behind a gap nothing is shown: after a rollback, or when another process has written", async () => {
  for (const committed of [50n, 150n, null]) {
    const { sink } = sinkOf([100n, 200n], [[head("h"), committed]]);
    const read = await readHot([sink]);
    expect([read?.segments, read?.partitions]).toEqual([[], []]);
  }
});

test("head, offsets and rows are of one instant: a head that changes meanwhile is looked at anew", async () => {
  const [a, b, c] = [head("a"), head("b"), head("c")];
  const { sink, asked } = sinkOf(
    [0n, 100n],
    [
      [a, 0n],
      [b, 0n],
      [c, 100n],
    ],
  );
  const read = await readHot([sink]);
  expect(asked).toEqual([a, b, c]);
  expect(read?.table).toBe(c);
  expect(read?.segments.map(({ start }) => start)).toEqual([100n]);
  expect(read?.partitions).toEqual(["t/0"]);
});

test("a table that is not open is none", async () => {
  const { sink } = sinkOf([], [[head("h"), 0n]]);
  expect(await readHot([{ ...sink, writer: null } as unknown as Sink])).toBeNull();
});

/** A sink of a table that several fill: its rows of a topic from offset 100 on, and the head that it has seen. */
function sharingSink(topic: string, sequence: bigint, lastUpdatedMs: number): Sink {
  const feed = { ...FEED, topic };
  const key = `c/${topic}/0`;
  const buffer = new HotBuffer<GrowingRows>();
  buffer.advance(buffer.segment(feed, 100n, rows), 200n, NO_LEADER_EPOCH);
  buffer.closeOpen(key as never);
  const metadata = { lastSequenceNumber: sequence, lastUpdatedMs };
  const lastSeen = { name: topic, metadata };
  const writer = { lastSeen, offsetsSeen: async () => () => 100n };
  return { writer, buffer, outlets: new Map([[key, { feed: { feed } }]]) } as unknown as Sink;
}

test("of a table that several pipelines fill: the newest head that any has seen, and the rows in memory of all", async () => {
  for (const [one, two, newest] of [
    [sharingSink("t", 7n, 5), sharingSink("u", 8n, 4), "u"],
    [sharingSink("t", 8n, 5), sharingSink("u", 8n, 4), "t"],
  ] as const) {
    const read = await readHot([one, two]);
    expect(String(read?.table.name)).toBe(newest);
    expect(read?.partitions).toEqual(["t/0", "u/0"]);
    expect(read?.segments.map(({ key }) => String(key))).toEqual(["c/t/0", "c/u/0"]);
    const memory = readMemory([one, two]);
    expect(memory?.partitions).toEqual(["t/0", "u/0"]);
    expect(memory?.segments.length).toBe(2);
  }
  // A feed of both is there once.
  const twice = await readHot([sharingSink("t", 7n, 5), sharingSink("t", 7n, 5)]);
  expect([twice?.partitions, twice?.segments.length]).toEqual([["t/0"], 1]);
});
