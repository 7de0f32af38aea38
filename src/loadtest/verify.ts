/**
 * Is every row that a load test produced in the table, once? Asked of the table itself: the offsets that
 * its head has committed, and the record counts of its live data files.
 */

import { withPipeline } from "#cli/open.ts";
import { headOf, readProgress } from "#commit/progress.ts";
import { namespaceOf } from "#config/tableNames.ts";
import { listDataFiles } from "#iceberg/io/scan.ts";
import type { LoadTestFigures } from "./job.ts";
import type { Scratch } from "./scratch.ts";

/** What was found. */
export interface Verified {
  /** Rows of the table's live data files. */
  readonly rows: bigint;
  readonly files: number;
  readonly bytes: bigint;
  /** What is wrong, as one sentence; null: every produced row is in the table, and nothing else. */
  readonly problem: string | null;
}

/** Reads the scratch table's head; throws `catalog_unreachable`, `storage_unreachable`. */
export async function verifyTable(
  scratch: Scratch,
  produced: Pick<LoadTestFigures, "rows" | "ends">,
): Promise<Verified> {
  const { values } = scratch.pipeline;
  const name = { namespace: namespaceOf(values), table: values["iceberg.table_name"] ?? "" };
  return withPipeline(scratch.pipeline, true, async ({ catalog }) => {
    const table = await catalog.load(name);
    if (table === null) return judge(produced, { rows: 0n, files: 0, bytes: 0n }, new Map());
    const found = { rows: 0n, files: 0, bytes: 0n };
    const head = headOf(table.metadata, values["iceberg.branch"]);
    if (head !== null) {
      for await (const { file } of listDataFiles(table.storage, table.metadata, head)) {
        found.rows += file.recordCount;
        found.bytes += file.fileSizeBytes;
        found.files++;
      }
    }
    const progress = readProgress(table.metadata, values["iceberg.branch"]);
    const sources = progress.kind === "readable" ? [...progress.document.sources.values()] : [];
    return judge(produced, found, sources[0]?.offsets ?? new Map());
  });
}

/** Compares what was produced with what the table holds. */
export function judge(
  { rows, ends }: Pick<LoadTestFigures, "rows" | "ends">,
  found: Omit<Verified, "problem">,
  committed: ReadonlyMap<number, bigint>,
): Verified {
  for (const [partition, end] of ends) {
    const offset = committed.get(partition) ?? 0n;
    if (offset === end) continue;
    const problem = `Partition ${partition} was produced up to ${end}, the table has ${offset}`;
    return { ...found, problem };
  }
  if (found.rows === BigInt(rows)) return { ...found, problem: null };
  return { ...found, problem: `${rows} rows were produced, the table has ${found.rows}` };
}
