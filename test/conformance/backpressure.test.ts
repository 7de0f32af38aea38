/**
 * A full buffer in front of a store that hangs: partitions pause and go on, memory stays bounded, lag is exact.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { proveBackpressure } from "../../scripts/prove/backpressure.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";

const MIB = 1024 * 1024;

let broker: KafkaBroker;
let s3: S3Service;
let objects: string;

beforeAll(async () => {
  const dataDir = await temporaryFolder("s3");
  objects = join(dataDir, "objects");
  [broker, s3] = await Promise.all([startKafka(), startS3({ dataDir })]);
}, 600_000);

afterAll(async () => {
  await broker?.stop();
  await s3?.stop();
});

test("a full buffer pauses every partition until the store is back; nothing is lost", async () => {
  const bufferMb = 8;
  const size = { topic: "pressed", events: 300_000, bufferMb, hangMs: 5000 };
  const report = await proveBackpressure({ bootstrap: broker.bootstrap, ...size }, s3, objects);
  expect(report.pausedPartitions).toBe(report.lags.length);
  expect(report.pausedPartitionsAfter).toBe(0);
  expect(report.backpressureSeconds).toBeGreaterThan(5);
  for (const { logEnd, position, gauge } of report.lags) {
    expect(gauge).toBeGreaterThan(0);
    expect(gauge).toBe(logEnd - position);
  }
  // What was handed over in the same turn is buffered beyond the bound, never more.
  expect(report.bufferBytes).toBeLessThan(2 * bufferMb * MIB);
  expect(report.peakBytes).toBeLessThan(450 * MIB);
  expect(report.verdict.violations).toEqual([]);
  expect(report.verdict.readers.duckdb?.rows).toBe(300_000);
}, 300_000);
