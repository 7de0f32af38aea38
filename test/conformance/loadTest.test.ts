/**
 * `load-test` against a real broker, from source as a person runs it, on the local disk and with SQLite.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { until } from "../../scripts/services/process.ts";
import { startS3 } from "../../scripts/services/versitygw.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const TIMEOUT_MS = 120_000;
const folder = mkdtempSync(join(tmpdir(), "load-test-"));
const config = join(folder, "config.toml");
let broker: KafkaBroker;

beforeAll(async () => {
  broker = await startKafka();
  writeFileSync(
    config,
    `[kafka]
bootstrap_servers = "${broker.bootstrap}"
topic = "events"
[iceberg]
warehouse_path = "${folder}/warehouse"
commit = { interval_ms = 1000 }
[iceberg.sql]
uri = "sqlite:${folder}/catalog.db"
[state]
dir = "${folder}/state"
`,
  );
}, TIMEOUT_MS);

afterAll(async () => {
  await broker?.stop();
});

function start(words: string) {
  const command = [process.execPath, MAIN, "load-test", "--config", config, ...words.split(" ")];
  return Bun.spawn(command, { cwd: folder, stdout: "pipe", stderr: "pipe" });
}

async function loadTest(words: string): Promise<{ code: number; out: string; err: string }> {
  const child = start(words);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

/** What a load test has left: topics and groups of the cluster, files of the folder. */
async function left(): Promise<{ topics: string[]; groups: string[]; files: string[] }> {
  const { bootstrap } = broker;
  const kafka = new Kafka({ clientId: "t", brokers: [bootstrap], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  try {
    const isOurs = (name: string): boolean => name.startsWith("kafka-iceberg-load-test");
    const { groups } = await admin.listGroups();
    return {
      topics: (await admin.listTopics()).filter(isOurs),
      groups: groups.map(({ groupId }) => groupId).filter(isOurs),
      files: readdirSync(folder).filter((name) => name !== "config.toml"),
    };
  } finally {
    await admin.disconnect();
  }
}

const NOTHING = { topics: [], groups: [], files: [] };

describe("load-test", () => {
  for (const catalog of ["file", "sql"]) {
    test(
      `holds 20,000 rows a second for 5 s, verifies every row, and leaves nothing (${catalog})`,
      async () => {
        const words = `--rate 20000 --seconds 5 --json --set iceberg.catalog_type=${catalog}`;
        let last = await loadTest(words);
        // A machine that does other things as well may be late for reasons of its own; rows never.
        for (let more = 0; more < 3 && last.code !== 0; more++) {
          expect(last.err).toContain("The rate of 20,000 rows/s was not held");
          last = await loadTest(words);
        }
        expect(last.code).toBe(0);
        const figures = JSON.parse(last.out) as Record<string, number>;
        expect(figures["rows_produced"]).toBeWithin(95_000, 100_001);
        expect(figures["rows_in_table"]).toBe(figures["rows_produced"] ?? 0);
        expect(figures).toMatchObject({ problem: null, shortfall: null });
        expect(figures["commits"]).toBeGreaterThanOrEqual(3);
        expect(figures["cpu_seconds"]).toBeGreaterThan(0.05);
        expect(figures["peak_bytes"]).toBeGreaterThan(50_000_000);
        expect(figures["queryable_ms"]).toMatchObject({ p50: expect.any(Number) });
        await until("removal", async () => (await left()).topics.length === 0, 10_000);
        expect(await left()).toEqual(NOTHING);
      },
      TIMEOUT_MS,
    );
  }

  test(
    "fails at a hundred million rows a second, says what the limit was, and every row is there",
    async () => {
      const { code, out, err } = await loadTest("--rate 100000000 --seconds 3 --bytes 100");
      expect(code).toBe(1);
      expect(err).toMatch(
        /The rate of 100,000,000 rows\/s was not held: the (producer|ingest) was the limit, at [\d,]+ rows\/s/,
      );
      expect(out).toContain(": each once\n");
      await until("removal", async () => (await left()).topics.length === 0, 10_000);
      expect(await left()).toEqual(NOTHING);
    },
    TIMEOUT_MS,
  );

  test(
    "ends in order when it is interrupted, and leaves nothing",
    async () => {
      const child = start("--rate 5000 --seconds 600");
      const err = new Response(child.stderr).text();
      await until("a commit", async () => (await left()).files.includes("warehouse"), 30_000);
      await Bun.sleep(2500);
      child.kill("SIGINT");
      expect(await child.exited).toBe(0);
      expect(await err).toContain("Stopped before its time");
      expect(await new Response(child.stdout).text()).toContain(": each once\n");
      await until("removal", async () => (await left()).topics.length === 0, 10_000);
      expect(await left()).toEqual(NOTHING);
    },
    TIMEOUT_MS,
  );

  test(
    "writes to S3, and leaves no object there",
    async () => {
      const store = await startS3({ dataDir: join(folder, "s3") });
      try {
        const set = {
          "iceberg.warehouse_path": "s3://warehouse/wh",
          "storage.s3.endpoint": store.endpoint,
          "storage.s3.region": store.region,
          "storage.s3.access_key_id": store.accessKey,
          "storage.s3.secret_access_key": store.secretKey,
        };
        const sets = Object.entries(set).map(([key, value]) => `--set ${key}=${value}`);
        const { out } = await loadTest(`--rate 5000 --seconds 3 --json ${sets.join(" ")}`);
        const figures = JSON.parse(out) as Record<string, unknown>;
        expect(figures).toMatchObject({ problem: null, rows_in_table: figures["rows_produced"] });
        expect(figures["files"]).toBeGreaterThan(0);
        const objects = join(folder, "s3", "objects", "warehouse");
        expect([...new Bun.Glob("wh/**").scanSync({ cwd: objects, onlyFiles: true })]).toEqual([]);
      } finally {
        await store.stop();
        rmSync(join(folder, "s3"), { recursive: true });
      }
    },
    TIMEOUT_MS,
  );

  test(
    "keeps topic and table when it is told to",
    async () => {
      const { code, err } = await loadTest("--rate 5000 --seconds 1 --keep");
      expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
      const { topics } = await left();
      expect(topics).toHaveLength(1);
      expect(err).toContain(`Kept: topic ${topics[0]}`);
      expect(readdirSync(join(folder, "warehouse"))).toEqual(topics);
    },
    TIMEOUT_MS,
  );
});
