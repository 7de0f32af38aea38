/**
 * What 5 % of records that cannot be rows cost: the same topic twice, once with every twentieth record
 * poisoned (broken JSON, wrong types, names that no column may have, bombs), through the whole product
 * with `dead_letter.action = "table"`. Prints the records per CPU-second of both and their ratio.
 *
 * `bun scripts/bench/poison.ts [records]`, default 400,000; the median of 3 runs each, by turns.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "#base/random.ts";
import { fileTable, runUntilEnd } from "../../test/support/binary.ts";
import { type ExactRecord, produceValues, type RecordBytes } from "../events/events.ts";
import { createTopic } from "../events/topics.ts";
import { type KafkaBroker, startKafka } from "../services/kafka.ts";
import { temporaryFolder } from "../services/process.ts";

const RUNS = 3;
const CHUNK = 50_000;
const EVERY = 20;
const PARTITIONS = 4;

/** One of each kind, by turns. */
const POISON: readonly ((event: string) => RecordBytes)[] = [
  (event) => event.slice(0, -1),
  (event) => event.replace(/"user_id":\d+/, '"user_id":"nobody"'),
  (event) => event.replace('"country"', '""'),
  (event) => ({ hex: `${Buffer.from(event.slice(0, -2)).toString("hex")}ff227d` }),
  (event) => `[${event}]`,
  (event) => event.replace(/"tags":\[[^\]]*\]/, `"tags":${"[".repeat(80)}${"]".repeat(80)}`),
  () => null,
];

async function produce(broker: KafkaBroker, topic: string, count: number, isPoisoned: boolean) {
  const { bootstrap } = broker;
  await createTopic(bootstrap, { topic, partitions: PARTITIONS });
  const random = seededRandom(1);
  for (let start = 0; start < count; start += CHUNK) {
    const records: ExactRecord[] = [];
    for (let at = start; at < Math.min(count, start + CHUNK); at++) {
      const event = JSON.stringify({
        event_id: random.uuid(),
        user_id: Math.floor(random.unit() * 1e6),
        event_type: at % 3 === 0 ? "view" : "click",
        ts: 1_760_000_000_000 + at,
        url: `https://shop.example.com/p/${at % 9973}?ref=${at % 97}`,
        amount: Math.floor(random.unit() * 1e5) / 100,
        country: "DE",
        device: { os: "linux", version: `${at % 20}.1` },
        tags: ["a", "b"],
      });
      const poison = POISON[Math.floor(at / EVERY) % POISON.length];
      const isBad = isPoisoned && at % EVERY === EVERY - 1 && poison !== undefined;
      // The columns are learned from good records.
      const value = isBad && at > EVERY * 10 ? poison(event) : event;
      // Behind every twentieth record the partitions move on by one, so that each has its share of the bad ones.
      records.push({ partition: (at + Math.floor(at / EVERY)) % PARTITIONS, value });
    }
    await produceValues({ bootstrap, topic, codec: "lz4" }, records);
  }
}

/** Records per CPU-second of one run into a new table. */
async function measure(broker: KafkaBroker, topic: string, count: number): Promise<number> {
  const folder = await temporaryFolder("poison");
  const { bootstrap } = broker;
  const group = { kafka: { consumer_group: `group-${crypto.randomUUID()}` } };
  const warehouse = join(folder, "warehouse");
  const config = fileTable({ bootstrap, topic, warehouse, config: group });
  const { product, exitCode } = await runUntilEnd({ folder, config });
  if (exitCode !== 0) throw new Error(product.log().slice(-2000));
  rmSync(folder, { recursive: true, force: true });
  return count / product.usage().cpuSeconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

const count = Number(process.argv[2] ?? 400_000);
const broker = await startKafka();
try {
  await produce(broker, "clean", count, false);
  await produce(broker, "poisoned", count, true);
  const clean: number[] = [];
  const poisoned: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    clean.push(await measure(broker, "clean", count));
    poisoned.push(await measure(broker, "poisoned", count));
  }
  const [without, with5] = [median(clean), median(poisoned)];
  console.log(`without: ${Math.round(without)} records per CPU-second`);
  console.log(`with 5 %: ${Math.round(with5)} records per CPU-second`);
  console.log(`ratio: ${(with5 / without).toFixed(2)}`);
} finally {
  await broker.stop();
}
