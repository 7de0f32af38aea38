/**
 * Compaction of tables that Spark wrote, with deletes of every encoding, judged by other engines: they read the
 * same rows before and after, v3's row ids too, and no delete file is left.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { spark as installSpark } from "../../scripts/services/cache.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { readColumns } from "../support/tableReaders.ts";
import { cli } from "../unit/cli/place.ts";
import { batchOf, bytesOf, encodeWhole } from "../unit/parquet/rows.ts";

/** Iceberg's own statements in Spark, e.g. of sort orders. */
const EXTENSIONS = {
  "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
};

let root: string;
let spark: SparkSql;

beforeAll(async () => {
  root = await temporaryFolder("compact");
  await Bun.write(
    join(root, "config.toml"),
    `[kafka]\ntopic = "events"\n[state]\ndir = "${root}/state"\n[iceberg]\ndatabase_name = "db"\nwarehouse_path = "${root}/wh"\n`,
  );
  spark = await startSparkSql({ ...hadoopCatalog("wh", join(root, "wh")), ...EXTENSIONS });
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  rmSync(root, { recursive: true, force: true });
}, 60_000);

/** The words of a run by the user's own Spark, which is a process of its own. */
async function bySpark(): Promise<string[]> {
  const { python, jar } = await installSpark();
  const settings = {
    ...hadoopCatalog("lake", join(root, "wh")),
    ...EXTENSIONS,
    ...{ "spark.ui.enabled": "false", "spark.driver.memory": "1g" },
    ...{ "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1" },
  };
  const conf = Object.entries(settings).flatMap(([key, value]) => ["--conf", `${key}=${value}`]);
  const [home] = new Bun.Glob("lib/python3*/site-packages/pyspark").scanSync({
    ...{ cwd: dirname(dirname(python)), absolute: true, onlyFiles: false },
  });
  const program = [
    "env",
    `SPARK_HOME=${home}`,
    `PYSPARK_PYTHON=${python}`,
    "nice",
    `${home}/bin/spark-submit`,
  ];
  const words = [...program, "--master", "local[1]", "--jars", jar, ...conf].join(" ");
  return ["--engine", "spark", "--engine-catalog", "lake", "--engine-command", words];
}

async function compact(table: string): Promise<Record<string, unknown>> {
  return maintain("compact", table);
}

