/**
 * Rows in memory that are changes of a table's rows (SPEC section 7: in ktable and cdc hot keys hide table
 * rows): the latest change of each key takes the place of its row. Pure.
 */
import { fail } from "#base/errors.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { LentRows } from "./database.ts";
import { sqlName } from "./duckdb/instance.ts";
import { selectHot } from "./hotRows.ts";

/** Places of one segment: more rows than one ever has. */
const SEGMENT_PLACES = 2 ** 40;

/** Changes, and where the engine has them. */
export interface HotChanges {
  /** Of the table, and those that only changes have so far. */
  readonly columns: readonly Field[];
  /** Names of the columns of the key. */
  readonly key: readonly string[];
  /** The column that says which of two changes is later; null: they are in order. */
  readonly order: string | null;
  /** In the order of the changes. */
  readonly rows: readonly LentRows[];
  /** The number of the first of them (`HotScan.select`). */
  readonly first: number;
}

/**
 * A SELECT of a table's rows with the changes done.
 * @param stored a SELECT of the columns from what is committed
 * @throws AppError `query` for a table without a column of the key, or that of the order
 */
export function selectChanged(stored: string, changes: HotChanges): string {
  const { columns, key, order, rows, first } = changes;
  if (rows.length === 0) return stored;
  // Whatever columns are called, these names are free.
  const cells = columns.map((_, at) => `c${at}`);
  const names = cells.join(", ");
  const cellOf = (name: string): string => cells[placeOf(columns, name)] ?? "";
  const keys = key.map(cellOf);
  const orderCell = order === null ? null : cellOf(order);
  const all = [...columns, CHANGE_TYPE];
  const selects = rows.map(({ fields }, at) => {
    const select = selectHot(all, fields, first + at);
    const change = `coalesce(t, ${CHANGE.put}) AS t`;
    const place = `${at} * ${SEGMENT_PLACES} + row_number() OVER () AS p`;
    return `SELECT ${names}, ${change}, ${place} FROM (${select}) r(${names}, t)`;
  });
  // What empties the table has no key: nothing that it holds is of any.
  const isEmptying = `t = ${CHANGE.truncate}`;
  // A partial row has its values when it is committed (decision 0465).
  const latest =
    `SELECT ${names}, t, p FROM (${selects.join(" UNION ALL ")}) WHERE t <> ${CHANGE.partial} ` +
    `QUALIFY row_number() OVER (PARTITION BY ${keys.join(", ")}, ${isEmptying} ` +
    `ORDER BY ${orderCell === null ? "" : `${orderCell} DESC, `}p DESC) = 1`;
  const emptied = `SELECT coalesce(max(p) FILTER (${isEmptying}), -1) AS p FROM l`;
  const isSame = keys.map((cell) => `o.${cell} = l.${cell}`).join(" AND ");
  // Of a key that has a newer row in the table no change counts.
  const standing =
    orderCell === null
      ? latest
      : `SELECT l.* FROM (${latest}) l ANTI JOIN (${stored}) o(${names}) ` +
        `ON ${isSame} AND o.${orderCell} > l.${orderCell}`;
  const shown = columns.map(({ name }, at) => `c${at} AS ${sqlName(name)}`).join(", ");
  return (
    `WITH l AS MATERIALIZED (${standing}), e AS MATERIALIZED (${emptied}) ` +
    `SELECT ${shown} FROM (${stored}) o(${names}) ANTI JOIN l ON ${isSame} WHERE (SELECT p FROM e) < 0 ` +
    `UNION ALL SELECT ${shown} FROM l WHERE t = ${CHANGE.put} AND p > (SELECT p FROM e)`
  );
}

function placeOf(columns: readonly Field[], name: string): number {
  const place = columns.findIndex((each) => each.name === name);
  if (place >= 0) return place;
  const sentence = `The table has no column ${name}, which is of the key of its changes, or orders them`;
  throw fail("query", `${sentence}: rows in memory cannot be shown`);
}
