/**
 * The rows that a table must have, and may have, below its offsets; what is wrong with those that it
 * has (`law.ts`).
 */
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { SnapshotId } from "#iceberg/metadata/metadata.ts";
import type { Topic } from "./rows.ts";
import { rowNumber } from "./rows.ts";
import type { World } from "./world.ts";

/** Row numbers of the records between two offsets. */
export function between(
  world: World,
  topic: Topic,
  partition: number,
  start: bigint,
  end: bigint,
  what: "isDue" | "mayHold",
): number[] {
  return (topic.records[partition] ?? [])
    .filter((offset) => BigInt(offset) >= start && BigInt(offset) < end)
    .filter((offset) => world[what](offset, partition, rowNumber(topic, offset)))
    .map((offset) => rowNumber(topic, offset));
}

/** What is wrong with the rows of one partition, in a word each. */
export function compareRows(
  due: readonly number[],
  allowed: readonly number[],
  seen: readonly number[],
): string[] {
  const wanted = new Set(allowed);
  const unique = new Set(seen);
  const verdicts: string[] = [];
  if (unique.size !== seen.length) verdicts.push("DOUBLED");
  if (due.some((number) => !unique.has(number))) verdicts.push("LOST");
  if (seen.some((number) => !wanted.has(number))) verdicts.push("AHEAD");
  return verdicts;
}

/** Row ids of live files are there and do not overlap (Iceberg spec, "Row Lineage"). */
export function rowIdProblems(id: SnapshotId, files: readonly DataFile[]): string[] {
  let next = 0n;
  const withRows = files.filter((file) => file.recordCount > 0n);
  withRows.sort((a, b) => ((a.firstRowId ?? -1n) < (b.firstRowId ?? -1n) ? -1 : 1));
  for (const { filePath, firstRowId, recordCount } of withRows) {
    if (firstRowId === null) return [`ROW IDS: ${filePath} has none`];
    if (firstRowId < next) return [`ROW IDS overlap in snapshot ${id}`];
    next = firstRowId + recordCount;
  }
  return [];
}
