/**
 * The whole product with its catalog on PostgreSQL: kills of ours and of sessions, and answers that are
 * lost between the server's commit and us; PyIceberg finds the table through the catalog, DuckDB reads it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { produceEvents } from "../../scripts/events/events.ts";
import { judgeTable, readTopic } from "../../scripts/judge/judge.ts";
import { newCourse, runToEnd, start } from "../../scripts/prove/course.ts";
import {
  type FaultMode,
  type FaultProxy,
  startFaultProxy,
} from "../../scripts/services/faultProxy.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { type PostgresService, startPostgres } from "../../scripts/services/postgres.ts";

/** What is done to a connection; `READ COMMITTED` is no commit. */
const LOST_ANSWER: FaultMode = { kind: "swallow", match: /COMMIT\0/ };
const FAULTS: readonly FaultMode[] = [
  LOST_ANSWER,
  { kind: "swallow", match: /UPDATE/ },
  { kind: "stall", ms: 300, match: /COMMIT\0/ },
  { kind: "refuse" },
];
const SESSIONS = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'kafka-iceberg'`;

let broker: KafkaBroker;
let server: PostgresService;
let proxy: FaultProxy;

beforeAll(async () => {
  [broker, server] = await Promise.all([startKafka({ heapMb: 256 }), startPostgres()]);
  proxy = startFaultProxy(`127.0.0.1:${server.port}`);
}, 600_000);

afterAll(async () => {
  proxy?.stop();
  await Promise.all([broker?.stop(), server?.stop()]);
});

/** Does it until it has happened; a life that commits nothing meanwhile is killed all the same. */
async function passing(mode: FaultMode = LOST_ANSWER): Promise<void> {
  const happened = (): number =>
    proxy.counters.swallowed + proxy.counters.stalled + proxy.counters.refused;
  const before = happened();
  proxy.set(mode);
  for (let tries = 0; tries < 30 && happened() === before; tries++) await Bun.sleep(50);
  if (mode.kind !== "swallow") await Bun.sleep(200);
  proxy.set({ kind: "pass" });
}

test("ten kills while commits lose their answers and sessions end: no row is lost or doubled", async () => {
  const topic = "postgres-kills";
  const { bootstrap } = broker;
  // Without TLS, so that the proxy can see what is a COMMIT.
  const uri = `${server.uri("postgres", proxy.port)}?sslmode=disable`;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 3,
    config: { kafka: { session_timeout_ms: 6000 } },
  });
  const { warehouse_path } = course.config["iceberg"] ?? {};
  const iceberg = {
    catalog_type: "sql",
    warehouse_path: warehouse_path ?? "",
    sql: { uri },
    catalog_manager: { connection_pool_size: 2, circuit_breaker_reset_ms: 500 },
  };
  const config = { ...course.config, iceberg };
  const random = seededRandom(15);
  let flowing = true;
  const flow = produceEvents({ bootstrap, topic, count: 20_000, rate: 1200 }).finally(() => {
    flowing = false;
  });
  for (let kill = 0; kill < 10; kill++) {
    const product = await start({ ...course, config });
    for (let fault = 0; fault < 3; fault++) {
      if (random.unit() < 0.25) await server.sql(SESSIONS);
      await passing(fault === 0 ? LOST_ANSWER : FAULTS[Math.floor(random.unit() * FAULTS.length)]);
      await Bun.sleep(random.unit() * 300);
    }
    expect(product.log()).not.toContain(server.password);
    await product.kill();
  }
  await flow;
  expect(flowing).toBe(false);
  expect(proxy.counters.swallowed).toBeGreaterThanOrEqual(5);
  await runToEnd({ ...course, config });
  const verdict = await judgeTable({
    table: {
      sql: {
        uri: server.uri("postgres").replace("postgres:", "postgresql+psycopg2:"),
        name: "default",
        table: `default.${topic}`,
      },
    },
    topics: [await readTopic(bootstrap, topic)],
    readers: ["duckdb", "pyiceberg"],
  });
  expect(verdict.violations).toEqual([]);
  expect(verdict.judged).toBe(verdict.snapshots);
  expect(verdict.snapshots).toBeGreaterThan(3);
  expect(verdict.readers.duckdb?.rows).toBe(20_000);
  expect(verdict.readers.pyiceberg?.rows).toBe(20_000);
}, 180_000);
