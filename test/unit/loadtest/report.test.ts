/**
 * The verdict of a load test, its text, and what counts as every row once.
 */
import { describe, expect, test } from "bun:test";
import type { LoadTestFigures } from "#loadtest/job.ts";
import { figuresText, progressText, shortfall } from "#loadtest/report.ts";
import { judge } from "#loadtest/verify.ts";

const ASKED = { rate: 100_000, seconds: 10 };

/** Figures of sides that reached these rates with what the producer could send. */
function figures(producing: number, ingesting: number, committing: number): LoadTestFigures {
  const rows = Math.min(producing, ASKED.rate) * ASKED.seconds;
  return {
    exit: "done",
    rows,
    producedMs: (rows * 1000) / producing,
    ends: new Map(),
    ingestedMs: (rows * 1000) / ingesting,
    commits: 3,
    committedRate: committing,
    queryable: { p50Ms: 1.234, p99Ms: 56.7 },
    committed: { p50Ms: 2500, p99Ms: null },
    cpuSeconds: 5,
    wallSeconds: 10,
    peakBytes: 200 * 1024 * 1024,
  };
}

describe("the verdict", () => {
  const table: readonly (readonly [number, number, number, string | null])[] = [
    [100_000, 100_000, 100_000, null],
    [100_500, 99_500, 99_000, null],
    [94_000, 94_000, 94_000, null],
    [100_000, 60_000, 70_000, "the ingest was the limit, at 60,000 rows/s"],
    [100_000, 100_000, 30_000, "the ingest was the limit, at 30,000 rows/s"],
    [
      40_000,
      40_000,
      39_900,
      "the producer was the limit, at 40,000 rows/s; the ingest kept up with it",
    ],
    [
      60_000,
      50_000,
      50_000,
      "the ingest was the limit, at 50,000 rows/s; the producer reached 60,000",
    ],
  ];
  for (const [producing, ingesting, committing, sentence] of table) {
    test(`of ${producing} produced, ${ingesting} ingested, ${committing} committed`, () => {
      const said = shortfall(ASKED, figures(producing, ingesting, committing));
      const whole = `The rate of 100,000 rows/s was not held: ${sentence}`;
      expect(said).toBe(sentence === null ? null : whole);
    });
  }

  test("without a row is that the producer was the limit", () => {
    const none = { ...figures(1, 1, 0), rows: 0 };
    expect(shortfall(ASKED, none)).toContain("the producer was the limit, at 0 rows/s");
  });
});

describe("every row once", () => {
  const ends = new Map([
    [0, 600n],
    [1, 400n],
  ]);
  const found = { rows: 1000n, files: 2, bytes: 10n };

  test("is the same offsets and as many rows", () => {
    expect(judge({ rows: 1000, ends }, found, ends).problem).toBeNull();
  });

  test("is not a partition that the table has less or more of, or none", () => {
    const offsets = (last: bigint) => new Map([...ends, [1, last]]);
    for (const last of [399n, 401n]) {
      const { problem } = judge({ rows: 1000, ends }, found, offsets(last));
      expect(problem).toBe(`Partition 1 was produced up to 400, the table has ${last}`);
    }
    expect(judge({ rows: 1000, ends }, found, new Map()).problem).toContain("the table has 0");
  });

  test("is not the right offsets with a row less or doubled", () => {
    for (const rows of [999n, 1001n]) {
      const { problem } = judge({ rows: 1000, ends }, { ...found, rows }, ends);
      expect(problem).toBe(`1000 rows were produced, the table has ${rows}`);
    }
  });
});

describe("the text", () => {
  const verified = { rows: 1_000_000n, files: 12, bytes: 3n * 1024n * 1024n, problem: null };

  test("has what was asked and reached, ages, CPU, memory and rows", () => {
    const text = figuresText(ASKED, figures(100_000, 99_000, 98_000), verified);
    expect(text.split("\n")).toEqual([
      "side                    asked rows/s  reached rows/s  p50 ms  p99 ms",
      "producing                    100,000         100,000       -       -",
      "ingesting (hot buffer)       100,000          99,000     1.2      57",
      "committing (snapshots)       100,000          98,000   2,500       -",
      "CPU     0.50 cores, 200,000 rows per CPU-second",
      "memory  200 MiB at most",
      "rows    1,000,000 produced, 1,000,000 in the table (3 commits, 12 files, 3.0 MiB): each once",
      "",
    ]);
  });

  test("says what is wrong with the rows", () => {
    const text = figuresText(ASKED, figures(1, 1, 1), { ...verified, problem: "One is missing" });
    expect(text).toEndWith("(3 commits, 12 files, 3.0 MiB): One is missing\n");
  });

  test("of what happens now has rates since the last line, and how late the producer is", () => {
    const before = {
      passedMs: 1000,
      produced: 1000,
      behindMs: 0,
      ingested: 900,
      committed: 0,
      bufferedBytes: 0,
    };
    const now = {
      passedMs: 3000,
      produced: 5000,
      behindMs: 1700,
      ingested: 2900,
      committed: 800,
      bufferedBytes: 7 * 1024 * 1024,
    };
    expect(progressText(before, now)).toBe(
      "3 s  producing 2,000 rows/s (1.7 s late)  ingesting 1,000 rows/s  behind 2,100  " +
        "buffered 7 MiB  committed 800",
    );
  });
});
