/**
 * `kafka-iceberg query` on tables that Spark wrote: what Spark answers, through every change of their
 * columns, every encoding of deletes, and time.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Field } from "#columns/schema.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { cli } from "../unit/cli/place.ts";
import { batchOf, bytesOf, encodeWhole } from "../unit/parquet/rows.ts";

let root: string;
let spark: SparkSql;

beforeAll(async () => {
  root = await temporaryFolder("query");
  await Bun.write(
    join(root, "config.toml"),
    `[kafka]\ntopic = "events"\n[state]\ndir = "${root}/state"\n[iceberg]\ndatabase_name = "db"\nwarehouse_path = "${root}/wh"\n`,
  );
  spark = await startSparkSql(hadoopCatalog("wh", join(root, "wh")));
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await rm(root, { recursive: true, force: true });
}, 60_000);

/** Rows as objects, as Spark's are. */
async function query(sql: string, ...flags: string[]): Promise<Record<string, unknown>[]> {
  const words = ["query", sql, "--config", join(root, "config.toml"), "--format", "json", ...flags];
  const { code, out, err } = await cli(words);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const answer = JSON.parse(out) as { columns: { name: string }[]; rows: unknown[][] };
  return answer.rows.map((row) =>
    Object.fromEntries(answer.columns.map(({ name }, at) => [name, row[at]])),
  );
}

async function refusal(sql: string): Promise<string> {
  const { code, err } = await cli(["query", sql, "--config", join(root, "config.toml")]);
  expect(code).toBe(2);
  return err;
}

/** The same statement is asked of both. */
async function both(sql: string): Promise<Record<string, unknown>[]> {
  const whole = `select to_json(struct(*), map('ignoreNullFields', 'false')) as row from (${sql})`;
  const rows = await spark.sql(whole.replaceAll("db.t", "wh.db.t"));
  const expected = rows.map(({ row }) => JSON.parse(String(row)) as Record<string, unknown>);
  expect(await query(sql)).toEqual(expected);
  return expected;
}

async function changes(name: string, formatVersion: number): Promise<void> {
  const table = `wh.db.${name}`;
  await spark.sql(
    `create table ${table} (id int, old string, gone string, price float, s struct<x: int, y: string>, ` +
      "l array<struct<a: int>>, m map<string, struct<v: int>>) using iceberg partitioned by (bucket(2, id)) " +
      `tblproperties ('format-version' = '${formatVersion}', 'write.delete.mode' = 'merge-on-read')`,
  );
  await spark.sql(
    `insert into ${table} select cast(id as int), concat('o', id), 'g', cast(id as float), ` +
      "named_struct('x', cast(id as int), 'y', 'y'), array(named_struct('a', cast(id as int)), null), " +
      "map('k', named_struct('v', cast(id as int))) from range(100)",
  );
  await spark.sql(`alter table ${table} rename column old to new`);
  await spark.sql(`alter table ${table} drop column gone`);
  await spark.sql(`alter table ${table} add column gone int`);
  await spark.sql(`alter table ${table} alter column id type bigint`);
  await spark.sql(`alter table ${table} alter column price type double`);
  await spark.sql(`alter table ${table} add column s.z bigint`);
  await spark.sql(`alter table ${table} rename column s.x to renamed`);
  await spark.sql(`alter table ${table} rename column l.element.a to b`);
  await spark.sql(`alter table ${table} alter column m.value.v type bigint`);
  await spark.sql(`alter table ${table} alter column new first`);
  await spark.sql(
    `insert into ${table} select concat('n', id), id, cast(id as double), ` +
      "named_struct('renamed', cast(id as int), 'y', null, 'z', id), array(named_struct('b', cast(id as int))), " +
      "map('k', named_struct('v', id), 'l', null), cast(id as int) from range(100, 200)",
  );
}

