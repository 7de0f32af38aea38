/** Figures of the benchmark: merging, summaries, the page. */
import { expect, test } from "bun:test";
import type { IngestRun } from "../../../scripts/bench/peers/ingest.ts";
import { flushTimes } from "../../../scripts/bench/peers/steady.ts";
import { slope } from "../../../scripts/bench/peers/sustained.ts";
import {
  type Entry,
  type IngestEntry,
  mergeEntries,
  spreadOf,
} from "../../../scripts/bench/report/figures.ts";
import { benchmarkPage } from "../../../scripts/bench/report/page.ts";
import { plotSvg } from "../../../scripts/bench/report/plot.ts";

function ran(rowsPerCpuSecond: number, firstCommitSeconds: number | null = 1.5): IngestRun {
  return {
    rowsPerSecond: 2 * rowsPerCpuSecond,
    rowsPerCpuSecond,
    cpuSeconds: 1,
    peakMiB: 300,
    firstCommitSeconds,
    commits: 3,
    bytesPerRow: 80,
    load: 0.5,
  };
}

function ingest(side: IngestEntry["side"], overrides: Partial<IngestEntry> = {}): IngestEntry {
  return {
    kind: "ingest",
    side,
    title: `the ${side}`,
    codec: "snappy",
    events: 1000,
    intervalMs: 5000,
    date: "2026-11-21 12:00",
    runs: [ran(100_000)],
    ...overrides,
  };
}

function page(entries: readonly Entry[]): string {
  return benchmarkPage({ machine: "a machine", versions: "Kafka 1", commit: "abc", entries });
}

test("a later run of one side replaces its figures only", () => {
  const old = [ingest("ours"), ingest("flink"), ingest("ours", { codec: "zstd" })];
  const merged = mergeEntries(old, [ingest("ours", { date: "2026-11-22 12:00" })]);
  expect(merged.map((entry) => [entry.side, entry.date])).toEqual([
    ["flink", "2026-11-21 12:00"],
    ["ours", "2026-11-21 12:00"],
    ["ours", "2026-11-22 12:00"],
  ]);
});

test("freshness at another interval is another measurement", () => {
  const runs = [{ p50Ms: 1, p99Ms: 2, maxMs: 3, minMs: 0 }];
  const common = { kind: "freshness", side: "ours", title: "ours", date: "", rate: 1 } as const;
  const entry = { ...common, seconds: 1, runs };
  const one = { ...entry, intervalMs: 1000 };
  expect(mergeEntries([one], [{ ...entry, intervalMs: 5000 }])).toHaveLength(2);
  expect(mergeEntries([one], [one])).toHaveLength(1);
});

test("a spread is the median between the least and the greatest", () => {
  expect(spreadOf([5, 1, 3])).toEqual({ median: 3, least: 1, greatest: 5 });
  expect(spreadOf([4])).toEqual({ median: 4, least: 4, greatest: 4 });
  expect(spreadOf([8, 4]).median).toBe(6);
});

test("a slope is that of the line, and unknown for one point", () => {
  expect(slope([1, 2, 3].map((x) => [x, 7 - 2 * x] as const))).toBeCloseTo(-2);
  expect(Number.isFinite(slope([[1, 5]]))).toBe(false);
});

test("the page orders sides by rows per CPU-second and compares each with ours", () => {
  const text = page([
    ingest("flink", { runs: [ran(200_000)] }),
    ingest("ours", { runs: [ran(1_000_000), ran(900_000), ran(1_100_000)] }),
    ingest("floor", { runs: [ran(500_000, null)] }),
  ]);
  const lines = text.split("\n").filter((line) => line.startsWith("| the "));
  expect(lines.map((line) => line.split(" | ").slice(0, 3))).toEqual([
    ["| the ours", "1,000,000 (900,000-1,100,000)", ""],
    ["| the floor", "500,000", "2.00 x"],
    ["| the flink", "200,000", "5.00 x"],
  ]);
  expect(lines[1]).toContain("| none |");
});

test("the page has no section of what was not measured", () => {
  const text = page([ingest("ours")]);
  expect(text).toContain("## Ingest, snappy");
  expect(text).not.toContain("zstd\n");
  expect(text).not.toContain("## Ours alone");
  expect(text).not.toContain("## Produce to committed");
});

test("the plot is an SVG with a bar for each side and codec", async () => {
  const svg = await plotSvg([ingest("ours"), ingest("ours", { codec: "zstd" }), ingest("flink")]);
  expect(svg).toStartWith("<svg");
  expect(svg.match(/aria-roledescription="bar"/g)).toHaveLength(3);
});

test("how long flushes took is read from the log, without those of the warm-up", () => {
  const line = (message: string, ms: number, second: number): string =>
    JSON.stringify({ timestamp: `2026-11-29T20:00:${second}Z`, message, duration_ms: ms });
  const log = [
    line("Flush committed", 900, 10),
    line("Flush committed", 300, 20),
    line("Started", 5000, 21),
    line("Flush committed", 100, 25),
    line("Flush committed", 200, 30),
    "",
  ].join("\n");
  const times = { count: 3, p50Ms: 200, p99Ms: 300, maxMs: 300 };
  expect(flushTimes(log, Date.parse("2026-11-29T20:00:15Z"))).toEqual(times);
});
