/**
 * Avro with a schema registry, the whole path: the product beside the Kafka Connect sink with an Avro
 * converter, over one topic, by turns. Prints the rows per CPU-second of both and their ratio; every run
 * counts only when PyIceberg and DuckDB find all rows, with the same values on both sides.
 *
 * `bun scripts/bench/avro.ts [records] [runs]`, default 2,000,000 and 2.
 */

import { join } from "node:path";
import { eventSchema, registerSchema } from "../events/avroEvents.ts";
import { startApicurio } from "../services/apicurio.ts";
import { startKafka } from "../services/kafka.ts";
import { run } from "../services/process.ts";
import { connectStock, connectTuned } from "./peers/connect.ts";
import { measureIngest } from "./peers/ingest.ts";
import { withFolder } from "./peers/observe.ts";
import { ours } from "./peers/ours.ts";
import { fillTopic } from "./peers/topic.ts";

const SIDES = [ours, connectTuned, connectStock];
const TOPIC = "events";

const count = Number(process.argv[2] ?? 2_000_000);
const runs = Number(process.argv[3] ?? 2);
await withFolder("avro", measure);

async function measure(folder: string): Promise<void> {
  const executable = join(folder, "kafka-iceberg");
  await run([process.execPath, "scripts/build.ts", "--outfile", executable]);
  const [broker, registry] = await Promise.all([startKafka(), startApicurio()]);
  try {
    const { bootstrap } = broker;
    const schema = eventSchema();
    const avro = { schema, id: await registerSchema(registry.url, TOPIC, schema) };
    const filled = { bootstrap, topic: TOPIC, partitions: 6, count, codec: "lz4", avro } as const;
    const partitions = await fillTopic(filled);
    const job = { bootstrap, topic: TOPIC, codec: "snappy", intervalMs: 5000 } as const;
    const figures = new Map<string, number[]>(SIDES.map(({ name }) => [name, []]));
    const sums = new Set<string>();
    for (let round = 0; round < runs; round++) {
      for (const side of SIDES) {
        const all = { ...job, untilEnd: true, executable, registry };
        const measured = await measureIngest(side, all, partitions);
        console.log(`${side.name}: ${JSON.stringify(measured.figures)}`);
        sums.add(measured.checked.sums.join());
        figures.get(side.name)?.push(measured.figures.rowsPerCpuSecond);
      }
    }
    if (sums.size !== 1) throw new Error("the sides hold different values");
    const best = (name: string): number => Math.max(...(figures.get(name) ?? []));
    for (const { name, title } of SIDES) {
      const ratio = (best(ours.name) / best(name)).toFixed(2);
      console.log(`${title}: ${best(name)} rows per CPU-second; ours: ${ratio} times as many`);
    }
  } finally {
    await registry.stop();
    await broker.stop();
  }
}
