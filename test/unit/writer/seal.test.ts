/**
 * Sealed segments are joined by feed, without a gap.
 */
import { expect, test } from "bun:test";
import { joinSegments } from "#writer/seal.ts";
import { columns } from "../../sim/rows.ts";

const feed = (partition: number) => ({ clusterId: "c", topic: "t", topicId: "id", partition });
const segment = (partition: number, start: bigint, end: bigint, rows: number[]) => ({
  range: { feed: feed(partition), start, end },
  batch: rows.length === 0 ? null : columns(partition, rows),
});

test("segments of a feed become one range with their rows in order; empty ones only move it", () => {
  const joined = joinSegments([
    segment(0, 0n, 3n, [0, 2]),
    segment(1, 9n, 10n, []),
    segment(0, 3n, 8n, []),
    segment(0, 8n, 9n, [8]),
  ]);
  const seen = joined.map(({ feed: { partition }, start, end, batches }) => [
    partition,
    start,
    end,
    batches.map((batch) => batch.rowCount),
  ]);
  expect(seen).toEqual([
    [0, 0n, 9n, [2, 1]],
    [1, 9n, 10n, []],
  ]);
});

test("a gap, an overlap and a range that goes backwards are never written", () => {
  const bad = [
    [segment(0, 0n, 3n, []), segment(0, 4n, 5n, [])],
    [segment(0, 0n, 3n, []), segment(0, 2n, 5n, [])],
    [segment(0, 3n, 2n, [])],
  ];
  for (const segments of bad) expect(() => joinSegments(segments)).toThrow("Assertion failed");
});
