/**
 * The product on tables: learnt and growing schemas, restarts, tables that PyIceberg and Spark made,
 * and every Parquet codec on every store, as foreign readers see them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { produceEvents, produceValues } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { judgeTable, readTopic, type TableSource } from "../../scripts/judge/judge.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import type { Config, Product } from "../../scripts/services/product.ts";
import { type S3Service, startS3 } from "../../scripts/services/versitygw.ts";
import { fileTable, runUntilEnd } from "../support/binary.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { readColumns } from "../support/tableReaders.ts";

let broker: KafkaBroker;
let s3: S3Service;
let spark: SparkSql;
let root: string;

beforeAll(async () => {
  root = await temporaryFolder("product");
  mkdirSync(join(root, "sql"));
  [broker, s3, spark] = await Promise.all([
    startKafka(),
    startS3(),
    startSparkSql({
      ...hadoopCatalog("f", warehouse()),
      "spark.sql.catalog.j": "org.apache.iceberg.spark.SparkCatalog",
      "spark.sql.catalog.j.type": "jdbc",
      "spark.sql.catalog.j.uri": `jdbc:sqlite:${root}/sql/catalog.db`,
      "spark.sql.catalog.j.jdbc.schema-version": "V1",
      "spark.sql.catalog.j.warehouse": join(root, "sql", "wh"),
      "spark.sql.catalog.j.cache-enabled": "false",
    }),
  ]);
  // Its first answer takes long; no test's time should hold it.
  await spark.sql("select 1");
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await s3?.stop();
  await broker?.stop();
});

function warehouse(): string {
  return join(root, "warehouse");
}

const FOLDER = (topic: string): TableSource => ({ folder: join(warehouse(), "default", topic) });

interface Ended {
  readonly product: Product;
  readonly exitCode: number;
}

async function produced(topic: string, values: readonly string[], fresh = true): Promise<void> {
  const { bootstrap } = broker;
  if (fresh) await createTopic(bootstrap, { topic, partitions: 1 });
  await produceValues(
    { bootstrap, topic },
    values.map((value) => ({ value })),
  );
}

async function ended(topic: string, config: Config = {}): Promise<Ended> {
  const { bootstrap } = broker;
  // In a shared group a second run would wait for the session of the first.
  const kafka = { consumer_group: `group-${crypto.randomUUID()}` };
  return runUntilEnd({
    config: fileTable({ bootstrap, topic, warehouse: warehouse(), config: { ...config, kafka } }),
  });
}

async function committed(topic: string, config: Config = {}): Promise<void> {
  const { product, exitCode } = await ended(topic, config);
  expect([exitCode, exitCode === 0 ? "" : product.log()]).toEqual([0, ""]);
}

/** Values of columns, which both readers find. */
async function columnsOf(table: TableSource, columns: readonly string[], order = "_kafka_offset") {
  const { readers } = await readColumns({ table, columns, order });
  expect(readers["duckdb"]).toEqual(readers["pyiceberg"] ?? {});
  return readers["duckdb"] ?? {};
}

async function exact(topic: string, rows: number): Promise<void> {
  const topics = [await readTopic(broker.bootstrap, topic)];
  const verdict = await judgeTable({ table: FOLDER(topic), topics });
  expect(verdict.violations).toEqual([]);
  expect(verdict.readers.duckdb?.rows).toBe(rows);
  expect(verdict.readers.pyiceberg?.rows).toBe(rows);
}

async function sparkTypes(table: string): Promise<Record<string, string>> {
  const rows = await spark.sql(`describe ${table}`);
  const named = rows.map((each) => [String(each["col_name"]), String(each["data_type"])] as const);
  const end = named.findIndex(([name]) => name === "" || name.startsWith("#"));
  return Object.fromEntries(end < 0 ? named : named.slice(0, end));
}

