/**
 * Where reading begins, and who may move it: topics and partitions that appear later, every start
 * policy, and the commands that steer a table under a running process.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ExactRecord, produceValues } from "../../scripts/events/events.ts";
import { addPartitions, createTopic, deleteTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { until } from "../../scripts/services/process.ts";
import { type Product, startProduct } from "../../scripts/services/product.ts";
import {
  command,
  committed,
  newPlace,
  type Place,
  pipelines,
  rowsCommitted,
  runToEnd,
  start,
  type TableReport,
  verdict,
} from "../support/several.ts";

const START_MS = 120_000;
const TIMEOUT_MS = 150_000;
/** Metadata is looked up every 30 s; a rebalance follows. */
const NOTICED_MS = 60_000;

let broker: KafkaBroker;
let bootstrap: string;

beforeAll(async () => {
  broker = await startKafka({ heapMb: 256 });
  ({ bootstrap } = broker);
}, START_MS);

afterAll(async () => {
  await broker?.stop();
});

/** Produces `count` records to one partition. */
function produce(topic: string, partition: number, count: number): Promise<void> {
  const record = (n: number): ExactRecord => ({ partition, value: JSON.stringify({ n }) });
  return produceValues(
    { bootstrap, topic },
    Array.from({ length: count }, (_, n) => record(n)),
  );
}

/** Committed offsets by `topic/partition`, as the command line shows them. */
async function offsets(place: Place, table: string): Promise<Record<string, number>> {
  const { out } = await command(place, "offsets", table, "--json");
  const rows = JSON.parse(out) as { topic: string; partition: number; offset: number }[];
  return Object.fromEntries(
    rows.map(({ topic, partition, offset }) => [`${topic}/${partition}`, Number(offset)]),
  );
}

async function expectLaw(place: Place, topic: string, rows: number): Promise<void> {
  const judged = await verdict(place, topic, [{ bootstrap, topic }]);
  expect(judged.violations).toEqual([]);
  expect(judged.readers.duckdb?.rows).toBe(rows);
}

describe.concurrent("what appears later is read from its beginning, whatever the policy:", () => {
  const kafka = { auto_offset_reset: "latest" };

  test(
    "topics of a pattern, and partitions of a topic that is read",
    async () => {
      await createTopic(bootstrap, { topic: "late.a", partitions: 2 });
      await produce("late.a", 0, 70);
      const config = { kafka: { ...kafka, topic_pattern: "^late\\..*" } };
      const place = await newPlace("pattern", { bootstrap, config });
      const product = await start(place);
      await product.ready();
      await produce("late.a", 1, 20);
      await committed(product, "late.a", 20);
      await createTopic(bootstrap, { topic: "late.b", partitions: 1 });
      await addPartitions(bootstrap, "late.a", 3);
      await produce("late.b", 0, 30);
      await produce("late.a", 2, 40);
      await committed(product, "late.b", 30, NOTICED_MS);
      await committed(product, "late.a", 60, NOTICED_MS);
      expect(await product.terminate()).toBe(0);
      await expectLaw(place, "late.a", 60);
      await expectLaw(place, "late.b", 30);
    },
    TIMEOUT_MS,
  );

  test(
    "a partition that a process reads which was not there before",
    async () => {
      await createTopic(bootstrap, { topic: "grown", partitions: 2 });
      await produce("grown", 0, 70);
      const config = { kafka: { ...kafka, topic: "grown" } };
      const place = await newPlace("grown", { bootstrap, config });
      const first = await start(place);
      await first.ready();
      await addPartitions(bootstrap, "grown", 3);
      await produce("grown", 2, 40);
      const second = await startProduct({
        ...place.options,
        config: {
          ...place.options.config,
          iceberg: { warehouse_path: `${place.folder}/warehouse` },
        },
        folder: `${place.folder}/second`,
      });
      const all = async (): Promise<boolean> =>
        (await rowsCommitted(first, "grown")) + (await rowsCommitted(second, "grown")) === 40;
      await until("the new partition's records", all, NOTICED_MS);
      expect([await first.terminate(), await second.terminate()]).toEqual([0, 0]);
      await expectLaw(place, "grown", 40);
    },
    TIMEOUT_MS,
  );
});

