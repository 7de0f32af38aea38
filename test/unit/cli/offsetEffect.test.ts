/** What a repair of offsets says before it acts. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { offsetEffect, outsideLog } from "#cli/offsetEffect.ts";
import type { PartitionRows } from "#cli/offsetRows.ts";
import { OffsetSet } from "#commit/offsetSet.ts";

const UNKNOWN: PartitionRows = { kind: "unknown", reason: "no columns" };

const of = (
  before: bigint | null,
  after: bigint,
  logStart: bigint,
  logEnd: bigint,
  rows: PartitionRows = UNKNOWN,
) =>
  offsetEffect({
    before,
    after,
    isReadable: true,
    isNewTopic: false,
    log: { logStart, logEnd },
    rows,
  });

function rowsAt(offsets: readonly number[]): PartitionRows {
  const set = new OffsetSet();
  for (const offset of offsets) set.add(BigInt(offset));
  return { kind: "known", offsets: set };
}

describe("a change of a committed offset", () => {
  test("tells what is skipped, gone, doubled and used again, offset by offset", () => {
    const offset = fc.integer({ min: 0, max: 30 });
    const property = fc.property(offset, offset, offset, offset, (before, after, start, length) => {
      const end = start + length;
      const effect = of(BigInt(before), BigInt(after), BigInt(start), BigInt(end));
      const count = (is: (each: number) => boolean): number =>
        Array.from({ length: 100 }, (_, each) => each).filter(is).length;
      const lost = (each: number): boolean => each >= before && each < after;
      const again = (each: number): boolean => each >= after && each < before;
      const counts = {
        skipped: count((each) => lost(each) && each >= start && each < end),
        gone: count((each) => lost(each) && each < start),
        doubled: count((each) => again(each) && each >= start && each < end),
        reused: count((each) => again(each) && each >= end),
      };
      const { skipped, gone, doubled, reused } = effect;
      expect({ skipped, gone, doubled, reused }).toEqual({
        skipped: BigInt(counts.skipped),
        gone: BigInt(counts.gone),
        doubled: BigInt(counts.doubled),
        reused: BigInt(counts.reused),
      });
      expect(effect.sentence === "none").toBe(Object.values(counts).every((count) => count === 0));
    });
    fc.assert(property, { numRuns: 2000 });
  });

  test("names the offsets", () => {
    expect(of(110n, 0n, 0n, 100n).sentence).toBe(
      "reads offsets 0 to 99 (100) again; doubles the rows of at most 100 offsets: no columns; " +
        "offsets 100 to 109 (10) will be used again for other records",
    );
    expect(of(3n, 9n, 8n, 20n).sentence).toBe(
      "offsets 3 to 7 (5) are gone from Kafka; skips offsets 8 (1)",
    );
    expect(of(110n, 100n, 0n, 100n).doubled).toBe(0n);
  });

  test("doubles exactly the rows that the log holds from the new offset on", () => {
    const offset = fc.integer({ min: 0, max: 30 });
    const there = fc.uniqueArray(fc.integer({ min: 0, max: 60 }));
    const before = fc.option(offset);
    const property = fc.property(before, offset, offset, offset, there, (...[known, ...others]) => {
      const [after, start, length, offsets] = others;
      const end = start + length;
      const from = known === null ? null : BigInt(known);
      const effect = of(from, BigInt(after), BigInt(start), BigInt(end), rowsAt(offsets));
      const doubled = offsets.filter((each) => each >= after && each < end).length;
      expect([effect.doubled, effect.isCounted]).toEqual([BigInt(doubled), true]);
      expect(effect.sentence.includes("doubles")).toBe(doubled > 0);
    });
    fc.assert(property, { numRuns: 2000 });
  });

  test("bounds the rows by the whole log where neither offsets nor rows can be read", () => {
    const log = { logStart: 5n, logEnd: 50n };
    const planned = { before: null, after: 40n, isReadable: false, isNewTopic: false, log };
    const effect = offsetEffect({ ...planned, rows: UNKNOWN });
    expect(effect.doubled).toBe(10n);
    expect(effect.sentence).toContain("doubles the rows of at most 10 offsets: no columns");
    expect(offsetEffect({ ...planned, rows: rowsAt([39, 41]) }).doubled).toBe(1n);
  });

  test("names the rows past the committed offset", () => {
    expect(of(10n, 5n, 0n, 100n, rowsAt([3, 5, 9, 10, 40, 100])).sentence).toBe(
      "reads offsets 5 to 9 (5) again; doubles 4 rows, 2 of them past the committed offset",
    );
    expect(of(10n, 5n, 0n, 100n, rowsAt([4])).sentence).toBe("reads offsets 5 to 9 (5) again");
  });

  test("of a partition that the table does not know skips what its log holds before", () => {
    expect(of(null, 5n, 0n, 10n)).toMatchObject({ skipped: 5n, gone: 0n, doubled: 0n });
    expect(of(null, 5n, 5n, 10n)).toMatchObject({ skipped: 0n, sentence: "begins at 5" });
  });

  test("of a topic that was created again doubles nothing", () => {
    const log = { logStart: 2n, logEnd: 50n };
    const effect = offsetEffect({
      before: 100n,
      after: 2n,
      isReadable: true,
      isNewTopic: true,
      log,
      rows: rowsAt([2, 3]),
    });
    expect(effect).toMatchObject({ skipped: 0n, doubled: 0n, reused: 0n });
    expect(effect.sentence).toBe("begins the new topic at 2");
  });

  test("of a topic that Kafka does not have is said to be unchecked", () => {
    const effect = offsetEffect({
      before: 10n,
      after: 4n,
      isReadable: true,
      isNewTopic: false,
      log: null,
      rows: UNKNOWN,
    });
    expect(effect.doubled).toBe(6n);
    expect(effect.sentence).toContain("unchecked");
  });
});

test("an offset outside the log is refused with what the log holds", () => {
  const log = { logStart: 5n, logEnd: 9n };
  expect([4n, 5n, 9n, 10n].map((offset) => outsideLog("t/0", offset, log) === null)).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect(outsideLog("t/0", 4n, log)).toContain("t/0 from offset 5 to its end at 9");
});
