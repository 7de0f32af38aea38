/**
 * One pipeline's failure stops nobody else; and what an idle process costs.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { produceEvents, produceValues } from "../../scripts/events/events.ts";
import { createTopic, deleteTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { until } from "../../scripts/services/process.ts";
import { type Product, startProduct } from "../../scripts/services/product.ts";
import {
  committed,
  newPlace,
  type PipelineReport,
  pipelines,
  runToEnd,
  start,
  verdict,
} from "../support/several.ts";

const START_MS = 120_000;
const TIMEOUT_MS = 120_000;
const STOPPED_MS = 30_000;
/** Metadata is looked up every 30 s, and a topic that is gone has 5 s to come back. */
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

async function fill(topics: readonly string[], count: number): Promise<void> {
  for (const topic of topics) {
    await createTopic(bootstrap, { topic, partitions: 2 });
    await produceEvents({ bootstrap, topic, count });
  }
}

function produceMore(topics: readonly string[], count: number): Promise<unknown> {
  const jobs = topics.map((topic) => produceEvents({ bootstrap, topic, count, seed: 2 }));
  return Promise.all(jobs);
}

async function stoppedPipelines(product: Product): Promise<readonly PipelineReport[]> {
  return (await pipelines(product)).filter(({ state }) => state === "stopped");
}

/** What `/status` says about why a pipeline stopped, its own words and its tables'. */
function reason(reports: readonly PipelineReport[], name: string): string {
  const report = reports.find((each) => each.name === name);
  const tables = report?.tables.map(({ lastError }) => lastError) ?? [];
  return [report?.lastError, ...tables].filter((each) => each != null).join("\n");
}

async function health(product: Product): Promise<{ code: number; status: string }> {
  const answer = await fetch(`${product.url}/health`);
  const { status } = (await answer.json()) as { readonly status: string };
  return { code: answer.status, status };
}

describe("a pipeline that fails", () => {
  test(
    "leaves the others alone, is named with its reason, and decides the exit code",
    async () => {
      const topics = ["dropped", "replaced", "wrong", "healthy"];
      await fill([...topics, "foreign"], 300);
      const other = await newPlace("foreign", {
        bootstrap,
        config: { kafka: { topic: "foreign" } },
      });
      await runToEnd(other);
      const place = await newPlace("failures", {
        bootstrap,
        pipelines: [
          ...topics.map((topic) => ({
            name: topic,
            kafka: { topic },
            dead_letter: { action: "fail" },
          })),
          {
            name: "catalog",
            kafka: { topic: "healthy", consumer_group: "catalog" },
            iceberg: { catalog_type: "sql", table_name: "t", sql: { uri: "sqlite:broken.db" } },
          },
        ],
      });
      writeFileSync(join(place.folder, "broken.db"), "this is no database\n".repeat(500));
      const product = await start(place);
      for (const topic of topics) await committed(product, topic, 300);
      const tables = join(place.folder, "warehouse", "default");
      rmSync(join(tables, "dropped"), { recursive: true });
      renameSync(join(tables, "replaced"), join(tables, "replaced-before"));
      mkdirSync(join(tables, "replaced"));
      const foreign = join(other.folder, "warehouse", "default", "foreign");
      cpSync(foreign, join(tables, "replaced"), { recursive: true });
      await produceMore(topics, 200);
      await produceValues({ bootstrap, topic: "wrong" }, [{ partition: 0, value: "{not json" }]);
      await until(
        "four pipelines stopped",
        async () => (await stoppedPipelines(product)).length === 4,
        STOPPED_MS,
      ).catch(async (error: unknown) => {
        throw new Error(`${JSON.stringify(await pipelines(product), null, 1)}\n${product.log()}`, {
          cause: error,
        });
      });
      await committed(product, "healthy", 500);
      expect(await health(product)).toEqual({ code: 200, status: "degraded" });
      const reports = await pipelines(product);
      expect(reason(reports, "dropped")).toContain("default.dropped was dropped");
      expect(reason(reports, "replaced")).toContain("default.replaced was replaced");
      expect(reason(reports, "wrong")).toMatch(/wrong.*partition 0|wrong\/0/);
      expect(reason(reports, "catalog")).toContain("broken.db");
      expect(reason(reports, "healthy")).toBe("");
      await produceEvents({ bootstrap, topic: "healthy", count: 100, seed: 3 });
      await committed(product, "healthy", 600);
      expect(await product.terminate()).toBe(4);
      const judged = await verdict(place, "healthy", [{ bootstrap, topic: "healthy" }]);
      expect(judged.violations).toEqual([]);
      expect(judged.readers.duckdb?.rows).toBe(600);
    },
    TIMEOUT_MS,
  );
});

describe("a table that several topics feed", () => {
  test(
    "goes on with the others when one is missing or deleted, and says which",
    async () => {
      await fill(["stays", "goes"], 300);
      const place = await newPlace("partly", {
        bootstrap,
        config: {
          kafka: { topics: ["stays", "goes", "absent"] },
          source: { metadata_columns: ["topic", "partition", "offset", "timestamp"] },
          iceberg: { table_name: "all" },
        },
      });
      const product = await start(place);
      await committed(product, "all", 600);
      const shown = async (): Promise<string> => reason(await pipelines(product), "default");
      expect(await shown()).toContain("Topic absent does not exist");
      await createTopic(bootstrap, { topic: "absent", partitions: 1 });
      await deleteTopic(bootstrap, "goes");
      const deleted = async (): Promise<boolean> => (await shown()).includes("goes was deleted");
      await until("the reason", deleted, NOTICED_MS).catch((error: unknown) => {
        throw new Error(product.log(), { cause: error });
      });
      await produceMore(["stays", "absent"], 100);
      await committed(product, "all", 800);
      expect(await health(product)).toEqual({ code: 200, status: "degraded" });
      expect(await product.terminate()).toBe(4);
    },
    TIMEOUT_MS,
  );
});

describe("an idle process", () => {
  const IDLE_MS = 20_000;
  // Twice the promise: a busy machine adds to it, the spinning that it guards against takes more.
  const CPU_SHARE_MAX = 0.03;
  const RESIDENT_MB_MAX = 400;

  test(
    "takes next to no processor time, and commits soon after its start",
    async () => {
      await createTopic(bootstrap, { topic: "idle", partitions: 6 });
      await produceEvents({ bootstrap, topic: "idle", count: 600 });
      const place = await newPlace("idle", { bootstrap, config: { kafka: { topic: "idle" } } });
      const product = await startProduct({ ...place.options, run: "binary" });
      await committed(product, "idle", 600);
      const firstCommitMs = Date.now() - product.startedMs;
      await Bun.sleep(2000);
      const before = product.usage();
      await Bun.sleep(IDLE_MS);
      const cpuShare = (product.usage().cpuSeconds - before.cpuSeconds) / (IDLE_MS / 1000);
      const peakMb = product.usage().peakBytes / 2 ** 20;
      expect(await product.terminate()).toBe(0);
      const percent = (cpuShare * 100).toFixed(2);
      const figures = `${percent} % of a core, peak ${peakMb.toFixed(0)} MiB resident`;
      console.log(`idle: ${figures}; start to first commit ${firstCommitMs} ms`);
      expect(cpuShare).toBeLessThan(CPU_SHARE_MAX);
      expect(peakMb).toBeLessThan(RESIDENT_MB_MAX);
    },
    TIMEOUT_MS,
  );
});
