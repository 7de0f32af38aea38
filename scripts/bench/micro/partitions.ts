/**
 * Reading and ingesting by number of Kafka partitions: 1, 6, 64 and 1,000. Reading alone fetches,
 * checks and decompresses whole record batches in this process; ingest is the executable, from its
 * start to its last commit.
 */
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import { startKafka } from "../../services/kafka.ts";
import { run } from "../../services/process.ts";
import { measureIngest } from "../peers/ingest.ts";
import { withFolder } from "../peers/observe.ts";
import { ours } from "../peers/ours.ts";
import { fillTopic } from "../peers/topic.ts";

/** One line of the table. */
export interface PartitionFigures {
  readonly partitions: number;
  readonly "read rows/s": number;
  readonly "read rows/CPU-s": number;
  readonly "ingest rows/s": number;
  readonly "ingest rows/CPU-s": number;
  readonly "peak MiB": number;
}

const PARTITIONS = [1, 6, 64, 1000];

/** Produces `rows` events into each topic, reads it alone, and ingests it. */
export function measurePartitions(rows: number): Promise<PartitionFigures[]> {
  return withFolder("product", async (folder) => {
    const executable = join(folder, "kafka-iceberg");
    await run([process.execPath, "scripts/build.ts", "--outfile", executable]);
    const broker = await startKafka();
    const { bootstrap } = broker;
    const figures: PartitionFigures[] = [];
    for (const partitions of PARTITIONS) {
      const topic = `partitions-${partitions}`;
      const range = await fillTopic({ bootstrap, topic, partitions, count: rows, codec: "lz4" });
      const read = await readAll(bootstrap, topic, rows);
      const job = { bootstrap, topic, codec: "snappy", intervalMs: 5000, executable } as const;
      const ingest = await measureIngest(ours, { ...job, untilEnd: true }, range);
      figures.push({
        partitions,
        "read rows/s": read.rowsPerSecond,
        "read rows/CPU-s": read.rowsPerCpuSecond,
        "ingest rows/s": ingest.figures.rowsPerSecond,
        "ingest rows/CPU-s": ingest.figures.rowsPerCpuSecond,
        "peak MiB": ingest.figures.peakMiB,
      });
    }
    await broker.stop();
    await run(["rm", "-rf", broker.dataDir]);
    return figures;
  });
}

async function readAll(bootstrap: string, topic: string, rows: number) {
  const consumer = createKafkaConsumer(
    { bootstrapServers: [bootstrap], topics: [topic], groupId: crypto.randomUUID() },
    { clock: systemClock, random: systemRandom, log: silentLogger, observe: ignoreObservations },
  );
  await consumer.open();
  let began = { ms: performance.now(), cpu: process.cpuUsage() };
  for (let read = 0; read < rows; ) {
    const event = await consumer.next();
    if (event?.type === "assigned") {
      began = { ms: performance.now(), cpu: process.cpuUsage() };
      consumer.start(event.feeds.map((feed) => ({ feed, offset: 0n })));
    }
    if (event?.type === "batch") read += event.batch.recordCount;
  }
  const { user, system } = process.cpuUsage(began.cpu);
  const seconds = (performance.now() - began.ms) / 1000;
  await consumer.close();
  return {
    rowsPerSecond: Math.round(rows / seconds),
    rowsPerCpuSecond: Math.round(rows / ((user + system) / 1e6)),
  };
}
