/**
 * Every partition transform and strategy through the configuration: the rows by DuckDB against the
 * topic, the partitions against Spark's own functions, and files that filters spare the readers.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { produceValues } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { judgeTable, readTopic, type TopicCopy } from "../../scripts/judge/judge.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import type { Config } from "../../scripts/services/product.ts";
import { fileTable, runUntilEnd } from "../support/binary.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { readColumns } from "../support/tableReaders.ts";

const TOPIC = "parts";
const ROWS = 60;
const DAY_MS = 86_400_000;
/** In 1969 and 2026, so that times before the epoch are partitioned too. */
const STARTS = [Date.UTC(1969, 11, 30), Date.UTC(2026, 0, 30)];

const FIELDS = [
  ["region", "string"],
  ["user_id", "long"],
  ["small", "int"],
  ["name", "string"],
  ["amount", "decimal(9, 2)"],
  ["d", "date"],
  ["ts", "timestamp"],
  ["tsz", "timestamptz"],
].map(([name = "", type = ""]) => ({ name, type }));

/** Partition specification -> Spark's expressions for the same values. */
const SPECS: readonly (readonly [spec: readonly string[], spark: readonly string[]])[] = [
  [
    ["region", "day(tsz)"],
    ["region", "f.system.days(tsz)"],
  ],
  [
    ["year(ts)", "month(d)", "hour(tsz)"],
    ["f.system.years(ts)", "f.system.months(d)", "f.system.hours(tsz)"],
  ],
  [
    ["bucket(16, user_id)", "bucket(name, 8)", "bucket(4, small)"],
    ["f.system.bucket(16, user_id)", "f.system.bucket(8, name)", "f.system.bucket(4, small)"],
  ],
  [
    ["bucket(8, amount)", "bucket(8, d)", "bucket(8, tsz)"],
    ["f.system.bucket(8, amount)", "f.system.bucket(8, d)", "f.system.bucket(8, tsz)"],
  ],
  [
    ["truncate(3, name)", "truncate(10, user_id)", "truncate(5, small)", "truncate(500, amount)"],
    [
      "f.system.truncate(3, name)",
      "f.system.truncate(10, user_id)",
      "f.system.truncate(5, small)",
      "f.system.truncate(500, amount)",
    ],
  ],
  [
    ["identity(d)", "identity(amount)"],
    ["d", "amount"],
  ],
];

/** Strategy, its section, and Spark's expression; null: no partitions. */
const STRATEGIES: readonly (readonly [string, Config, string | null])[] = [
  ["none", {}, null],
  ["hourly", { "partitioning.time_based": { field: "tsz" } }, "f.system.hours(tsz)"],
  ["daily", { "partitioning.time_based": { field: "ts" } }, "f.system.days(ts)"],
  ["monthly", { "partitioning.time_based": { field: "d" } }, "f.system.months(d)"],
  ["yearly", { "partitioning.time_based": { field: "tsz" } }, "f.system.years(tsz)"],
  ["identity", { "partitioning.identity": { field: "region" } }, "region"],
  [
    "bucket",
    { "partitioning.bucket": { field: "user_id", num_buckets: 7 } },
    "f.system.bucket(7, user_id)",
  ],
  [
    "truncate",
    { "partitioning.truncate": { field: "name", width: 2 } },
    "f.system.truncate(2, name)",
  ],
];

let broker: KafkaBroker;
let spark: SparkSql;
let root: string;
let copy: TopicCopy;

beforeAll(async () => {
  root = await temporaryFolder("transforms");
  [broker, spark] = await Promise.all([
    startKafka(),
    startSparkSql(hadoopCatalog("f", join(root, "warehouse"))),
  ]);
  const { bootstrap } = broker;
  await createTopic(bootstrap, { topic: TOPIC, partitions: 2 });
  const records = Array.from({ length: ROWS }, (_, n) => ({ partition: n % 2, value: row(n) }));
  await produceValues({ bootstrap, topic: TOPIC }, records);
  copy = await readTopic(bootstrap, TOPIC);
  // Its first answer takes long; no test's time should hold it.
  await spark.sql("select 1");
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await broker?.stop();
});

/** A record; every seventh has nulls only, which are partitions of their own. */
function row(n: number): string {
  if (n % 7 === 6) return '{"region":null}';
  const time = new Date((STARTS[n % 2] ?? 0) + Math.floor(n / 4) * (DAY_MS / 5));
  const stamp = time.toISOString();
  return JSON.stringify({
    region: ["eu", "us", "", "a b/c=d"][n % 4],
    user_id: (n - 30) * 7,
    small: n - 30,
    name: ["Grüße", "日本語です", "ab", `user-${n % 5}`][n % 4],
    amount: ((n - 30) * 1.37).toFixed(2),
    d: stamp.slice(0, 10),
    ts: stamp.slice(0, -1),
    tsz: stamp,
  });
}

async function committed(topic: string, table: string, config: Config): Promise<void> {
  const { bootstrap } = broker;
  const warehouse = join(root, "warehouse");
  const { product, exitCode } = await runUntilEnd({
    config: fileTable({
      bootstrap,
      topic,
      warehouse,
      config: {
        schema: { fields: FIELDS },
        ...config,
        iceberg: { table_name: table },
        // In a shared group each would wait for the session of the one before it.
        kafka: { consumer_group: `group-${table}` },
      },
    }),
  });
  expect([exitCode, exitCode === 0 ? "" : product.log()]).toEqual([0, ""]);
}

