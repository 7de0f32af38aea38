import { describe, expect, test } from "bun:test";
import { feedKey } from "#base/offsets.ts";
import { HotBuffer } from "#buffer/hotBuffer.ts";
import { readRows } from "#buffer/lease.ts";
import { nextState, type SegmentEvent, type SegmentState } from "#buffer/segment.ts";
import { freeBufferBytes, trimBuffers } from "#columns/buffers.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { SegmentBuilder } from "#decode/decoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";

const FEED = { clusterId: "c", topic: "t", topicId: "id", partition: 0 };

describe("nextState()", () => {
  const states: readonly SegmentState[] = [
    { kind: "open" },
    { kind: "sealed" },
    { kind: "flushing" },
    { kind: "committed", untilMs: 5 },
    { kind: "evicted" },
  ];
  const events: readonly SegmentEvent[] = [
    { type: "seal" },
    { type: "flush" },
    { type: "commit", untilMs: 7 },
    { type: "evict" },
  ];
  const allowed: Readonly<Record<string, SegmentState["kind"]>> = {
    "open seal": "sealed",
    "sealed flush": "flushing",
    "flushing commit": "committed",
    // Its feed was dropped while it was written.
    "evicted commit": "evicted",
  };
  for (const state of states) {
    for (const event of events) {
      const wanted = event.type === "evict" ? "evicted" : allowed[`${state.kind} ${event.type}`];
      test(`${event.type} of a segment that is ${state.kind}: ${wanted ?? "a mistake"}`, () => {
        if (wanted === undefined) expect(() => nextState(state, event)).toThrow("Assertion");
        else expect(nextState(state, event).kind).toBe(wanted);
      });
    }
  }
});

/** A buffer with `rows` numbered rows of one feed in its open segment. */
function filled(rows: number, keepMs = 0) {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, metadataColumns: [] });
  decoder.sample([recordBatch(['{"n":0,"s":"x"}'])]);
  const buffer = new HotBuffer<SegmentBuilder>(keepMs);
  let position = 0n;
  const add = (count: number): void => {
    const open = buffer.segment(FEED, position, (expected) => decoder.builder(expected));
    const values = Array.from({ length: count }, (_, n) =>
      JSON.stringify({ n: Number(position) + n, s: "s".repeat(50) }),
    );
    open.rows.decode(recordBatch(values, { baseOffset: position }));
    position += BigInt(count);
    buffer.advance(open, position, 0);
  };
  add(rows);
  return { buffer, add };
}

const numbers = (rows: readonly { readonly [name: string]: unknown }[]): unknown[] =>
  rows.map((row) => row["n"]);

const upTo = (count: number): bigint[] => Array.from({ length: count }, (_, n) => BigInt(n));

describe("a lease", () => {
  test("shows rows that come later, for as long as no column has to move", () => {
    const { buffer, add } = filled(3);
    const lease = buffer.lease();
    const [segment] = lease.segments;
    if (segment === undefined) throw new Error("nothing was lent");
    expect(numbers(rowsOf(readRows(segment)))).toEqual(upTo(3));
    add(2);
    expect(numbers(rowsOf(readRows(segment)))).toEqual(upTo(5));
    add(5000);
    expect(numbers(rowsOf(readRows(segment)))).toEqual(upTo(5));
    const [again] = buffer.lease().segments;
    expect(again === undefined ? [] : numbers(rowsOf(readRows(again)))).toEqual(upTo(5005));
  });

  test("of rows that still wait in the kernel shows those that come later, too", () => {
    const { buffer, add } = filled(100);
    const [segment] = buffer.lease().segments;
    if (segment === undefined) throw new Error("nothing was lent");
    add(2);
    expect(numbers(rowsOf(readRows(segment)))).toEqual(upTo(102));
  });

  test("that fails keeps nothing", () => {
    const { buffer } = filled(30);
    const { rows } = buffer.segment(FEED, 30n, (): SegmentBuilder => {
      throw new Error("it is there");
    });
    const { live } = rows;
    rows.live = () => {
      throw new Error("no memory");
    };
    expect(() => buffer.lease()).toThrow("no memory");
    rows.live = live;
    buffer.drop(feedKey(FEED));
    expect(buffer.bytes).toBe(0);
  });

  test("keeps its rows as they are when their feed is dropped, and counts their memory", () => {
    for (let trims = 0; trims < 30; trims++) trimBuffers();
    const { buffer } = filled(5000);
    const lease = buffer.lease();
    buffer.drop(feedKey(FEED));
    const [segment] = lease.segments;
    expect(segment === undefined ? [] : numbers(rowsOf(readRows(segment)))).toEqual(upTo(5000));
    expect([buffer.rows, buffer.moved]).toEqual([0, false]);
    expect(buffer.bytes).toBeGreaterThan(5000 * 50);
    const before = freeBufferBytes();
    lease.release();
    expect(buffer.bytes).toBe(0);
    expect(freeBufferBytes()).toBeGreaterThan(before + 5000 * 50);
  });
});

