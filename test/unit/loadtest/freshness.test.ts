/**
 * Ages of records, and the rate of commits, from what a pipeline observes.
 */
import { describe, expect, test } from "bun:test";
import { Ages, commitRate, Freshness } from "#loadtest/freshness.ts";

describe("ages", () => {
  test("percentiles are right within 2 %", () => {
    const ages = new Ages();
    for (let i = 1; i <= 10_000; i++) ages.add(i);
    expect(ages.percentile(0.5)).toBeWithin(5000, 5101);
    expect(ages.percentile(0.99)).toBeWithin(9900, 10_099);
    expect(ages.percentile(1)).toBeWithin(10_000, 10_201);
  });

  test("there are none of nothing, and none below a tenth of a millisecond", () => {
    const ages = new Ages();
    expect(ages.percentile(0.5)).toBeNull();
    ages.add(-5);
    expect(ages.percentile(0.5)).toBeWithin(0.09, 0.11);
  });
});

/** A pipeline's observations, in its own words. */
class Rig {
  nowMs = 1_000_000;
  readonly freshness: Freshness = new Freshness(() => this.nowMs);

  read(ageMs: number): void {
    this.freshness.observe({ type: "freshness", stage: "queryable", ageMs });
  }
  pending(count: number): void {
    this.freshness.observe({ type: "pending_commits", count });
  }
  committed(): void {
    this.freshness.observe({ type: "freshness", stage: "committed", ageMs: 1 });
  }
}

describe("freshness", () => {
  test("a flush commits what was buffered when it began, and nothing that came later", () => {
    const rig = new Rig();
    rig.read(10);
    rig.pending(1);
    const sealedMs = rig.nowMs;
    rig.nowMs += 100;
    rig.read(5);
    rig.nowMs += 100;
    rig.committed();
    rig.committed();
    rig.pending(0);
    expect(rig.freshness.committed.percentile(1)).toBeWithin(205, 216);
    expect(rig.freshness.committed.percentile(0)).toBeWithin(205, 216);
    expect(rig.freshness.sealedMs).toBe(sealedMs);
    rig.pending(1);
    rig.nowMs += 895;
    rig.committed();
    expect(rig.freshness.committed.percentile(1)).toBeWithin(990, 1025);
  });

  test("a flush that was held keeps its rows, and takes no others when it goes on", () => {
    const rig = new Rig();
    rig.read(0);
    rig.pending(1);
    rig.pending(0);
    rig.nowMs += 1000;
    rig.read(0);
    rig.pending(1);
    rig.nowMs += 1000;
    rig.committed();
    expect(rig.freshness.committed.percentile(0)).toBeWithin(1990, 2050);
  });

  test("the last flush, which nobody announces, takes the rest from when the end was asked for", () => {
    const rig = new Rig();
    rig.read(0);
    rig.pending(1);
    rig.nowMs += 50;
    rig.read(0);
    rig.freshness.ending();
    rig.nowMs += 50;
    rig.committed();
    rig.pending(0);
    rig.nowMs += 300;
    rig.committed();
    rig.committed();
    expect(rig.freshness.committed.percentile(1)).toBeWithin(345, 360);
    expect(rig.freshness.sealedMs).toBe(rig.nowMs - 300);
    expect(rig.freshness.lastQueryableMs).toBe(rig.nowMs - 350);
  });
});

describe("the rate of commits", () => {
  const flush = (sealedMs: number, committedMs: number, rows: number) => ({
    sealedMs,
    committedMs,
    rows,
  });

  test("is what was sealed over the time between, whatever a commit takes", () => {
    const flushes = [flush(200, 900, 2000), flush(5200, 6000, 52_000), flush(7200, 7900, 72_000)];
    expect(commitRate(flushes, 0, 5000)).toBe(10_000);
  });

  test("falls when the last flush takes longer than the flushes are apart", () => {
    const flushes = [flush(1000, 1500, 10_000), flush(2000, 5000, 20_000)];
    expect(commitRate(flushes, 0, 5000)).toBeCloseTo(10_000 / 3, 5);
  });

  test("of one flush is measured from the beginning; of none it is zero", () => {
    expect(commitRate([flush(2000, 2500, 10_000)], 0, 5000)).toBe(5000);
    expect(commitRate([flush(2000, 9000, 10_000)], 0, 5000)).toBe(2500);
    expect(commitRate([], 0, 5000)).toBe(0);
  });
});
