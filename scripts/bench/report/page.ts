/**
 * docs/BENCHMARKS.md as text, from the figures alone.
 */
import type { IngestRun } from "../peers/ingest.ts";
import type { PageCodec } from "../peers/side.ts";
import type { SteadyRun } from "../peers/steady.ts";
import type { Entry, Figures, FreshnessEntry, IngestEntry } from "./figures.ts";
import { spreadOf } from "./figures.ts";

/** The page. */
export function benchmarkPage(figures: Figures): string {
  const { entries } = figures;
  const parts = [
    INTRODUCTION,
    `Machine: ${figures.machine}. Ours is commit ${figures.commit}.\nWith ${figures.versions}.`,
    ...(["snappy", "zstd"] as const).map((codec) => ingestSection(entries, codec)),
    freshnessSection(entries.filter((entry) => entry.kind === "freshness")),
    aloneSection(entries),
    HOW,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

const INTRODUCTION = `# Benchmarks

\`bun run bench\` measures all of this, and writes this page, its figures (benchmarks.json) and the plot. Each line says when it was measured.
\`bun run bench -- --only ours,floor --runs 3\` measures some sides again and keeps the others' figures; all flags are in \`scripts/bench/bench.ts\`.
Parts alone: \`bun scripts/bench/micro.ts\`, \`bun scripts/bench/decode.ts\`, \`bun scripts/bench/encode.ts\`, \`bun scripts/bench/flush.ts\`, \`bun scripts/bench/stageAppend.ts\`.

![Rows per CPU-second](benchmarks.svg)`;

const HOW = `## How it is measured

- One topic: JSON events of about 270 bytes with 10 fields (\`scripts/events/generate.py\`), 6 partitions, lz4; the broker runs on the same machine. Sides run one after the other, round by round.
- One target schema on every side: the 10 fields (a struct and a list among them), and Kafka's partition, offset and timestamp of each record. The same Parquet codec, zstd at level 1.
- CPU is user + system time of the side's whole process tree from its start to its last commit, JVM start and compilation included. Peak is VmHWM. Rows/s counts from process start until the last commit
  is seen; peers that run on wait up to one interval for that commit, so compare CPU first.
- A run counts only when PyIceberg (which files the head has) and DuckDB (what is in them) find exactly the offsets of the topic, each once, pages of the codec asked for, and the same sums over the
  columns on every side.
- Load before: the machine's load average when a side's run began. Above 2, other programs were running, and the figures are worse than on a quiet machine.
- Ours runs at its shipped defaults: files synced, checksums checked, a table partitioned by day, one file per Kafka partition. Peers write unpartitioned tables, which is cheaper for them, and are left at their own defaults for syncing.
- The Connect sink gets Kafka's own \`InsertField\` transform for the three columns of coordinates; \`connect-plain\` (\`--only connect-plain\`) runs without. Its commit interval is 300 s by default and Flink has
  none: both are given ours. \`offset.flush.interval.ms\` is 1 s, because at its default of 60 s the last rows of a quiet topic appear a minute late. Tuned: two tasks, 1 MB fetches, no CRC check,
  ParallelGC, 2 GB heap (\`scripts/bench/peers/connect.ts\`).
- Flink SQL: parallelism 1 (the best per CPU-second here), object reuse, 2 GB heap. The Python loop uses pyarrow's JSON reader, not \`json.loads\`, and guarantees nothing across a crash.
- The native floor writes one Parquet file of all rows: no table, no commits, no exactly-once; kcat's NDJSON goes through a file.
- Freshness: from a record's timestamp, set by its producer, to the first sight of the snapshot that holds it (looked at every 20 ms), over every row of the phase.`;

function ingestSection(entries: readonly Entry[], codec: PageCodec): string {
  const sides = entries
    .filter((entry): entry is IngestEntry => entry.kind === "ingest" && entry.codec === codec)
    .toSorted((a, b) => cpuRate(b) - cpuRate(a));
  if (sides.length === 0) return "";
  const ours = sides.find(({ side }) => side === "ours");
  const header = row([
    "side",
    "rows per CPU-s",
    "ours is",
    "rows/s",
    "peak MiB",
    "first commit s",
    "bytes/row",
    "rows",
    "runs",
    "load before",
    "measured (UTC)",
  ]);
  const lines = sides.map((entry) => {
    const times = ours === undefined ? Number.NaN : cpuRate(ours) / cpuRate(entry);
    return row([
      entry.title,
      spread(entry.runs, (run) => run.rowsPerCpuSecond),
      entry === ours || Number.isNaN(times) ? "" : `${times.toFixed(2)} x`,
      spread(entry.runs, (run) => run.rowsPerSecond),
      spread(entry.runs, (run) => run.peakMiB),
      firstCommit(entry.runs),
      spread(entry.runs, (run) => run.bytesPerRow),
      count(entry.events),
      String(entry.runs.length),
      spreadOf(entry.runs.map((run) => run.load)).median.toFixed(1),
      entry.date,
    ]);
  });
  const rule = row(["---", ...Array(9).fill("---:"), "---"]);
  return [`## Ingest, ${codec}`, [header, rule, ...lines].join("\n")].join("\n\n");
}

function cpuRate(entry: IngestEntry): number {
  return spreadOf(entry.runs.map((run) => run.rowsPerCpuSecond)).median;
}

function firstCommit(runs: readonly IngestRun[]): string {
  const values = runs.map((run) => run.firstCommitSeconds).filter((value) => value !== null);
  return values.length === 0 ? "none" : spreadOf(values).median.toFixed(2);
}

function freshnessSection(entries: readonly FreshnessEntry[]): string {
  if (entries.length === 0) return "";
  const lines = entries
    .toSorted((a, b) => a.intervalMs - b.intervalMs)
    .map((entry) =>
      row([
        entry.title,
        (entry.intervalMs / 1000).toString(),
        spread(entry.runs, (run) => run.p50Ms),
        spread(entry.runs, (run) => run.p99Ms),
        spread(entry.runs, (run) => run.maxMs),
        `${count(entry.rate)}/s for ${entry.seconds} s`,
        entry.date,
      ]),
    );
  const header = row(["side", "interval s", "p50 ms", "p99 ms", "max ms", "load", "measured"]);
  const rule = row(["---", "---:", "---:", "---:", "---:", "---", "---"]);
  return ["## Produce to committed", [header, rule, ...lines].join("\n")].join("\n\n");
}

function aloneSection(entries: readonly Entry[]): string {
  const lines = entries.flatMap((entry) => {
    if (entry.kind === "sustained") {
      return entry.runs.map(
        (run) =>
          `- ${count(run.rows)} rows with \`hot_buffer.max_size_mb = ${run.bufferMb}\`: ${count(run.rowsPerSecond)} rows/s, ${count(run.rowsPerCpuSecond)} rows per CPU-second; ` +
          `peak ${run.peakMiB} MiB; resident at most ${run.residentMaxMiB} MiB (a sample a second), ` +
          `growing by ${run.slopeMiBPerMillionRows ?? "an unknown number of"} MiB per million over the last three quarters of the rows (${entry.date}).`,
      );
    }
    if (entry.kind === "steady") {
      return entry.runs.map(
        (run) =>
          `- At a steady ${count(run.rate)} rows/s for ${Math.round(run.seconds)} s: ${percent(run.cores)} of a core, resident at most ${run.residentMaxMiB} MiB; ` +
          `produce to committed p50 ${run.freshness.p50Ms} ms, p99 ${run.freshness.p99Ms} ms at a ${entry.intervalMs / 1000} s interval${flushesOf(run)} (${entry.date}).`,
      );
    }
    if (entry.kind === "hot") {
      return entry.runs.map(
        (run) =>
          `- Produce to queryable at a steady ${count(run.rate)} rows/s for ${run.seconds} s, by the oldest record of each of ${count(run.batches)} record batches: ` +
          `${percent(run.within5)} within 5 ms, ${percent(run.within10)} within 10 ms, ${percent(run.within25)} within 25 ms, ${percent(run.within50)} within 50 ms ` +
          `(our own histogram; the producer does not linger) (${entry.date}).`,
      );
    }
    if (entry.kind !== "idle") return [];
    return entry.runs.map(
      (run) =>
        `- Idle for ${Math.round(run.seconds)} s: ${percent(run.cores)} of a core, resident at most ${run.residentMaxMiB} MiB (${entry.date}).`,
    );
  });
  return lines.length === 0 ? "" : ["## Ours alone", lines.join("\n")].join("\n\n");
}

function flushesOf({ flushes }: SteadyRun): string {
  if (flushes === undefined) return "";
  return `; ${flushes.count} flushes, sealed to committed p50 ${flushes.p50Ms} ms, p99 ${flushes.p99Ms} ms`;
}

function spread<Run>(runs: readonly Run[], of: (run: Run) => number): string {
  const { median, least, greatest } = spreadOf(runs.map(of));
  const range = least === greatest ? "" : ` (${count(least)}-${count(greatest)})`;
  return `${count(median)}${range}`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
