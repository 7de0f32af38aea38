/**
 * A million rows, a tenth of them deleted, in each encoding of deletes: after compaction no delete file is left, and Spark,
 * PyIceberg and we read the same rows as before. `bun scripts/prove/deletes.ts [--rows 1000000] [--only vectors,own_vectors]`.
 *
 * Spark deletes by vectors (v3), by positions of one file and of a partition (v2); equality deletes are a file of ours that
 * Iceberg's own API commits, since Spark writes none. The tables `own_...` are ours from a topic of changes, with tombstones: vectors (v3),
 * positions (v2), equality deletes (v2).
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../../test/support/sparkSql.ts";
import { batchOf, bytesOf, encodeWhole } from "../../test/unit/parquet/rows.ts";
import { produceUpserts, produceValues } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { readersPython } from "../services/cache.ts";
import { startKafka } from "../services/kafka.ts";
import { freePort, temporaryFolder } from "../services/process.ts";
import { toml } from "../services/product.ts";

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

/** Of our own tables: what the writer is told. */
const OWN: Readonly<Record<string, Readonly<Record<string, string | number>>>> = {
  own_vectors: { format_version: 3 },
  own_positions: { format_version: 2 },
  own_equality: { format_version: 2, delete_mode: "equality" },
};

const COLUMNS =
  "id bigint, i int, d double, price decimal(18,3), day date, at timestamp, s string, raw binary, li array<int>, m map<string, double>";
const VALUES =
  "id, cast(id as int), if(id % 5 = 0, null, cast(-id as double)), cast(id / 1000 as decimal(18,3)), date_add(date'2026-01-01', cast(id % 400 as int)), " +
  "timestamp_micros(1767225600000000 + id), if(id % 11 = 0, null, concat('text ', id % 5000)), cast(cast(id as string) as binary), array(cast(id as int), null), map('k', cast(id as double))";

const root = await temporaryFolder("prove-deletes");
const warehouse = join(root, "wh");
const config = join(root, "config.toml");
await Bun.write(config, toml(sectionsOf("t")));
const spark = await startSparkSql({
  ...hadoopCatalog("wh", warehouse),
  "spark.driver.memory": "2g",
});
try {
  const only = values.only?.split(",");
  for (const encoding of [...Object.keys(ENCODINGS), ...Object.keys(OWN)]) {
    if (only === undefined || only.includes(encoding)) await prove(encoding);
  }
} finally {
  await spark.stop();
  rmSync(root, { recursive: true, force: true });
}

async function prove(encoding: string): Promise<void> {
  const table = `wh.db.${encoding}`;
  if (encoding in OWN) await writeOwn(encoding);
  else await writeBySpark(encoding, table);
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

async function writeBySpark(encoding: string, table: string): Promise<void> {
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
}

/** Puts of every id, then tombstones of every tenth, each followed to its end. */
async function writeOwn(topic: string): Promise<void> {
  const { bootstrap, stop } = await startKafka();
  try {
    await createTopic(bootstrap, { topic, partitions: 1 });
    const own = join(root, `${topic}.toml`);
    await Bun.write(own, toml(sectionsOf(topic, bootstrap)));
    await produceUpserts({ bootstrap, topic, codec: "lz4", keys: ROWS, changes: 0 });
    await run(["run", "--until-end"], own);
    const tombstones = Array.from({ length: Math.ceil((ROWS - 3) / 10) }, (_, n) => ({
      ...{ key: `{"id":${10 * n + 3}}`, value: null },
    }));
    await produceValues({ bootstrap, topic }, tombstones);
    await run(["run", "--until-end"], own);
  } finally {
    await stop();
  }
}

function sectionsOf(topic: string, bootstrap?: string): Parameters<typeof toml>[0] {
  const own = {
    source: { mode: "ktable", key_field: ["id"], key_format: "json" },
    server: {
      health_address: `127.0.0.1:${freePort()}`,
      metrics_address: `127.0.0.1:${freePort()}`,
    },
  };
  return {
    kafka: { topic, ...(bootstrap !== undefined && { bootstrap_servers: bootstrap }) },
    ...(bootstrap !== undefined && own),
    state: { dir: join(root, "state", topic) },
    iceberg: { database_name: "db", warehouse_path: warehouse, write: OWN[topic] ?? {} },
    // Files do not end with tens of rows.
    maintenance: { compact_delete_ratio: 0.05 },
  };
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
  const isOwn = table.includes(".own_");
  const columns = isOwn
    ? "id, n, name, amount, at"
    : "id, i, d, price, day, at, s, raw, li, to_json(m)";
  const hash = `sum(cast(xxhash64(${columns}) as decimal(38,0)))`;
  const rows = await spark.sql(
    `select count(*) as n, cast(${hash} as string) as hash from ${table}`,
  );
  const sums = isOwn
    ? 'sum(id) id, sum(n) s, sum(length(name)) l, count(distinct name) d, sum(amount) a, sum("at") t'
    : 'sum(id) id, sum(i) i, sum(d) d, sum(price) p, max("day") y, max("at") a, sum(length(s)) s, count(distinct s) t, ' +
      "sum(octet_length(raw)) r, sum(li[1]) l, sum(m['k']) m";
  const sql = `select count(*) n, ${sums} from ${table.slice("wh.".length)}`;
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

async function run(words: readonly string[], of = config): Promise<string> {
  const command = [process.execPath, resolve("src/main.ts"), ...words, "--config", of];
  const child = Bun.spawn(command, { stderr: "inherit" });
  const out = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")} failed`);
  return out.trim();
}
