/**
 * Repeated and competing commits: one offset range makes one snapshot, and the metadata stays small.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { produceEvents } from "../../scripts/events/events.ts";
import { proveManyCommits, proveOneCommit } from "../../scripts/prove/commits.ts";
import { judge, newCourse, start } from "../../scripts/prove/course.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { until } from "../../scripts/services/process.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

test("five concurrent commits of one offset range make one snapshot; repeated, it answers the same id", async () => {
  const report = await proveOneCommit(5);
  const kinds = [...report.outcomes].sort();
  expect(kinds).toEqual(["committed", "dropped", "dropped", "dropped", "dropped"]);
  expect(report.snapshotsAdded).toBe(1);
  expect(report.snapshotIds).toHaveLength(2);
  expect(new Set(report.snapshotIds).size).toBe(1);
  expect(report.idempotentRetries).toBe(1);
}, 60_000);

test("a commit whose end could not be logged is found in the table and counted", async () => {
  const { bootstrap } = broker;
  const topic = "found";
  const course = await newCourse({ bootstrap, topic, partitions: 1 });
  await produceEvents({ bootstrap, topic, count: 500 });
  const product = await start(course, { KAFKA_ICEBERG_FAILPOINT: "log_snapshot_created=error@2" });
  try {
    const counted = async (): Promise<boolean> =>
      /^iceberg_idempotent_retries_total{[^}]*} 1$/m.test(await product.metrics().catch(() => ""));
    await until("a commit found in the table", counted, 30_000);
    expect(await product.terminate()).toBe(0);
  } finally {
    await product.kill();
  }
  const verdict = await judge(course);
  expect(verdict.violations).toEqual([]);
  expect(verdict.readers.duckdb?.rows).toBe(500);
}, 120_000);

test("600 commits later snapshots of the window are there, others thinned, metadata below 1 MB", async () => {
  const intervalMs = 20_000;
  const report = await proveManyCommits(600, 100, intervalMs);
  // 700 commits are 3.9 hours: all of the last hour, and one per ten minutes before that.
  const window = 3_600_000 / intervalMs;
  expect(report.snapshots).toBeGreaterThanOrEqual(window);
  expect(report.snapshots).toBeLessThanOrEqual(window + 25);
  expect(report.metadataBytesMax).toBeLessThan(1_000_000);
}, 180_000);
