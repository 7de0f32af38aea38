/**
 * Writes rows that move no offset, and commits them: columns first, then files, then the commit, as a
 * flush does (`tableWriter.ts`). Nobody waits for them: what is not decided is given up.
 */

import type { Change, CommitResult } from "#commit/change.ts";
import { commit, giveUp, newCommit } from "#commit/commit.ts";
import type { CommitTable } from "#commit/commitTable.ts";
import { Ledger } from "#commit/ledger.ts";
import type { FileUnit } from "#commit/shares.ts";
import type { FeedFlush, WriterOptions, WriterParts } from "./parts.ts";
import { columnsFor } from "./schema.ts";
import { writeFiles } from "./write.ts";

/** How an addition ended. */
export interface AdditionEnd {
  readonly result: CommitResult;
  readonly commitId: string;
}

/**
 * One commit with these rows.
 * @param changeOf the change that adds the files
 */
export async function addRows(
  parts: WriterParts,
  options: WriterOptions,
  table: CommitTable,
  flushes: readonly FeedFlush[],
  changeOf: (units: readonly FileUnit[]) => Change,
): Promise<AdditionEnd> {
  const ledger = new Ledger(parts.random.uuid());
  const { commitId } = ledger;
  const shapes = flushes.flatMap((each) => each.batches.map((batch) => batch.fields));
  const columns = newCommit(table, columnsFor(parts, shapes, "records"));
  const ready = await commit(table, columns);
  if (ready.kind !== "committed") return { result: ready, commitId };
  let units: readonly FileUnit[];
  try {
    units = await writeFiles(parts, options, ready.table, flushes, ledger);
  } catch (error) {
    await table.leftovers.add(table.head, ledger);
    throw error;
  }
  const pending = newCommit(table, changeOf(units), ledger);
  const result = await commit(table, pending);
  if (result.kind === "held") await giveUp(table, pending);
  return { result, commitId };
}
