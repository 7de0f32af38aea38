/**
 * One measured run: a full topic into a table, from the start of the process to its last commit. It
 * counts only when other people's readers find exactly the produced offsets.
 */
import { loadavg } from "node:os";
import { launch, runToEnd, withFolder } from "./observe.ts";
import type { Job, Side } from "./side.ts";
import { type Checked, checkRows, type TopicRange } from "./tables.ts";

/** Figures of one run. */
export interface IngestRun {
  readonly rowsPerSecond: number;
  readonly rowsPerCpuSecond: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  /** Null for a side without commits. */
  readonly firstCommitSeconds: number | null;
  readonly commits: number;
  /** Of Parquet files. */
  readonly bytesPerRow: number;
  /** Load average of the machine before the run. */
  readonly load: number;
}

/** A run and what its rows add up to. */
export interface MeasuredIngest {
  readonly figures: IngestRun;
  readonly checked: Checked;
}

/** Runs a side once over the topic. */
export function measureIngest(
  side: Side,
  job: Omit<Job, "folder">,
  partitions: TopicRange,
): Promise<MeasuredIngest> {
  return withFolder(side.name, async (folder) => {
    await settle();
    const [load = 0] = loadavg();
    const rows = rowsOf(partitions);
    const running = await launch(side, { ...job, folder });
    const { ms, cost } = await runToEnd(running, rows);
    const metadata = running.head?.metadata() ?? undefined;
    const { parquet } = running.launch;
    const checked = await checkRows({
      ...(metadata === undefined ? {} : { metadata }),
      ...(parquet === undefined ? {} : { parquet }),
      partitions,
      coordinates: side.name !== "connect-plain",
      codec: job.codec,
    });
    if (checked.violations.length > 0) {
      throw new Error(`${side.name} has wrong rows:\n${checked.violations.join("\n")}`);
    }
    const commits = (running.head?.commits ?? []).filter(({ totalRows }) => totalRows > 0);
    const [first] = commits;
    const figures = {
      rowsPerSecond: Math.round(rows / ((ms - running.startedMs) / 1000)),
      rowsPerCpuSecond: Math.round(rows / cost.cpuSeconds),
      cpuSeconds: Number(cost.cpuSeconds.toFixed(2)),
      peakMiB: Math.round(cost.peakBytes / 2 ** 20),
      firstCommitSeconds: first === undefined ? null : (first.seenMs - running.startedMs) / 1000,
      commits: commits.length,
      bytesPerRow: Number((checked.bytes / rows).toFixed(1)),
      load: Number(load.toFixed(1)),
    };
    return { figures, checked };
  });
}

/** Waits until the disk has what others wrote: no side pays for the one before it, or for the topic. */
async function settle(): Promise<void> {
  const child = Bun.spawn(["sync"]);
  if ((await child.exited) !== 0) throw new Error("sync failed");
}

/** Records of a topic without holes. */
export function rowsOf(partitions: TopicRange): number {
  return Object.values(partitions).reduce((sum, [start, end]) => sum + end - start, 0);
}
