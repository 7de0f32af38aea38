/**
 * Proof: the full product of Kafka codec, Parquet codec, catalog, store and reader.
 *
 * `bun scripts/prove/matrix.ts [events]` prints one line per table, one column per reader. Each cell
 * is a reader that found exactly the topic's records, values included (scripts/judge).
 */
import { join } from "node:path";
import { type Codec, produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import {
  judgeTable,
  type Reader,
  readTopic,
  type TableSource,
  type TopicCopy,
} from "../judge/judge.ts";
import { startKafka } from "../services/kafka.ts";
import { temporaryFolder } from "../services/process.ts";
import { type Config, startProduct } from "../services/product.ts";
import { type S3Service, startS3 } from "../services/versitygw.ts";

const CODECS: readonly Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const CATALOGS = ["file", "sql"] as const;
const STORES = ["local", "s3"] as const;
/** Spark's reading of S3 would need Iceberg's AWS bundle, 60 MB; the same files are judged locally. */
const READERS: Readonly<Record<(typeof STORES)[number], readonly Reader[]>> = {
  local: ["pyiceberg", "duckdb", "spark"],
  s3: ["pyiceberg", "duckdb"],
};

/** One table of the matrix. */
interface Cell {
  /** Of the topic's batches and of the table's files. */
  readonly codec: Codec;
  readonly catalog: (typeof CATALOGS)[number];
  readonly store: (typeof STORES)[number];
}

interface Rig {
  readonly bootstrap: string;
  readonly s3: S3Service;
  readonly root: string;
}

/** Ingests one topic into one table and asks every reader. Row counts by reader. */
async function judgeCell(rig: Rig, cell: Cell, copy: TopicCopy): Promise<Record<string, number>> {
  const { codec, catalog, store } = cell;
  const { s3, bootstrap } = rig;
  const name = `${codec}-${catalog}-${store}`;
  const folder = join(rig.root, name);
  const warehouse = store === "local" ? join(folder, "warehouse") : `s3://warehouse/${name}`;
  const { endpoint, region, accessKey, secretKey } = s3;
  const access = { access_key_id: accessKey, secret_access_key: secretKey };
  const config: Config = {
    kafka: { bootstrap_servers: bootstrap, topic: copy.topic, consumer_group: name },
    iceberg: { catalog_type: catalog, warehouse_path: warehouse, table_name: "events" },
    ...(catalog === "sql" ? { "iceberg.sql": { uri: `sqlite:${folder}/catalog.db` } } : {}),
    ...(store === "s3" ? { "storage.s3": { endpoint, region, path_style: true, ...access } } : {}),
    "iceberg.write": { compression: codec },
  };
  const product = await startProduct({ folder, config, command: ["run", "--until-end"] });
  const code = await product.exited;
  if (code !== 0) throw new Error(`${name}: exit ${code}\n${product.log().slice(-3000)}`);
  const verdict = await judgeTable({
    table: await source(cell, folder, warehouse, s3),
    topics: [copy],
    readers: READERS[store],
    ...(store === "s3" ? { s3 } : {}),
  });
  if (!verdict.ok) throw new Error(`${name}: ${JSON.stringify(verdict.violations, null, 1)}`);
  return Object.fromEntries(
    Object.entries(verdict.readers).map(([reader, found]) => [reader, found.rows]),
  );
}

/** Where the judge finds a cell's table. */
async function source(
  { catalog, store }: Cell,
  folder: string,
  warehouse: string,
  s3: S3Service,
): Promise<TableSource> {
  if (catalog === "sql") {
    const uri = `sqlite:///${folder}/catalog.db`;
    return { sql: { uri, name: "default", table: "default.events" } };
  }
  if (store === "local") return { folder: join(warehouse, "default", "events") };
  const { endpoint, region, accessKey: accessKeyId, secretKey: secretAccessKey } = s3;
  const client = new Bun.S3Client({ endpoint, region, accessKeyId, secretAccessKey });
  const metadata = `${warehouse}/default/events/metadata`;
  const hint = await client.file(`${metadata}/version-hint.text`).text();
  return { metadata: `${metadata}/v${hint.trim()}.metadata.json` };
}

async function main(): Promise<void> {
  const events = Number(process.argv[2] ?? 20_000);
  const [{ bootstrap }, s3] = await Promise.all([startKafka(), startS3()]);
  const rig = { bootstrap, s3, root: await temporaryFolder("matrix") };
  console.log(
    "| codec | catalog | store | PyIceberg | DuckDB | Spark |\n| --- | --- | --- | --- | --- | --- |",
  );
  for (const codec of CODECS) {
    const topic = `events-${codec}`;
    await createTopic(bootstrap, { topic, partitions: 6 });
    await produceEvents({ bootstrap, topic, count: events, codec });
    const copy = await readTopic(bootstrap, topic);
    for (const catalog of CATALOGS) {
      for (const store of STORES) {
        const rows = await judgeCell(rig, { codec, catalog, store }, copy);
        const cells = ["pyiceberg", "duckdb", "spark"].map((reader) => rows[reader] ?? "-");
        console.log(`| ${[codec, catalog, store, ...cells].join(" | ")} |`);
      }
    }
  }
}

await main();
process.exit(0);
