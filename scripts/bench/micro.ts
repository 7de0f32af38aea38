/**
 * Micro benchmarks: what parts of the path cost by shape of event, number of partitions, number of
 * commits. Prints tables; `bun scripts/bench/micro.ts [--parts shapes,partitions,commits]`.
 *
 * Shapes: decode and encode alone. Partitions: reading alone and the whole (`--rows`, 500,000).
 * Commits: one flush of a row at a time to a file catalog, synced, after 10, 1,000 and 10,000.
 */
import { parseArgs } from "node:util";
import { proveManyCommits } from "../prove/commits.ts";
import { measurePartitions } from "./micro/partitions.ts";
import { measureShapes } from "./micro/shapes.ts";

const { values: flags } = parseArgs({
  options: {
    parts: { type: "string", default: "shapes,partitions,commits" },
    rows: { type: "string", default: "500000" },
  },
});
const COMMITS = [10, 1000, 10_000];
/** How many commits are timed. */
const TIMED = 100;

for (const part of flags.parts.split(",")) console.table(await tableOf(part));
process.exit(0);

async function tableOf(part: string): Promise<readonly object[]> {
  if (part === "shapes") return measureShapes();
  if (part === "partitions") return measurePartitions(Number(flags.rows));
  if (part === "commits") return commitTable();
  throw new Error(`no such part: ${part}`);
}

async function commitTable(): Promise<object[]> {
  const lines: object[] = [];
  for (const commits of COMMITS) {
    const { old, snapshots, metadataBytes } = await proveManyCommits(commits, TIMED);
    const times = { "p50 ms": old.p50, "p99 ms": old.p99 };
    lines.push({ commits, ...times, snapshots, "metadata KB": Math.round(metadataBytes / 1000) });
  }
  return lines;
}
