/**
 * What rows of a batch do to the rows that a table has: the control column of tables that follow changes
 * (SPEC section 6, `source.mode` ktable and cdc).
 *
 * The decoder appends it behind the row's own columns. It never becomes a column of the table: whoever
 * folds the changes of a flush takes it away with {@link splitChanges}. Its name is one that Iceberg keeps
 * for itself, so that no column of the data has it (`names.ts`).
 */
import { assert } from "#base/assert.ts";
import type { ColumnBatch } from "./batch.ts";
import type { Field } from "./schema.ts";

/** The control column: a value of {@link CHANGE} in every row. */
export const CHANGE_TYPE: Field = {
  id: 0,
  name: "_change_type",
  required: true,
  type: { kind: "int" },
};

/**
 * What a row does: it takes the place of every row of its key, or it removes them. A `partial` one takes
 * their place, too, and where a placeholder stands in it (`unavailable.ts`), the value of the row that it
 * replaces stays. A `truncate` removes every row of the table that was there before it, whatever its key;
 * nothing stands in its other columns.
 */
export const CHANGE = { put: 0, delete: 1, partial: 2, truncate: 3 } as const;

/** A batch without its control column. */
export interface SplitChanges {
  readonly rows: ColumnBatch;
  /** For each row a value of {@link CHANGE}; null: every row is a `put`. Of a `delete` only the key counts, of a `truncate` nothing. */
  readonly changes: Int32Array | null;
}

/** Takes the control column from a batch; the other columns are shared, not copied. */
export function splitChanges(batch: ColumnBatch): SplitChanges {
  const column = batch.columns.find(({ field }) => field.name === CHANGE_TYPE.name);
  if (column === undefined) return { rows: batch, changes: null };
  const { data, length, nullCount } = column;
  assert(data !== null && nullCount === 0, "the control column has a value in every row");
  const columns = batch.columns.filter((each) => each !== column);
  const rows = { ...batch, columns, fields: columns.map(({ field }) => field) };
  return { rows, changes: new Int32Array(data.buffer, data.byteOffset, length) };
}