describe("an inferred schema", () => {
  test("holds every field of the first records, any fraction makes a double, and digits stay", async () => {
    await produced("inferred", [
      '{"i":1,"d":1,"s":"x","n":{"a":1},"l":[{"p":1}],"b":true,"u":null}',
      '{"i":9007199254740993,"d":0.5,"s":"y","n":{"b":[1.5]},"l":[{"q":"z"}],"b":false}',
    ]);
    await committed("inferred");
    expect(await sparkTypes("f.default.inferred")).toMatchObject({
      i: "bigint",
      d: "double",
      s: "string",
      n: "struct<a:bigint,b:array<double>>",
      l: "array<struct<p:bigint,q:string>>",
      b: "boolean",
    });
    expect(await columnsOf(FOLDER("inferred"), ["i", "d"])).toEqual({
      i: ["1", "9007199254740993"],
      d: ["1.0", "0.5"],
    });
    await exact("inferred", 2);
  }, 120_000);

  test("grows by new fields, top and nested, in mid-stream and after a restart", async () => {
    const first = Array.from(
      { length: 200 },
      (_, n) => `{"id":${n},"in":{"a":${n}},"l":[{"p":1}]}`,
    );
    const later = Array.from(
      { length: 200 },
      (_, n) => `{"id":${n},"in":{"a":1,"b":"b${n}"},"l":[{"p":1,"q":0.5}],"late":${n}}`,
    );
    await produced("growing", [...first, ...later]);
    // The first hundred make the schema; the rest must evolve it while it flows.
    await committed("growing", { schema: { infer_rows: 100 } });
    await exact("growing", 400);
    await produced(
      "growing",
      ['{"id":1,"after":"restart","in":{"c":true},"l":[]}', '{"id":2,"l":[]}'],
      false,
    );
    await committed("growing");
    await exact("growing", 402);
    expect(await sparkTypes("f.default.growing")).toMatchObject({
      in: "struct<a:bigint,b:string,c:boolean>",
      l: "array<struct<p:bigint,q:double>>",
      late: "bigint",
      after: "string",
    });
    const nulls =
      "count_if(late is null) a, count_if(in.b is null) b, count_if(get(l, 0).q is null) c";
    const rows = await spark.sql(`select ${nulls} from f.default.growing`);
    expect(rows).toEqual([{ a: 202, b: 202, c: 202 }]);
  }, 180_000);
});

describe("a value that its column cannot hold", () => {
  const values = ['{"id":1}', '{"id":"two"}', '{"id":3}'];
  const schema = { fields: [{ name: "id", type: "long" }] };

  test("is skipped, and the rows around it are there", async () => {
    await produced("conflict-skip", values);
    await committed("conflict-skip", { schema, dead_letter: { action: "skip" } });
    expect(await columnsOf(FOLDER("conflict-skip"), ["id"])).toEqual({ id: ["1", "3"] });
  }, 120_000);

  test('stops its table with on_type_conflict = "fail", whatever happens to other rejects', async () => {
    await produced("conflict-fail", values);
    const { product, exitCode } = await ended("conflict-fail", {
      schema: { ...schema, on_type_conflict: "fail" },
      dead_letter: { action: "skip" },
    });
    expect(exitCode).toBe(4);
    const errors = product.logLines().filter(({ level }) => level === "error");
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/conflict-fail.*offset 1.*"id"/),
    ]);
  }, 120_000);
});

