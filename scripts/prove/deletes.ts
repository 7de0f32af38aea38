/**
 * A million rows of Spark's, a tenth of them deleted, in each encoding of deletes: after compaction no delete file is left, and Spark,
 * PyIceberg and we read the same rows as before. `bun scripts/prove/deletes.ts [--rows 1000000] [--only vectors]`.
 *
 * Spark deletes by vectors (v3), by positions of one file and of a partition (v2); equality deletes are a file of ours that
 * Iceberg's own API commits, since Spark writes none.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../../test/support/sparkSql.ts";
import { batchOf, bytesOf, encodeWhole } from "../../test/unit/parquet/rows.ts";
import { readersPython } from "../services/cache.ts";
import { temporaryFolder } from "../services/process.ts";

const { values } = parseArgs({
  options: { rows: { type: "string", default: "1000000" }, only: { type: "string" } },
});
const ROWS = Number(values.rows);
const FILES = 8;

const MERGE = "'write.delete.mode'='merge-on-read'";
/** Properties of the table of each encoding. */
const ENCODINGS: Readonly<Record<string, string>> = {
  vectors: `'format-version'='3', ${MERGE}`,
  positions: `'format-version'='2', 'write.delete.granularity'='file', ${MERGE}`,
  partition_positions: `'format-version'='2', 'write.delete.granularity'='partition', ${MERGE}`,
  equality: "'format-version'='2'",
};

const COLUMNS =
  "id bigint, i int, d double, price decimal(18,3), day date, at timestamp, s string, raw binary, li array<int>, m map<string, double>";
const VALUES =
  "id, cast(id as int), if(id % 5 = 0, null, cast(-id as double)), cast(id / 1000 as decimal(18,3)), date_add(date'2026-01-01', cast(id % 400 as int)), " +
  "timestamp_micros(1767225600000000 + id), if(id % 11 = 0, null, concat('text ', id % 5000)), cast(cast(id as string) as binary), array(cast(id as int), null), map('k', cast(id as double))";

const root = await temporaryFolder("prove-deletes");
const warehouse = join(root, "wh");
const config = join(root, "config.toml");
await Bun.write(
  config,
  `[kafka]\ntopic = "t"\n[state]\ndir = "${root}/state"\n[iceberg]\ndatabase_name = "db"\nwarehouse_path = "${warehouse}"\n`,
);
const spark = await startSparkSql({
  ...hadoopCatalog("wh", warehouse),
  "spark.driver.memory": "2g",
});
try {
  for (const encoding of Object.keys(ENCODINGS)) {
    if (values.only === undefined || values.only === encoding) await prove(encoding);
  }
} finally {
  await spark.stop();
  rmSync(root, { recursive: true, force: true });
}

async function prove(encoding: string): Promise<void> {
  const table = `wh.db.${encoding}`;
  await spark.sql(
    `create table ${table} (${COLUMNS}) using iceberg tblproperties (${ENCODINGS[encoding]})`,
  );
  const share = Math.ceil(ROWS / FILES);
  for (let file = 0; file < FILES; file++) {
    const [from, to] = [file * share, Math.min(ROWS, (file + 1) * share)];
    await spark.sql(`insert into ${table} select ${VALUES} from range(${from}, ${to}, 1, 1)`);
  }
  if (encoding === "equality") await deleteByEquality(spark, table);
  else await spark.sql(`delete from ${table} where id % 10 = 3`);
  const deletes = await countOf(`${table}.delete_files`);
  const before = await readersOf(table);
  const began = performance.now();
  const report = JSON.parse(await run(["maintenance", "compact", `db.${encoding}`, "--json"]));
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const after = await readersOf(table);
  const byPyiceberg = await pyiceberg(encoding);
  const left = await countOf(`${table}.delete_files`);
  console.log(
    JSON.stringify({ encoding, deletes, left, seconds, before, after, byPyiceberg, report }),
  );
  const isSame = before.spark === after.spark && before.own === after.own;
  if (!isSame || deletes === 0 || left !== 0) throw new Error(`${encoding} is not the same`);
  const rows = ROWS - Math.ceil((ROWS - 3) / 10);
  for (const answer of [after.spark, after.own, byPyiceberg]) {
    if (!answer.includes(String(rows)))
      throw new Error(`${encoding}: ${answer} has not ${rows} rows`);
  }
}

/** Every tenth row. */
async function deleteByEquality(session: SparkSql, table: string): Promise<void> {
  const fields = [{ id: 1, name: "id", required: false, type: { kind: "long" } }] as const;
  const rows: bigint[][] = [];
  for (let id = 3; id < ROWS; id += 10) rows.push([BigInt(id)]);
  const options = { codec: "zstd", level: null, rowGroupRows: 100_000, metadata: {} } as const;
  const bytes = bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], options));
  const path = join(warehouse, "db", "equality", "data", "deletes.parquet");
  await Bun.write(path, bytes);
  await session.deleteByEquality({
    ...{ table, path, ids: [1], rows: rows.length, bytes: bytes.length, partition: "" },
  });
}

/** What Spark reads of every column, and what we do. */
async function readersOf(table: string): Promise<{ readonly spark: string; readonly own: string }> {
  const hash =
    "sum(cast(xxhash64(id, i, d, price, day, at, s, raw, li, to_json(m)) as decimal(38,0)))";
  const rows = await spark.sql(
    `select count(*) as n, cast(${hash} as string) as hash from ${table}`,
  );
  const sql =
    'select count(*) n, sum(id) id, sum(i) i, sum(d) d, sum(price) p, max("day") y, max("at") a, sum(length(s)) s, count(distinct s) t, ' +
    `sum(octet_length(raw)) r, sum(li[1]) l, sum(m['k']) m from ${table.slice("wh.".length)}`;
  return { spark: JSON.stringify(rows), own: await run(["query", sql, "--format", "json"]) };
}

async function countOf(what: string): Promise<number> {
  const [row] = await spark.sql(`select count(*) as n from ${what}`);
  return Number(row?.["n"]);
}

async function pyiceberg(table: string): Promise<string> {
  const folder = join(warehouse, "db", table, "metadata");
  const version = (await Bun.file(join(folder, "version-hint.text")).text()).trim();
  const program =
    "import sys, pyarrow.compute as pc\nfrom pyiceberg.table import StaticTable\n" +
    "ids = StaticTable.from_metadata(sys.argv[1]).scan(selected_fields=('id',)).to_arrow()['id']\n" +
    "print(len(ids), pc.sum(ids), pc.count_distinct(ids))";
  const metadata = join(folder, `v${version}.metadata.json`);
  const child = Bun.spawn([await readersPython(), "-c", program, metadata], { stderr: "inherit" });
  return (await new Response(child.stdout).text()).trim();
}

async function run(words: readonly string[]): Promise<string> {
  const command = [process.execPath, resolve("src/main.ts"), ...words, "--config", config];
  const child = Bun.spawn(command, { stderr: "inherit" });
  const out = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")} failed`);
  return out.trim();
}
