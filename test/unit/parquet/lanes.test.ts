import { expect, test } from "bun:test";
import { Lanes } from "#parquet/lanes.ts";

const job = (lane: string, name: string) => ({ lane, name });

/** The names in the order in which they are taken, one busy lane at a time excluded. */
function taken(lanes: Lanes<{ lane: string; name: string }>, busy: readonly string[] = []) {
  const names: string[] = [];
  for (;;) {
    const next = lanes.take((lane) => busy.includes(lane));
    if (next === null) return names;
    names.push(next.name);
  }
}

test("lanes take turns, however many jobs one of them has", () => {
  const lanes = new Lanes<{ lane: string; name: string }>();
  for (const name of ["a1", "a2", "a3", "a4"]) lanes.add(job("a", name), 0);
  for (const name of ["b1", "b2"]) lanes.add(job("b", name), 0);
  lanes.add(job("c", "c1"), 0);
  expect(taken(lanes)).toEqual(["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
});

test("a lane that was just served waits behind those that came meanwhile", () => {
  const lanes = new Lanes<{ lane: string; name: string }>();
  lanes.add(job("a", "a1"), 0);
  lanes.add(job("a", "a2"), 0);
  expect(lanes.take(() => false)?.name).toBe("a1");
  lanes.add(job("b", "b1"), 0);
  expect(taken(lanes)).toEqual(["a2", "b1"]);
});

test("a busy lane is passed over and keeps its place", () => {
  const lanes = new Lanes<{ lane: string; name: string }>();
  lanes.add(job("a", "a1"), 0);
  lanes.add(job("b", "b1"), 0);
  expect(taken(lanes, ["a"])).toEqual(["b1"]);
  expect(taken(lanes)).toEqual(["a1"]);
});

test("lower ranks go first in every lane, in the order in which they came", () => {
  const lanes = new Lanes<{ lane: string; name: string }>();
  lanes.add(job("a", "tidy a1"), 1);
  lanes.add(job("b", "tidy b1"), 1);
  lanes.add(job("a", "rows a2"), 0);
  lanes.add(job("a", "rows a3"), 0);
  expect(taken(lanes)).toEqual(["rows a2", "rows a3", "tidy b1", "tidy a1"]);
});

test("all jobs are taken at the end", () => {
  const lanes = new Lanes<{ lane: string; name: string }>();
  lanes.add(job("a", "a1"), 0);
  lanes.add(job("b", "b1"), 0);
  expect(lanes.takeAll().map(({ name }) => name)).toEqual(["a1", "b1"]);
  expect(taken(lanes)).toEqual([]);
});
