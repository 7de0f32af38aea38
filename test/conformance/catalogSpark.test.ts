/** Spark's Hadoop and JDBC catalogs and ours on the same tables: each goes on from the other. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Catalog, LoadedTable } from "#catalog/catalog.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import { commitEmpty, createSample, realCatalog } from "../support/realCatalogs.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";

const FORMS = ["day(ts)", "bucket(4, id)"];
let root: string;
let spark: SparkSql;
let files: Catalog;
let sql: Catalog;

beforeAll(async () => {
  root = await temporaryFolder("spark");
  await mkdir(join(root, "sql"));
  files = await realCatalog({ type: "file", warehouse: join(root, "files"), readOnly: false });
  sql = await realCatalog({
    type: "sql",
    uri: `sqlite://${root}/sql/catalog.db`,
    name: "shared",
    warehouse: join(root, "sql", "wh"),
    readOnly: false,
  });
  spark = await startSparkSql({
    ...hadoopCatalog("files", join(root, "files")),
    "spark.sql.catalog.shared": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.shared.type": "jdbc",
    "spark.sql.catalog.shared.uri": `jdbc:sqlite:${root}/sql/catalog.db`,
    "spark.sql.catalog.shared.jdbc.schema-version": "V1",
    "spark.sql.catalog.shared.warehouse": join(root, "sql", "wh"),
    "spark.sql.catalog.shared.cache-enabled": "false",
  });
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await files?.close();
  await sql?.close();
  await rm(root, { recursive: true, force: true });
}, 60_000);

function snapshotIds(table: LoadedTable | null): string[] {
  return (table?.metadata.snapshots ?? []).map((snapshot) => String(snapshot.snapshotId));
}

async function sparkSnapshotIds(table: string): Promise<string[]> {
  const rows = await spark.sql(
    `select cast(snapshot_id as string) id from ${table}.snapshots order by committed_at`,
  );
  return rows.map((row) => String(row["id"]));
}

async function insert(table: string, id: number): Promise<void> {
  await spark.sql(`insert into ${table} values (${id}, timestamp'2026-01-02 03:04:05', 'x')`);
}

for (const [title, name, catalogOf] of [
  ["Hadoop catalog", "files", () => files],
  ["JDBC catalog", "shared", () => sql],
] as const) {
  describe(title, () => {
    for (const formatVersion of [2, 3] as const) {
      test(`v${formatVersion}: Spark reads our table and commits, we go on, Spark goes on`, async () => {
        const catalog = catalogOf();
        const ours = { namespace: ["db"], table: `t${formatVersion}` };
        const theirs = `${name}.db.t${formatVersion}`;
        await createSample(catalog, ours, FORMS, formatVersion);
        const first = await commitEmpty(catalog, ours);
        expect(await sparkSnapshotIds(theirs)).toEqual(snapshotIds(first));
        expect(await spark.sql(`select * from ${theirs}`)).toEqual([]);
        const tables = await spark.sql(`show tables in ${name}.db`);
        expect(tables.map((row) => row["tableName"])).toContain(`t${formatVersion}`);

        await insert(theirs, 1);
        const seen = await catalog.load(ours);
        expect(snapshotIds(seen)).toEqual(await sparkSnapshotIds(theirs));
        expect(seen?.metadata.snapshots.at(-1)?.summary["engine-name"]).toBe("spark");
        expect(seen?.metadata.nextRowId).toBe(formatVersion === 3 ? 1n : null);

        await commitEmpty(catalog, ours);
        await insert(theirs, 2);
        const last = await commitEmpty(catalog, ours);
        expect(await sparkSnapshotIds(theirs)).toEqual(snapshotIds(last));
        const rows = await spark.sql(`select id, name from ${theirs} order by id`);
        expect(rows).toEqual([
          { id: 1, name: "x" },
          { id: 2, name: "x" },
        ]);
      }, 120_000);
    }
  });
}

test("a table that Spark made in its Hadoop catalog is ours to commit to, gzip'ed metadata too", async () => {
  await spark.sql(
    "create table files.db.made (id bigint, ts timestamp, name string) using iceberg " +
      "tblproperties ('format-version'='2', 'write.metadata.compression-codec'='gzip')",
  );
  await insert("files.db.made", 1);
  const name = { namespace: ["db"], table: "made" };
  const last = await commitEmpty(files, name);
  await insert("files.db.made", 2);
  expect(snapshotIds(last)).toEqual((await sparkSnapshotIds("files.db.made")).slice(0, 2));
  expect(snapshotIds(await files.load(name)).length).toBe(3);
  expect(await spark.sql("select count(*) n from files.db.made")).toEqual([{ n: 2 }]);
}, 120_000);

test("a table that Spark made in its JDBC catalog is ours to commit to", async () => {
  await spark.sql("create namespace if not exists shared.sparks");
  await spark.sql(
    "create table shared.sparks.made (id bigint, ts timestamp, name string) using iceberg " +
      "tblproperties ('format-version'='2')",
  );
  await insert("shared.sparks.made", 1);
  const name = { namespace: ["sparks"], table: "made" };
  expect(await sql.list(["sparks"])).toEqual([name]);
  await commitEmpty(sql, name);
  await insert("shared.sparks.made", 2);
  expect(snapshotIds(await sql.load(name)).length).toBe(3);
  expect(await spark.sql("select count(*) n from shared.sparks.made")).toEqual([{ n: 2 }]);
}, 120_000);
