import { expect, test } from "bun:test";
import { ColumnBuilder } from "#columns/builder.ts";
import { Watermark } from "#decode/watermark.ts";

const NOW_MS = Date.UTC(2026, 0, 31);
const SECOND_MS = 1000;

/** A column of times, in ms before or after now; null: none. */
function times(kind: "timestamp" | "timestamp_ns", ...offsetsMs: (number | null)[]): ColumnBuilder {
  const column = new ColumnBuilder({
    id: 0,
    name: "ts",
    required: false,
    type: { kind, zone: true },
  });
  const perMs = kind === "timestamp" ? 1000n : 1_000_000n;
  for (const offset of offsetsMs) {
    if (offset === null) column.appendNull();
    else column.appendBigInt(BigInt(NOW_MS + offset) * perMs);
  }
  return column;
}

for (const kind of ["timestamp", "timestamp_ns"] as const) {
  test(`a row further behind the greatest time before it than the threshold is late (${kind})`, () => {
    const watermark = new Watermark(10 * SECOND_MS);
    const column = times(kind, -20_000, 0, -10_000, -10_001, null, -60_000, 5_000, -5_001);
    expect(watermark.pass(column, 0, NOW_MS)).toEqual([3, 5, 7]);
    expect(watermark.ms).toBe(NOW_MS + 5_000);
  });
}

test("what was passed in an earlier batch counts, until the partition is read from elsewhere", () => {
  const watermark = new Watermark(SECOND_MS);
  expect(watermark.ms).toBeNull();
  watermark.pass(times("timestamp", 0), 0, NOW_MS);
  const column = times("timestamp", 0, -2000);
  expect(watermark.pass(column, 1, NOW_MS)).toEqual([1]);
  watermark.reset();
  expect(watermark.pass(column, 1, NOW_MS)).toEqual([]);
  expect(watermark.ms).toBe(NOW_MS - 2000);
});

test("a time that no clock has reached makes nothing late, one that is a little ahead counts", () => {
  const watermark = new Watermark(SECOND_MS);
  const column = times("timestamp", 0, 61_000, -500, 59_000, 0);
  expect(watermark.pass(column, 0, NOW_MS)).toEqual([4]);
});

test("without a threshold no row is late, and the watermark moves", () => {
  const watermark = new Watermark(0);
  expect(watermark.pass(times("timestamp", 0, -1e9), 0, NOW_MS)).toEqual([]);
  expect(watermark.ms).toBe(NOW_MS);
});

test("times before 1970 are compared as such", () => {
  const watermark = new Watermark(SECOND_MS);
  expect(watermark.pass(times("timestamp", -NOW_MS - 5000, -NOW_MS - 7000), 0, NOW_MS)).toEqual([
    1,
  ]);
});
