/**
 * The whole product on Glue, moto with Glue's optimistic locking and S3: kills while commits fail in every
 * way; PyIceberg finds the table through Glue, DuckDB reads it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type GlueRig, proveGlueKills, startGlueRig } from "../../scripts/prove/glue.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

let broker: KafkaBroker;
let glue: GlueRig;

beforeAll(async () => {
  [broker, glue] = await Promise.all([startKafka({ heapMb: 256 }), startGlueRig()]);
}, 600_000);

afterAll(async () => {
  await Promise.all([broker?.stop(), glue?.stop()]);
});

test("three kills while commits fail in every way: no row is lost or doubled", async () => {
  const { verdict, outcomes } = await proveGlueKills(broker, glue, { kills: 3, events: 6000 });
  expect(outcomes["committed"]).toBeGreaterThan(0);
  expect(verdict.violations).toEqual([]);
  expect(verdict.judged).toBe(verdict.snapshots);
  expect(verdict.readers.duckdb?.rows).toBe(6000);
}, 180_000);
