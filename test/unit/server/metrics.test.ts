/**
 * What is served as metrics, beside the table that declares them.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { POLICY } from "#base/errors.ts";
import { COMMIT_OUTCOMES, type Observation } from "#base/events.ts";
import { createMetrics, type MetricsOptions } from "#server/metrics.ts";
import { METRICS } from "#server/metricTable.ts";
import { report } from "../../fakes/statusReports.ts";
import { metricNames } from "../../support/metricNames.ts";

const NOW = 100_000;

function metrics(options: Partial<MetricsOptions> = {}) {
  return createMetrics({
    version: "1.2.3",
    commit: "abc",
    memoryBudgetBytes: 1000,
    topicPartitionMetrics: true,
    rejectReasons: ["bad_json", "null_value"],
    stateDiskBytes: async () => 77,
    clock: { nowMs: () => NOW },
    ...options,
  });
}

const commit = { type: "commit", database: "d", table: "t", durationMs: 250, atMs: 5000 } as const;

const FENCED = { outcome: "fenced", data: true } as const;
/** Outcomes that a catalog answers; the others are made where a flush ends. */
const SENT: readonly string[] = ["committed", "conflict", "unknown"];

/** One of each observation. */
const ALL: readonly Observation[] = [
  { type: "consumed", topic: "e", partition: 1, records: 10, bytes: 2700 },
  {
    type: "position",
    topic: "e",
    partition: 1,
    position: 40n,
    highWatermark: 100n,
    lastStableOffset: 90n,
    timestampMs: 70_000,
  },
  { type: "assigned", count: 6 },
  { type: "rebalance" },
  { type: "paused", count: 2 },
  { type: "backpressure", durationMs: 1500 },
  { type: "buffer", bytes: 4096, records: 9 },
  { type: "rejected", reason: "bad_json", records: 3 },
  { type: "late", records: 2 },
  { type: "watermark", topic: "e", partition: 1, eventMs: 65_000 },
  { type: "flush", durationMs: 800, rows: 10 },
  { type: "file", bytes: 50_000, rows: 10, durationMs: 90 },
  { type: "open_files", change: 4 },
  { type: "pending_commits", count: 1 },
  { ...commit, outcome: "committed", data: true },
  { ...commit, outcome: "committed", data: false },
  { ...commit, outcome: "failed", data: true },
  { ...commit, outcome: "fenced", data: true },
  { type: "idempotent_retry", reason: "found" },
  {
    type: "maintenance",
    operation: "compact",
    outcome: "done",
    durationMs: 1,
    bytesReclaimed: 1,
    filesMerged: 7,
  },
  { type: "freshness", stage: "committed", ageMs: 5000 },
  { type: "catalog", operation: "load", catalogType: "file", durationMs: 3, error: null },
  { type: "catalog", operation: "commit", catalogType: "sql", durationMs: 3, error: "conflict" },
  { type: "metadata_cache", key: "snapshot_id", hit: true },
  { type: "metadata_cache", key: "snapshot_id", hit: false },
  { type: "table_state", database: "d", table: "t", snapshots: 12, metadataBytes: 3400 },
  { type: "error", kind: "kafka_unreachable" },
];

async function served(made = metrics(), observations: readonly Observation[] = ALL) {
  const observe = made.observe("default");
  for (const observation of observations) observe(observation);
  const text = await made.text(report);
  return {
    text,
    value: (series: string): number => {
      const line = text.split("\n").find((each) => each.startsWith(`${series} `));
      return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
    },
  };
}

