/** From what the process says of itself, twice, to one point of every chart. Pure. */

/** What the charts need of one `/status` and one `/metrics`. */
export function readFigures(status, metrics) {
  const tables = status.pipelines.flatMap((pipeline) => pipeline.tables);
  const partitions = status.pipelines.flatMap((pipeline) => pipeline.partitions);
  const sum = (values) => values.reduce((total, value) => total + Number(value ?? 0), 0);
  return {
    startedMs: status.startedMs,
    nowMs: status.nowMs,
    consumed: Number(status.rowsConsumed),
    committed: sum(tables.map((table) => table.rowsCommitted)),
    lag: sum(partitions.map((partition) => partition.lag)),
    lagMs: Math.max(0, ...partitions.map((partition) => Number(partition.lagMs ?? 0))),
    bufferedBytes: sum(tables.map((table) => table.bufferedBytes)),
    bufferedRows: sum(tables.map((table) => table.bufferedRows)),
    snapshots: total(metrics, /^iceberg_snapshot_commits_total\{.*\} (\S+)$/gm),
    queryable: freshness(metrics, "queryable"),
    committedAge: freshness(metrics, "committed"),
  };
}

/** One point: rates and means between two readings; null where there is nothing to say. */
export function pointBetween(before, after) {
  const seconds = (after.nowMs - before.nowMs) / 1000;
  const isSame = before.startedMs === after.startedMs && seconds > 0;
  const rate = (of) => (isSame ? Math.max(0, of(after) - of(before)) / seconds : null);
  const mean = (of) => {
    const count = of(after).count - of(before).count;
    return isSame && count > 0 ? (of(after).sum - of(before).sum) / count : null;
  };
  return {
    time: after.nowMs / 1000,
    consumed: rate((each) => each.consumed),
    committed: rate((each) => each.committed),
    lag: after.lag,
    lagSeconds: after.lagMs / 1000,
    queryable: mean((each) => each.queryable),
    committedAge: mean((each) => each.committedAge),
    bufferedMb: after.bufferedBytes / 1e6,
    bufferedRows: after.bufferedRows,
    snapshots: after.snapshots,
  };
}

function total(text, line) {
  let sum = 0;
  for (const [, value] of text.matchAll(line)) sum += Number(value);
  return sum;
}

function freshness(text, stage) {
  const of = (what) =>
    total(text, new RegExp(`^freshness_seconds_${what}\\{.*stage="${stage}".*\\} (\\S+)$`, "gm"));
  return { sum: of("sum"), count: of("count") };
}
