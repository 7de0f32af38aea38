/**
 * The whole product on Iceberg's own REST catalog: kills, lost and wrong answers, tokens and vended
 * credentials that end while it runs; PyIceberg finds the table through the catalog, DuckDB reads it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { produceEvents } from "../../scripts/events/events.ts";
import {
  judgeTable,
  readTopic,
  type TableSource,
  type Verdict,
} from "../../scripts/judge/judge.ts";
import { proveCatalogKills } from "../../scripts/prove/catalogKills.ts";
import { newCourse, runToEnd, start } from "../../scripts/prove/course.ts";
import {
  type IcebergRest,
  type RestFault,
  startIcebergRest,
} from "../../scripts/services/icebergRest.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";

const COMMITS = "^POST .*/tables/[^/]+$";
const FAULTS: readonly RestFault["mode"][] = [
  "before",
  "after",
  "drop-before",
  "drop-after",
  "nothing",
  "hang-after",
];

const OAUTH = { credential: "us:s3cret", tokenMs: 3000 };

let broker: KafkaBroker;
let rest: IcebergRest;
let s3: S3Service;
/** Signs in, keeps its tables on S3, and hands its keys of it out. */
let vending: IcebergRest;

beforeAll(async () => {
  [broker, rest, s3] = await Promise.all([
    startKafka({ heapMb: 256 }),
    startIcebergRest(),
    startS3(),
  ]);
  vending = await startIcebergRest({
    warehouse: "s3://warehouse/rest",
    oauth: OAUTH,
    properties: {
      "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
      "s3.endpoint": s3.endpoint,
      "s3.path-style-access": "true",
      "s3.access-key-id": s3.accessKey,
      "s3.secret-access-key": s3.secretKey,
      "client.region": s3.region,
      "include-credentials": "true",
    },
  });
}, 600_000);

afterAll(async () => {
  await Promise.all([broker?.stop(), rest?.stop(), vending?.stop(), s3?.stop()]);
});

async function judged(topic: string, table: TableSource, store?: S3Service): Promise<Verdict> {
  const topics = [await readTopic(broker.bootstrap, topic)];
  return judgeTable({ table, topics, readers: ["duckdb"], ...(store && { s3: store }) });
}

test("ten kills while commits fail in every way: no row is lost or doubled", async () => {
  const topic = "rest-kills";
  const { verdict, outcomes } = await proveCatalogKills({
    bootstrap: broker.bootstrap,
    topic,
    partitions: 3,
    events: 20_000,
    rate: 400,
    kills: 10,
    seed: 9,
    config: {
      iceberg: { catalog_type: "rest", rest: { uri: rest.uri, request_timeout_seconds: 1 } },
    },
    table: { rest: { table: `default.${topic}`, properties: { uri: rest.uri } } },
    trouble: async (random) => {
      const mode = FAULTS[Math.floor(random() * FAULTS.length)] ?? "after";
      const status = [500, 502, 503, 504][Math.floor(random() * 4)] ?? 500;
      await rest.fault({ mode, status, match: COMMITS });
    },
    calm: () => rest.fault({ mode: "before", match: COMMITS, times: 0 }),
  });
  expect(outcomes["unknown"]).toBeGreaterThan(3);
  expect(outcomes["committed"]).toBeGreaterThan(3);
  expect(verdict.violations).toEqual([]);
  expect(verdict.judged).toBe(verdict.snapshots);
  expect(verdict.readers.duckdb?.rows).toBe(20_000);
}, 300_000);

test("tokens of three seconds and keys of the store that only the catalog has: no commit fails", async () => {
  const topic = "rest-vended";
  const { bootstrap } = broker;
  const course = await newCourse({
    bootstrap,
    topic,
    partitions: 2,
    config: {
      iceberg: {
        catalog_type: "rest",
        rest: { uri: vending.uri, credential_type: "oauth2", credential: OAUTH.credential },
      },
      // No keys: those are the catalog's.
      storage: { s3: { endpoint: s3.endpoint } },
    },
  });
  const product = await start(course);
  await produceEvents({ bootstrap, topic, count: 10_000, rate: 1000 });
  const metrics = await product.metrics();
  expect(await product.terminate()).toBe(0);
  expect(metrics).toMatch(/commit_outcomes_total\{[^}]*outcome="committed"[^}]*\} [1-9]/);
  expect(metrics).not.toMatch(
    /commit_outcomes_total\{[^}]*outcome="(unknown|failed)"[^}]*\} [1-9]/,
  );
  expect(product.logLines().filter(({ level }) => level === "error")).toEqual([]);
  await runToEnd(course);
  const properties = { uri: vending.uri, credential: OAUTH.credential };
  const verdict = await judged(topic, { rest: { table: `default.${topic}`, properties } }, s3);
  expect(verdict.violations).toEqual([]);
  expect(verdict.readers.duckdb?.rows).toBe(10_000);
}, 180_000);