async function maintain(
  operation: string,
  table: string,
  more: readonly string[] = [],
): Promise<Record<string, unknown>> {
  const words = ["maintenance", operation, `db.${table}`, "--config", join(root, "config.toml")];
  const { code, out, err } = await cli([...words, ...more, "--json"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out) as Record<string, unknown>;
}

/** Columns of every type that Spark has, and their values. */
const COLUMNS =
  "id bigint, b boolean, i int, f float, d double, d9 decimal(9,2), d18 decimal(18,3), d38 decimal(38,4), " +
  "day date, at timestamp, local timestamp_ntz, s string, raw binary, st struct<x: int, `y z`: string>, " +
  "li array<struct<a: int>>, m map<string, double>, part int";
const VALUES =
  "id, id % 3 = 0, cast(id as int), if(id % 7 = 0, float('nan'), cast(id as float)), if(id % 5 = 0, null, cast(-id as double)), " +
  "cast(id / 100 as decimal(9,2)), cast(id / 1000 as decimal(18,3)), cast(id as decimal(38,4)), " +
  "date_add(date'2026-01-01', cast(id as int)), timestamp_micros(1767225600000000 + id), " +
  "timestamp_ntz'2026-01-01 00:00:00.123456', if(id % 11 = 0, null, concat('é', repeat('x', cast(id % 40 as int)))), " +
  "cast(cast(id as string) as binary), if(id % 13 = 0, null, named_struct('x', cast(id as int), 'y z', 'y')), " +
  "array(named_struct('a', cast(id as int)), null), map('k', cast(id as double)), cast(id % 2 as int)";

async function create(table: string, properties: string, files = 3, rows = 500): Promise<void> {
  const at = `wh.db.${table}`;
  await spark.sql(
    `create table ${at} (${COLUMNS}) using iceberg partitioned by (part) tblproperties (${properties})`,
  );
  for (let file = 0; file < files; file++) {
    await spark.sql(
      `insert into ${at} select ${VALUES} from range(${file * rows}, ${(file + 1) * rows})`,
    );
  }
}

/** All that Spark reads, as text, and v3's row ids. */
async function rowsOf(table: string, version: number): Promise<unknown[]> {
  const lineage = version === 3 ? ", _row_id, _last_updated_sequence_number" : "";
  return spark.sql(
    `select to_json(struct(*), map('ignoreNullFields', 'false')) as row${lineage} from wh.db.${table} order by id`,
  );
}

async function countOf(what: string): Promise<number> {
  const [row] = await spark.sql(`select count(*) as n from wh.db.${what}`);
  return Number(row?.["n"]);
}

async function metadataOf(table: string): Promise<string> {
  const hint = join(root, "wh", "db", table, "metadata", "version-hint.text");
  const version = (await Bun.file(hint).text()).trim();
  return join(root, "wh", "db", table, "metadata", `v${version}.metadata.json`);
}

/** What PyIceberg and DuckDB read of some columns; what the former cannot read, e.g. a delete it does not know, it says. */
async function readersOf(table: string): Promise<unknown> {
  const columns = ["id", "f", "d38", "at", "local", "s", "raw", "st", "li", "m"];
  const { readers } = await readColumns({
    table: { metadata: await metadataOf(table) },
    columns,
    order: "id",
  });
  return readers;
}

/** Of every fifth row. */
const DELETES: Readonly<Record<string, { version: 2 | 3; properties: string }>> = {
  vectors: { version: 3, properties: "'format-version'='3'" },
  positions: { version: 2, properties: "'format-version'='2', 'write.delete.granularity'='file'" },
  mixed_positions: {
    version: 2,
    properties: "'format-version'='2', 'write.delete.granularity'='partition'",
  },
};

for (const [kind, { version, properties }] of Object.entries(DELETES)) {
  test(`${kind}: every reader reads the same rows, and no delete file is left`, async () => {
    await create(kind, `${properties}, 'write.delete.mode'='merge-on-read'`);
    await spark.sql(`delete from wh.db.${kind} where id % 5 = 1`);
    const before = await rowsOf(kind, version);
    expect(await countOf(`${kind}.delete_files`)).toBeGreaterThan(0);
    expect(await compact(kind)).toMatchObject({
      groups: 2,
      filesBefore: 6,
      filesAfter: 2,
      left: 0,
    });
    expect(await rowsOf(kind, version)).toEqual(before);
    expect(await countOf(`${kind}.delete_files`)).toBe(0);
    const [pyiceberg, duckdb] = Object.values((await readersOf(kind)) as object);
    expect(pyiceberg).toEqual(duckdb);
    expect(await compact(kind)).toMatchObject({ groups: 0 });
  }, 240_000);
}

test("equality deletes of one partition are applied and gone", async () => {
  const table = "equality";
  await create(table, "'format-version'='2'");
  const fields = [{ id: 1, name: "id", required: false, type: { kind: "long" } }] as const;
  const rows = Array.from({ length: 300 }, (_, n) => [BigInt(10 * n)]);
  const options = { codec: "snappy", level: null, rowGroupRows: 50, metadata: {} } as const;
  const bytes = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options));
  const path = join(root, "wh", "db", table, "data", "deletes.parquet");
  await Bun.write(path, bytes);
  await spark.deleteByEquality({
    ...{ table: `wh.db.${table}`, path, ids: [1], rows: rows.length, bytes: bytes.length },
    partition: "part=0",
  });
  const before = await rowsOf(table, 2);
  expect(before.length).toBe(1350);
  expect(await compact(table)).toMatchObject({ groups: 2, filesAfter: 2 });
  expect(await rowsOf(table, 2)).toEqual(before);
  expect(await countOf(`${table}.delete_files`)).toBe(0);
}, 240_000);

test("a table with a sort order is sorted as Spark sorts it: the same rows at the same places of its files", async () => {
  const orders: unknown[] = [];
  for (const table of ["sorted_by_us", "sorted_by_spark"]) {
    await create(table, "'format-version'='3', 'write.delete.mode'='merge-on-read'");
    await spark.sql(`delete from wh.db.${table} where id % 5 = 1`);
    const at = `wh.db.${table}`;
    await spark.sql(
      `alter table ${at} write ordered by s desc nulls last, st.x, month(day), f nulls last, id desc`,
    );
    const before = await rowsOf(table, 3);
    if (table === "sorted_by_us") {
      expect(await compact(table)).toMatchObject({ groups: 2, sorted: 2, copied: 0, left: 0 });
    } else {
      await spark.sql(
        `call wh.system.rewrite_data_files(table => 'db.${table}', strategy => 'sort', options => map('rewrite-all', 'true'))`,
      );
    }
    expect(await rowsOf(table, 3)).toEqual(before);
    orders.push([
      await spark.sql(`select part, id, _pos from ${at} order by part, _pos`),
      await spark.sql(`select sort_order_id, record_count from ${at}.data_files order by all`),
    ]);
    const [pyiceberg, duckdb] = Object.values((await readersOf(table)) as object);
    expect(pyiceberg).toEqual(duckdb);
  }
  expect(orders[0]).toEqual(orders[1]);
  expect(await compact("sorted_by_us")).toMatchObject({ groups: 0 });
}, 500_000);

