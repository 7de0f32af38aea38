/**
 * The README's first command: from nothing to an Iceberg table filled from a real Kafka topic.
 *
 * Builds the executable, starts a broker, produces events, runs `kafka-iceberg run --until-end`, and
 * shows what other people's programs (DuckDB, PyIceberg, librdkafka) find in the table and the topic.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { produceEvents } from "./events/events.ts";
import { createTopic } from "./events/topics.ts";
import { judgeTable, readTopic, showTable } from "./judge/judge.ts";
import { readersPython } from "./services/cache.ts";
import { startKafka } from "./services/kafka.ts";
import { run, temporaryFolder } from "./services/process.ts";
import { startProduct, toml } from "./services/product.ts";

const EVENTS = 300_000;
const PARTITIONS = 3;
const TOPIC = "events";

const folder = await temporaryFolder("demo");
const warehouse = join(folder, "warehouse");
mkdirSync(warehouse);

await step("build dist/kafka-iceberg", () => run([process.execPath, "scripts/build.ts"]));
await step("foreign readers (once)", readersPython);
const broker = await step("start Apache Kafka", () => startKafka());
const { bootstrap } = broker;
try {
  await step(`produce ${EVENTS.toLocaleString("en")} events`, async () => {
    await createTopic(bootstrap, { topic: TOPIC, partitions: PARTITIONS });
    await produceEvents({ bootstrap, topic: TOPIC, count: EVENTS, codec: "lz4" });
  });
  const config = {
    kafka: { bootstrap_servers: bootstrap, topic: TOPIC },
    iceberg: { warehouse_path: warehouse },
    logging: { format: "json" },
  };
  console.log(`\n${toml(config)}`);
  await step("kafka-iceberg run --until-end --config config.toml", async () => {
    const command = ["run", "--until-end"];
    const product = await startProduct({ config, command, folder, run: "binary" });
    const code = await product.exited;
    if (code !== 0) throw new Error(`kafka-iceberg ended with ${code}:\n${product.log()}`);
  });
  await show();
} finally {
  await broker.stop();
}
console.log(`\nThe table is in ${join(warehouse, "default", TOPIC)}.`);
process.exit(0);

async function show(): Promise<void> {
  const table = { folder: join(warehouse, "default", TOPIC) };
  const shown = await step("read the table with DuckDB", () => showTable(table));
  console.log("\nSnapshots");
  console.table(shown.snapshots);
  console.log("The first rows");
  console.table(shown.rows.map(brief));
  console.log("\nRows and Kafka offsets, by partition");
  console.table(shown.partitions);
  const verdict = await step("compare with the topic, value by value", async () =>
    judgeTable({ table, topics: [await readTopic(bootstrap, TOPIC)] }),
  );
  if (!verdict.ok) {
    console.error(JSON.stringify(verdict.violations, null, 2));
    throw new Error("the table is not what the topic holds");
  }
  const rows = verdict.readers.duckdb?.rows.toLocaleString("en");
  console.log(
    `\n${rows} rows: every record that librdkafka reads from the topic is in the table exactly once,`,
  );
  console.log("with the same values, as DuckDB and PyIceberg read it.");
}

/** The columns of a row that fit on a screen. */
function brief(row: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const { _kafka_partition: partition, _kafka_offset: offset, user_id, event_type } = row;
  const { amount, device, tags, referrer } = row;
  return { partition, offset, user_id, event_type, amount, device, tags, referrer };
}

async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  process.stdout.write(`${name} ... `);
  const began = performance.now();
  const result = await work();
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s`);
  return result;
}
