/**
 * Several topics, pipelines and clusters in one process: the law holds in every table for every feed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { FailpointName } from "#base/failpoint.ts";
import { produceEvents } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { judgeTable, readTopic, type TopicCopy, type Verdict } from "../../scripts/judge/judge.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { committed, newPlace, type Place, runToEnd, start, verdict } from "../support/several.ts";

const START_MS = 120_000;
const TIMEOUT_MS = 120_000;

let west: KafkaBroker;
let east: KafkaBroker;

beforeAll(async () => {
  [west, east] = await Promise.all([startKafka({ heapMb: 256 }), startKafka({ heapMb: 256 })]);
}, START_MS);

afterAll(async () => {
  await Promise.all([west?.stop(), east?.stop()]);
});

/** Creates topics on a broker, each with so many partitions and events. */
async function fill(
  { bootstrap }: KafkaBroker,
  topics: Readonly<Record<string, number>>,
  count: number,
): Promise<void> {
  for (const [topic, partitions] of Object.entries(topics)) {
    await createTopic(bootstrap, { topic, partitions });
    await produceEvents({ bootstrap, topic, count });
  }
}

/** The law in each retained snapshot; the head has so many rows. */
function expectLaw(judged: Verdict, rows: number): void {
  expect(judged.violations).toEqual([]);
  expect(judged.judged).toBe(judged.snapshots);
  expect(judged.readers.duckdb?.rows).toBe(rows);
}

function judge(place: Place, table: string, ...topics: readonly string[]): Promise<Verdict> {
  const { bootstrap } = west;
  return verdict(
    place,
    table,
    topics.map((topic) => ({ bootstrap, topic })),
  );
}

const WITH_TOPIC = { metadata_columns: ["topic", "partition", "offset", "timestamp"] };

describe("several topics in one pipeline", () => {
  test(
    "make one table each, named as they are",
    async () => {
      await fill(west, { apples: 2, pears: 3 }, 1500);
      const kafka = { topics: ["apples", "pears"] };
      const place = await newPlace("each", { bootstrap: west.bootstrap, config: { kafka } });
      await runToEnd(place);
      expectLaw(await judge(place, "apples", "apples"), 1500);
      expectLaw(await judge(place, "pears", "pears"), 1500);
    },
    TIMEOUT_MS,
  );

  test(
    "may share a table, to which each topic goes on adding",
    async () => {
      await fill(west, { plums: 2, figs: 3 }, 1000);
      const place = await newPlace("shared", {
        bootstrap: west.bootstrap,
        config: {
          kafka: { topics: ["plums", "figs"] },
          source: WITH_TOPIC,
          iceberg: { table_name: "all" },
        },
      });
      const product = await start(place);
      await committed(product, "all", 2000);
      await produceEvents({ bootstrap: west.bootstrap, topic: "figs", count: 500, seed: 2 });
      await committed(product, "all", 2500);
      expect(await product.terminate()).toBe(0);
      const judged = await judge(place, "all", "plums", "figs");
      expectLaw(judged, 2500);
      expect(Object.keys(judged.committed).sort()).toEqual(["figs", "plums"]);
      // The judge tells the topics apart: with their records exchanged the law is broken.
      const [plums, figs] = await Promise.all(
        ["plums", "figs"].map((topic) => readTopic(west.bootstrap, topic)),
      );
      const swapped = [
        { ...plums, topic: "figs" },
        { ...figs, topic: "plums" },
      ] as readonly TopicCopy[];
      const folder = join(place.folder, "warehouse", "default", "all");
      const { violations } = await judgeTable({ table: { folder }, topics: swapped, readers: [] });
      const kinds = violations.map(({ kind }) => kind);
      expect(kinds).toContain("rows that the topic does not have");
    },
    TIMEOUT_MS,
  );
});

describe("several pipelines in one process", () => {
  test(
    "write different topics into one table, also in one consumer group",
    async () => {
      await fill(west, { left: 2, right: 2 }, 1000);
      const place = await newPlace("pipelines", {
        bootstrap: west.bootstrap,
        config: { source: WITH_TOPIC, iceberg: { table_name: "both" } },
        pipelines: [
          { name: "one", kafka: { topic: "left" } },
          { name: "two", kafka: { topic: "right" } },
        ],
      });
      const product = await start(place);
      const rate = 1000;
      const more = { bootstrap: west.bootstrap, count: 2000, seed: 3, rate };
      await Promise.all(["left", "right"].map((topic) => produceEvents({ ...more, topic })));
      await committed(product, "both", 6000);
      expect(await product.terminate()).toBe(0);
      expectLaw(await judge(place, "both", "left", "right"), 6000);
    },
    TIMEOUT_MS,
  );

  test(
    "write one topic into two tables, and kills between their commits change nothing",
    async () => {
      await fill(west, { twice: 2 }, 500);
      const place = await newPlace("twice", {
        bootstrap: west.bootstrap,
        pipelines: ["first", "second"].map((name) => ({
          name,
          kafka: { topic: "twice", consumer_group: `twice-${name}` },
          iceberg: { table_name: name },
        })),
      });
      const steps: readonly FailpointName[] = ["commit_after", "commit_before", "acknowledge"];
      let rows = 500;
      for (const [index, step] of [...steps, ...steps].entries()) {
        // Both tables pass the step: the odd ones of its passes leave one table ahead of the other.
        const product = await start(place, {
          KAFKA_ICEBERG_FAILPOINT: `${step}=crash@${index + 1}`,
        });
        const flow = { bootstrap: west.bootstrap, topic: "twice", rate: 400, seed: index };
        for (let sent = 0; sent < 4000 && !product.ended(); sent += 200) {
          await produceEvents({ ...flow, count: 200 });
          rows += 200;
        }
        expect(await product.exited).toBe(137);
      }
      await runToEnd(place);
      expectLaw(await judge(place, "first", "twice"), rows);
      expectLaw(await judge(place, "second", "twice"), rows);
    },
    TIMEOUT_MS,
  );

  test(
    "bring two clusters into one table",
    async () => {
      await fill(west, { vesper: 2 }, 1000);
      await fill(east, { aurora: 3 }, 1000);
      const place = await newPlace("clusters", {
        bootstrap: west.bootstrap,
        config: { source: WITH_TOPIC, iceberg: { table_name: "globe" } },
        pipelines: [
          { name: "west", kafka: { topic: "vesper" } },
          { name: "east", kafka: { topic: "aurora", bootstrap_servers: east.bootstrap } },
        ],
      });
      await runToEnd(place);
      await produceEvents({ bootstrap: east.bootstrap, topic: "aurora", count: 500, seed: 2 });
      await runToEnd(place);
      const judged = await verdict(place, "globe", [
        { bootstrap: west.bootstrap, topic: "vesper" },
        { bootstrap: east.bootstrap, topic: "aurora" },
      ]);
      expectLaw(judged, 2500);
    },
    TIMEOUT_MS,
  );
});
