/**
 * Ours alone over many rows: the rate over all of them, and whether memory stays flat.
 */
import { loadavg } from "node:os";
import { rowsOf } from "./ingest.ts";
import { launch, runToEnd, withFolder } from "./observe.ts";
import type { Job, Side } from "./side.ts";
import { checkRows, type TopicRange } from "./tables.ts";

/** Figures of one run. */
export interface SustainedRun {
  readonly rows: number;
  /** `hot_buffer.max_size_mb`. */
  readonly bufferMb: number;
  readonly rowsPerSecond: number;
  readonly rowsPerCpuSecond: number;
  readonly peakMiB: number;
  /** Largest VmRSS of the samples, one a second. */
  readonly residentMaxMiB: number;
  /**
   * Growth of VmRSS while the last three quarters of the rows were committed (least squares); null
   * when that took less than two samples.
   */
  readonly slopeMiBPerMillionRows: number | null;
  readonly load: number;
}

const SAMPLE_MS = 1000;
/** Rows before memory is expected to be flat: 5 of 20 million. */
const WARM_SHARE = 0.25;

/** Runs a side over the topic and samples its memory. */
export function measureSustained(
  side: Side,
  job: Omit<Job, "folder"> & { readonly bufferMb: number },
  partitions: TopicRange,
): Promise<SustainedRun> {
  return withFolder("sustained", async (folder) => {
    const [load = 0] = loadavg();
    const rows = rowsOf(partitions);
    const running = await launch(side, { ...job, folder });
    const samples: { readonly rows: number; readonly bytes: number }[] = [];
    const timer = setInterval(() => {
      const committed = running.head?.commits.at(-1)?.totalRows ?? 0;
      samples.push({ rows: committed, bytes: running.meter.cost().residentBytes });
    }, SAMPLE_MS);
    const { ms, cost } = await runToEnd(running, rows);
    clearInterval(timer);
    const metadata = running.head?.metadata() ?? "";
    const { violations } = await checkRows({
      metadata,
      partitions,
      coordinates: true,
      codec: job.codec,
    });
    if (violations.length > 0) throw new Error(`wrong rows:\n${violations.join("\n")}`);
    // The process gives its memory back while it ends.
    const alive = samples.filter(({ bytes }) => bytes > 0);
    const flat = alive.filter((sample) => sample.rows >= rows * WARM_SHARE);
    const points = flat.map((sample) => [sample.rows / 1e6, sample.bytes / 2 ** 20] as const);
    const growth = slope(points);
    return {
      rows,
      bufferMb: job.bufferMb,
      rowsPerSecond: Math.round(rows / ((ms - running.startedMs) / 1000)),
      rowsPerCpuSecond: Math.round(rows / cost.cpuSeconds),
      peakMiB: Math.round(cost.peakBytes / 2 ** 20),
      residentMaxMiB: Math.round(Math.max(...alive.map(({ bytes }) => bytes)) / 2 ** 20),
      slopeMiBPerMillionRows: Number.isFinite(growth) ? Number(growth.toFixed(2)) : null,
      load: Number(load.toFixed(1)),
    };
  });
}

/** Slope of the line through points by least squares; not finite with fewer than two different x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (pick: 0 | 1): number =>
    points.reduce((sum, point) => sum + point[pick], 0) / points.length;
  const [xMean, yMean] = [mean(0), mean(1)];
  const sum = (of: (x: number, y: number) => number): number =>
    points.reduce((total, [x, y]) => total + of(x - xMean, y - yMean), 0);
  return sum((x, y) => x * y) / sum((x) => x * x);
}