/** Labels of every sample of a metric. */
function labelsOf(text: string, name: string): string[][] {
  const lines = text.split("\n").filter((line) => new RegExp(`^${name}(_count)?\\{`).test(line));
  return lines.map((line) => [...line.matchAll(/[{,](\w+)="/g)].map(([, label]) => label ?? ""));
}

describe("metrics", () => {
  test("name a table by the same labels, with the same values, everywhere", async () => {
    const { text } = await served();
    const perTable = METRICS.filter(({ labels }) => labels.includes("table"));
    expect(perTable.length).toBeGreaterThan(6);
    for (const { name } of perTable) {
      for (const labels of labelsOf(text, name)) {
        expect([name, labels.includes("database"), labels.includes("table")]).toEqual([
          name,
          true,
          true,
        ]);
      }
    }
    const values = [...text.matchAll(/database="([^"]*)",table="([^"]*)"/g)].map((found) =>
      found.slice(1).join(),
    );
    expect([...new Set(values)].sort()).toEqual(["d,t", "default,events"]);
  });

  test("every queryable batch is in the histogram of ages when that is asked for, once", async () => {
    const made = metrics();
    const ages = Array.from({ length: 2500 }, (_, index): Observation => {
      return { type: "freshness", stage: "queryable", ageMs: index < 1000 ? 1 : 2000 };
    });
    const labels = 'pipeline="default",stage="queryable"';
    await served(made, ages);
    const { value } = await served(made, [{ type: "freshness", stage: "queryable", ageMs: -1 }]);
    expect(value(`freshness_seconds_count{${labels}}`)).toBe(2501);
    expect(value(`freshness_seconds_sum{${labels}}`)).toBeCloseTo(3001, 6);
    expect(value(`freshness_seconds_bucket{le="1",${labels}}`)).toBe(1001);
  });

  test("count from 0: every error counter is there before its first error", async () => {
    const made = metrics({ rejectReasons: ["bad_json", "null_value"] });
    const { text, value } = await served(made, [
      { type: "catalog", operation: "load", catalogType: "sql", durationMs: 3, error: null },
    ]);
    const unknown = new Set(["topic", "partition"]);
    for (const { name, type, labels, process } of METRICS) {
      if (type !== "counter" || process === true) continue;
      if (labels.some((label) => unknown.has(label))) continue;
      expect({ name, samples: labelsOf(text, name).length > 0 }).toEqual({ name, samples: true });
    }
    for (const [type] of new Map(Object.values(POLICY).map(({ metric }) => [metric, 0]))) {
      expect(value(`errors_total{pipeline="default",type="${type}"}`)).toBe(0);
    }
    expect(value('dead_letter_records_total{pipeline="default",reason="null_value"}')).toBe(0);
    const table = 'pipeline="default",database="default",table="events"';
    expect(value(`iceberg_commits_failed_total{${table}}`)).toBe(0);
    expect(value(`kafka_iceberg_fenced_total{${table}}`)).toBe(0);
    for (const outcome of COMMIT_OUTCOMES) {
      expect(value(`kafka_iceberg_commit_outcomes_total{${table},outcome="${outcome}"}`)).toBe(0);
    }
    // Looked at again, they are not reset.
    made.observe("default")({ ...commit, database: "default", table: "events", ...FENCED });
    expect(await made.text(report)).toContain(`kafka_iceberg_fenced_total{${table}} 1`);
  });

  test("are fed: the program makes every observation and every outcome of a commit", async () => {
    const source = new Bun.Glob("src/**/*.ts").scanSync();
    const texts = [...source]
      .filter((path) => !path.startsWith("src/base/") && !path.startsWith("src/server/"))
      .map((path) => readFileSync(path, "utf8"));
    const types = new Set(ALL.map(({ type }) => type));
    const isMade = (word: string): boolean =>
      texts.some((text) => text.includes(`type: "${word}"`) || text.includes(`("${word}", `));
    const outcomes = COMMIT_OUTCOMES.filter((outcome) => !SENT.includes(outcome));
    expect([...types, ...outcomes].filter((word) => !isMade(word))).toEqual([]);
  });

  test("served are exactly those of the table, with type and help", async () => {
    const { text } = await served();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    const declared = METRICS.flatMap(({ name, type, aliases = [] }) =>
      [name, ...aliases].map((each) => [each, type]),
    );
    expect(types.map(String).sort()).toEqual(declared.map(String).sort());
    for (const { name, help } of METRICS) expect(text).toContain(`# HELP ${name} ${help}`);
  });

  test("each of the table gets a sample from some observation", async () => {
    const { text } = await served();
    const lines = text.split("\n");
    for (const name of metricNames()) {
      const has = lines.some((line) => new RegExp(`^${name}(_count)?(\\{| )`).test(line));
      expect({ name, has }).toEqual({ name, has: true });
    }
  });

  test("carry the pipeline, unless of the process", async () => {
    const { text } = await served();
    const process = METRICS.filter((spec) => spec.process === true).map(({ name }) => name);
    for (const line of text.split("\n").filter((each) => each !== "" && !each.startsWith("#"))) {
      const isProcess = process.some((name) => line.startsWith(name));
      expect({ line, has: line.includes('pipeline="default"') }).toEqual({ line, has: !isProcess });
    }
  });

  test("hold what was observed", async () => {
    const { value } = await served();
    const feed = '{pipeline="default",topic="e",partition="1"}';
    expect(value(`kafka_messages_consumed_total${feed}`)).toBe(10);
    expect(value(`kafka_records_consumed${feed}`)).toBe(10);
    expect(value(`kafka_offset_lag_gauge${feed}`)).toBe(60);
    expect(value(`kafka_lag${feed}`)).toBe(60);
    expect(value(`kafka_stable_lag${feed}`)).toBe(50);
    expect(value(`kafka_lag_seconds${feed}`)).toBe(30);
    expect(value('kafka_iceberg_fetch_lag_records{pipeline="default"}')).toBe(60);
    expect(value('kafka_iceberg_commit_lag_records{pipeline="default"}')).toBe(90);
    expect(value('iceberg_commits_total{pipeline="default",database="d",table="t"}')).toBe(2);
    expect(value('iceberg_snapshot_commits_total{pipeline="default",database="d",table="t"}')).toBe(
      1,
    );
    expect(value('errors_total{pipeline="default",type="network"}')).toBe(1);
    expect(value('circuit_breaker_state{pipeline="default",catalog_type="sql"}')).toBe(1);
    expect(value("kafka_iceberg_state_disk_bytes")).toBe(77);
    expect(value('kafka_iceberg_build_info{version="1.2.3",commit="abc"}')).toBe(1);
    expect(
      value(
        'iceberg_snapshot_commit_duration_seconds_sum{pipeline="default",database="d",table="t"}',
      ),
    ).toBe(0.25);
  });

  test("of a partition that was taken away are gone", async () => {
    const revoked: Observation = { type: "revoked", topic: "e", partition: 1 };
    const { text, value } = await served(metrics(), [...ALL, revoked]);
    expect(text).not.toContain("kafka_offset_lag_gauge{");
    expect(text).not.toContain("kafka_lag_seconds{");
    expect(value('kafka_iceberg_fetch_lag_records{pipeline="default"}')).toBe(0);
  });

  test("per partition can be left out; the sums stay", async () => {
    const made = metrics({ topicPartitionMetrics: false });
    const { text, value } = await served(made);
    expect(text).not.toContain('partition="1"');
    expect(value('kafka_messages_consumed_total{pipeline="default",topic="",partition=""}')).toBe(
      10,
    );
    expect(value('kafka_iceberg_fetch_lag_records{pipeline="default"}')).toBe(60);
  });

  test("lag in seconds is 0 for a partition that was read to its end", async () => {
    const position = ALL[1] as Extract<Observation, { type: "position" }>;
    const { value } = await served(metrics(), [{ ...position, position: 100n }]);
    expect(value('kafka_lag_seconds{pipeline="default",topic="e",partition="1"}')).toBe(0);
  });
});
