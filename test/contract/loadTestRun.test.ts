/**
 * A load test as a whole: a broker in memory, the producing process as a child, the ordinary pipeline, and
 * a table on the local disk.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "#config/load.ts";
import type { LoadTestFigures, LoadTestJob, LoadTestState } from "#loadtest/job.ts";
import { runLoadTest } from "#loadtest/run.ts";
import { removeScratch, type Scratch, scratchOf } from "#loadtest/scratch.ts";
import { verifyTable } from "#loadtest/verify.ts";
import { FakeKafka } from "../fakes/kafkaBroker.ts";
import { rejection } from "../support/rejection.ts";

const COMMAND = [process.execPath, join(import.meta.dir, "../../src/main.ts")];
let broker: FakeKafka;
let folder: string;
beforeEach(() => {
  broker = new FakeKafka();
  folder = mkdtempSync(join(tmpdir(), "load-test-"));
});
afterEach(() => broker.stop());

async function scratchHere(): Promise<Scratch> {
  const file = join(folder, "config.toml");
  writeFileSync(
    file,
    `[kafka]
bootstrap_servers = "${broker.address}"
topic = "events"
[iceberg]
warehouse_path = "${folder}/warehouse"
commit = { interval_ms = 300 }
[state]
dir = "${folder}/state"
`,
  );
  const loaded = await loadConfig({
    file,
    envFile: null,
    flags: {},
    purpose: "inspect",
    variables: {},
  });
  if (!("config" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  return scratchOf(loaded, null, "test");
}

/** What was shown, and how a load test is begun. */
function begin(scratch: Scratch, job: Partial<LoadTestJob> = {}, stop = new AbortController()) {
  const states: LoadTestState[] = [];
  const lines: string[] = [];
  const whole: LoadTestJob = {
    topic: scratch.name,
    partitions: 2,
    rate: 20_000,
    seconds: 1,
    eventBytes: 120,
    keep: false,
    version: "1",
    commit: "c",
    everyMs: 50,
    progress: (state) => states.push(state),
    log: (line) => lines.push(line),
    ...job,
  };
  const { config, environment } = scratch;
  const figures = runLoadTest(config, environment, whole, stop.signal, COMMAND);
  return { figures, states, lines };
}

describe("a load test", () => {
  test("measures what it produced, finds every row in the table once, and leaves nothing", async () => {
    const scratch = await scratchHere();
    const { figures, states } = begin(scratch);
    const done: LoadTestFigures = await figures;
    expect(done.exit).toBe("done");
    expect(done.rows).toBeWithin(15_000, 20_001);
    expect([...done.ends.values()].reduce((sum, end) => sum + end)).toBe(BigInt(done.rows));
    expect(done.producedMs).toBeGreaterThan(700);
    expect(done.ingestedMs).toBeGreaterThan(700);
    expect(done.commits).toBeGreaterThanOrEqual(2);
    expect(done.committedRate).toBeGreaterThan(0);
    expect(done.cpuSeconds).toBeGreaterThan(0);
    expect(done.peakBytes).toBeGreaterThan(10_000_000);
    expect(done.queryable.p99Ms ?? 0).toBeGreaterThanOrEqual(done.queryable.p50Ms ?? 0);
    expect(done.committed.p50Ms ?? 0).toBeGreaterThan(done.queryable.p50Ms ?? 0);
    expect(Math.max(...states.map(({ committed }) => committed))).toBeGreaterThan(0);
    expect(await verifyTable(scratch, done)).toMatchObject({
      rows: BigInt(done.rows),
      problem: null,
    });
    expect(broker.topics.has(scratch.name)).toBe(false);
    expect(broker.removedGroups).toEqual([scratch.name]);
    await removeScratch(scratch);
    expect(readdirSync(folder)).toEqual(["config.toml"]);
  }, 30_000);

  test("that is stopped has every row that it produced in the table", async () => {
    const scratch = await scratchHere();
    const stop = new AbortController();
    const { figures } = begin(
      scratch,
      { seconds: 600, progress: ({ committed }) => committed > 0 && stop.abort() },
      stop,
    );
    const done = await figures;
    expect(done.exit).toBe("stopped");
    expect(done.rows).toBeGreaterThan(0);
    expect((await verifyTable(scratch, done)).problem).toBeNull();
    expect(broker.topics.has(scratch.name)).toBe(false);
  }, 30_000);

  test("ends with the producer's error, and removes its topic all the same", async () => {
    const scratch = await scratchHere();
    broker.failNext("Produce", 0, 29);
    expect((await rejection(begin(scratch).figures)).message).toContain(
      "Producing failed: Kafka refused what was produced to partition 0",
    );
    expect(broker.topics.has(scratch.name)).toBe(false);
  }, 30_000);

  test("ends with what stopped the pipeline", async () => {
    const scratch = await scratchHere();
    broker.failNext("JoinGroup", 30);
    expect((await rejection(begin(scratch).figures)).message).toContain(
      `Kafka denies user anonymous to join consumer group ${scratch.name}`,
    );
    expect(broker.topics.has(scratch.name)).toBe(false);
  }, 30_000);

  test("says what it leaves behind when the topic cannot be removed, and keeps it when told to", async () => {
    const scratch = await scratchHere();
    broker.failNext("DeleteTopics", 29);
    const { figures, lines } = begin(scratch);
    await figures;
    expect(lines.join("")).toContain(`The topic ${scratch.name} is left behind`);
    broker.topics.delete(scratch.name);
    await removeScratch(scratch);
    await begin(scratch, { keep: true }).figures;
    expect(broker.topics.has(scratch.name)).toBe(true);
  }, 30_000);
});
