/**
 * deploy/grafana/kafka-iceberg.json: a dashboard over what `/metrics` serves. `scripts/prove/alerts.ts` asks
 * a real Prometheus each of its queries.
 */

/** A graph, and its queries with the legend of their lines. */
interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly queries: readonly (readonly [expression: string, legend: string])[];
}

const P = '{pipeline=~"$pipeline"}';
const of = (metric: string, by: string, over = "rate"): string =>
  `sum by (${by}) (${over}(${metric}${P}[$__rate_interval]))`;
const quantile = (share: number, metric: string, by: string): string =>
  `histogram_quantile(${share}, ${of(`${metric}_bucket`, `le, ${by}`)})`;

const ROWS: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    "Flow",
    [
      {
        title: "Records read and rows written",
        unit: "short",
        queries: [
          [of("kafka_messages_consumed_total", "pipeline"), "read {{pipeline}}"],
          [of("iceberg_rows_written_total", "pipeline"), "written {{pipeline}}"],
        ],
      },
      {
        title: "Offsets not yet in tables, not yet read",
        unit: "short",
        queries: [
          [`kafka_iceberg_commit_lag_records${P}`, "not in tables {{pipeline}}"],
          [`kafka_iceberg_fetch_lag_records${P}`, "not read {{pipeline}}"],
        ],
      },
      {
        title: "Age of records when committed and queryable, 99 %",
        unit: "s",
        queries: [
          [quantile(0.99, "freshness_seconds", "pipeline, stage"), "{{stage}} {{pipeline}}"],
        ],
      },
      {
        title: "Dead letters",
        unit: "short",
        queries: [[of("dead_letter_records_total", "pipeline, reason", "increase"), "{{reason}}"]],
      },
    ],
  ],
  [
    "Commits",
    [
      {
        title: "Commits by outcome",
        unit: "short",
        queries: [[of("kafka_iceberg_commit_outcomes_total", "outcome"), "{{outcome}}"]],
      },
      {
        title: "Duration of flushes and commits, 95 %",
        unit: "s",
        queries: [
          [quantile(0.95, "flush_duration_seconds", "pipeline"), "flush {{pipeline}}"],
          [
            quantile(0.95, "iceberg_snapshot_commit_duration_seconds", "pipeline"),
            "commit {{pipeline}}",
          ],
        ],
      },
      {
        title: "Seconds since the last commit, by table",
        unit: "s",
        queries: [
          [`time() - kafka_iceberg_last_commit_timestamp_seconds${P}`, "{{database}}.{{table}}"],
        ],
      },
      {
        title: "Size of data files, median",
        unit: "bytes",
        queries: [[quantile(0.5, "iceberg_file_size_bytes", "pipeline"), "{{pipeline}}"]],
      },
    ],
  ],
  [
    "Services",
    [
      {
        title: "Errors",
        unit: "short",
        queries: [[of("errors_total", "type", "increase"), "{{type}}"]],
      },
      {
        title: "Catalog: works (1), breaker open (2)",
        unit: "short",
        queries: [
          [`iceberg_catalog_health_status${P}`, "works {{catalog_type}} {{pipeline}}"],
          [`circuit_breaker_state${P}`, "breaker {{catalog_type}} {{pipeline}}"],
        ],
      },
      {
        title: "Catalog operations, 95 %",
        unit: "s",
        queries: [
          [
            quantile(0.95, "iceberg_catalog_operation_duration_seconds", "operation"),
            "{{operation}}",
          ],
        ],
      },
      {
        title: "Partitions read and held back",
        unit: "short",
        queries: [
          [`kafka_iceberg_partitions_assigned${P}`, "read {{pipeline}}"],
          [`kafka_iceberg_partitions_paused${P}`, "held back {{pipeline}}"],
        ],
      },
    ],
  ],
  [
    "Process",
    [
      {
        title: "CPU cores",
        unit: "short",
        queries: [["rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"]],
      },
      {
        title: "Memory",
        unit: "bytes",
        queries: [
          ["process_resident_memory_bytes", "resident {{instance}}"],
          ["kafka_iceberg_memory_budget_bytes", "may be used {{instance}}"],
          [`sum by (pipeline) (hot_buffer_size_bytes${P})`, "buffer {{pipeline}}"],
        ],
      },
      {
        title: "State directory",
        unit: "bytes",
        queries: [["kafka_iceberg_state_disk_bytes", "{{instance}}"]],
      },
      {
        title: "Maintenance runs",
        unit: "short",
        queries: [
          [
            of("maintenance_runs_total", "operation, outcome", "increase"),
            "{{operation}} {{outcome}}",
          ],
        ],
      },
    ],
  ],
];

/** All queries as Prometheus takes them: `$__rate_interval` is this, `$pipeline` any. */
export function dashboardQueries(interval: string): readonly string[] {
  return ROWS.flatMap(([, panels]) => panels)
    .flatMap(({ queries }) => queries.map(([expression]) => expression))
    .map((each) => each.replaceAll("$__rate_interval", interval).replaceAll("$pipeline", ".*"));
}

/** The dashboard, to be imported into Grafana. */
export function dashboardJson(): string {
  const source = { type: "prometheus", uid: "${source}" };
  let id = 0;
  let y = 0;
  const panels = ROWS.flatMap(([title, all]) => {
    const row = {
      id: ++id,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
    };
    const graphs = all.map((panel, index) => ({
      id: ++id,
      type: "timeseries",
      title: panel.title,
      datasource: source,
      gridPos: { x: index * 6, y: y + 1, w: 6, h: 8 },
      fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
      targets: panel.queries.map(([expr, legendFormat], at) => ({
        refId: String.fromCharCode(65 + at),
        datasource: source,
        expr,
        legendFormat,
      })),
    }));
    y += 9;
    return [row, ...graphs];
  });
  const variables = [
    { name: "source", label: "Prometheus", type: "datasource", query: "prometheus" },
    {
      name: "pipeline",
      label: "Pipeline",
      type: "query",
      datasource: source,
      query: {
        query: "label_values(kafka_iceberg_commit_lag_records, pipeline)",
        refId: "pipeline",
      },
      refresh: 2,
      includeAll: true,
      multi: true,
      allValue: ".*",
      current: { text: "All", value: "$__all" },
    },
  ];
  const dashboard = {
    uid: "kafka-iceberg",
    title: "kafka-iceberg",
    tags: ["kafka", "iceberg"],
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: { list: variables },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
