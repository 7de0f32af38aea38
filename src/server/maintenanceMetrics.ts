/** Metrics of maintenance: a part of the one table (`metricTable.ts`). */
import { MAINTENANCE_OPERATIONS, MAINTENANCE_OUTCOMES } from "#base/events.ts";
import type { MetricSpec } from "./metricSpec.ts";

const MAINTENANCE_SECONDS = [0.1, 1, 5, 15, 60, 300, 900, 3600, 14_400];

/** Of every operation, and what compaction has of its own. */
export const MAINTENANCE_METRICS: readonly MetricSpec[] = [
  {
    name: "maintenance_runs_total",
    type: "counter",
    labels: ["operation", "outcome"],
    values: { operation: MAINTENANCE_OPERATIONS, outcome: MAINTENANCE_OUTCOMES },
    help: "How many maintenance runs ended, and how?",
  },
  {
    name: "maintenance_duration_seconds",
    type: "histogram",
    labels: ["operation"],
    buckets: MAINTENANCE_SECONDS,
    help: "How long do maintenance runs take?",
  },
  {
    name: "maintenance_bytes_reclaimed_total",
    type: "counter",
    labels: ["operation"],
    values: { operation: MAINTENANCE_OPERATIONS },
    help: "How many bytes did maintenance remove from the store?",
  },
  {
    name: "iceberg_compaction_files_merged_total",
    type: "counter",
    labels: [],
    values: {},
    help: "How many files did compactions replace?",
  },
  {
    name: "iceberg_compaction_duration_seconds",
    type: "histogram",
    labels: [],
    buckets: MAINTENANCE_SECONDS,
    help: "How long do compactions that found something to do take?",
  },
];
