/**
 * Rows in memory beside those of the files: the same columns, found by field id where the table has
 * given one, by name where it has not yet. Pure.
 */
import type { LentSegment } from "#buffer/lease.ts";
import type { LiveColumn } from "#columns/live.ts";
import { childFields, type Field, withChildFields } from "#columns/schema.ts";
import type { LentRows } from "./database.ts";
import { HotScan } from "./duckdb/hotScan.ts";
import { bytesOf, placesOf } from "./lend.ts";
import type { ParquetNode } from "./parquetNodes.ts";
import { projectColumns } from "./projection.ts";

/** Segments with equal columns together, each group in their order; as they are now. */
export function rowsByColumns(segments: readonly LentSegment[]): LentRows[] {
  const groups = Map.groupBy(segments, ({ columns }) => keyOfColumns(columns));
  return [...groups.values()].map(lentRows);
}

/** Each segment by itself, where the order of their rows counts. */
export function rowsBySegment(segments: readonly LentSegment[]): LentRows[] {
  return segments.map((segment) => lentRows([segment]));
}

/** Segments of equal columns; of each the rows that are finished. */
function lentRows(segments: readonly LentSegment[]): LentRows {
  const fields = segments[0]?.columns.map(({ field }) => field) ?? [];
  const each = segments.map(({ columns }) => placesOf(columns));
  const places = new Float64Array(each.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const own of each) {
    places.set(own, at);
    at += own.length;
  }
  const rowCounts = segments.map(({ watermark }) => Atomics.load(watermark, 0));
  const byteCounts = segments.map(({ columns }) => bytesOf(columns));
  return { kind: "lent", fields, pid: process.pid, rowCounts, byteCounts, places };
}

const columnKeys = new WeakMap<readonly LiveColumn[], string>();
const fieldKeys = new WeakMap<Field, string>();

/** Equal for columns that one relation can have: written once for a sealed segment, and once for a field. */
function keyOfColumns(columns: readonly LiveColumn[]): string {
  const found = columnKeys.get(columns);
  if (found !== undefined) return found;
  const key = keyOfFields(columns.map(({ field }) => field));
  columnKeys.set(columns, key);
  return key;
}

/** Equal for fields that are the same, at every depth. */
export function keyOfFields(fields: readonly Field[]): string {
  return fields.map(keyOfField).join();
}

function keyOfField(field: Field): string {
  const found = fieldKeys.get(field);
  if (found !== undefined) return found;
  const key = JSON.stringify(field, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  fieldKeys.set(field, key);
  return key;
}

/** The table's columns, and behind them those that only rows in memory have so far. */
export function unionFields(
  fields: readonly Field[],
  groups: readonly (readonly Field[])[],
): readonly Field[] {
  const all = [...fields];
  for (const field of groups.flat()) {
    const isKnown = all.some((each) => isSame(each, field));
    if (!isKnown) all.push(field);
  }
  return all;
}

/** A SELECT of the columns from rows in memory, which the engine knows by a number. */
export function selectHot(
  columns: readonly Field[],
  fields: readonly Field[],
  number: number,
): string {
  const numbered = withIds(columns, { next: -1 });
  const nodes = fields.map((field) => nodeOf(field, numbered));
  return `SELECT ${projectColumns(numbered, nodes)} FROM ${HotScan.select(number)}`;
}

/** Fields without an id yet get one of their own, below all real ones. */
function withIds(fields: readonly Field[], count: { next: number }): Field[] {
  return fields.map((field) => ({
    ...field,
    id: field.id > 0 ? field.id : count.next--,
    type: withChildFields(field.type, withIds(childFields(field.type), count)),
  }));
}

/** A field of rows in memory, as if a file had it, with the id of the column that it belongs to. */
function nodeOf(field: Field, columns: readonly Field[]): ParquetNode {
  const { name, type } = field;
  const column = columns.find((each) => isSame(each, field));
  const within = column === undefined ? [] : childFields(column.type);
  const children = childFields(type).map((child) => nodeOf(child, within));
  const isNested = type.kind === "list" || type.kind === "map";
  return {
    name,
    type: "",
    fieldId: column?.id ?? null,
    children: isNested ? [{ name: "entries", type: "", fieldId: null, children }] : children,
  };
}

function isSame(column: Field, field: Field): boolean {
  return column.id > 0 && field.id > 0 ? column.id === field.id : column.name === field.name;
}
