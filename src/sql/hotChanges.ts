/**
 * Rows in memory that are changes of a table's rows (SPEC section 7: in ktable and cdc hot keys hide table
 * rows): the latest change of each key takes the place of its row. Pure.
 */
import { fail } from "#base/errors.ts";
import type { LentSegment } from "#buffer/lease.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { LentRows } from "./database.ts";
import { sqlName } from "./duckdb/instance.ts";
import { isHeld } from "./heldCells.ts";
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
  /** Some lack values (`lacksValues`). Default: those that do came just now, and are left out. */
  readonly hasPartial?: boolean;
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
  const emptied = `SELECT coalesce(max(p) FILTER (t = ${CHANGE.truncate}), -1) AS p FROM a`;
  // What was there before the table was emptied counts no more, however large its order is.
  const since = "SELECT * FROM a WHERE p > (SELECT p FROM e)";
  const left = `(SELECT * FROM (${stored}) o(${names}) WHERE (SELECT p FROM e) < 0)`;
  const isCompleted = changes.hasPartial === true && orderCell === null;
  const whole = isCompleted
    ? completed(columns, { keys, left })
    : `SELECT * FROM s WHERE t <> ${CHANGE.partial}`;
  const latest =
    `SELECT * FROM (${whole}) QUALIFY row_number() OVER (PARTITION BY ${keys.join(", ")} ` +
    `ORDER BY ${orderCell === null ? "" : `${orderCell} DESC, `}p DESC) = 1`;
  const isSame = keys.map((cell) => `o.${cell} = l.${cell}`).join(" AND ");
  // Of a key that has a newer row in the table no change counts.
  const standing =
    orderCell === null
      ? latest
      : `SELECT l.* FROM (${latest}) l ANTI JOIN ${left} o ` +
        `ON ${isSame} AND o.${orderCell} > l.${orderCell}`;
  const shown = columns.map(({ name }, at) => `c${at} AS ${sqlName(name)}`).join(", ");
  // Rows in memory are read a second time for their control column rather than copied.
  return (
    `WITH a AS NOT MATERIALIZED (${selects.join(" UNION ALL ")}), e AS MATERIALIZED (${emptied}), ` +
    `s AS ${isCompleted ? "" : "NOT "}MATERIALIZED (${since}), l AS MATERIALIZED (${standing}) ` +
    `SELECT ${shown} FROM ${left} o ANTI JOIN l ON ${isSame} ` +
    `UNION ALL SELECT ${shown} FROM l WHERE t = ${CHANGE.put}`
  );
}

/** What changes are completed by, as SQL. */
interface Completing {
  readonly keys: readonly string[];
  /** The table's rows, `c0` and so on, unless they are all gone. */
  readonly left: string;
}

/**
 * The changes of `s` with the values that they leave as they were: the newest that is there, else that of the
 * table's row (decision 0465). A change that has no row before it is left out; its commit says why.
 */
function completed(columns: readonly Field[], { keys, left }: Completing): string {
  const cells = columns.map((_, at) => `c${at}`);
  const names = cells.join(", ");
  const isSame = keys.map((cell) => `o.${cell} = l.${cell}`).join(" AND ");
  const holds = columns.map(({ type }, at) => {
    return keys.includes(`c${at}`) ? null : isHeld(`c${at}`, type);
  });
  // In a struct a NULL is a value, too; of a row that is gone nothing is.
  const found = cells.map((cell, at) => {
    const held = holds[at] ?? null;
    if (held === null) return cell;
    const value = `{'v': ${cell}, 'isGone': t = ${CHANGE.delete}}`;
    const there = `CASE WHEN t = ${CHANGE.partial} AND ${held} THEN NULL ELSE ${value} END`;
    return `last_value(${there} IGNORE NULLS) OVER w AS ${cell}`;
  });
  const values = cells.map((cell, at) => (holds[at] === null ? cell : `${cell}.v AS ${cell}`));
  const lacks = cells.flatMap((cell, at) =>
    holds[at] === null ? [] : [`coalesce(${cell}.isGone, true)`],
  );
  const isLost = `t = ${CHANGE.partial} AND (${["false", ...lacks].join(" OR ")})`;
  const change = `CASE t WHEN ${CHANGE.partial} THEN ${CHANGE.put} ELSE t END AS t`;
  const lacking = `(SELECT DISTINCT ${keys.join(", ")} FROM s WHERE t = ${CHANGE.partial})`;
  const all =
    `SELECT * FROM s UNION ALL SELECT ${names}, ${CHANGE.put} AS t, -1 AS p ` +
    `FROM ${left} o SEMI JOIN ${lacking} l ON ${isSame}`;
  return (
    `SELECT ${values.join(", ")}, ${change}, p FROM (SELECT ${found.join(", ")}, t, p FROM (${all}) ` +
    `WINDOW w AS (PARTITION BY ${keys.join(", ")} ORDER BY p ROWS UNBOUNDED PRECEDING)) ` +
    `WHERE p >= 0 AND NOT (${isLost})`
  );
}

function placeOf(columns: readonly Field[], name: string): number {
  const place = columns.findIndex((each) => each.name === name);
  if (place >= 0) return place;
  const sentence = `The table has no column ${name}, which is of the key of its changes, or orders them`;
  throw fail("query", `${sentence}: rows in memory cannot be shown`);
}

/** What is asked of rows in memory before they are selected. */
type Changing = Pick<HotChanges, "key" | "order"> & { readonly segments: readonly LentSegment[] };

/** Columns without which nothing says which rows changes replace. */
export function columnsOfChanges(hot: Changing | null): readonly string[] {
  if (hot === null) return [];
  return hot.order === null ? hot.key : [...hot.key, hot.order];
}

/** Whether a change leaves a value as it was; of segments as they are now. */
export function lacksValues(hot: Changing | null): boolean {
  if (hot === null || hot.key.length === 0) return false;
  return hot.segments.some(({ columns, watermark }) => {
    const data = columns.find(({ field }) => field.name === CHANGE_TYPE.name)?.data ?? null;
    if (data === null) return false;
    const rows = Atomics.load(watermark, 0);
    return new Int32Array(data.buffer, data.byteOffset, rows).includes(CHANGE.partial);
  });
}
