/** Memory when a flush has a file for each of thousands of Iceberg partitions. */
import { expect, test } from "bun:test";
import { proveFanOut } from "../../scripts/prove/fanOut.ts";

test("one flush into 10,000 Iceberg partitions is committed whole, and takes 350 MiB at most", async () => {
  const report = await proveFanOut(10_000, 100_000);
  expect([report.files, report.rowsListed]).toEqual([10_000, report.rows]);
  // Half of it is the garbage of 10,000 files; their rows are not copied ahead of their time.
  expect(report.peakMb - report.beforeMb).toBeLessThan(350);
}, 300_000);