test("what many partitions with wide rows take is known, also when another one's batch brings their rows in", () => {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, metadataColumns: [] });
  const names = Array.from({ length: 200 }, (_, n) => [`c${n}`, 1]);
  decoder.sample([recordBatch([JSON.stringify(Object.fromEntries(names))])]);
  const [one, other] = [new HotBuffer<SegmentBuilder>(), new HotBuffer<SegmentBuilder>()];
  const builders: SegmentBuilder[][] = [[], []];
  for (let partition = 0; partition < 30; partition++) {
    for (const [at, buffer] of [one, other].entries()) {
      const open = buffer.segment({ ...FEED, partition }, 0n, (sizes) => decoder.builder(sizes));
      open.rows.decode(recordBatch(Array.from({ length: 50 }, () => '{"c1":1}')));
      buffer.advance(open, 50n, 0);
      builders[at]?.push(open.rows);
      // All but the rows that wait now are counted as they are.
      expect([one, other].map(({ bytes }) => bytes)).toEqual(
        builders.map((all) => all.reduce((sum, { byteCount }) => sum + byteCount, 0)),
      );
    }
  }
});

test("a flush keeps the rows that it was given when their feed is dropped under it", () => {
  for (const end of ["recycle", "release"] as const) {
    const { buffer } = filled(5000);
    const rows = buffer.seal();
    buffer.drop(feedKey(FEED));
    expect(buffer.rows).toBe(0);
    const [segment] = rows;
    expect(segment?.batch === null ? null : segment?.batch.rowCount).toBe(5000);
    expect(buffer.bytes).toBeGreaterThan(5000 * 50);
    buffer[end](rows, 0);
    expect(buffer.bytes).toBe(0);
  }
});

test("committed rows stay for as long as was asked, and make room when it is needed", () => {
  const { buffer, add } = filled(5000, 1000);
  buffer.recycle(buffer.seal(), 0);
  add(5000);
  buffer.recycle(buffer.seal(), 500);
  const both = buffer.bytes;
  expect(buffer.rows).toBe(0);
  expect(numbers(buffer.lease().segments.flatMap((each) => rowsOf(readRows(each))))).toEqual(
    upTo(10_000),
  );
  buffer.expire(999);
  expect(buffer.bytes).toBe(both);
  buffer.expire(1000);
  expect(buffer.lease().segments).toHaveLength(1);
  expect(buffer.makeRoom(1)).toBeGreaterThanOrEqual(0);
  expect(buffer.lease().segments).toHaveLength(0);
});

test("without a time to stay, committed rows are gone at once", () => {
  const { buffer } = filled(5000);
  buffer.recycle(buffer.seal(), 0);
  expect([buffer.bytes, buffer.makeRoom(1)]).toEqual([0, 0]);
  expect(buffer.lease().segments).toEqual([]);
});

test("a position that moved without a row is not kept: nothing is there to read", () => {
  const { buffer } = filled(0, 1000);
  buffer.recycle(buffer.seal(), 0);
  expect([buffer.isKeeping, buffer.bytes, buffer.lease().segments.length]).toEqual([false, 0, 0]);
});

test("what is evicted while it is lent counts as lent until its reader ends, and as room that was made", () => {
  const { buffer } = filled(5000, 1000);
  buffer.recycle(buffer.seal(), 0);
  const lease = buffer.lease();
  expect([buffer.isKeeping, buffer.lentBytes]).toEqual([true, 0]);
  expect(buffer.makeRoom(1)).toBeGreaterThan(5000 * 50);
  expect(buffer.isKeeping).toBe(true);
  expect(buffer.lentBytes).toBeGreaterThan(5000 * 50);
  lease.release();
  expect([buffer.isKeeping, buffer.lentBytes, buffer.bytes]).toEqual([false, 0, 0]);
});
