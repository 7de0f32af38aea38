/** A map of a bounded number of entries. */
import { expect, test } from "bun:test";
import { Recent } from "#base/recent.ts";

test("of more entries than may stay, the one that was used the longest ago goes", () => {
  const recent = new Recent<string, number>(2);
  recent.set("a", 1);
  recent.set("b", 2);
  expect(recent.get("a")).toBe(1);
  recent.set("c", 3);
  expect(["a", "b", "c"].map((key) => recent.get(key))).toEqual([1, undefined, 3]);
  recent.set("c", 4);
  expect(["a", "c"].map((key) => recent.get(key))).toEqual([1, 4]);
});
