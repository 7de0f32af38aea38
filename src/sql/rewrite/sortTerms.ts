/**
 * A table's sort order as the terms of an ORDER BY (Iceberg spec, "Sorting"): as the writer of ingest sorts
 * (`parquet/sort.ts`). DuckDB compares texts, binary values and uuids by their bytes. Pure.
 */
import { childFields, type Field, isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import type { SortField, SortOrder } from "#iceberg/metadata/metadata.ts";
import { parseTransform, transformAllows } from "#iceberg/partition/transform.ts";
import { sqlName, sqlText } from "#sql/duckdb/instance.ts";

/**
 * The terms of an order.
 * @param fields of the table, by whose names a statement knows them
 * @returns empty: rows stay as they come, because the order is empty, sorts by a column that is not
 * there (any more), or in a way that the engine cannot compare
 */
export function sortTerms(fields: readonly Field[], { fields: order }: SortOrder): string[] {
  const terms: string[] = [];
  for (const sorted of order) {
    const column = columnOf(fields, sorted.sourceId);
    const values = column === null ? null : comparedValues(sorted, column);
    if (values === null) return [];
    const direction = sorted.direction === "desc" ? "DESC" : "ASC";
    const nulls = sorted.nullOrder === "nulls-first" ? "NULLS FIRST" : "NULLS LAST";
    terms.push(...values.map((sql) => `${sql} ${direction} ${nulls}`));
  }
  return terms;
}

/** A column that has an order, inside structs perhaps. */
interface SortedColumn {
  readonly type: PrimitiveType;
  readonly sql: string;
}

function columnOf(fields: readonly Field[], id: number, of?: string): SortedColumn | null {
  for (const { id: own, name, type } of fields) {
    const sql = of === undefined ? sqlName(name) : `struct_extract(${of}, ${sqlText(name)})`;
    if (isPrimitive(type)) {
      if (own === id) return { type, sql };
    } else if (type.kind === "struct") {
      const below = columnOf(childFields(type), id, sql);
      if (below !== null) return below;
    }
  }
  return null;
}

/** What is compared of a column, one after the other; each is null where the column is. Null: it cannot be said. */
function comparedValues({ transform: text }: SortField, column: SortedColumn): string[] | null {
  const { type, sql } = column;
  const transform = TRANSFORM.test(text) ? parseTransform(text) : null;
  if (transform === null || !transformAllows(transform, type)) return null;
  switch (transform.kind) {
    case "identity":
      return type.kind === "float" || type.kind === "double" ? inTotalOrder(sql) : [sql];
    case "year":
    case "month":
    case "day":
    case "hour":
      return type.kind === "timestamp_ns"
        ? null
        : [`date_trunc('${transform.kind}', ${localTime(column)})`];
    case "truncate":
      return truncated(column, transform.width);
    // The engine has no murmur3, and void sorts by nothing.
    case "bucket":
    case "void":
      return null;
  }
}

/** Transforms that are known; those that come later in the specification are not. */
const TRANSFORM = /^(identity|year|month|day|hour|void|(bucket|truncate)\[[1-9]\d{0,8}\])$/;

/** DuckDB holds both zeros for equal, and every NaN for the greatest value. */
function inTotalOrder(sql: string): string[] {
  return [`NOT (isnan(${sql}) AND signbit(${sql}))`, sql, `NOT signbit(${sql})`];
}

/** Of a time with a zone DuckDB's time zones, which are an extension, are not asked: it is in UTC. */
function localTime({ type, sql }: SortedColumn): string {
  return type.kind === "timestamp" && type.zone ? `make_timestamp(epoch_us(${sql}))` : sql;
}

function truncated({ type, sql }: SortedColumn, width: number): string[] | null {
  if (type.kind === "string") return [`left(${sql}, ${width})`];
  if (type.kind !== "int" && type.kind !== "long") return null;
  // The remainder of a negative number is negative.
  return [`${sql}::HUGEINT - (${sql}::HUGEINT % ${width} + ${width}) % ${width}`];
}
