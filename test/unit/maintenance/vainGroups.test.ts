/** Groups that a compaction wrote in vain, over several runs. */
import { expect, test } from "bun:test";
import { VainGroups } from "#maintenance/vainGroups.ts";

/** In how many runs a group is left alone. */
function skipped(vain: VainGroups, path: string): number {
  let runs = 0;
  while (vain.skips(path)) runs++;
  return runs;
}

test("a group is left alone for twice as many runs each time that it is overtaken, up to 64", () => {
  const vain = new VainGroups();
  expect(skipped(vain, "a")).toBe(0);
  const runs = Array.from({ length: 9 }, () => {
    vain.overtaken("a");
    return skipped(vain, "a");
  });
  expect(runs).toEqual([1, 2, 4, 8, 16, 32, 64, 64, 64]);
  expect(skipped(vain, "b")).toBe(0);
});

test("a thousand groups are remembered, the latest ones", () => {
  const vain = new VainGroups();
  for (let at = 0; at < 1000; at++) vain.overtaken(`g${at}`);
  vain.overtaken("g0");
  vain.overtaken("g1000");
  expect(["g0", "g1", "g2", "g1000"].map((path) => skipped(vain, path))).toEqual([2, 0, 1, 1]);
});
