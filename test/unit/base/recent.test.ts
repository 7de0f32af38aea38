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

test("a value that has to go is told of once, one that takes its key's place is not", () => {
  const gone: number[] = [];
  const recent = new Recent<string, number>(2, (value) => gone.push(value));
  recent.set("a", 1);
  recent.set("a", 2);
  recent.set("b", 3);
  expect(gone).toEqual([]);
  recent.set("c", 4);
  expect(gone).toEqual([2]);
  recent.clear();
  expect(gone).toEqual([2, 3, 4]);
  expect([...recent.values()]).toEqual([]);
});
