/**
 * Sort orders from the configuration's words (`iceberg.write.sort_order`): `["ts desc", "user.id",
 * "name asc nulls last"]` (Iceberg spec, "Sorting").
 *
 * Columns only: files are sorted by the values themselves. Orders of other engines may hold transforms;
 * files of such tables are not sorted ({@link isByColumns}).
 */
import { type AppError, fail } from "#base/errors.ts";
import { findColumn, similarColumn } from "#columns/paths.ts";
import { type Field, isPrimitive } from "#columns/schema.ts";
import type { SortField, SortOrder } from "./metadata.ts";

const FORM = /^(.+?)(?:\s+(asc|desc))?(?:\s+nulls\s+(first|last))?$/is;

/**
 * Builds the sort order of a table.
 * @param columns the table's columns with their final field ids
 * Throws `usage` naming the form: an unknown column, one without an order, one that comes twice.
 */
export function sortOrderOf(columns: readonly Field[], forms: readonly string[]): SortOrder {
  const fields: SortField[] = [];
  for (const form of forms) {
    const { column, direction, nullOrder } = parse(form);
    const source = findColumn(columns, column);
    if (source === null) {
      throw problem(form, `there is no column ${column}${similarColumn(columns, column)}`);
    }
    if (!isPrimitive(source.type)) {
      throw problem(form, `${column} is a ${source.type.kind}, which has no order`);
    }
    if (fields.some(({ sourceId }) => sourceId === source.id)) {
      throw problem(form, "an earlier one sorts by the same column");
    }
    fields.push({ sourceId: source.id, transform: "identity", direction, nullOrder });
  }
  return { orderId: fields.length === 0 ? 0 : 1, fields };
}

/** Columns that forms name and that are not there (yet). Throws `usage` for a form that is none. */
export function missingSortColumns(columns: readonly Field[], forms: readonly string[]): string[] {
  return forms
    .map((form) => parse(form).column)
    .filter((name) => findColumn(columns, name) === null);
}

/** True when rows are sorted by values of columns alone. */
export function isByColumns({ fields }: SortOrder): boolean {
  return fields.every(({ transform }) => transform === "identity");
}

function parse(form: string): Omit<SortField, "sourceId" | "transform"> & { column: string } {
  const [, column = "", order = "asc", nulls] = FORM.exec(form.trim()) ?? [];
  if (column === "") throw problem(form, "it names no column");
  if (/[()]/.test(column)) {
    throw problem(
      form,
      'it is sorted by columns only: write "column", "column asc" or "column desc"',
    );
  }
  const direction = order.toLowerCase() === "desc" ? "desc" : "asc";
  const first = nulls === undefined ? direction === "asc" : nulls.toLowerCase() === "first";
  return { column, direction, nullOrder: first ? "nulls-first" : "nulls-last" };
}

function problem(form: string, reason: string): AppError {
  return fail("usage", `Sort order ${JSON.stringify(form)}: ${reason}`, { order: form });
}
