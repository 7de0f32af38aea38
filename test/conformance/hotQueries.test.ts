/** SQL over rows that are not committed yet, together with the table, by the executable's own HTTP. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { proveHotQueries } from "../../scripts/prove/hotQueries.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
}, 600_000);
afterAll(() => broker?.stop());

test("each answer has every row of the topic up to an offset once, while rows are committed under it", async () => {
  const { bootstrap } = broker;
  const report = await proveHotQueries({
    bootstrap,
    topic: "asked",
    rate: 2000,
    seconds: 10,
    say: () => undefined,
  });
  expect(report).toMatchObject({ rows: 20_000, violations: [] });
  expect(report.answers).toBeGreaterThan(20);
  expect(report.snapshots).toBeGreaterThan(2);
  expect(report.hotAnswers).toBeGreaterThan(10);
}, 180_000);
