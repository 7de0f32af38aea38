/**
 * SIGTERM under full load ends in time with everything buffered committed, or, when nothing answers, with
 * nothing doubled.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import {
  proveHangingShutdown,
  proveShutdown,
  type ShutdownReport,
} from "../../scripts/prove/shutdown.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { startS3 } from "../../scripts/services/versitygw.ts";

/** `server.shutdown_timeout_ms`. */
const EXIT_MS_MAX = 5000;

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

function expectOrderlyEnd(report: ShutdownReport, rows: number): void {
  expect(report.exitCode).toBe(0);
  expect(report.exitMs).toBeLessThan(EXIT_MS_MAX);
  expect(report.verdict.violations).toEqual([]);
  expect(report.verdict.readers.duckdb?.rows).toBe(rows);
}

test("SIGTERM under full load commits what was buffered before it and exits with 0 within 5 s", async () => {
  const { bootstrap } = broker;
  const report = await proveShutdown({ bootstrap, topic: "load", events: 300_000 });
  expectOrderlyEnd(report, 300_000);
  const behind = Object.entries(report.positionsBefore).filter(
    ([partition, position]) => (report.committedAfter[partition] ?? 0) < position,
  );
  expect(behind).toEqual([]);
  // Otherwise the signal came too late to show anything.
  expect(report.committedBefore).not.toEqual(report.committedAfter);
}, 300_000);

test.each(["commit", "everything"] as const)(
  "SIGTERM while the store hangs (%s) exits with 0 within 5 s, and nothing is doubled afterwards",
  async (stalled) => {
    const dataDir = await temporaryFolder("s3");
    const s3 = await startS3({ dataDir });
    try {
      const proof = { bootstrap: broker.bootstrap, topic: `hanging-${stalled}`, events: 50_000 };
      const objects = join(dataDir, "objects");
      const report = await proveHangingShutdown({ ...proof, stalled }, s3, objects);
      expectOrderlyEnd(report, 60_000);
      if (stalled === "everything") return;
      // The commit of the ended process was applied after all.
      expect(report.committedLate).not.toEqual(report.committedAfter);
    } finally {
      await s3.stop();
    }
  },
  300_000,
);
