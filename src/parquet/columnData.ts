/**
 * Columns without their fields: what crosses a thread boundary and what the encoder reads.
 *
 * The encoder takes names, types and ids from the table's fields, never from a batch, so the fields
 * of a batch stay behind. `Column` is a `ColumnData`, `ColumnBatch` a `BatchData`.
 */
import type { Column, ColumnBatch } from "#columns/batch.ts";
import { bitmapBytes } from "#columns/bitmap.ts";
import { ColumnBuilder, sealColumns, valueBytes } from "#columns/builder.ts";
import type { Field, Type } from "#columns/schema.ts";

/** One column, or one child of a nested column. */
export interface ColumnData extends Omit<Column, "field" | "children"> {
  readonly children: readonly ColumnData[];
}

/** A run of rows. `byteCount` only steers how much is handed over at a time. */
export interface BatchData extends Omit<ColumnBatch, "fields" | "columns"> {
  readonly columns: readonly ColumnData[];
}

/** Batches as they come, from memory or from another thread. */
export type BatchSource = Iterable<BatchData> | AsyncIterable<BatchData>;

/** A batch of these fields without rows. */
export function emptyBatch(fields: readonly Field[]): BatchData {
  const builders = fields.map((field) => new ColumnBuilder(field));
  return sealColumns(builders, 0);
}

/** Bytes of `data` that the column's values take; 0 for nested types, which have none. */
export function usedDataBytes(type: Type, column: ColumnData): number {
  const { kind } = type;
  if (kind === "boolean") return bitmapBytes(column.length);
  if (kind === "string" || kind === "binary") return column.offsets?.[column.length] ?? 0;
  return valueBytes(type) * column.length;
}
