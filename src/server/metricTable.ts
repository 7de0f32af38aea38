/**
 * The one table of metrics: name, type, labels, buckets, and the question that each answers
 * (SPEC section 9). `metrics.ts` feeds them; docs/METRICS.md is generated from here; a test holds
 * what is served to this table.
 */

import { POLICY } from "#base/errors.ts";
import { CACHE_KEYS, COMMIT_OUTCOMES } from "#base/events.ts";
import { MAINTENANCE_METRICS } from "./maintenanceMetrics.ts";
import type { MetricSpec } from "./metricSpec.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const RECORDS = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const BYTES = [1e4, 1e5, 1e6, 1e7, 1e8, 5e8, 1e9];
const FEED = ["topic", "partition"];
/** A table's name is the same two labels everywhere. */
const TABLE = ["database", "table"];
const ERROR_TYPES = [...new Set(Object.values(POLICY).map(({ metric }) => metric))];
/** How a catalog operation fails: an error's kind, or a commit's outcome. */
const CATALOG_ERRORS = [
  "catalog_unreachable",
  "catalog_refused",
  "storage_unreachable",
  "conflict",
  "unknown",
];

/** All metrics, in the order of the documentation. */
export const METRICS: readonly MetricSpec[] = [
  {
    name: "kafka_messages_consumed_total",
    type: "counter",
    labels: FEED,
    help: "How many records were read?",
    aliases: ["kafka_records_consumed"],
  },
  {
    name: "kafka_iceberg_bytes_consumed_total",
    type: "counter",
    labels: FEED,
    help: "How many bytes of records, decompressed, were read?",
  },
  {
    name: "kafka_batch_size",
    type: "histogram",
    labels: [],
    help: "How many records has a hand-over?",
    buckets: RECORDS,
  },
  {
    name: "kafka_offset_lag_gauge",
    type: "gauge",
    labels: FEED,
    help: "How many offsets lie between what was read and the high watermark?",
    aliases: ["kafka_lag"],
  },
  {
    name: "kafka_stable_lag",
    type: "gauge",
    labels: FEED,
    help: "The same to the last stable offset: what a read_committed reader can have.",
  },
  {
    name: "kafka_lag_seconds",
    type: "gauge",
    labels: FEED,
    help: "How old is the newest record read, while more are there? 0 when none are left.",
  },
  {
    name: "kafka_watermark_seconds",
    type: "gauge",
    labels: FEED,
    help: "Which Kafka timestamp (seconds since 1970) has been reached?",
  },
  {
    name: "kafka_iceberg_event_time_watermark_seconds",
    type: "gauge",
    labels: FEED,
    help: "Which event time (source.event_time_field, seconds since 1970) has been reached?",
  },
  {
    name: "kafka_iceberg_late_rows_total",
    type: "counter",
    labels: [],
    help: "How many rows were further behind the event time that was reached than source.late_threshold_seconds?",
  },
  {
    name: "hot_buffer_size_bytes",
    type: "gauge",
    labels: [],
    help: "How many bytes of columns are buffered?",
  },
  {
    name: "hot_buffer_record_count",
    type: "gauge",
    labels: [],
    help: "How many rows are buffered?",
  },
  {
    name: "flush_duration_seconds",
    type: "histogram",
    labels: [],
    help: "How long does a flush take, from seal to committed?",
    buckets: SECONDS,
  },
  {
    name: "freshness_seconds",
    type: "histogram",
    labels: ["stage"],
    help: "How old are records when they become queryable, and when they are committed?",
    buckets: SECONDS,
  },
  {
    name: "iceberg_commits_total",
    type: "counter",
    labels: TABLE,
    help: "How many commits of any kind landed?",
    aliases: ["iceberg_commits"],
  },
  {
    name: "iceberg_commits_failed_total",
    type: "counter",
    labels: TABLE,
    help: "How often did a commit fail for good, so that its table stopped?",
  },
  {
    name: "iceberg_snapshot_commits_total",
    type: "counter",
    labels: TABLE,
    help: "How many commits with rows landed?",
  },
  {
    name: "iceberg_snapshot_commit_duration_seconds",
    type: "histogram",
    labels: TABLE,
    help: "How long does a commit with rows take?",
    buckets: SECONDS,
    aliases: ["iceberg_commit_latency"],
  },
  {
    name: "kafka_iceberg_commit_outcomes_total",
    type: "counter",
    labels: [...TABLE, "outcome"],
    values: { outcome: COMMIT_OUTCOMES },
    help: "What became of commit attempts: committed, conflict, unknown, fenced, failed?",
  },
  {
    name: "kafka_iceberg_last_commit_timestamp_seconds",
    type: "gauge",
    labels: TABLE,
    help: "When did a commit land last (seconds since 1970)?",
  },
  {
    name: "kafka_iceberg_fenced_total",
    type: "counter",
    labels: TABLE,
    help: "How often was the table not where we left it, so that rows were read again?",
  },
  {
    name: "iceberg_idempotent_retries_total",
    type: "counter",
    labels: ["reason"],
    values: { reason: ["commit id found in the table"] },
    help: "How often was a commit found to have landed already?",
  },
  {
    name: "iceberg_catalog_operation_duration_seconds",
    type: "histogram",
    labels: ["operation", "catalog_type"],
    help: "How long do catalog operations take?",
    buckets: SECONDS,
  },
  {
    name: "iceberg_catalog_health_status",
    type: "gauge",
    labels: ["catalog_type"],
    help: "Did the last catalog operation work (1) or not (0)?",
  },
  {
    name: "iceberg_catalog_error_total",
    type: "counter",
    labels: ["catalog_type", "error_type"],
    values: { error_type: CATALOG_ERRORS },
    help: "How many catalog operations failed, and how?",
  },
  {
    name: "iceberg_rows_written_total",
    type: "counter",
    labels: [],
    help: "How many rows were written into data files?",
  },
  {
    name: "iceberg_files_created_total",
    type: "counter",
    labels: [],
    help: "How many data files were written?",
  },
  {
    name: "iceberg_file_size_bytes",
    type: "histogram",
    labels: [],
    help: "How large are data files?",
    buckets: BYTES,
  },
  {
    name: "iceberg_write_duration_seconds",
    type: "histogram",
    labels: [],
    help: "How long does encoding and storing a data file take?",
    buckets: SECONDS,
  },
  {
    name: "iceberg_open_files",
    type: "gauge",
    labels: [],
    help: "How many data files are being written?",
  },
  {
    name: "iceberg_pending_commits",
    type: "gauge",
    labels: [],
    help: "How many flushes wait for their commit?",
  },
  {
    name: "iceberg_table_count",
    type: "gauge",
    labels: [],
    help: "How many tables does the pipeline keep?",
  },
  {
    name: "kafka_iceberg_table_snapshots",
    type: "gauge",
    labels: TABLE,
    help: "How many snapshots does the table show?",
  },
  {
    name: "kafka_iceberg_metadata_bytes",
    type: "gauge",
    labels: TABLE,
    help: "How large is the table's metadata file?",
  },
  ...MAINTENANCE_METRICS,
  {
    name: "dead_letter_records_total",
    type: "counter",
    labels: ["reason"],
    help: "How many records could not become rows, and why?",
  },
  {
    name: "errors_total",
    type: "counter",
    labels: ["type"],
    values: { type: ERROR_TYPES },
    help: "How many errors of each type: kafka_consumer, iceberg_writer, network, data, storage, catalog?",
  },
  {
    name: "kafka_iceberg_fetch_lag_records",
    type: "gauge",
    labels: [],
    help: "How many offsets are not yet read, over all assigned partitions?",
  },
  {
    name: "kafka_iceberg_partitions_assigned",
    type: "gauge",
    labels: [],
    help: "How many partitions does this process read?",
  },
  {
    name: "kafka_iceberg_partitions_paused",
    type: "gauge",
    labels: [],
    help: "How many of them are held back?",
  },
  {
    name: "kafka_iceberg_rebalances_total",
    type: "counter",
    labels: [],
    help: "How often did the group spread its partitions anew?",
  },
  {
    name: "kafka_iceberg_backpressure_seconds_total",
    type: "counter",
    labels: [],
    help: "How long was fetching held back because the buffer was full?",
  },
  {
    name: "iceberg_metadata_cache_hits_total",
    type: "counter",
    labels: ["key"],
    values: { key: CACHE_KEYS },
    help: "How often did the metadata cache answer from memory?",
  },
  {
    name: "iceberg_metadata_cache_misses_total",
    type: "counter",
    labels: ["key"],
    values: { key: CACHE_KEYS },
    help: "How often did it ask the catalog?",
  },
  {
    name: "iceberg_metadata_cache_hit_rate",
    type: "gauge",
    labels: ["key"],
    help: "Which share of its answers came from memory (0 to 1, since the start)?",
  },
  {
    name: "circuit_breaker_state",
    type: "gauge",
    labels: ["catalog_type"],
    help: "Is the catalog's circuit breaker closed (0), half open (1) or open (2)?",
  },
  {
    name: "kafka_iceberg_commit_lag_records",
    type: "gauge",
    labels: [],
    help: "How many offsets lie between the tables and the high watermarks?",
  },
  {
    name: "kafka_iceberg_memory_budget_bytes",
    type: "gauge",
    labels: [],
    help: "How much memory may the process use?",
    process: true,
  },
  {
    name: "kafka_iceberg_state_disk_bytes",
    type: "gauge",
    labels: [],
    help: "How large are the state directory and the transaction log?",
    process: true,
  },
  {
    name: "kafka_iceberg_build_info",
    type: "gauge",
    labels: ["version", "commit"],
    help: "Which build is this? Always 1.",
    process: true,
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    labels: [],
    help: "How much CPU time was used, user and system?",
    process: true,
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    labels: [],
    help: "How much memory is resident?",
    process: true,
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    labels: [],
    help: "When did the process start (seconds since 1970)?",
    process: true,
  },
];
