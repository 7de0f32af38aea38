/** A set of hashes that grows. */
import { expect, test } from "bun:test";
import { NameSet } from "#iceberg/io/nameSet.ts";

test("what was added is there, whatever the set has grown to, and nothing else", () => {
  const names = new NameSet();
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 20_000; n++) names.add(`name-${n}`);
  }
  expect(names.size).toBe(20_000);
  const missed = Array.from({ length: 20_000 }, (_, n) => n).filter((n) => !names.has(`name-${n}`));
  expect(missed).toEqual([]);
  expect(names.has("name-20000")).toBe(false);
});
