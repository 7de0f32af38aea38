/**
 * The whole product on a Hive Metastore: kills while commits fail in every way; PyIceberg finds the table through the
 * metastore, DuckDB reads it. 4.0.1, and more kills: `bun scripts/prove/hive.ts`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { proveHiveKills } from "../../scripts/prove/hive.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka({ heapMb: 256 });
}, 600_000);

afterAll(() => broker?.stop());

test("two kills while commits fail in every way: no row is lost or doubled", async () => {
  const { verdict } = await proveHiveKills(broker, "4.0.0", { kills: 2, events: 3000 });
  expect(verdict.violations).toEqual([]);
  expect(verdict.judged).toBe(verdict.snapshots);
  expect(verdict.readers.duckdb?.rows).toBe(3000);
}, 600_000);
