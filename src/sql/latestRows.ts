/**
 * The newest row of each key, of tables that keep every change as a row (`columns/latest.ts`): what `<table>_latest`
 * shows, and which rows a compaction may leave out. Pure.
 *
 * Both rank the rows of a key alike. A row that has a newer one of its key beside it is never shown, whatever other
 * files hold; so leaving it out changes no answer, and no file outside needs to be looked at. The newest of a group
 * stays, also one that says that its row was deleted: an older row may be in any other file.
 */
import { fail } from "#base/errors.ts";
import { type LatestRows, missingOf, orderOf } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import { sqlName } from "./duckdb/instance.ts";

/**
 * A SELECT of the newest rows, without those that were deleted.
 * @param rows a SELECT of the columns from everything that the table has
 * @throws AppError `query` for a table that has lost one of the columns that say it
 */
export function selectLatest(rows: string, columns: readonly Field[], latest: LatestRows): string {
  const missing = missingOf(latest, columns);
  if (missing !== undefined) {
    const sentence = `The table has no column ${missing}, which says which row of a key is the newest`;
    throw fail("query", sentence);
  }
  // Whatever columns are called, also two by one name in upper and lower case, these names are their own.
  const cells = columns.map((_, at) => `c${at}`);
  const cellOf = (name: string): string => `c${columns.findIndex((each) => each.name === name)}`;
  const newest = `SELECT * FROM (${rows}) r(${cells.join(", ")}) QUALIFY ${rank(latest, cellOf)} = 1`;
  const shown = columns.map(({ name }, at) => `c${at} AS ${sqlName(name)}`).join(", ");
  const { deleted } = latest;
  const where = deleted === null ? "" : ` WHERE ${cellOf(deleted)} IS NOT TRUE`;
  return `SELECT ${shown} FROM (${newest})${where}`;
}

/**
 * A SELECT of one column from the rows that a newer one of their key overtakes.
 * @param rows a SELECT of that column, and of {@link judgingFields}
 */
export function selectOvertaken(rows: string, latest: LatestRows, column: string): string {
  return `SELECT ${sqlName(column)} FROM (${rows}) QUALIFY ${rank(latest, sqlName)} > 1`;
}

/** The columns by which rows are ranked. */
export function judgingFields(fields: readonly Field[], latest: LatestRows): readonly Field[] {
  const names = new Set([...latest.key, ...orderOf(latest)]);
  return fields.filter(({ name }) => names.has(name));
}

function rank(latest: LatestRows, cellOf: (name: string) => string): string {
  const order = orderOf(latest).map((name) => `${cellOf(name)} DESC NULLS LAST`);
  const key = latest.key.map(cellOf).join(", ");
  return `row_number() OVER (PARTITION BY ${key} ORDER BY ${order.join(", ")})`;
}