describe.concurrent("a new table begins", () => {
  test(
    "at the end with latest, and loses nothing of what came while it was away",
    async () => {
      await createTopic(bootstrap, { topic: "quiet", partitions: 2 });
      await produce("quiet", 0, 50);
      const config = { kafka: { topic: "quiet", auto_offset_reset: "latest" } };
      const place = await newPlace("quiet", { bootstrap, config });
      const idle = await start(place);
      await idle.ready();
      await idle.kill();
      await produce("quiet", 0, 30);
      await produce("quiet", 1, 10);
      await runToEnd(place);
      await expectLaw(place, "quiet", 40);
    },
    TIMEOUT_MS,
  );

  test(
    "nowhere with none, until a person says where",
    async () => {
      await createTopic(bootstrap, { topic: "asked", partitions: 1 });
      await produce("asked", 0, 50);
      const config = { kafka: { topic: "asked", auto_offset_reset: "none" } };
      const place = await newPlace("asked", { bootstrap, config });
      const product = await start(place);
      expect(await product.exited).toBe(4);
      const words = ["offsets", "default.asked", "--set", "asked:0="];
      expect(product.log()).toContain(`kafka-iceberg ${words.join(" ")}OFFSET`);
      const chosen = [...words.slice(0, -1), "asked:0=20"];
      // It would skip records: said first, and done only when it is meant.
      expect(await command(place, ...chosen)).toMatchObject({ code: 2 });
      expect(await command(place, ...chosen, "--yes")).toMatchObject({ code: 0 });
      await runToEnd(place);
      await expectLaw(place, "asked", 30);
    },
    TIMEOUT_MS,
  );

  test(
    "at a time with timestamp",
    async () => {
      await createTopic(bootstrap, { topic: "timed", partitions: 1 });
      await produce("timed", 0, 50);
      await Bun.sleep(20);
      const start_timestamp = new Date().toISOString();
      await Bun.sleep(20);
      await produce("timed", 0, 30);
      const kafka = { topic: "timed", auto_offset_reset: "timestamp", start_timestamp };
      const place = await newPlace("timed", { bootstrap, config: { kafka } });
      await runToEnd(place);
      await expectLaw(place, "timed", 30);
    },
    TIMEOUT_MS,
  );

  test(
    "where its group stands with start_from = group",
    async () => {
      await createTopic(bootstrap, { topic: "known", partitions: 1 });
      await produce("known", 0, 50);
      const kafka = { topic: "known", consumer_group: "known", start_from: "group" };
      // A group without offsets begins by auto_offset_reset.
      const before = await newPlace("known-before", { bootstrap, config: { kafka } });
      await runToEnd(before);
      await expectLaw(before, "known", 50);
      await produce("known", 0, 30);
      const place = await newPlace("known", { bootstrap, config: { kafka } });
      await runToEnd(place);
      await expectLaw(place, "known", 30);
    },
    TIMEOUT_MS,
  );
});

describe.concurrent("a quiet table is looked at once a minute:", () => {
  test(
    "offsets that a person set are read on from, without a new record",
    async () => {
      await createTopic(bootstrap, { topic: "rewound", partitions: 1 });
      await produce("rewound", 0, 50);
      const config = { kafka: { topic: "rewound" } };
      const place = await newPlace("rewound", { bootstrap, config });
      const product = await start(place);
      await committed(product, "rewound", 50);
      const answer = await command(place, "offsets", "rewound", "--set", "rewound:0=40", "--yes");
      expect(answer).toMatchObject({ code: 0 });
      await committed(product, "rewound", 60, 2 * NOTICED_MS);
      expect(await product.terminate()).toBe(0);
      expect(await offsets(place, "rewound")).toEqual({ "rewound/0": 50 });
    },
    TIMEOUT_MS,
  );
});

describe("a person steers a table under a running process:", () => {
  const topics = ["calm", "busy"];
  let place: Place;
  let product: Product;

  beforeAll(async () => {
    for (const topic of topics) {
      await createTopic(bootstrap, { topic, partitions: 2 });
      await produce(topic, 0, 100);
    }
    place = await newPlace("steered", { bootstrap, config: { kafka: { topics } } });
    product = await start(place);
    for (const topic of topics) await committed(product, topic, 100);
  }, START_MS);

  afterAll(async () => {
    await product?.kill();
  });

  async function table(name: string): Promise<TableReport | undefined> {
    const tables = (await pipelines(product)).flatMap((each) => each.tables);
    return tables.find((each) => each.table === `default.${name}`);
  }

  test(
    "a paused table stops, the other goes on, and nothing is lost",
    async () => {
      expect(await command(place, "pause", "calm")).toMatchObject({ code: 0 });
      for (const topic of topics) {
        await produce(topic, 0, 50);
        await produce(topic, 1, 50);
      }
      await committed(product, "busy", 200);
      await until("calm says so", async () => (await table("calm"))?.state === "paused", 10_000);
      expect(await rowsCommitted(product, "calm")).toBe(100);
      expect(await command(place, "resume", "calm")).toMatchObject({ code: 0 });
      await committed(product, "calm", 200);
      for (const topic of topics) await expectLaw(place, topic, 200);
    },
    TIMEOUT_MS,
  );

  test(
    "after offsets --set the process reads on from there",
    async () => {
      expect(await offsets(place, "calm")).toEqual({ "calm/0": 150, "calm/1": 50 });
      const answer = await command(place, "offsets", "calm", "--set", "calm:0=140", "--yes");
      expect(answer).toMatchObject({ code: 0 });
      await produce("calm", 0, 5);
      await committed(product, "calm", 215);
      expect(await offsets(place, "calm")).toEqual({ "calm/0": 155, "calm/1": 50 });
      expect((await table("calm"))?.state).toBe("running");
    },
    TIMEOUT_MS,
  );

  test(
    "a re-created topic is read again once it was accepted",
    async () => {
      await deleteTopic(bootstrap, "busy");
      await Bun.sleep(500);
      await createTopic(bootstrap, { topic: "busy", partitions: 1 });
      await produce("busy", 0, 25);
      await until(
        "busy stopped",
        async () => (await table("busy"))?.state === "stopped",
        NOTICED_MS,
      );
      await produce("calm", 1, 5);
      await committed(product, "calm", 220);
      expect((await table("busy"))?.lastError).toContain("--accept-topic busy");
      expect(await product.terminate()).toBe(4);
      const words = ["offsets", "busy", "--accept-topic", "busy", "--from", "earliest", "--yes"];
      expect(await command(place, ...words)).toMatchObject({ code: 0 });
      product = await start(place);
      await committed(product, "busy", 25);
      expect(await offsets(place, "busy")).toEqual({ "busy/0": 25 });
      expect(await product.terminate()).toBe(0);
    },
    TIMEOUT_MS,
  );
});
