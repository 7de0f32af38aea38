/**
 * Changes of rows beside Flink: the same topic of keyed changes into a table of ours (deletion vectors) and into
 * one of Flink's upsert sink (equality deletes), both from the topic's begin to its end, by turns. Prints the
 * changes per CPU-second of each, and how long DuckDB then reads each table; the rows have to be those of a fold.
 *
 * `bun scripts/bench/upserts.ts [--keys 500000] [--changes 1500000] [--runs 1] [--interval 5000] [--binary dist/kafka-iceberg]`
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { produceUpserts } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { readersPython } from "../services/cache.ts";
import { startKafka } from "../services/kafka.ts";
import { freePort, run } from "../services/process.ts";
import { toml } from "../services/product.ts";
import { createFlinkCatalog, createFlinkTopic, flink, flinkCommand } from "./peers/flink.ts";
import { launch, runToEnd, withFolder } from "./peers/observe.ts";
import { type Job, type Launch, peerFile, type Side } from "./peers/side.ts";

const { values: flags } = parseArgs({
  options: {
    keys: { type: "string", default: "500000" },
    changes: { type: "string", default: "1500000" },
    runs: { type: "string", default: "1" },
    interval: { type: "string", default: "5000" },
    binary: { type: "string", default: "dist/kafka-iceberg" },
  },
});
const TOPIC = "upserts";
const PARTITIONS = 3;

const upsertsOfOurs: Side = { name: "ours", title: "kafka-iceberg, ktable", prepare: prepareOurs };
const upsertsOfFlink: Side = { ...flink, prepare: prepareFlink };

const { bootstrap } = await startKafka();
await createTopic(bootstrap, { topic: TOPIC, partitions: PARTITIONS });
const [keys, changes] = [Number(flags.keys), Number(flags.changes)];
const expected = await produceUpserts({ bootstrap, topic: TOPIC, codec: "lz4", keys, changes });
for (let round = 1; round <= Number(flags.runs); round++) {
  for (const side of [upsertsOfOurs, upsertsOfFlink]) await measure(side, round);
}
process.exit(0);

async function measure(side: Side, round: number): Promise<void> {
  await withFolder(side.name, async (folder) => {
    const running = await launch(side, {
      ...{ bootstrap, topic: TOPIC, codec: "snappy", folder, untilEnd: true },
      ...{ intervalMs: Number(flags.interval), executable: resolve(flags.binary) },
    });
    const { cost } = await runToEnd(running, expected.count);
    const metadata = running.head?.metadata() ?? "";
    const stdin = JSON.stringify({ metadata });
    const answer = await run([await readersPython(), peerFile("upserts.py")], { stdin });
    const { rows, sum, ...read } = JSON.parse(answer);
    const isUnread = rows === null && side !== upsertsOfOurs;
    if (!isUnread && (rows !== expected.rows || sum !== expected.sum)) {
      throw new Error(
        `${side.name} has ${rows} rows, sum ${sum}; wanted ${JSON.stringify(expected)}`,
      );
    }
    const figures = {
      changesPerCpuSecond: Math.round(expected.count / cost.cpuSeconds),
      cpuSeconds: Number(cost.cpuSeconds.toFixed(1)),
      peakMiB: Math.round(cost.peakBytes / 2 ** 20),
      commits: running.head?.commits.length,
      ...read,
    };
    console.log(`${side.title} ${round}: ${JSON.stringify(figures)}`);
  });
}

async function prepareOurs(job: Job): Promise<Launch> {
  const warehouse = join(job.folder, "warehouse");
  const config = join(job.folder, "config.toml");
  const sections = {
    kafka: {
      bootstrap_servers: job.bootstrap,
      topic: job.topic,
      consumer_group: crypto.randomUUID(),
    },
    source: { mode: "ktable", key_field: ["id"], key_format: "json" },
    iceberg: {
      warehouse_path: warehouse,
      write: { compression: job.codec },
      commit: { interval_ms: job.intervalMs },
    },
    server: {
      health_address: `127.0.0.1:${freePort()}`,
      metrics_address: `127.0.0.1:${freePort()}`,
    },
  };
  await Bun.write(config, toml(sections));
  const table = { folder: join(warehouse, "default", job.topic) };
  return {
    command: [job.executable, "run", "--until-end", "--config", config],
    table,
    ends: true,
  };
}

async function prepareFlink(job: Job): Promise<Launch> {
  const warehouse = join(job.folder, "warehouse");
  mkdirSync(warehouse, { recursive: true });
  const sqlite = join(job.folder, "catalog.db");
  const columns = ["id BIGINT", "n BIGINT", "name STRING", "amount DOUBLE", "`at` BIGINT"];
  const properties = ["'format-version'='2'", "'write.upsert.enabled'='true'"];
  const codec = `'write.parquet.compression-codec'='${job.codec}'`;
  const command = await flinkCommand(job, [
    createFlinkCatalog(warehouse, `jdbc:sqlite:file:${sqlite}?busy_timeout=20000`),
    "CREATE DATABASE bench.bench",
    `CREATE TABLE bench.bench.upserts (${columns.join(", ")}, PRIMARY KEY (id) NOT ENFORCED) WITH (${[...properties, codec].join(", ")})`,
    createFlinkTopic(job, columns),
    "INSERT INTO bench.bench.upserts SELECT * FROM topic",
  ]);
  const table = { sqlite, namespace: "bench", name: "upserts" };
  return { command, table, ends: true };
}
