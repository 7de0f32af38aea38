/** How results look. */
import { expect, test } from "bun:test";
import { tableText } from "#cli/output.ts";

test("a table has every column that some row has, in the order in which they appear", () => {
  const text = tableText([
    { table: "new", rows: 0 },
    { table: "old", rows: 10, window: "3600 s" },
  ]);
  expect(text).toBe("table  rows  window\nnew       0  -\nold      10  3600 s\n");
});
