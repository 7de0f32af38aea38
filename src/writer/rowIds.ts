/**
 * Rows with the ids of those that they replace (Iceberg spec v3, "Row Lineage"; decision 0466): which these are, the
 * head of an attempt says, so each attempt asks. What was written for the one before is used again where it would be
 * the same, as it is after a compaction, which keeps ids.
 */
import { assert } from "#base/assert.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Attempt } from "#commit/change.ts";
import { currentSchema } from "#commit/columns.ts";
import { joinedKeys } from "#commit/keySets.ts";
import { ROW_ID_FIELD } from "#iceberg/metadata/lineage.ts";
import { NO_ROW_ID } from "#keyindex/keptRowIds.ts";
import type { PlacedFile, RowIndex } from "#keyindex/port.ts";
import { rowIdRefusal } from "./deleteMode.ts";
import type { FeedFlush, SelectedRows, WriterOptions, WriterParts } from "./parts.ts";
import { idColumn } from "./rowIdColumn.ts";
import { NOTHING_BEGUN, rowContent, writeFiles } from "./write.ts";

/** What rows are written with that depend on the rows which they replace. */
export interface ReplacingContext {
  readonly parts: WriterParts;
  readonly options: WriterOptions;
  /** Its columns, spec and settings are those of the files. */
  readonly table: LoadedTable;
  readonly index: Pick<RowIndex, "values" | "rowIds">;
  readonly flushes: readonly FeedFlush[];
  /** False: the table's rows have no ids. */
  readonly keepsIds: boolean;
}

/** Writes the rows of some of the flushes, those of one unit, for each attempt. @param numbers of the flushes */
export function writingWithIds(
  context: ReplacingContext,
  numbers: ReadonlySet<number>,
): (attempt: Attempt) => Promise<readonly PlacedFile[]> {
  const flushes = context.flushes.map((flush, at) =>
    numbers.has(at) ? flush : withoutRows(flush),
  );
  let last: { readonly ids: Float64Array; readonly placed: readonly PlacedFile[] } | null = null;
  return async (attempt) => {
    const ids = await replacedIds(context, flushes, attempt);
    if (last !== null && isSame(ids, last.ids)) return last.placed;
    last = { ids, placed: await writeRows(context, flushes, ids, attempt) };
    return last.placed;
  };
}

/** Writes rows. @param attempt to whose head the index was brought */
export async function writeReplacing(
  context: ReplacingContext,
  flushes: readonly FeedFlush[],
  attempt: Attempt,
): Promise<readonly PlacedFile[]> {
  const { keepsIds } = context;
  const ids = keepsIds ? await replacedIds(context, flushes, attempt) : new Float64Array(0);
  return await writeRows(context, flushes, ids, attempt);
}

/** The same flush, of which nothing is written. */
export function withoutRows(flush: FeedFlush): FeedFlush {
  return { ...flush, batches: [], selected: [] };
}

/** Ids of the rows that those of the flushes replace, one after the other. */
async function replacedIds(
  { index }: ReplacingContext,
  flushes: readonly FeedFlush[],
  { head }: Attempt,
): Promise<Float64Array> {
  const all = flushes.flatMap(({ selected = [] }) => selected);
  if (all.length === 0) return new Float64Array(0);
  const ids = await index.rowIds(head.storage, joinedKeys(all.map(keysOf)));
  let first = 0;
  for (const { rows, isNew = null } of all) {
    if (isNew !== null) {
      for (let n = 0; n < isNew.length; n++) if (isNew[n] === 1) ids[first + n] = NO_ROW_ID;
    }
    first += rows.length;
  }
  return ids;
}

function keysOf({ keys }: SelectedRows): NonNullable<SelectedRows["keys"]> {
  assert(keys !== null, "rows that replace others have keys");
  return keys;
}

async function writeRows(
  { parts, options, table }: ReplacingContext,
  flushes: readonly FeedFlush[],
  ids: Float64Array,
  { ledger }: Attempt,
): Promise<readonly PlacedFile[]> {
  if (flushes.every(({ batches }) => batches.length === 0)) return [];
  const replaces = ids.some((id) => id !== NO_ROW_ID);
  if (replaces) refuseName(options, table);
  const content = rowContent(options, table, replaces ? [ROW_ID_FIELD] : []);
  const rows = replaces ? await withRowIds(parts.clock, flushes, ids) : flushes;
  const units = await writeFiles(parts, options, table, rows, ledger, NOTHING_BEGUN, content);
  return units.flatMap(({ placed }) => placed);
}

/** Another engine may have given the table such a column, or ids, since it was opened. */
function refuseName(options: WriterOptions, { name, metadata }: LoadedTable): void {
  const fields = currentSchema(metadata).fields;
  const refusal = rowIdRefusal(fullName(name), metadata.formatVersion, options, fields);
  if (refusal !== null) throw refusal;
}

/** The same flushes, whose batches have a column more. */
async function withRowIds(
  clock: Pick<WriterParts["clock"], "turn">,
  flushes: readonly FeedFlush[],
  ids: Float64Array,
): Promise<FeedFlush[]> {
  const all: FeedFlush[] = [];
  let first = 0;
  for (const flush of flushes) {
    const batches: ColumnBatch[] = [];
    for (const [at, batch] of flush.batches.entries()) {
      const rows = flush.selected?.[at]?.rows;
      assert(rows !== undefined, "of a batch of changes rows are selected");
      const column = idColumn(batch.rowCount, rows, ids.subarray(first, first + rows.length));
      batches.push({
        rowCount: batch.rowCount,
        fields: [...batch.fields, ROW_ID_FIELD],
        columns: [...batch.columns, column],
        byteCount: batch.byteCount + (column.data?.length ?? 0),
      });
      first += rows.length;
      await clock.turn();
    }
    all.push({ ...flush, batches });
  }
  return all;
}

function isSame(ids: Float64Array, others: Float64Array): boolean {
  return ids.length === others.length && ids.every((id, n) => id === others[n]);
}
