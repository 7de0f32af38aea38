/** Room that segments begin with: that of the segment before, unless a flush has cut that one off. */
import { expect, test } from "bun:test";
import { LIMITS } from "#base/limits.ts";
import { type FeedKey, feedKey } from "#base/offsets.ts";
import { SegmentRoom } from "#buffer/segmentRoom.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";

const KEY = feedKey({ clusterId: "c", topic: "t", partition: 0 });

function batchOf(rows: number): ColumnBatch {
  const column = new ColumnBuilder({ id: 1, name: "a", type: { kind: "int" }, required: true });
  for (let row = 0; row < rows; row++) column.appendInt(row);
  return sealColumns([column], rows);
}

/** Rows that the feed's next segment has room for. */
function expected(room: SegmentRoom, key: FeedKey = KEY): number {
  return room.next(key).sizes[0]?.length ?? 0;
}

test("a segment begins with the room of the one before, of a forgotten feed with none", () => {
  const room = new SegmentRoom();
  expect(expected(room)).toBe(0);
  room.note(KEY, batchOf(10), 40, true);
  expect(expected(room)).toBe(10);
  room.note(KEY, batchOf(20), 80, true);
  expect(expected(room)).toBe(20);
  room.forget(KEY);
  expect(expected(room)).toBe(0);
});

test("what a flush cuts off is no model where a full one came before it, and is one at the next flush", () => {
  const room = new SegmentRoom();
  room.note(KEY, batchOf(100), 400, true);
  room.note(KEY, batchOf(3), 12, false);
  expect(expected(room)).toBe(100);
  room.note(KEY, batchOf(5), 20, false);
  expect(expected(room)).toBe(5);
  room.note(KEY, batchOf(7), 28, false);
  expect(expected(room)).toBe(7);
});

test("open segments together begin with no more than there is, and with room again when one has ended", () => {
  const room = new SegmentRoom();
  const keys = [0, 1, 2].map((partition) => feedKey({ clusterId: "c", topic: "t", partition }));
  const half = LIMITS.reservedColumnBytesMax / 2;
  for (const key of keys) room.note(key, batchOf(1), half, true);
  const taken = keys.map((key) => {
    const next = room.next(key);
    room.take(next);
    return next.bytes;
  });
  expect(taken).toEqual([half, half, 0]);
  room.giveBack(half);
  expect(room.next(keys[2] as FeedKey).bytes).toBe(half);
});