test("statistics are read by Iceberg's own classes: sketches fit what Spark counts, partitions are what it lists", async () => {
  const table = "counted";
  await create(table, "'format-version'='3', 'write.delete.mode'='merge-on-read'", 2, 8000);
  await spark.sql(`delete from wh.db.${table} where id % 5 = 1`);
  const columns = ["id", "b", "i", "f", "d", "d9", "d18", "d38", "day", "at", "local", "s", "raw"];
  const counts = columns.map((each) => `count(distinct ${each}) as ${each}`).join(", ");
  const [wanted = {}] = await spark.sql(`select ${counts} from wh.db.${table}`);
  const report = await maintain("statistics", table);
  expect(report).toMatchObject({ files: 4, rows: 16_000, partitions: 2 });
  const read = await spark.statistics(`wh.db.${table}`);
  const sketches = read.filter((row) => "ndv" in row);
  expect(sketches.length).toBe(columns.length + 1);
  for (const [at, column] of columns.entries()) {
    const { ndv, estimate } = sketches.find(({ field }) => field === at + 1) ?? {};
    expect(Math.round(Number(estimate))).toBe(Number(ndv));
    // Of few values every one is there; of many, DataSketches says 1.6 % for two of three.
    const [found, is] = [Number(ndv), Number(wanted[column])];
    expect({
      column,
      found,
      is,
      fits: Math.abs(found - is) <= (is <= 4096 ? 0 : 0.06 * is),
    }).toMatchObject({ fits: true });
  }
  const listed = await spark.sql(
    "select record_count as rows, file_count as files, position_delete_record_count as deleted, " +
      `position_delete_file_count as vectors from wh.db.${table}.partitions order by partition.part`,
  );
  const partitions: Record<string, unknown>[] = read
    .filter((row) => "partition" in row)
    .map(({ partition: _, ...counts }) => counts);
  expect(partitions).toEqual(listed);
  // Spark's own count of the same snapshot: the same hashes, so the same small numbers.
  await spark.sql(`call wh.system.compute_table_stats(table => 'db.${table}')`);
  const theirs = (await spark.statistics(`wh.db.${table}`)).filter((row) => "ndv" in row);
  for (const { field, ndv } of theirs.filter((row) => Number(row["ndv"]) <= 4096)) {
    expect(sketches.find((row) => row["field"] === field)?.["ndv"]).toBe(ndv);
  }
}, 240_000);

test("a table that the user's own Spark compacts by our plan is equal to the one that we compact", async () => {
  const rows: unknown[] = [];
  const files: unknown[] = [];
  for (const [table, engine] of [
    ["by_us", []],
    ["by_spark", await bySpark()],
  ] as const) {
    await create(table, "'format-version'='3', 'write.delete.mode'='merge-on-read'");
    await spark.sql(`delete from wh.db.${table} where id % 5 = 1`);
    const report = await maintain("compact", table, engine);
    if (engine.length > 0) {
      expect(report).toMatchObject([
        { answer: [{ rewritten_data_files_count: 6, added_data_files_count: 2 }] },
        { answer: [{ added_delete_files_count: 0 }] },
      ]);
    }
    rows.push(await rowsOf(table, 3));
    files.push(
      await spark.sql(
        `select partition.part as part, content, sum(record_count) as rows, count(*) as files from wh.db.${table}.files group by all order by part, content`,
      ),
    );
  }
  const withoutSequence = (each: unknown): unknown[] =>
    (each as Record<string, unknown>[]).map(({ row, _row_id }) => ({ row, _row_id }));
  expect(withoutSequence(rows[1])).toEqual(withoutSequence(rows[0]));
  expect(files[1]).toEqual(files[0]);
}, 300_000);
