/**
 * Row groups by rows and by encoded bytes.
 */
import { expect, test } from "bun:test";
import type { BatchData } from "#parquet/columnData.ts";
import { RowGroupSize, rowGroups } from "#parquet/kernel/rowGroups.ts";

/** Rows of the groups of batches of 100 bytes a row, of which the file takes `encoded` bytes each. */
async function groupRows(rowGroupRows: number, rowGroupBytes: number, encoded: number, batch = 37) {
  const batches = Array.from(
    { length: 40 },
    (): BatchData => ({ rowCount: batch, byteCount: 100 * batch, columns: [] }),
  );
  const size = new RowGroupSize({ rowGroupRows, rowGroupBytes });
  const rows: number[] = [];
  for await (const ranges of rowGroups(batches, size)) {
    const count = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
    rows.push(count);
    size.learn(ranges, BigInt(count * encoded));
  }
  expect(rows.reduce((sum, count) => sum + count, 0)).toBe(40 * batch);
  return rows;
}

test("the first group supposes that columns shrink to half; the next ones know, and keep four times their size at most", async () => {
  expect((await groupRows(100_000, 10_000, 100)).slice(0, 3)).toEqual([200, 100, 100]);
  expect((await groupRows(100_000, 10_000, 40)).slice(0, 3)).toEqual([200, 250, 250]);
  expect((await groupRows(100_000, 10_000, 1)).slice(0, 3)).toEqual([200, 400, 400]);
});

test("rows end a group as well, and a row that is larger than a group is alone", async () => {
  expect((await groupRows(50, 10_000, 50))[0]).toBe(50);
  expect((await groupRows(50, 10, 50, 3)).slice(0, 2)).toEqual([1, 1]);
});