describe("a table whose columns changed in every way", () => {
  test("has the values, types and order of columns that Spark sees", async () => {
    await changes("t2", 2);
    await both("select * from db.t2 order by id");
    await both(
      "select count(*) as n, sum(id) as ids, sum(price) as price, sum(s.renamed) as x, count(s.z) as z, count(gone) as gone from db.t2",
    );
    await both("select id, m['k'].v as v from db.t2 where new like 'n%' order by id");
  }, 300_000);

  test("hides the rows that were deleted by position, and shows them at an earlier time", async () => {
    const [before] = await spark.sql(
      "select cast(snapshot_id as string) id from wh.db.t2.snapshots order by committed_at desc limit 1",
    );
    await spark.sql("delete from wh.db.t2 where id % 10 = 3");
    await spark.sql("delete from wh.db.t2 where id between 150 and 160");
    const [{ n } = {}] = await both("select count(*) as n from db.t2");
    expect(n).toBe(170);
    await both("select * from db.t2 order by id");
    const id = String(before?.["id"]);
    expect(await query("select count(*) as n from db.t2", "--snapshot", id)).toEqual([{ n: 200 }]);
    expect(await query(`select count(*) as n from t2 at (version => ${id})`)).toEqual([{ n: 200 }]);
    expect(
      await query(
        `select (select count(*) from t2) as now, (select count(*) from t2 at (version => ${id})) as earlier`,
      ),
    ).toEqual([{ now: 170, earlier: 200 }]);
    expect(await refusal("select 1 from t2 at (timestamp => '2020-01-01')")).toContain(
      "db.t2 keeps no snapshot that was current at 2020-01-01",
    );
  }, 300_000);

  test("lists its snapshots and files as Spark does", async () => {
    const snapshots =
      "select cast(snapshot_id as varchar(20)) as id, cast(parent_id as varchar(20)) as parent, operation, " +
      "manifest_list, element_at(summary, 'total-records') as n";
    const order = "order by committed_at, snapshot_id";
    const spoken = snapshots.replace(
      "element_at(summary, 'total-records')",
      "summary['total-records']",
    );
    expect(await query(`${spoken} from db.t2$snapshots ${order}`)).toEqual(
      await spark.sql(`${snapshots} from wh.db.t2.snapshots ${order}`),
    );
    const files =
      "select file_path, file_format, spec_id, cast(record_count as int) as n, cast(file_size_in_bytes as int) as bytes, sort_order_id";
    expect(await query(`${files} from t2$files order by file_path`)).toEqual(
      await spark.sql(`${files} from wh.db.t2.files order by file_path`),
    );
    const [first] = await query(
      "select snapshot_id as id from t2$snapshots order by committed_at limit 1",
    );
    const earlier = await query(
      "select sum(record_count) as n from t2$files",
      "--snapshot",
      String(first?.["id"]),
    );
    expect(earlier).toEqual([{ n: 100 }]);
  }, 300_000);

  test("hides the rows that deletion vectors hide, one file and one snapshot after the other", async () => {
    await changes("t3", 3);
    await spark.sql("delete from wh.db.t3 where id = 5");
    await spark.sql("delete from wh.db.t3 where id % 3 = 1");
    const [{ n } = {}] = await both("select count(*) as n from db.t3");
    expect(n).toBe(132);
    await both("select * from db.t3 order by id");
    await spark.sql("insert into wh.db.t3 (new, id) select 'x', id from range(200, 70000)");
    await spark.sql("delete from wh.db.t3 where id between 300 and 66000 or id % 7 = 2");
    await both("select count(*) as n, sum(id) as ids, min(id) as a, max(id) as z from db.t3");
    expect(await refusal("select 1 from db.nothing")).toContain("There is no table db.nothing");
  }, 300_000);

  test("upgraded from format 2 to 3, it hides what position deletes hid before the vectors came", async () => {
    await spark.sql("alter table wh.db.t2 set tblproperties ('format-version' = '3')");
    await spark.sql("delete from wh.db.t2 where id = 7 or id = 177");
    const [{ n } = {}] = await both("select count(*) as n from db.t2");
    expect(n).toBe(168);
    await both("select * from db.t2 order by id");
  }, 300_000);
});

/** Commits a file of equality deletes with these rows. */
async function deleteEqual(
  name: string,
  fields: readonly Field[],
  rows: readonly (readonly unknown[])[],
  partition = "",
): Promise<void> {
  const options = { codec: "snappy", level: null, rowGroupRows: 1000, metadata: {} } as const;
  const bytes = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options));
  const path = join(root, "wh/db", name, `data/delete-${crypto.randomUUID()}.parquet`);
  await Bun.write(path, bytes);
  const ids = fields.map(({ id }) => id);
  const [table, count, size] = [`wh.db.${name}`, rows.length, bytes.length];
  await spark.deleteByEquality({ table, path, ids, rows: count, bytes: size, partition });
}

describe("a table with deletes by equality", () => {
  const id: Field = { id: 1, name: "id", required: false, type: { kind: "long" } };
  const text: Field = { id: 2, name: "text", required: false, type: { kind: "string" } };

  test("hides equal rows of older files only, nulls too, by columns of another name or that are gone", async () => {
    await spark.sql(
      "create table wh.db.t4 (id bigint, text string, n int) using iceberg tblproperties ('format-version' = '2')",
    );
    const insert =
      "insert into wh.db.t4 values (1, 'a', 1), (2, null, 2), (null, 'b', 3), (4, 'd', 4)";
    await spark.sql(insert);
    await deleteEqual("t4", [id], [[1n], [null]]);
    await both("select * from db.t4 order by n");
    await spark.sql(insert);
    await deleteEqual(
      "t4",
      [id, text],
      [
        [2n, null],
        [4n, "other"],
      ],
    );
    await both("select * from db.t4 order by n, id");
    await spark.sql("alter table wh.db.t4 rename column id to key");
    await spark.sql("alter table wh.db.t4 drop column text");
    await spark.sql("insert into wh.db.t4 values (4, 40), (2, 20)");
    await deleteEqual("t4", [{ ...id, name: "key" }], [[4n]]);
    await spark.sql("insert into wh.db.t4 values (4, 41)");
    const rows = await both("select * from db.t4 order by n, key");
    expect(rows.map(({ n }) => n)).toEqual([1, 3, 20, 41]);
  }, 300_000);

  test("of one partition, hides nothing in the others", async () => {
    await spark.sql(
      "create table wh.db.t5 (id bigint, text string, n int) using iceberg partitioned by (text) tblproperties ('format-version' = '2')",
    );
    await spark.sql("insert into wh.db.t5 values (1, 'a', 1), (1, '007', 2), (2, 'a', 3)");
    await deleteEqual("t5", [id], [[1n]], "text=a");
    const rows = await both("select * from db.t5 order by n");
    expect(rows.map(({ n }) => n)).toEqual([2, 3]);
  }, 300_000);
});