function folderOf(table: string): string {
  return join(root, "warehouse", "default", table);
}

/** Rows as sorted text, whatever their columns are called. */
function texts(rows: readonly Record<string, unknown>[]): string[] {
  return rows.map((each) => JSON.stringify(Object.values(each).map(String))).sort();
}

/** The rows are the topic's, value by value. */
async function expectRows(table: string): Promise<void> {
  const verdict = await judgeTable({
    table: { folder: folderOf(table) },
    topics: [copy],
    readers: ["duckdb"],
  });
  expect(verdict.violations).toEqual([]);
  expect(verdict.readers.duckdb?.rows).toBe(ROWS);
}

/** The partitions are what Spark makes of the rows. */
async function expectPartitions(table: string, expressions: readonly string[]): Promise<void> {
  const ours = await spark.sql(
    `select partition.*, sum(record_count) n from f.default.${table}.partitions group by all`,
  );
  const named = expressions.map((each, at) => `${each} p${at}`).join(", ");
  const theirs = await spark.sql(
    `select ${named}, count(*) n from f.default.${table} group by ${expressions.join(", ")}`,
  );
  expect(texts(ours)).toEqual(texts(theirs));
}

describe("partitioning.spec", () => {
  test.each(
    SPECS.map(([spec, expressions], at) => [spec.join(", "), at, spec, expressions] as const),
  )(
    "%s",
    async (_, at, spec, expressions) => {
      await committed(TOPIC, `spec${at}`, { partitioning: { spec } });
      await expectRows(`spec${at}`);
      await expectPartitions(`spec${at}`, expressions);
    },
    120_000,
  );
});

describe("partitioning.partition_strategy", () => {
  test.each(STRATEGIES)(
    "%s",
    async (strategy, section, expression) => {
      await committed(TOPIC, strategy, {
        partitioning: { partition_strategy: strategy },
        ...section,
      });
      if (expression !== null) {
        await expectPartitions(strategy, [expression]);
        return;
      }
      const answer = "select count(*) n, count(distinct spec_id) s from f.default.none.files";
      expect(await spark.sql(answer)).toEqual([{ n: 2, s: 1 }]);
    },
    120_000,
  );
});

describe("metadata tables and pruning", () => {
  const day = (n: number): string => `2026-03-0${n + 1}`;

  beforeAll(async () => {
    const { bootstrap } = broker;
    await createTopic(bootstrap, { topic: "pruned", partitions: 1 });
    const values = Array.from({ length: 60 }, (_, n) => ({
      value: JSON.stringify({
        tsz: `${day(n % 3)}T10:00:00Z`,
        user_id: (n % 3) * 100 + n,
        name: `n${n % 3}`,
      }),
    }));
    await produceValues({ bootstrap, topic: "pruned" }, values);
    await committed("pruned", "pruned", { partitioning: { spec: ["day(tsz)"] } });
  }, 120_000);

  test("Spark reads files, partitions, snapshots, history, manifests and refs", async () => {
    const table = "f.default.pruned";
    const files = await spark.sql(
      `select file_format f, record_count n, string(partition.tsz_day) d,
       readable_metrics.user_id.lower_bound lo, readable_metrics.user_id.upper_bound hi,
       readable_metrics.user_id.null_value_count nulls from ${table}.files order by d`,
    );
    expect(files).toEqual(
      [0, 1, 2].map((n) => ({
        f: "PARQUET",
        n: 20,
        d: day(n),
        lo: n * 101,
        hi: n * 101 + 57,
        nulls: 0,
      })),
    );
    const snapshots = await spark.sql(
      `select operation, summary['added-records'] added, summary['total-data-files'] files
       from ${table}.snapshots order by committed_at desc limit 1`,
    );
    expect(snapshots).toEqual([{ operation: "append", added: "60", files: "3" }]);
    const [counts] = await spark.sql(
      `select (select sum(record_count) from ${table}.partitions) p,
       (select count(*) from ${table}.history) = (select count(*) from ${table}.snapshots) h,
       (select sum(added_data_files_count) from ${table}.manifests) m,
       (select count(*) from ${table}.refs where name = 'main') r`,
    );
    expect(counts).toEqual({ p: 60, h: true, m: 3, r: 1 });
  }, 120_000);

  test("a filter on a partition or on a bounded column spares Spark and PyIceberg files", async () => {
    const filters = [
      ["user_id >= -1", "user_id >= -1", 3],
      ["tsz >= timestamp'2026-03-03 00:00:00'", "tsz >= '2026-03-03T00:00:00+00:00'", 1],
      ["user_id = 105", "user_id = 105", 1],
      ["user_id > 140", "user_id > 140", 2],
      ["name = 'n1'", "name = 'n1'", 1],
    ] as const;
    for (const [filter, , files] of filters) {
      const metrics = await spark.scan(`select * from f.default.pruned where ${filter}`);
      expect([filter, metrics["resultDataFiles"]]).toEqual([filter, files]);
    }
    const { planned } = await readColumns({
      table: { folder: folderOf("pruned") },
      columns: [],
      planned: filters.map(([, filter]) => filter),
    });
    expect(planned).toEqual(filters.map(([, , files]) => files));
  }, 120_000);
});