describe("tables that others made", () => {
  const values = ['{"id":1099511627776,"name":"kafka"}', '{"id":2,"name":"k","more":true}'];

  test("PyIceberg's, in its SqlCatalog: its rows stay, ours follow, and it reads both", async () => {
    await produced("adopted", values);
    const uri = `sqlite:///${root}/sql/py.db`;
    const catalog = { uri, warehouse: `file://${root}/sql/py` };
    const script = join(import.meta.dir, "..", "support", "catalog_pyiceberg.py");
    const rows = [{ id: -1, name: "pyiceberg" }];
    const job = { catalog, table: "default.adopted", action: "create", name: "py", rows };
    await run([await readersPython(), script], { stdin: JSON.stringify(job) });
    await committed("adopted", {
      iceberg: {
        catalog_type: "sql",
        warehouse_path: join(root, "sql", "py"),
        sql: { uri: `sqlite:${root}/sql/py.db`, name: "py" },
      },
    });
    const table = { sql: { uri, name: "py", table: "default.adopted" } };
    expect(await columnsOf(table, ["id", "name", "more", "_kafka_offset"], "id")).toEqual({
      id: ["-1", "2", "1099511627776"],
      name: ["pyiceberg", "k", "kafka"],
      more: [null, "true", null],
      _kafka_offset: [null, "1", "0"],
    });
  }, 120_000);

  test.each([
    ["Hadoop catalog", "f"],
    ["JDBC catalog", "j"],
  ])(
    "Spark's, in its %s: an int column grows to the declared long, its partitions are kept",
    async (_, name) => {
      const topic = `spark-${name}`;
      await produced(topic, values);
      const table = `${name}.default.\`${topic}\``;
      await spark.sql(`create namespace if not exists ${name}.default`);
      await spark.sql(
        `create table ${table} (id int, name string) using iceberg partitioned by (bucket(4, id))
       tblproperties ('format-version' = '2')`,
      );
      await spark.sql(`insert into ${table} values (-1, 'spark')`);
      const sql = { uri: `sqlite:${root}/sql/catalog.db`, name };
      const jdbc = { catalog_type: "sql", warehouse_path: join(root, "sql", "wh"), sql };
      await committed(topic, {
        schema: { fields: [{ name: "id", type: "long" }] },
        "iceberg.table_management": { schema_mismatch_action: "evolve" },
        ...(name === "j" ? { iceberg: jdbc } : {}),
      });
      const found = await spark.sql(
        `select id, name, more, _kafka_offset o from ${table} order by id`,
      );
      expect(found).toEqual([
        { id: -1, name: "spark", more: null, o: null },
        { id: 2, name: "k", more: true, o: 1 },
        { id: 2 ** 40, name: "kafka", more: null, o: 0 },
      ]);
      const [partitions] = await spark.sql(
        `select (select count(*) from ${table}.partitions) =
       (select count(distinct ${name}.system.bucket(4, id)) from ${table}) same`,
      );
      expect(partitions).toEqual({ same: true });
      await spark.sql(`insert into ${table} (id, name) values (7, 'again')`);
      expect(await spark.sql(`select count(*) n from ${table}`)).toEqual([{ n: 4 }]);
    },
    180_000,
  );

  test("a v1 table is refused with the reason, and left as it is", async () => {
    await produced("old", values);
    await spark.sql(
      "create table f.default.old (id int, name string) using iceberg tblproperties ('format-version' = '1')",
    );
    await spark.sql("insert into f.default.old values (-1, 'spark')");
    const { product, exitCode } = await ended("old");
    expect(exitCode).toBe(2);
    const errors = product.logLines().filter(({ level }) => level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toMatch(/default\/old\/.*format version 1.*upgrade/);
    expect(await spark.sql("select id, name from f.default.old")).toEqual([
      { id: -1, name: "spark" },
    ]);
  }, 120_000);
});

describe("Parquet codecs, in a file catalog on S3", () => {
  test.each(["none", "gzip", "snappy", "lz4", "zstd", "brotli"])(
    "%s",
    async (compression) => {
      const { bootstrap } = broker;
      const topic = "codecs";
      if (compression === "none") {
        await createTopic(bootstrap, { topic, partitions: 2 });
        await produceEvents({ bootstrap, topic, count: 20_000, codec: "zstd" });
      }
      const { endpoint, region, accessKey, secretKey } = s3;
      const access = { access_key_id: accessKey, secret_access_key: secretKey };
      const place = `s3://warehouse/${compression}`;
      await committed(topic, {
        iceberg: { warehouse_path: place },
        "iceberg.write": { compression },
        "storage.s3": { endpoint, region, path_style: true, ...access },
      });
      const metadata = await newestMetadata(`${place}/default/${topic}/metadata`);
      const topics = [await readTopic(bootstrap, topic)];
      const verdict = await judgeTable({ table: { metadata }, topics, s3 });
      expect(verdict.violations).toEqual([]);
      expect(verdict.readers.duckdb?.rows).toBe(20_000);
      expect(verdict.readers.pyiceberg?.rows).toBe(20_000);
    },
    120_000,
  );
});

/** The newest metadata file of a file catalog's table on S3, by its version hint. */
async function newestMetadata(folder: string): Promise<string> {
  const { endpoint, region, accessKey: accessKeyId, secretKey: secretAccessKey } = s3;
  const client = new Bun.S3Client({ endpoint, region, accessKeyId, secretAccessKey });
  const hint = await client.file(`${folder}/version-hint.text`).text();
  return `${folder}/v${hint.trim()}.metadata.json`;
}
