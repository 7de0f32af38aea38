/**
 * The latest row of a key, over segments that grow, seal, commit and go: against a plain map of what was
 * added.
 */
import { expect, test } from "bun:test";
import { describe } from "#base/errors.ts";
import type { FeedKey } from "#base/offsets.ts";
import { KeyLookup } from "#buffer/keyLookup.ts";
import type { LentSegment } from "#buffer/lease.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import { batchOf, field } from "../parquet/rows.ts";

const FIELDS = [
  field("n", { kind: "long" }),
  field("s", { kind: "string" }),
  field("i", { kind: "int" }),
  field("u", { kind: "uuid" }),
  field("x", { kind: "double" }),
];
const turn = (): Promise<void> => Promise.resolve();
const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

const bytesOf = (n: number): Uint8Array => Uint8Array.fromHex(uuid(n).replaceAll("-", ""));

function lent(id: number, { columns }: ColumnBatch, rows: number, feed = "f"): LentSegment {
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rows);
  return { id, key: feed as FeedKey, start: 0n, columns, watermark };
}

test("each key has its latest row, whichever segment it is in, while the last one grows", async () => {
  let next = 7;
  const random = (below: number): number => {
    next = (next * 48_271) % 2_147_483_647;
    return next % below;
  };
  const expected = new Map<string, readonly [segment: number, row: number]>();
  const batches = Array.from({ length: 6 }, () => {
    const rows = Array.from({ length: 1 + random(30_000) }, () => {
      const n = random(20_000);
      return [BigInt(n), n % 50 === 0 ? null : `key ${n % 300}`, n, bytesOf(n), 1.5];
    });
    return batchOf(FIELDS, rows);
  });
  const byNumber = new KeyLookup(["n"]);
  const byBoth = new KeyLookup(["i", "u"]);
  const segments: LentSegment[] = [];
  for (const [id, batch] of batches.entries()) {
    for (const share of [0.3, 1]) {
      const rows = Math.floor(batch.rowCount * share);
      const own = [...segments, lent(id, batch, rows)];
      const data = batch.columns[0]?.data as Uint8Array;
      const numbers = new BigInt64Array(data.slice(0, 8 * rows).buffer);
      for (const [row, n] of numbers.entries()) expected.set(String(n), [id, row]);
      for (let tries = 0; tries < 300; tries++) {
        const n = String(random(20_500));
        const [found, ...others] = await byNumber.find(own, [n], turn);
        expect(others).toEqual([]);
        expect(found && [found.segment.id, found.row]).toEqual(expected.get(n) as [number, number]);
        const [both] = await byBoth.find(own, [n, uuid(Number(n))], turn);
        expect(both && [both.segment.id, both.row]).toEqual(expected.get(n) as [number, number]);
      }
    }
    segments.push(lent(id, batch, batch.rowCount));
  }
  // The oldest segments are evicted: keys that only they had are gone, all others stay.
  const left = segments.slice(3);
  byNumber.forget(left);
  for (const [n, [id, row]] of [...expected].slice(0, 2000)) {
    const [found] = await byNumber.find(left, [n], turn);
    expect(found && [found.segment.id, found.row]).toEqual(id < 3 ? undefined : [id, row]);
  }
});

test("texts that begin alike, empty ones and nulls are told apart; feeds have one row each", async () => {
  const rows = ["", "a", "ab", null, "a", "é"].map((s, n) => [BigInt(n), s, n, bytesOf(n), 0]);
  const batch = batchOf(FIELDS, rows);
  const lookup = new KeyLookup(["s"]);
  const find = async (key: string): Promise<(string | number)[][]> => {
    const both = [lent(1, batch, 6, "f"), lent(2, batch, 2, "g")];
    return (await lookup.find(both, [key], turn)).map(({ segment, row }) => [segment.key, row]);
  };
  expect(await find("a")).toEqual([
    ["g", 1],
    ["f", 4],
  ]);
  expect(await find("")).toEqual([
    ["g", 0],
    ["f", 0],
  ]);
  expect(await find("ab")).toEqual([["f", 2]]);
  expect(await find("é")).toEqual([["f", 5]]);
  expect(await find("abc")).toEqual([]);
});

test("a key that a column cannot have is an error, and so is a column of no keys; one that is not there finds nothing", async () => {
  const batch = batchOf(FIELDS, [[1n, "a", 1, bytesOf(1), 1.5]]);
  const find = (name: string, key: string) =>
    new KeyLookup([name]).find([lent(1, batch, 1)], [key], turn);
  const refusal = (name: string, key: string): Promise<string> =>
    find(name, key).then(String, describe);
  expect(await refusal("n", "x")).toContain("x is no long");
  expect(await refusal("i", "2147483648")).toContain("is no int");
  expect(await refusal("u", "1")).toContain("is no uuid");
  expect(await refusal("x", "1.5")).toContain("double cannot be looked up");
  expect(await find("nothing", "1")).toEqual([]);
  expect((await find("i", "1")).length).toBe(1);
});

test("behind what empties the table a key has no row, until it comes again", async () => {
  const fields = [field("n", { kind: "long" }), CHANGE_TYPE];
  const rows = [
    [1n, CHANGE.put],
    [0n, CHANGE.truncate],
    [2n, CHANGE.put],
  ];
  const [first, second] = [batchOf(fields, rows.slice(0, 1)), batchOf(fields, rows)];
  const lookup = new KeyLookup(["n"]);
  const places = async (segments: readonly LentSegment[]): Promise<unknown[]> => {
    const found = await Promise.all(["1", "2"].map((key) => lookup.find(segments, [key], turn)));
    return found.map(([one]) => one && [one.segment.id, one.row]);
  };
  expect(await places([lent(0, first, 1)])).toEqual([[0, 0], undefined]);
  expect(await places([lent(0, first, 1), lent(1, second, 1)])).toEqual([[1, 0], undefined]);
  expect(await places([lent(0, first, 1), lent(1, second, 2)])).toEqual([
    [1, 1],
    [1, 1],
  ]);
  expect(await places([lent(0, first, 1), lent(1, second, 3)])).toEqual([
    [1, 1],
    [1, 2],
  ]);
});
