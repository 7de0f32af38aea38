/** SQL over a table that follows changes, together with the changes that are not committed yet. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { proveHotChanges } from "../../scripts/prove/hotChanges.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);

afterAll(async () => {
  await broker?.stop();
});

test("each answer is a fold of the topic, while rows are updated and deleted, we compact, and processes come, leave and are killed", async () => {
  const report = await proveHotChanges({
    ...{ bootstrap: broker.bootstrap, topic: "changing", keys: 200, rate: 100 },
    ...{ actSeconds: 1, minutes: 0, seed: 2, say: () => undefined },
  });
  expect(report).toMatchObject({ ok: true, violations: [] });
  expect(report.counts["uncovered"]).toBeGreaterThan(0);
  expect(report.counts["hot"]).toBeGreaterThan(20);
  expect(report.snapshots).toBeGreaterThan(5);
  expect(report.verdict.positionDeletes).toBeGreaterThan(0);
}, 600_000);
