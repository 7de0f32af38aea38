/** Appends on tables that Spark and PyIceberg wrote: their rows, deletes and row ids stay. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import type { Catalog, TableName } from "#catalog/catalog.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import { partitionPath } from "#iceberg/partition/partition.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import {
  appendRows,
  ask,
  columnsOf,
  ids,
  load,
  randomRows,
  read,
  storage,
} from "../support/manifestTables.ts";
import { realCatalog } from "../support/realCatalogs.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";

let root: string;
let files: Catalog;
let spark: SparkSql;

beforeAll(async () => {
  root = await temporaryFolder("manifest");
  files = await realCatalog({ type: "file", warehouse: root, readOnly: false });
  spark = await startSparkSql(hadoopCatalog("files", root));
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await files?.close();
  await rm(root, { recursive: true, force: true });
}, 60_000);

function tableName(table: string): TableName {
  return { namespace: ["db"], table };
}

async function sparkIds(table: string, filter = "true"): Promise<number[]> {
  const rows = await spark.sql(`select id from files.db.${table} where ${filter} order by id`);
  return rows.map((row) => Number(row["id"]));
}

const COLUMNS =
  "id bigint not null, ts timestamp, d date, name string, amount decimal(9, 2), bin binary, num int, uid bigint";
const MERGE_ON_READ =
  "'write.delete.mode'='merge-on-read', 'commit.manifest.min-count-to-merge'='2'";

async function sparkTable(table: string, version: number, partitioning: string): Promise<void> {
  await spark.sql(
    `create table files.db.${table} (${COLUMNS}) using iceberg ${partitioning} ` +
      `tblproperties ('format-version'='${version}', ${MERGE_ON_READ})`,
  );
}

async function sparkInsert(table: string, ...rowIds: number[]): Promise<void> {
  const values = rowIds.map(
    (id) =>
      `(${id}, timestamp'2026-01-0${(id % 9) + 1} 00:00:00', null, 's${id}', 1.5, X'00', ${id % 3}, ${id})`,
  );
  await spark.sql(`insert into files.db.${table} values ${values.join(", ")}`);
}

for (const version of [2, 3] as const) {
  test(`v${version}: appends and merges on a table with Spark's deletes keep every row dead or alive`, async () => {
    const table = `deletes${version}`;
    await sparkTable(table, version, "partitioned by (bucket(2, uid))");
    await sparkInsert(table, 1, 2, 3, 4, 5, 6);
    await sparkInsert(table, 7, 8, 9);
    await spark.sql(`delete from files.db.${table} where id in (2, 5, 8)`);
    let head = await load(files, tableName(table));
    for (const first of [100, 110, 120, 130]) {
      head = await appendRows(files, tableName(table), randomRows(5, first, first));
    }
    await spark.sql(`delete from files.db.${table} where id in (100, 121)`);
    head = await appendRows(files, tableName(table), randomRows(5, 140, 140));
    const ours = [100, 110, 120, 130, 140].flatMap((first) => ids(randomRows(5, first, first)));
    const expected = [1, 3, 4, 6, 7, 9, ...ours.filter((id) => id !== 100 && id !== 121)];
    expect(await sparkIds(table)).toEqual(expected);
    const seen = await read(head);
    expect(seen.duckdb).toEqual(expected);
    expect(seen.pyiceberg).toEqual(expected);
    const last = head.metadata.snapshots.at(-1);
    expect(Number(last?.summary["total-delete-files"])).toBeGreaterThan(0);
    await spark.sql(`call files.system.rewrite_manifests('db.${table}')`);
    await appendRows(files, tableName(table), []);
    expect(await sparkIds(table)).toEqual(expected);
  }, 240_000);
}

test("v3: row ids of Spark's rows and ours are unique, and stay when manifests are merged", async () => {
  await sparkTable("lineage", 3, "");
  await sparkInsert("lineage", 1, 2, 3);
  await spark.sql("update files.db.lineage set name = 'x' where id = 2");
  const query = "select id, _row_id r from files.db.lineage where id < 10 order by id";
  const before = await spark.sql(query);
  for (const first of [100, 110, 120]) {
    await appendRows(files, tableName("lineage"), randomRows(3, first, first));
  }
  expect(await spark.sql(query)).toEqual(before);
  const all = await spark.sql("select count(distinct _row_id) n from files.db.lineage");
  expect(all).toEqual([{ n: 12 }]);
}, 240_000);

test("manifests that v1 wrote are carried and merged after the upgrade to v2", async () => {
  await sparkTable("upgraded", 1, "partitioned by (num)");
  await sparkInsert("upgraded", 1, 2);
  await sparkInsert("upgraded", 3);
  await spark.sql("alter table files.db.upgraded set tblproperties ('format-version'='2')");
  let head = await load(files, tableName("upgraded"));
  for (const first of [100, 110]) {
    head = await appendRows(files, tableName("upgraded"), randomRows(4, first, first));
  }
  const expected = [1, 2, 3, 100, 101, 102, 103, 110, 111, 112, 113];
  expect(await sparkIds("upgraded")).toEqual(expected);
  expect((await read(head)).duckdb).toEqual(expected);
  expect((await read(head)).pyiceberg).toEqual(expected);
}, 240_000);

test("manifests of older specs stay right when their source column is gone", async () => {
  await sparkTable("evolved", 2, "partitioned by (num, days(ts))");
  for (const id of [1, 2, 3, 4]) await sparkInsert("evolved", id);
  await spark.sql("alter table files.db.evolved drop partition field num");
  await spark.sql("alter table files.db.evolved drop column num");
  await spark.sql("alter table files.db.evolved add partition field bucket(4, uid)");
  for (const first of [100, 110, 120]) {
    await appendRows(files, tableName("evolved"), randomRows(4, first, first));
  }
  const ours = [100, 110, 120].flatMap((first) => ids(randomRows(4, first, first)));
  expect(await sparkIds("evolved")).toEqual([1, 2, 3, 4, ...ours]);
  expect(await sparkIds("evolved", "ts >= timestamp'2026-01-03'")).toEqual([2, 3, 4]);
  const parts = await spark.sql("select sum(file_count) n from files.db.evolved.partitions");
  const count = await spark.sql("select count(*) n from files.db.evolved.files");
  expect(parts).toEqual(count);
}, 240_000);

test("a table that PyIceberg wrote and rewrote takes our appends and merges", async () => {
  const uri = `sqlite:///${root}/py.db`;
  const rows = randomRows(40, 0, 9);
  await ask({
    action: "seed",
    catalog: { uri, warehouse: `file://${root}/py` },
    table: "db.py",
    batches: [columnsOf(rows.slice(0, 20)), columnsOf(rows.slice(20))],
    delete: "id in (3, 4, 25)",
  });
  const catalog = await realCatalog({
    type: "sql",
    uri: `sqlite://${root}/py.db`,
    name: "shared",
    warehouse: `${root}/py`,
    readOnly: false,
  });
  let head = await load(catalog, tableName("py"));
  for (const first of [100, 110, 120]) {
    head = await appendRows(catalog, tableName("py"), randomRows(4, first, first));
  }
  await catalog.close();
  const kept = ids(rows).filter((id) => ![3, 4, 25].includes(id));
  const ours = [100, 110, 120].flatMap((first) => ids(randomRows(4, first, first)));
  const seen = await read(head);
  expect(seen.pyiceberg).toEqual([...kept, ...ours]);
  expect(seen.duckdb).toEqual([...kept, ...ours]);
  const summary = head.metadata.snapshots.at(-1)?.summary;
  expect(summary?.["total-records"]).toBe(String(kept.length + ours.length));
}, 240_000);

test("our folder names are those that Spark gives its partitions", async () => {
  await spark.sql(
    "create table files.db.folders (s string, i int, f float, x double, m decimal(9, 7), d date, " +
      "t timestamp, n timestamp_ntz, b boolean, y binary, l bigint) using iceberg partitioned by " +
      "(s, i, f, x, m, d, t, n, b, y, bucket(8, l), truncate(2, s), truncate(2, y), truncate(10, m))",
  );
  await spark.sql(
    "create table files.db.times (t timestamp, n timestamp_ntz, d date) using iceberg " +
      "partitioned by (hours(t), months(n), years(d))",
  );
  await spark.sql(`insert into files.db.folders values
    ('a b/c=é+*~(x)&', -5, 0.1, 1e10, 0.0000001, date'2026-01-08', timestamp'2026-01-08 10:12:55.038',
     timestamp_ntz'1969-12-31 10:12:00', true, X'fffe', 7),
    ('%ü😀', 7, 16777216, 0.00001, -1.5, date'1969-12-31', timestamp'1960-01-01 00:00:01.000001',
     timestamp_ntz'2026-01-08 23:59:59.100', false, X'', -7),
    (null, null, null, null, null, null, null, null, null, null, null),
    ('', 0, -1.5, 123456.789, 0, date'0001-01-01', timestamp'1970-01-01 00:00:00',
     timestamp_ntz'2026-12-31 00:00:00', true, X'00', 0)`);
  await spark.sql(`insert into files.db.times values
    (timestamp'2026-01-08 10:12:55', timestamp_ntz'2026-02-01 00:00:00', date'2026-01-08'),
    (timestamp'1969-12-31 23:00:00', timestamp_ntz'1969-12-31 23:00:00', date'1969-12-31'),
    (null, null, null)`);
  for (const table of ["folders", "times"]) {
    const { metadata } = await load(files, tableName(table));
    const [spec] = metadata.partitionSpecs;
    const [schema] = metadata.schemas;
    if (spec === undefined || schema === undefined) throw new Error("no spec");
    const head = metadata.currentSnapshotId ?? 0n;
    const found = await Array.fromAsync(listDataFiles(storage, metadata, head));
    expect(found.length).toBeGreaterThan(2);
    for (const { file } of found) {
      const folder = /\/data\/(.+)\/[^/]+$/.exec(file.filePath)?.[1] ?? "";
      expect(partitionPath(spec, schema.fields, file.partition)).toBe(folder);
    }
  }
}, 240_000);
