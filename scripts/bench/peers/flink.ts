/**
 * Flink SQL with the Iceberg sink on a local mini-cluster, one JVM (SqlJob.java): exactly once, a
 * checkpoint every commit interval.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../services/install.ts";
import { flinkClassPath, PEER_VERSIONS } from "../../services/peers.ts";
import { run } from "../../services/process.ts";
import { loggingFile } from "./logging.ts";
import { type Job, type Launch, peerFile, type Side } from "./side.ts";
import { createPeerTable, type PeerTable } from "./tables.ts";

/** Flink, parallelism 1: the best rows per CPU-second of what was tried. */
export const flink: Side = {
  name: "flink",
  title: `Flink SQL ${PEER_VERSIONS.flink} with the Iceberg ${PEER_VERSIONS.flinkIceberg} sink`,
  prepare,
};

const PARALLELISM = 1;

const EVENT = [
  "event_id STRING",
  "user_id BIGINT",
  "event_type STRING",
  "ts BIGINT",
  "url STRING",
  "amount DOUBLE",
  "country STRING",
  "device ROW<os STRING, version STRING, width BIGINT>",
  "tags ARRAY<STRING>",
  "referrer STRING",
];
const COORDINATES = [
  "_kafka_partition INT METADATA FROM 'partition' VIRTUAL",
  "_kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL",
  "_kafka_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL",
];

/** Packages that Flink reaches into by reflection. */
const OPENED = [
  "java.lang",
  "java.util",
  "java.util.concurrent",
  "java.util.concurrent.atomic",
  "java.net",
  "java.io",
  "java.nio",
  "java.text",
  "java.time",
  "java.lang.reflect",
  "java.lang.invoke",
  "sun.nio.ch",
];

async function prepare(job: Job): Promise<Launch> {
  const table = await createPeerTable(job);
  const command = await flinkCommand(job, statements(job, table));
  return { command, table: table.source, ends: false };
}

/** Starts a JVM that runs statements one after the other and waits for the last. */
export async function flinkCommand(job: Job, sql: readonly string[]): Promise<string[]> {
  const classPath = await flinkClassPath();
  const classes = await compiled(classPath);
  const file = join(job.folder, "job.sql");
  await Bun.write(file, sql.join(";\n"));
  return [
    "java",
    ...OPENED.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
    "-Xms2G",
    "-Xmx2G",
    "-XX:+UseG1GC",
    `-Dlog4j2.configurationFile=${loggingFile(job)}`,
    "-cp",
    `${classes}:${classPath}`,
    "SqlJob",
    file,
    String(PARALLELISM),
    String(job.intervalMs),
  ];
}

function statements(job: Job, { source, warehouse, jdbcUri }: PeerTable): string[] {
  return [
    createFlinkCatalog(warehouse, jdbcUri),
    createFlinkTopic(job, [...EVENT, ...COORDINATES]),
    `INSERT INTO bench.${source.namespace}.${source.name} SELECT * FROM topic`,
  ];
}

/** `CREATE CATALOG bench`, a JDBC catalog. */
export function createFlinkCatalog(warehouse: string, jdbcUri: string): string {
  const catalog = {
    type: "iceberg",
    "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
    uri: jdbcUri,
    "jdbc.schema-version": "V1",
    warehouse,
  };
  return `CREATE CATALOG bench WITH (${options(catalog)})`;
}

/** `CREATE TEMPORARY TABLE topic`: the job's topic, JSON, from its begin; to its end where the job ends there. */
export function createFlinkTopic(job: Job, columns: readonly string[]): string {
  const topic = {
    connector: "kafka",
    topic: job.topic,
    "properties.bootstrap.servers": job.bootstrap,
    "properties.group.id": "flink",
    "scan.startup.mode": "earliest-offset",
    ...(job.untilEnd ? { "scan.bounded.mode": "latest-offset" } : {}),
    format: "json",
  };
  return `CREATE TEMPORARY TABLE topic (${columns.join(", ")}) WITH (${options(topic)})`;
}

function options(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `'${key}'='${value}'`)
    .join(", ");
}

/** Compiles SqlJob.java into the cache, when it is newer than what is there. */
async function compiled(classPath: string): Promise<string> {
  const source = peerFile("SqlJob.java");
  const folder = join(cacheFolder(), "flink-job");
  const target = join(folder, "SqlJob.class");
  const current = existsSync(target) && statSync(target).mtimeMs > statSync(source).mtimeMs;
  if (current) return folder;
  mkdirSync(folder, { recursive: true });
  await run(["javac", "-cp", classPath, "-d", folder, source]);
  return folder;
}
