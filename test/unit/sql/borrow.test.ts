/** How rows of another process are put together to parts. */
import { expect, test } from "bun:test";
import { borrowParts } from "#sql/borrow.ts";
import { field } from "../parquet/rows.ts";

const MIB = 1024 * 1024;

/** Rows of each part. */
function partsOf(rowCounts: readonly number[], byteCounts: readonly number[]): number[] {
  const fields = [field("n", { kind: "long" })];
  const places = new Float64Array(3 * rowCounts.length);
  const parts = borrowParts({ kind: "lent", fields, pid: 1, rowCounts, byteCounts, places });
  return parts.map(({ rowCount }) => rowCount);
}

test("segments that follow each other are one part up to its rows, its bytes and their number", () => {
  expect(partsOf([8000, 192, 1, 0, 9000, 1], [1, 1, 1, 1, 1, 1])).toEqual([8192, 1, 9000, 1]);
  expect(partsOf([40, 40, 40, 40], [3 * MIB, MIB, MIB, 9 * MIB])).toEqual([80, 40, 40]);
  expect(partsOf(Array(1200).fill(1), Array(1200).fill(8))).toEqual([500, 500, 200]);
});
