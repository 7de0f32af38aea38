/** Our manifests and snapshots read by PyIceberg, DuckDB and Spark: rows, pruning, metrics, row ids. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import type { Catalog, LoadedTable, TableName } from "#catalog/catalog.ts";
import { listDataFiles, manifestsOf } from "#iceberg/io/scan.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import {
  appendFiles,
  appendRows,
  createTable,
  fileOf,
  ids,
  load,
  type Row,
  randomRows,
  read,
  storage,
} from "../support/manifestTables.ts";
import { realCatalog } from "../support/realCatalogs.ts";
import { rejection } from "../support/rejection.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";

const PARTITIONINGS: readonly (readonly string[])[] = [
  [],
  ["hour(ts)"],
  ["day(ts)", "bucket(3, uid)"],
  ["month(ts)"],
  ["year(d)"],
  ["month(d)", "truncate(2, name)"],
  ["bucket(5, name)"],
  ["bucket(5, amount)"],
  ["bucket(5, bin)"],
  ["bucket(5, d)"],
  ["bucket(5, ts)"],
  ["truncate(10, num)"],
  ["truncate(250, amount)"],
  ["truncate(1, bin)"],
  ["bucket(7, num)"],
  ["name"],
  ["num"],
];

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

async function liveFiles(table: LoadedTable): Promise<string[]> {
  const found = await Array.fromAsync(
    listDataFiles(storage, table.metadata, table.metadata.currentSnapshotId ?? 0n),
  );
  return found.map(({ file }) => file.filePath).sort();
}

/** Predicates on single values of the partitioning's columns, each with the rows that meet it. */
function predicates(
  forms: readonly string[],
  rows: readonly Row[],
): { sql: string; ids: number[] }[] {
  const literal: Record<string, (row: Row) => string | null> = {
    ts: (row) => (row[1] === null ? null : `timestamp_micros(${row[1]})`),
    d: (row) => (row[2] === null ? null : `date_from_unix_date(${row[2]})`),
    name: (row) => (row[3] === null ? null : `'${row[3]}'`),
    amount: (row) => (row[4] === null ? null : `cast(${Number(row[4]) / 100} as decimal(9, 2))`),
    bin: (row) =>
      row[5] === null ? null : `X'${Buffer.from(row[5] as Uint8Array).toString("hex")}'`,
    num: (row) => (row[6] === null ? null : String(row[6])),
    uid: (row) => (row[7] === null ? null : `${row[7]}L`),
  };
  const columns = Object.entries(literal).filter(([column]) =>
    forms.some((form) => new RegExp(`\\b${column}\\b`).test(form)),
  );
  return columns.flatMap(([column, textOf]) => {
    const texts = new Set(rows.slice(0, 6).map(textOf));
    return [...texts, null].map((text) => ({
      sql: text === null ? `${column} is null` : `${column} = ${text}`,
      ids: ids(rows.filter((row) => textOf(row) === text)),
    }));
  });
}

describe("every partitioning", () => {
  for (const [index, forms] of PARTITIONINGS.entries()) {
    const version = index % 2 === 0 ? 3 : 2;
    test(`[${forms.join(", ")}] in v${version}: all rows by all readers, and by every predicate in Spark`, async () => {
      const rows = randomRows(120, 0, 77 + index);
      const table = `p${index}`;
      await createTable(files, tableName(table), forms, version);
      await appendRows(files, tableName(table), rows.slice(0, 60));
      const head = await appendRows(files, tableName(table), rows.slice(60));
      const seen = await read(head);
      expect(seen.pyiceberg).toEqual(ids(rows));
      expect(seen.duckdb).toEqual(ids(rows));
      expect(await sparkIds(table)).toEqual(ids(rows));
      for (const predicate of predicates(forms, rows)) {
        const found = await sparkIds(table, predicate.sql);
        expect({ sql: predicate.sql, ids: found }).toEqual(predicate);
      }
    }, 120_000);
  }
});

