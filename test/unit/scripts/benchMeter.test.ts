/** The benchmark's observers: process trees and commits, seen from outside. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchHead } from "../../../scripts/bench/peers/heads.ts";
import { meterOf } from "../../../scripts/bench/peers/meter.ts";

const folder = mkdtempSync(join(tmpdir(), "bench-unit-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("CPU time of ended grandchildren counts", async () => {
  const burn = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done";
  const child = Bun.spawn(["sh", "-c", `sh -c '${burn}'; sh -c '${burn}'; :`]);
  const meter = meterOf(child);
  const early = meter.cost();
  await child.exited;
  const { cpuSeconds } = meter.cost();
  meter.stop();
  expect(early.peakBytes).toBeGreaterThan(0);
  expect(cpuSeconds).toBeGreaterThan(early.cpuSeconds);
});

test("each snapshot of a file catalog is seen once, in order, with the table's rows", () => {
  const metadata = join(folder, "metadata");
  mkdirSync(metadata, { recursive: true });
  const snapshot = (sequence: number, rows: number) => ({
    "sequence-number": sequence,
    summary: { "total-records": String(rows) },
  });
  const put = (version: number, ...snapshots: object[]): void =>
    writeFileSync(join(metadata, `v${version}.metadata.json`), JSON.stringify({ snapshots }));
  put(1);
  put(2, snapshot(2, 50), snapshot(1, 0));
  const rows: number[] = [];
  const watch = watchHead({ folder }, (commit) => rows.push(commit.totalRows));
  watch.stop();
  put(3, snapshot(2, 50), snapshot(3, 90));
  watch.stop();
  expect(watch.commits.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  // Commits without rows are not announced.
  expect(rows).toEqual([50, 90]);
  expect(watch.metadata()).toEndWith("v3.metadata.json");
});
