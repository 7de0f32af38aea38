/**
 * What reading alone costs: rows per CPU-second of fetching, checking and decompressing whole
 * record batches, from a real broker, without decoding records.
 *
 *   bun scripts/bench/consume.ts [--rows 1000000] [--codec lz4] [--rounds 3]
 */
import { parseArgs } from "node:util";
import { systemClock } from "#base/clock.ts";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { systemRandom } from "#base/random.ts";
import { createKafkaConsumer } from "#consumer/kafkaConsumer.ts";
import { type Codec, produceEvents } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { startKafka } from "../services/kafka.ts";

const TOPIC = "bench";
const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    codec: { type: "string", default: "lz4" },
    rounds: { type: "string", default: "3" },
  },
});
const rows = Number(values.rows);

const broker = await startKafka();
const { bootstrap } = broker;
await createTopic(bootstrap, { topic: TOPIC, partitions: 6 });
await produceEvents({ bootstrap, topic: TOPIC, codec: values.codec as Codec, count: rows });
for (let round = 0; round < Number(values.rounds); round++) await readAll(`bench-${round}`);
await broker.stop();

/** Reads the topic once, and prints what that cost this process. */
async function readAll(groupId: string): Promise<void> {
  const consumer = createKafkaConsumer(
    { bootstrapServers: [bootstrap], topics: [TOPIC], groupId },
    { clock: systemClock, random: systemRandom, log: silentLogger, observe: ignoreObservations },
  );
  await consumer.open();
  let read = 0;
  let bytes = 0;
  let began = { ms: 0, cpu: process.cpuUsage() };
  while (read < rows) {
    const event = await consumer.next();
    if (event?.type === "assigned") {
      began = { ms: performance.now(), cpu: process.cpuUsage() };
      consumer.start(event.feeds.map((feed) => ({ feed, offset: 0n })));
    }
    if (event?.type !== "batch") continue;
    read += event.batch.recordCount;
    bytes += event.batch.payload?.length ?? 0;
  }
  const { user, system } = process.cpuUsage(began.cpu);
  const cpuSeconds = (user + system) / 1e6;
  const seconds = (performance.now() - began.ms) / 1000;
  const figures = {
    codec: values.codec,
    rows: read,
    "MB decompressed": Math.round(bytes / 1e6),
    "rows per second": Math.round(read / seconds),
    "rows per CPU-second": Math.round(read / cpuSeconds),
    "RSS MB": Math.round(process.memoryUsage().rss / 1e6),
  };
  console.log(JSON.stringify(figures));
  await consumer.close();
}
