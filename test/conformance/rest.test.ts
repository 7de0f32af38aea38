/**
 * The whole product on Iceberg's own REST catalog: kills, lost and wrong answers, tokens and vended
 * credentials that end while it runs; PyIceberg finds the table through the catalog, DuckDB reads it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { seededRandom } from "#base/random.ts";
import { produceEvents } from "../../scripts/events/events.ts";
import {
  judgeTable,
  readTopic,
  type TableSource,
  type Verdict,
} from "../../scripts/judge/judge.ts";
import { newCourse, runToEnd, start } from "../../scripts/prove/course.ts";
import {
  type IcebergRest,
  type RestFault,
  startIcebergRest,
} from "../../scripts/services/icebergRest.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

const COMMITS = "^POST .*/tables/[^/]+$";
const FAULTS: readonly RestFault["mode"][] = [
  "before",
  "after",
  "drop-before",
  "drop-after",
  "nothing",
  "hang-after",
];

let broker: KafkaBroker;
let rest: IcebergRest;

beforeAll(async () => {
  [broker, rest] = await Promise.all([startKafka({ heapMb: 256 }), startIcebergRest()]);
}, 600_000);

afterAll(async () => {
  await Promise.all([broker?.stop(), rest?.stop()]);
});

function throughRest(uri: string, topic: string): TableSource {
  return { rest: { table: `default.${topic}`, properties: { uri } } };
}

async function judged(topic: string, table: TableSource): Promise<Verdict> {
  const topics = [await readTopic(broker.bootstrap, topic)];
  return judgeTable({ table, topics, readers: ["duckdb"] });
}

test("ten kills while commits fail in every way: no row is lost or doubled", async () => {
  const topic = "rest-kills";
  const { bootstrap } = broker;
  const catalog = { catalog_type: "rest", rest: { uri: rest.uri, request_timeout_seconds: 1 } };
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 3,
    config: { iceberg: catalog, kafka: { session_timeout_ms: 6000 } },
  });
  const random = seededRandom(9);
  let flowing = true;
  const flow = produceEvents({ bootstrap, topic, count: 20_000, rate: 1200 }).finally(() => {
    flowing = false;
  });
  for (let kill = 0; kill < 10; kill++) {
    const product = await start(course);
    for (let fault = 0; fault < 3; fault++) {
      const mode = FAULTS[Math.floor(random.unit() * FAULTS.length)] ?? "after";
      const status = [500, 502, 503, 504][Math.floor(random.unit() * 4)] ?? 500;
      await rest.fault({ mode, status, match: COMMITS });
      await Bun.sleep(200 + random.unit() * 500);
    }
    await product.kill();
  }
  await flow;
  expect(flowing).toBe(false);
  await rest.fault({ mode: "before", match: "^$", times: 0 });
  await runToEnd(course);
  const verdict = await judged(topic, throughRest(rest.uri, topic));
  expect(verdict.violations).toEqual([]);
  expect(verdict.judged).toBe(verdict.snapshots);
  expect(verdict.snapshots).toBeGreaterThan(3);
  expect(verdict.readers.duckdb?.rows).toBe(20_000);
}, 180_000);