describe("pruning", () => {
  test("Spark never opens files that partition or bounds exclude", async () => {
    const name = tableName("pruned");
    await createTable(files, name, ["day(ts)"], 2);
    const day = 86_400_000_000n;
    const row = (id: number, ts: bigint): Row => [
      BigInt(id),
      ts,
      null,
      null,
      null,
      null,
      null,
      null,
    ];
    await appendRows(files, name, [row(1, 0n), row(2, 1n)]);
    // Files that are in the manifests only: reading one of them fails.
    const absent = (first: number, ts: bigint) =>
      fileOf(
        `${root}/absent-${first}`,
        0,
        [Number(ts / day)],
        [row(first, ts), row(first + 9, ts)],
        9,
      );
    const head = await appendFiles(files, name, [absent(100, 0n), absent(200, 5n * day)]);
    const filters = ["id < 50 and ts < '1970-01-02T00:00:00+00:00'"];
    expect((await rejection(sparkIds("pruned"))).message).toContain("absent");
    expect(await sparkIds("pruned", "id < 50")).toEqual([1, 2]);
    expect(await sparkIds("pruned", "ts < timestamp'1970-01-02' and id < 50")).toEqual([1, 2]);
    const plan = await spark.sql("select file_path from files.db.pruned.files");
    expect(plan).toHaveLength(3);
    const { metadata } = await load(files, name);
    expect(await liveFiles({ ...head, metadata })).toHaveLength(3);
    expect((await rejection(read(head, filters))).message).toContain("absent");
  }, 120_000);

  test("PyIceberg plans only the files of the partition and of the bounds", async () => {
    const name = tableName("planned");
    await createTable(files, name, ["day(ts)"], 2);
    const day = 86_400_000_000n;
    const rows = Array.from(
      { length: 5 },
      (_, index): Row => [
        BigInt(index * 10),
        BigInt(index) * day,
        null,
        null,
        null,
        null,
        null,
        null,
      ],
    );
    const head = await appendRows(files, name, rows);
    const seen = await read(head, [
      "ts >= '1970-01-04T00:00:00+00:00'",
      "id = 20",
      "id > 100",
      "id >= 0",
    ]);
    expect(seen.planned).toEqual([2, 1, 0, 5]);
    expect(seen.filtered).toEqual([[30, 40], [20], [], [0, 10, 20, 30, 40]]);
  }, 120_000);
});

describe("many appends", () => {
  for (const version of [2, 3] as const) {
    test(`v${version}: after merges every file is live once, with metrics and row ids, for all readers`, async () => {
      const table = `merged${version}`;
      const name = tableName(table);
      const settings = { "commit.manifest.min-count-to-merge": "4" };
      await createTable(files, name, ["bucket(2, uid)"], version, settings);
      const rows = randomRows(15 * 6, 0, 5);
      let head = await load(files, name);
      for (let at = 0; at < rows.length; at += 6) {
        head = await appendRows(files, name, rows.slice(at, at + 6));
      }
      const snapshot = head.metadata.snapshots.at(-1);
      if (snapshot === undefined) throw new Error("no snapshot");
      const manifests = await manifestsOf({ ...storage }, snapshot);
      expect(manifests.length).toBeLessThan(7);
      expect(manifests.some((manifest) => manifest.existingFilesCount > 4)).toBe(true);

      const seen = await read(head);
      expect(seen.pyiceberg).toEqual(ids(rows));
      expect(seen.duckdb).toEqual(ids(rows));
      expect(await sparkIds(table)).toEqual(ids(rows));
      await checkMetadataTables(table, head, rows.length);
      if (version === 3) {
        const all = Array.from({ length: rows.length }, (_, rowId) => rowId);
        expect(seen.rowIds).toEqual(all);
        const lineage = await spark.sql(
          `select _row_id r, _last_updated_sequence_number s, id from files.db.${table} order by 1`,
        );
        expect(lineage.map((row) => row["r"])).toEqual(all);
        expect(lineage.map((row) => row["s"])).toEqual(
          lineage.map((row) => Math.floor(Number(row["id"]) / 6) + 1),
        );
        expect(head.metadata.nextRowId).toBe(BigInt(rows.length));
      }
    }, 240_000);
  }
});

/** Spark's metadata tables agree with our metadata and carry our metrics. */
async function checkMetadataTables(
  table: string,
  head: LoadedTable,
  rowCount: number,
): Promise<void> {
  const paths = await spark.sql(
    `select file_path p, record_count n, readable_metrics.id.lower_bound lo, ` +
      `readable_metrics.id.value_count c, readable_metrics.id.column_size s from files.db.${table}.files`,
  );
  expect(paths.map((row) => String(row["p"])).sort()).toEqual(await liveFiles(head));
  expect(paths.reduce((sum, row) => sum + Number(row["n"]), 0)).toBe(rowCount);
  for (const row of paths) {
    expect(row["c"]).toBe(row["n"]);
    expect(row["s"]).toBe(77);
    expect(row["lo"]).not.toBe(null);
  }
  const [partitions] = await spark.sql(
    `select sum(record_count) n, sum(file_count) f from files.db.${table}.partitions`,
  );
  expect(partitions).toEqual({ n: rowCount, f: paths.length });
  const snapshots = await spark.sql(
    `select cast(snapshot_id as string) id, operation, summary['total-records'] n ` +
      `from files.db.${table}.snapshots order by committed_at`,
  );
  expect(snapshots.map((row) => row["id"])).toEqual(
    head.metadata.snapshots.map((snapshot) => String(snapshot.snapshotId)),
  );
  expect(snapshots.at(-1)).toMatchObject({ operation: "append", n: String(rowCount) });
  const manifests = await spark.sql(
    "select added_data_files_count + existing_data_files_count f, " +
      `to_json(partition_summaries) s from files.db.${table}.manifests`,
  );
  expect(manifests.reduce((sum, row) => sum + Number(row["f"]), 0)).toBe(paths.length);
  for (const row of manifests) expect(String(row["s"])).toMatch(/"lower_bound":"[01]"/);
}
