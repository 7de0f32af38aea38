/**
 * The commands on a real broker and a real table, in the order in which an operator uses them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { produceEvents } from "../../scripts/events/events.ts";
import { createTopic, deleteTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const TIMEOUT_MS = 60_000;
const folder = mkdtempSync(join(tmpdir(), "cli-kafka-"));
const config = join(folder, "config.toml");
let broker: KafkaBroker;

async function cli(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, MAIN, ...words, "--config", config], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

const rows = async (...words: string[]) =>
  JSON.parse((await cli(...words, "--json")).out) as Record<string, unknown>[];

/** Deletes and creates the topic; the broker needs a moment until it shows the new one. */
async function recreate(): Promise<void> {
  await deleteTopic(broker.bootstrap, "events");
  for (let tries = 0; tries < 50; tries++) {
    const error = await createTopic(broker.bootstrap, { topic: "events", partitions: 2 }).catch(
      (each: unknown) => each,
    );
    if (error === undefined || String(error).includes("exists")) return;
    await Bun.sleep(200);
  }
}

beforeAll(async () => {
  broker = await startKafka();
  await createTopic(broker.bootstrap, { topic: "events", partitions: 2 });
  await produceEvents({ bootstrap: broker.bootstrap, topic: "events", count: 20_000 });
  writeFileSync(
    config,
    `[kafka]
bootstrap_servers = "${broker.bootstrap}"
topic = "events"
[state]
dir = "${folder}/state"
[server]
health_address = ""
metrics_address = ""
`,
  );
}, 120_000);

afterAll(async () => {
  await broker?.stop();
});

describe("an operator", () => {
  test(
    "checks, and sees what would be made",
    async () => {
      const { code, out } = await cli("check");
      expect(out).toMatch(/events +2 +20000/);
      expect(out).toMatch(/default\.events +create +day\(_kafka_timestamp\)/);
      expect(code).toBe(0);
      expect((await cli("tables")).out).toBe("There are no tables\n");
    },
    TIMEOUT_MS,
  );

  test(
    "runs to the end, and finds every row in the table",
    async () => {
      const { code, out } = await cli("run", "--until-end");
      expect({ code, out: code === 0 ? "" : out }).toEqual({ code: 0, out: "" });
      const [table] = await rows("tables");
      expect(table).toMatchObject({ table: "default.events", rows: 20_000 });
      const offsets = await rows("offsets", "events");
      const sum = offsets.reduce((total, { offset }) => total + Number(offset), 0);
      expect(sum).toBe(20_000);
      const files = await rows("files", "events");
      expect(files.reduce((total, file) => total + Number(file["rows"]), 0)).toBe(20_000);
      expect((await cli("log", "--verify")).out).toContain("no damage");
      expect((await cli("log", "--type", "IcebergSnapshotCreated")).out).toContain(
        "default.events",
      );
    },
    TIMEOUT_MS,
  );

  test(
    "runs again, and nothing is doubled",
    async () => {
      expect((await cli("run", "--until-end")).code).toBe(0);
      expect((await rows("tables"))[0]).toMatchObject({ rows: 20_000 });
    },
    TIMEOUT_MS,
  );

  test(
    "accepts a topic that was re-created, and reads it from its beginning",
    async () => {
      await recreate();
      await produceEvents({ bootstrap: broker.bootstrap, topic: "events", count: 1000 });
      const refused = await cli("run", "--until-end");
      expect(refused.code).toBe(4);
      expect(refused.out).toContain("--accept-topic events");
      const words = ["offsets", "events", "--accept-topic", "events", "--from", "earliest"];
      expect((await cli(...words)).code).toBe(2);
      expect((await cli(...words, "--yes")).code).toBe(0);
      expect((await cli("run", "--until-end")).code).toBe(0);
      expect((await rows("tables"))[0]).toMatchObject({ rows: 21_000 });
    },
    TIMEOUT_MS,
  );

  test("pauses a table under a running process, resumes it, and sends it back", async () => {
    const total = async (): Promise<number> => Number((await rows("tables"))[0]?.["rows"]);
    const reached = async (wanted: number): Promise<number> => {
      for (let tries = 0; tries < 60 && (await total()) < wanted; tries++) await Bun.sleep(250);
      return total();
    };
    const produce = () =>
      produceEvents({ bootstrap: broker.bootstrap, topic: "events", count: 500 });
    const words = ["run", "--set", "iceberg.commit.interval_ms=300", "--config", config];
    const child = Bun.spawn([process.execPath, MAIN, ...words], { cwd: folder, stdout: "ignore" });
    try {
      await produce();
      expect(await reached(21_500)).toBe(21_500);
      expect((await cli("pause", "events")).out).toBe("default.events is paused\n");
      await produce();
      await Bun.sleep(2000);
      expect(await total()).toBe(21_500);
      expect((await cli("resume", "events")).out).toBe("default.events is resumed\n");
      expect(await reached(22_000)).toBe(22_000);
      const [first] = await rows("offsets", "events");
      const back = Number(first?.["offset"]) - 10;
      const set = `events:${String(first?.["partition"])}=${back}`;
      expect((await cli("offsets", "events", "--set", set, "--yes")).code).toBe(0);
      await produce();
      expect(await reached(22_510)).toBe(22_510);
    } finally {
      child.kill("SIGTERM");
    }
    expect(await child.exited).toBe(0);
  }, 90_000);
});
