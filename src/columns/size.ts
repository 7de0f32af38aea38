/**
 * How large the columns of a batch were: what the next segment of the same feed makes room for at
 * once, instead of growing and copying its way up.
 */
import type { Column, ColumnBatch } from "./batch.ts";

/** Sizes of one column and its children. */
export interface ColumnSize {
  readonly name: string;
  /** Values. */
  readonly length: number;
  /** Bytes of string or binary data; 0 for others. */
  readonly dataBytes: number;
  readonly children: readonly ColumnSize[];
}

/** Sizes of a batch's columns; they keep none of its memory alive. */
export function sizesOf(batch: ColumnBatch): readonly ColumnSize[] {
  return batch.columns.map(sizeOf);
}

function sizeOf(column: Column): ColumnSize {
  return {
    name: column.field.name,
    length: column.length,
    dataBytes: column.offsets === null ? 0 : (column.data?.length ?? 0),
    children: column.children.map(sizeOf),
  };
}
