/**
 * `load-test` before an action that measures nothing: where it happens, what it says, how it ends.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AppConfig } from "#config/config.ts";
import { loadConfig } from "#config/load.ts";
import { type LoadTestParts, loadTestCommand } from "#loadtest/command.ts";
import type { LoadTestFigures, LoadTestJob } from "#loadtest/job.ts";
import { scratchOf } from "#loadtest/scratch.ts";
import { cli, makePlace } from "../cli/place.ts";

const NONE = { p50Ms: null, p99Ms: null };
const NOTHING: LoadTestFigures = {
  exit: "done",
  rows: 0,
  producedMs: 0,
  ends: new Map(),
  ingestedMs: 0,
  commits: 0,
  committedRate: 0,
  queryable: NONE,
  committed: NONE,
  cpuSeconds: 0,
  wallSeconds: 0,
  peakBytes: 0,
};

type Run = NonNullable<LoadTestParts["run"]>;

/** The command line, with `load-test` before this run. */
const cliWith = (words: readonly string[], run: Run) =>
  cli(words, { loadTest: (parsed, parts) => loadTestCommand(parsed, { ...parts, run }) });

/** A run that remembers what it was given. */
function action(figures: Partial<LoadTestFigures> = {}) {
  const seen: { config: AppConfig; job: LoadTestJob; stop: AbortSignal }[] = [];
  const loadTest: Run = async (config, _environment, job, stop) => {
    seen.push({ config, job, stop });
    job.progress({ ...STATE, passedMs: 500, produced: 500 });
    job.log("a line of the pipeline\n");
    return { ...NOTHING, ...figures };
  };
  return { seen, loadTest };
}

const STATE = {
  passedMs: 0,
  produced: 0,
  behindMs: 0,
  ingested: 0,
  committed: 0,
  bufferedBytes: 0,
};

describe("load-test", () => {
  test("has its defaults, and takes what is asked for", async () => {
    const { config } = await makePlace();
    const { seen, loadTest } = action();
    await cliWith(["load-test", "--config", config], loadTest);
    expect(seen[0]?.job).toMatchObject({
      rate: 1_000_000,
      seconds: 60,
      eventBytes: 270,
      partitions: 6,
      keep: false,
      version: "1.2.3",
    });
    const words = "--rate 50_000 --seconds 5 --bytes 1000 --partitions 12 --keep".split(" ");
    await cliWith(["load-test", "--config", config, ...words], loadTest);
    expect(seen[1]?.job).toMatchObject({
      rate: 50_000,
      seconds: 5,
      eventBytes: 1000,
      partitions: 12,
      keep: true,
    });
    expect(seen[1]?.job.topic).not.toBe(seen[0]?.job.topic ?? "");
  });

  test("tells what is wrong with a number, a pipeline, a feature, before anything begins", async () => {
    const { config } = await makePlace();
    const { seen, loadTest } = action();
    const wrong: readonly (readonly [string, string])[] = [
      ["--rate fast", "--rate fast: must be a number from 1 to 1000000000"],
      ["--bytes 10", "--bytes 10: must be a number from 96 to 100000"],
      ["--seconds 0", "--seconds 0: must be a number from 1 to 86400"],
      ["--pipeline other", "There is no pipeline other"],
      ["--set iceberg.catalog_type=rest", ""],
      ["--kafka-topic events", "There is no flag --kafka-topic"],
    ];
    for (const [words, sentence] of wrong) {
      const { code, err } = await cliWith(
        ["load-test", "--config", config, ...words.split(" ")],
        loadTest,
      );
      expect({ words, code }).toEqual({ words, code: 2 });
      expect(err).toContain(sentence);
    }
    expect(seen).toEqual([]);
  });

  test("exits 1 when the rate was not held, and when a row is missing", async () => {
    const { config } = await makePlace();
    const words = ["load-test", "--config", config, "--rate", "1000", "--seconds", "10"];
    const held = { producedMs: 10_000, ingestedMs: 10_010, committedRate: 1000 };
    const late = await cliWith(words, action({ ...held, producedMs: 20_000 }).loadTest);
    expect(late.code).toBe(1);
    expect(late.out).toContain("asked rows/s");
    expect(late.err).toContain("The rate of 1,000 rows/s was not held");
    const missing = await cliWith(words, action({ ...held, rows: 10_000 }).loadTest);
    expect(missing.code).toBe(1);
    expect(missing.err).toEndWith("10000 rows were produced, the table has 0\n");
  });

  test("exits 0 when a person stops it, and says that it says nothing", async () => {
    const { config } = await makePlace();
    const words = ["load-test", "--config", config];
    const { code, err } = await cliWith(words, action({ exit: "stopped" }).loadTest);
    expect(code).toBe(0);
    expect(err).toContain("Stopped before its time: nothing is said of the rate");
  });

  test("prints figures for programs, and what happens on standard error", async () => {
    const { config } = await makePlace();
    const words = ["load-test", "--config", config, "--json", "--rate", "7", "--seconds", "1"];
    const { out, err } = await cliWith(words, action().loadTest);
    expect(JSON.parse(out)).toMatchObject({ asked_rows_per_second: 7, rows_in_table: 0 });
    expect(err).toContain("producing 1,000 rows/s");
    expect(err).toContain("a line of the pipeline\n");
  });

  test("takes away what it made and nothing else, also after an error; --keep leaves it", async () => {
    const { config, folder } = await makePlace();
    const make: Run = ({ values, pipelines }) => {
      const warehouse = pipelines[0]?.values["iceberg.warehouse_path"] ?? "";
      for (const made of [warehouse, values["state.dir"]]) {
        mkdirSync(join(made, "deep"), { recursive: true });
        writeFileSync(join(made, "deep", "file"), "x");
      }
      return Promise.reject(new TypeError("in the middle"));
    };
    const before = readdirSync(join(folder, "wh"));
    const { code, err } = await cliWith(["load-test", "--config", config], make);
    expect(code).toBe(1);
    expect(err).toContain("in the middle");
    expect(readdirSync(join(folder, "wh"))).toEqual(before);
    expect(existsSync(join(folder, "state"))).toBe(false);
    const kept = await cliWith(["load-test", "--config", config, "--keep"], make);
    expect(kept.err).toMatch(/Kept: topic (kafka-iceberg-load-test-\w+), table in .*\1\n/);
    expect(readdirSync(join(folder, "wh"))).toHaveLength(before.length + 1);
  });
});

