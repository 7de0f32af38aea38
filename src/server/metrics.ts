/**
 * Prometheus metrics: observations of the pipelines in, the text of `/metrics` out. The only door to
 * prom-client. What is served is declared in `metricTable.ts`.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Clock } from "#base/clock.ts";
import { POLICY } from "#base/errors.ts";
import type { Observation, Observe } from "#base/events.ts";
import type { MetricSpec } from "./metricSpec.ts";
import { METRICS } from "./metricTable.ts";
import type { CircuitState, StatusReport } from "./status.ts";

/** What is known of the process at its start. */
export interface MetricsOptions {
  readonly version: string;
  readonly commit: string;
  readonly memoryBudgetBytes: number;
  /** False: nothing per topic and partition, for many thousands of them. */
  readonly topicPartitionMetrics: boolean;
  /** Reasons for which records are rejected. */
  readonly rejectReasons: readonly string[];
  /** Size of the state directory and the log, asked at every scrape. */
  readonly stateDiskBytes: () => Promise<number>;
  readonly clock: Pick<Clock, "nowMs">;
}

/** Metrics of the process. */
export interface Metrics {
  /** Where a pipeline's folders send their observations. */
  observe(pipeline: string): Observe;
  /** The text that Prometheus scrapes. */
  text(report: StatusReport): Promise<string>;
  readonly contentType: string;
}

type Labels = Readonly<Record<string, string | number>>;

/** One declared metric with its aliases. */
interface Series {
  add(labels: Labels, value: number): void;
  set(labels: Labels, value: number): void;
  remove(labels: Labels): void;
}

/** The last position seen of a partition. */
interface Position {
  readonly labels: Labels;
  readonly lag: number;
  readonly timestampMs: number;
}

/** One pipeline's gauges that depend on the time of the scrape. */
interface PipelineState {
  readonly positions: Map<string, Position>;
  /** Tables whose counters are served. */
  readonly tables: Set<string>;
  catalogType: string | null;
  /** Ages of queryable batches that are not in their histogram yet: many at once cost a fifth of one by one. */
  readonly ages: number[];
  /** Rejected records by reason that are not in their counters yet: a batch has many, a scrape asks once. */
  readonly rejected: Map<string, number>;
  /** What the metadata cache was asked for, by key. */
  readonly cache: Map<string, { hits: number; all: number }>;
}

interface Context {
  readonly pipeline: string;
  readonly state: PipelineState;
  readonly series: (name: string) => Series;
  readonly perPartition: boolean;
}

/** A millisecond's work. */
const AGES_MAX = 1024;

const CIRCUIT: Readonly<Record<CircuitState, number>> = { closed: 0, half_open: 1, open: 2 };

