/**
 * Columns of a segment that still grows, as another thread may read them: their whole buffers, of
 * which the rows below a published count are finished and never change (`builder.ts`).
 */
import type { Column, ColumnBatch } from "./batch.ts";
import { bitmapBytes, countBits } from "./bitmap.ts";
import { type ColumnBuilder, valueBytes } from "./builder.ts";
import type { Field } from "./schema.ts";

/** One column, or one child of a nested column: {@link Column} without its length. */
export interface LiveColumn {
  readonly field: Field;
  /** Null: none of the published rows is null. */
  readonly validity: Uint8Array | null;
  readonly offsets: Int32Array | null;
  readonly data: Uint8Array | null;
  readonly children: readonly LiveColumn[];
}

/** The columns of builders as they lie in memory now; void when a column moves (`SegmentMemory.layout`). */
export function liveColumns(builders: readonly ColumnBuilder[]): LiveColumn[] {
  return builders.map(({ field, validity, offsets, data, children }) => ({
    field,
    validity: validity.length === 0 ? null : validity,
    offsets: offsets.length === 0 ? null : offsets,
    data: children.length > 0 || field.type.kind === "struct" ? null : data,
    children: liveColumns(children),
  }));
}

/** The first `rowCount` rows, as an ordinary batch over the same memory. */
export function rowsUpTo(columns: readonly LiveColumn[], rowCount: number): ColumnBatch {
  const cut = columns.map((column) => columnUpTo(column, rowCount));
  return { fields: cut.map(({ field }) => field), rowCount, columns: cut, byteCount: 0 };
}

function columnUpTo(live: LiveColumn, length: number): Column {
  const { field, children } = live;
  const validity = live.validity?.subarray(0, bitmapBytes(length)) ?? null;
  const present = validity === null ? length : countBits(validity, 0, length);
  const offsets = live.offsets?.subarray(0, length + 1) ?? null;
  const end = offsets === null ? length : (offsets[length] as number);
  const isBits = field.type.kind === "boolean";
  const bytes = offsets === null ? length * valueBytes(field.type) : end;
  return {
    field,
    length,
    nullCount: length - present,
    validity: present === length ? null : validity,
    offsets,
    data: live.data?.subarray(0, isBits ? bitmapBytes(length) : bytes) ?? null,
    children: children.map((child) => columnUpTo(child, end)),
  };
}
