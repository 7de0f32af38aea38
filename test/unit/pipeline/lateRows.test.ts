/**
 * Batches with late rows: what becomes of each record, in one turn, or of none.
 */
import { expect, test } from "bun:test";
import { fail } from "#base/errors.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { topicIdField } from "#decode/lateRows.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { Feeds, type Outlet } from "#pipeline/feeds.ts";
import { lateColumns, lateRowsOf, lateSide, lateTable, partLateRows } from "#pipeline/lateRows.ts";
import { Sink } from "#pipeline/sink.ts";
import { Source } from "#pipeline/source.ts";
import { MemoryLog, optionsOf, partsOf } from "../../sim/process.ts";
import { SimClock } from "../../sim/simClock.ts";
import { LATENESS } from "../../sim/tables.ts";
import { World } from "../../sim/world.ts";
import { recordBatch } from "../../support/records.ts";

const TOPIC_ID = topicIdField("_kafka_topic_id");

/** A table with a late table in use, whose partition is at offset 0. */
function place(thresholdMs = LATENESS.thresholdMs) {
  const world = new World(2, "sequence", 1);
  const clock = new SimClock(world.nowMs, () => undefined);
  const log = new MemoryLog().reopen(() => 0);
  const parts = partsOf(world, "A", log, () => true, clock);
  const policy = { intervalMs: 200, rowsMax: 0, bytesMax: 1 << 20, emptyIntervalMs: 400 };
  const options = { ...DECODER_DEFAULTS, infer: false, eventTimeField: "at" };
  const decoder = createDecoder(options);
  const source = new Source(decoder, { ...LATENESS, thresholdMs });
  const sink = new Sink(optionsOf(world, "g"), parts, decoder, policy);
  const late = new Sink(
    optionsOf(world, "g"),
    parts,
    lateColumns(decoder, TOPIC_ID),
    policy,
    "late",
  );
  const side = { ...lateTable(late, TOPIC_ID), isUsed: true };
  const feeds = new Feeds();
  const [run] = feeds.add([world.feed(0)], () => [{ sink, source, sides: [side] }]);
  const outlet = run?.outlets[0] as Outlet;
  const decode = (values: readonly string[], baseOffset = 0n) => {
    const records = values.map((value, offsetDelta) => ({ value, offsetDelta }));
    const { payload } = recordBatch(records, { baseOffset });
    const bytes = {
      topic: "t",
      partition: 0,
      wantedOffset: baseOffset,
      baseOffset,
      recordCount: records.length,
      payload: payload as Uint8Array,
      baseTimestampMs: 0,
      appendTimestampMs: null,
    };
    const segment = sink.buffer.segment(run?.feed as RecordBatch["feed"], 0n, () =>
      decoder.builder(),
    );
    const first = segment.rows.rowCount;
    const result = segment.rows.decode(bytes);
    return { segment, first, bytes, result };
  };
  return { outlet, late, decode, nowMs: world.nowMs, side };
}

/** `n` and an event time of so many seconds. */
function event(n: number, seconds: number): string {
  return JSON.stringify({ n, at: 1_600_000_000_000 + seconds * 1000 });
}

test("late rows are in the late table with the id of their topic, the others in theirs, rejected ones in none", () => {
  const { outlet, late, decode, nowMs } = place();
  const batch = decode([event(0, 100), event(1, 50), "{", event(3, 99), event(4, 94)]);
  const numbers = lateRowsOf(outlet, batch.segment.rows, batch.first, nowMs);
  expect(numbers).toEqual([1, 3]);
  const side = lateSide(outlet);
  if (side === null) throw fail("internal", "the late table is in use");
  const parted = partLateRows(outlet, side, batch, numbers);
  parted.keep(0, 5n);
  expect([parted.rows, batch.segment.rows.rowCount]).toEqual([2, 2]);
  const [sealed] = late.buffer.seal();
  const names = sealed?.batch?.fields.map(({ name }) => name) ?? [];
  const ids = sealed?.batch?.columns[names.indexOf("_kafka_topic_id")];
  expect([sealed?.range.end, sealed?.batch?.rowCount]).toEqual([5n, 2]);
  const topicId = outlet.feed.feed.topicId;
  expect(Buffer.from(ids?.data ?? []).toString()).toBe(topicId.repeat(2));
});

test("rows that the kernel has made are judged batch by batch, whether they are copied out or not", () => {
  const { outlet, late, decode, nowMs } = place();
  const side = lateSide(outlet);
  if (side === null) throw fail("internal", "the late table is in use");
  const found: number[] = [];
  for (let batch = 0; batch < 6; batch++) {
    const values = Array.from({ length: 40 }, (_, at) => {
      const n = batch * 40 + at;
      return event(n, n % 8 === 5 ? n - 60 : n);
    });
    const decoded = decode(values, BigInt(batch * 40));
    const numbers = lateRowsOf(outlet, decoded.segment.rows, decoded.first, nowMs);
    found.push(numbers.length);
    if (numbers.length > 0) {
      partLateRows(outlet, side, decoded, numbers).keep(0, BigInt(batch * 40 + 40));
    }
  }
  expect(found).toEqual([5, 5, 5, 5, 5, 5]);
  const values = late.buffer.seal().flatMap(({ batch }) => {
    const names = batch?.fields.map(({ name }) => name) ?? [];
    const offsets = batch?.columns[names.indexOf("_kafka_offset")]?.data ?? new Uint8Array(0);
    return [...new BigInt64Array(offsets.slice().buffer)].map(Number);
  });
  expect(values).toEqual([...Array(240).keys()].filter((n) => n % 8 === 5));
});

test("what is taken back leaves nothing, in neither table", () => {
  const { outlet, late, decode, nowMs } = place();
  const batch = decode([event(0, 100), event(1, 50)]);
  const numbers = lateRowsOf(outlet, batch.segment.rows, batch.first, nowMs);
  const side = lateSide(outlet);
  if (side === null) throw fail("internal", "the late table is in use");
  partLateRows(outlet, side, batch, numbers).takeBack();
  expect([batch.segment.rows.rowCount, late.buffer.rows, late.buffer.seal()]).toEqual([0, 0, []]);
});

test("a start looks for late rows of a topic by its id: an earlier topic of the name has others", () => {
  const { outlet, side } = place();
  expect(side.coordinates.topic).toBe("_kafka_topic_id");
  expect(side.topicOf(outlet.feed.feed)).toBe(outlet.feed.feed.topicId);
});