/**
 * Creates the process's metrics. prom-client's default metrics are not used: they sample the event
 * loop a hundred times a second, and most of them are empty or wrong on Bun.
 */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const all = new Map(METRICS.map((spec) => [spec.name, createSeries(spec, registry)]));
  const series = (name: string): Series => all.get(name) ?? NO_SERIES;
  const states = new Map<string, PipelineState>();
  const cpu = { countedSeconds: 0 };
  const stateOf = (pipeline: string): PipelineState => {
    const known = states.get(pipeline);
    if (known !== undefined) return known;
    const state = {
      positions: new Map(),
      tables: new Set<string>(),
      catalogType: null,
      ages: [],
      rejected: new Map<string, number>(),
      cache: new Map(),
    };
    states.set(pipeline, state);
    begin(series, { pipeline });
    for (const reason of options.rejectReasons) {
      series("dead_letter_records_total").add({ pipeline, reason }, 0);
    }
    return state;
  };
  const { version, commit } = options;
  series("kafka_iceberg_build_info").set({ version, commit }, 1);
  series("kafka_iceberg_memory_budget_bytes").set({}, options.memoryBudgetBytes);
  return {
    observe: (pipeline) => {
      const perPartition = options.topicPartitionMetrics;
      const context = { pipeline, state: stateOf(pipeline), series, perPartition };
      return (observation) => record(context, observation);
    },
    text: async (report) => {
      const nowMs = options.clock.nowMs();
      for (const [pipeline, state] of states) {
        const context = { pipeline, state, series, perPartition: options.topicPartitionMetrics };
        recordLag(context, nowMs);
        recordAges(context);
        for (const [reason, records] of state.rejected) {
          series("dead_letter_records_total").add({ pipeline, reason }, records);
        }
        state.rejected.clear();
      }
      for (const pipeline of report.pipelines) {
        recordStatus(series, stateOf(pipeline.name), pipeline);
      }
      recordProcess(series, cpu, nowMs);
      series("kafka_iceberg_state_disk_bytes").set({}, await options.stateDiskBytes());
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

/** Serves the counters that have exactly these labels, beside those whose values are known, at 0. */
function begin(series: (name: string) => Series, labels: Readonly<Record<string, string>>): void {
  for (const { name, type, labels: own, values = {}, process } of METRICS) {
    if (type !== "counter" || process === true) continue;
    const given = ["pipeline", ...own].filter((label) => values[label] === undefined);
    if (given.sort().join() !== Object.keys(labels).sort().join()) continue;
    let all: Record<string, string>[] = [labels];
    for (const [label, words] of Object.entries(values)) {
      all = all.flatMap((each) => words.map((word) => ({ ...each, [label]: word })));
    }
    for (const each of all) series(name).add(each, 0);
  }
}

const NO_SERIES: Series = { add: () => undefined, set: () => undefined, remove: () => undefined };

function createSeries(spec: MetricSpec, registry: Registry): Series {
  const labelNames = [...(spec.process === true ? [] : ["pipeline"]), ...spec.labels];
  const made = [spec.name, ...(spec.aliases ?? [])].map((name) => {
    const help = name === spec.name ? spec.help : `${spec.help} (alias of ${spec.name})`;
    const common = { name, help, labelNames, registers: [registry] };
    return { common };
  });
  if (spec.type === "counter") {
    const counters = made.map(({ common }) => new Counter(common));
    return {
      ...NO_SERIES,
      add: (labels, value) => {
        for (const counter of counters) counter.inc(labels, value);
      },
      remove: (labels) => {
        for (const counter of counters) counter.remove(labels);
      },
    };
  }
  if (spec.type === "histogram") {
    const buckets = [...(spec.buckets ?? [])];
    const histograms = made.map(({ common }) => new Histogram({ ...common, buckets }));
    return {
      ...NO_SERIES,
      add: (labels, value) => {
        for (const histogram of histograms) histogram.observe(labels, value);
      },
    };
  }
  const gauges = made.map(({ common }) => new Gauge(common));
  return {
    add: (labels, value) => {
      for (const gauge of gauges) gauge.inc(labels, value);
    },
    set: (labels, value) => {
      for (const gauge of gauges) gauge.set(labels, value);
    },
    remove: (labels) => {
      for (const gauge of gauges) gauge.remove(labels);
    },
  };
}

type Recorder<Type extends Observation["type"]> = (
  context: Context,
  observation: Extract<Observation, { type: Type }>,
) => void;

/** What each observation changes. */
const RECORDERS: { readonly [Type in Observation["type"]]: Recorder<Type> } = {
  consumed: ({ pipeline, series, perPartition }, { topic, partition, records, bytes }) => {
    const labels = perPartition
      ? { pipeline, topic, partition }
      : { pipeline, topic: "", partition: "" };
    series("kafka_messages_consumed_total").add(labels, records);
    series("kafka_iceberg_bytes_consumed_total").add(labels, bytes);
    series("kafka_batch_size").add({ pipeline }, records);
  },
  position: (context, seen) => {
    const { pipeline, state, series, perPartition } = context;
    const labels = { pipeline, topic: seen.topic, partition: seen.partition };
    const lag = Number(seen.highWatermark - seen.position);
    const key = `${seen.topic}/${seen.partition}`;
    state.positions.set(key, { labels, lag, timestampMs: seen.timestampMs });
    if (!perPartition) return;
    series("kafka_offset_lag_gauge").set(labels, lag);
    const stable = Number(seen.lastStableOffset - seen.position);
    series("kafka_stable_lag").set(labels, Math.max(0, stable));
    if (seen.timestampMs > 0) {
      series("kafka_watermark_seconds").set(labels, seen.timestampMs / 1000);
    }
  },
  revoked: ({ pipeline, state, series }, { topic, partition }) => {
    state.positions.delete(`${topic}/${partition}`);
    const labels = { pipeline, topic, partition };
    for (const name of FEED_GAUGES) series(name).remove(labels);
  },
  assigned: ({ pipeline, series }, { count }) =>
    series("kafka_iceberg_partitions_assigned").set({ pipeline }, count),
  rebalance: ({ pipeline, series }) =>
    series("kafka_iceberg_rebalances_total").add({ pipeline }, 1),
  paused: ({ pipeline, series }, { count }) =>
    series("kafka_iceberg_partitions_paused").set({ pipeline }, count),
  backpressure: ({ pipeline, series }, { durationMs }) =>
    series("kafka_iceberg_backpressure_seconds_total").add({ pipeline }, durationMs / 1000),
  buffer: ({ pipeline, series }, { bytes, records }) => {
    series("hot_buffer_size_bytes").set({ pipeline }, bytes);
    series("hot_buffer_record_count").set({ pipeline }, records);
  },
  rejected: ({ state }, { reason, records }) => {
    state.rejected.set(reason, (state.rejected.get(reason) ?? 0) + records);
  },
  late: ({ pipeline, series }, { records }) =>
    series("kafka_iceberg_late_rows_total").add({ pipeline }, records),
  watermark: ({ pipeline, series, perPartition }, { topic, partition, eventMs }) => {
    if (!perPartition) return;
    const labels = { pipeline, topic, partition };
    series("kafka_iceberg_event_time_watermark_seconds").set(labels, eventMs / 1000);
  },
  flush: ({ pipeline, series }, { durationMs }) =>
    series("flush_duration_seconds").add({ pipeline }, durationMs / 1000),
  file: ({ pipeline, series }, { bytes, rows, durationMs }) => {
    series("iceberg_rows_written_total").add({ pipeline }, rows);
    series("iceberg_files_created_total").add({ pipeline }, 1);
    series("iceberg_file_size_bytes").add({ pipeline }, bytes);
    series("iceberg_write_duration_seconds").add({ pipeline }, durationMs / 1000);
  },
  open_files: ({ pipeline, series }, { change }) =>
    series("iceberg_open_files").add({ pipeline }, change),
  pending_commits: ({ pipeline, series }, { count }) =>
    series("iceberg_pending_commits").set({ pipeline }, count),
  commit: recordCommit,
  maintenance: recordMaintenance,
  idempotent_retry: ({ pipeline, series }, { reason }) =>
    series("iceberg_idempotent_retries_total").add({ pipeline, reason }, 1),
  freshness: (context, { stage, ageMs }) => {
    if (stage === "committed") recordAge(context, stage, ageMs);
    else if (context.state.ages.push(ageMs) >= AGES_MAX) recordAges(context);
  },
  catalog: ({ pipeline, state, series }, { operation, catalogType, durationMs, error }) => {
    const labels = { pipeline, catalog_type: catalogType };
    if (state.catalogType !== catalogType) begin(series, labels);
    state.catalogType = catalogType;
    series("iceberg_catalog_operation_duration_seconds").add(
      { ...labels, operation },
      durationMs / 1000,
    );
    series("iceberg_catalog_health_status").set(labels, error === null ? 1 : 0);
    if (error !== null) {
      series("iceberg_catalog_error_total").add({ ...labels, error_type: error }, 1);
    }
  },
  table_state: ({ pipeline, series }, { database, table, snapshots, metadataBytes }) => {
    const labels = { pipeline, database, table };
    series("kafka_iceberg_table_snapshots").set(labels, snapshots);
    series("kafka_iceberg_metadata_bytes").set(labels, metadataBytes);
  },
  metadata_cache: ({ pipeline, state, series }, { key, hit }) => {
    const labels = { pipeline, key };
    series(`iceberg_metadata_cache_${hit ? "hits" : "misses"}_total`).add(labels, 1);
    const asked = state.cache.get(key) ?? { hits: 0, all: 0 };
    state.cache.set(key, asked);
    asked.all++;
    if (hit) asked.hits++;
    series("iceberg_metadata_cache_hit_rate").set(labels, asked.hits / asked.all);
  },
  service: () => undefined,
  error: ({ pipeline, series }, { kind }) =>
    series("errors_total").add({ pipeline, type: POLICY[kind].metric }, 1),
};

const FEED_GAUGES = [
  "kafka_offset_lag_gauge",
  "kafka_stable_lag",
  "kafka_lag_seconds",
  "kafka_watermark_seconds",
  "kafka_iceberg_event_time_watermark_seconds",
];

function record(context: Context, observation: Observation): void {
  const recorder = RECORDERS[observation.type] as (c: Context, o: Observation) => void;
  recorder(context, observation);
}

function recordMaintenance(
  { pipeline, series }: Context,
  run: Extract<Observation, { type: "maintenance" }>,
): void {
  const { operation, outcome, durationMs, bytesReclaimed, filesMerged } = run;
  const labels = { pipeline, operation };
  series("maintenance_runs_total").add({ ...labels, outcome }, 1);
  series("maintenance_duration_seconds").add(labels, durationMs / 1000);
  series("maintenance_bytes_reclaimed_total").add(labels, bytesReclaimed);
  if (filesMerged === 0) return;
  series("iceberg_compaction_files_merged_total").add({ pipeline }, filesMerged);
  series("iceberg_compaction_duration_seconds").add({ pipeline }, durationMs / 1000);
}

function recordCommit(
  { pipeline, series }: Context,
  commit: Extract<Observation, { type: "commit" }>,
): void {
  const { database, table, outcome } = commit;
  const labels = { pipeline, database, table };
  series("kafka_iceberg_commit_outcomes_total").add({ ...labels, outcome }, 1);
  if (outcome === "failed") series("iceberg_commits_failed_total").add(labels, 1);
  if (outcome === "fenced") series("kafka_iceberg_fenced_total").add(labels, 1);
  if (outcome !== "committed") return;
  series("iceberg_commits_total").add(labels, 1);
  series("kafka_iceberg_last_commit_timestamp_seconds").set(labels, commit.atMs / 1000);
  if (!commit.data) return;
  series("iceberg_snapshot_commits_total").add(labels, 1);
  series("iceberg_snapshot_commit_duration_seconds").add(labels, commit.durationMs / 1000);
}

function recordAge({ pipeline, series }: Context, stage: string, ageMs: number): void {
  series("freshness_seconds").add({ pipeline, stage }, Math.max(0, ageMs) / 1000);
}

function recordAges(context: Context): void {
  for (const ageMs of context.state.ages.splice(0)) recordAge(context, "queryable", ageMs);
}

/** Lag in time grows while nothing is read, so it is computed when asked. */
function recordLag({ pipeline, state, series, perPartition }: Context, nowMs: number): void {
  let sum = 0;
  for (const { labels, lag, timestampMs } of state.positions.values()) {
    sum += lag;
    if (!perPartition) continue;
    const behindMs = lag > 0 && timestampMs > 0 ? Math.max(0, nowMs - timestampMs) : 0;
    series("kafka_lag_seconds").set(labels, behindMs / 1000);
  }
  series("kafka_iceberg_fetch_lag_records").set({ pipeline }, sum);
}

function recordStatus(
  series: (name: string) => Series,
  state: PipelineState,
  status: StatusReport["pipelines"][number],
): void {
  const pipeline = status.name;
  const lag = status.partitions.reduce((sum, partition) => sum + Number(partition.lag ?? 0n), 0);
  series("kafka_iceberg_commit_lag_records").set({ pipeline }, lag);
  series("iceberg_table_count").set({ pipeline }, status.tables.length);
  for (const { table, database, name } of status.tables) {
    if (state.tables.has(table)) continue;
    state.tables.add(table);
    begin(series, { pipeline, database, table: name });
  }
  if (state.catalogType === null) return;
  const worst = Math.max(0, ...status.tables.map(({ circuit }) => CIRCUIT[circuit]));
  series("circuit_breaker_state").set({ pipeline, catalog_type: state.catalogType }, worst);
}

/** What Prometheus expects of every process. */
function recordProcess(
  series: (name: string) => Series,
  cpu: { countedSeconds: number },
  nowMs: number,
): void {
  const { user, system } = process.cpuUsage();
  const seconds = (user + system) / 1e6;
  series("process_cpu_seconds_total").add({}, Math.max(0, seconds - cpu.countedSeconds));
  cpu.countedSeconds = seconds;
  series("process_resident_memory_bytes").set({}, process.memoryUsage.rss());
  series("process_start_time_seconds").set({}, Math.round(nowMs / 1000 - process.uptime()));
}