/** The scratch place of a configuration's text. */
async function scratchFrom(text: string, pipeline: string | null = null) {
  const { config } = await makePlace(text);
  const flags = {};
  const loaded = await loadConfig({
    file: config,
    envFile: null,
    flags,
    purpose: "inspect",
    variables: {},
  });
  if (!("config" in loaded)) throw new Error(JSON.stringify(loaded.problems));
  return { config, scratch: await scratchOf(loaded, pipeline, "ab12") };
}

const NAME = "kafka-iceberg-load-test-ab12";

describe("the scratch place", () => {
  test("lies below the configured warehouse and state, with a topic and a group of its own", async () => {
    const { scratch } = await scratchFrom(`
[kafka]
topics = ["a", "b"]
consumer_group = "ours"
client_id = "me"
auto_offset_reset = "latest"
[source]
format = "string"
[iceberg]
warehouse_path = "/data/wh/"
commit = { interval_ms = 700 }
[partitioning]
spec = ["bucket(4, user)"]
[state]
dir = "/data/state"
[transaction_log]
log_dir = "/elsewhere"
`);
    const { values } = scratch.pipeline;
    expect(values).toMatchObject({
      "kafka.topic": NAME,
      "kafka.topics": null,
      "kafka.consumer_group": NAME,
      "kafka.client_id": "me",
      "kafka.auto_offset_reset": "earliest",
      "source.format": "json",
      "partitioning.spec": null,
      "iceberg.warehouse_path": `/data/wh/${NAME}`,
      "iceberg.commit.interval_ms": 700,
    });
    expect(scratch.config.values["state.dir"]).toBe(`/data/state/${NAME}`);
    expect(scratch.config.origins.has("transaction_log.log_dir")).toBe(false);
    expect(scratch.config.values["server.health_address"]).toBe("");
    expect(scratch.paths).toEqual([`/data/state/${NAME}`]);
  });

  test("has a catalog of its own beside a configured SQLite one, and goes to the same store", async () => {
    const { scratch, config } = await scratchFrom(`
[kafka]
topic = "a"
[iceberg]
catalog_type = "sql"
warehouse_path = "s3://bucket/wh"
sql = { uri = "sqlite:////data/catalog.db" }
[state]
dir = "/data/state"
`);
    expect(scratch.pipeline.values["iceberg.sql.uri"]).toBe(`sqlite:/data/catalog.db.${NAME}`);
    expect(scratch.warehouse).toBe(`s3://bucket/wh/${NAME}`);
    expect(scratch.paths).toContain(`/data/catalog.db.${NAME}`);
    expect(existsSync(join(dirname(config), NAME))).toBe(false);
  });

  test("takes the settings of one pipeline, the first or the named one", async () => {
    const text = `
[iceberg]
warehouse_path = "/data/wh"
[[pipelines]]
name = "one"
kafka.topic = "a"
iceberg.commit.interval_ms = 1000
[[pipelines]]
name = "two"
kafka.topic = "b"
iceberg.commit.interval_ms = 2000
`;
    const intervals: number[] = [];
    for (const name of [null, "two"]) {
      const { scratch } = await scratchFrom(text, name);
      expect(scratch.config.pipelines).toHaveLength(1);
      intervals.push(scratch.pipeline.values["iceberg.commit.interval_ms"]);
    }
    expect(intervals).toEqual([1000, 2000]);
  });
});
