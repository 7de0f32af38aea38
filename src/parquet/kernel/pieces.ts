/**
 * Rows of one batch on their way into a page: how many fit, what slots of each node they cover, and
 * the copies of their buffers in the kernel's memory.
 */
import { assert } from "#base/assert.ts";
import { bitmapBytes } from "#columns/bitmap.ts";
import type { BatchData, ColumnData } from "#parquet/columnData.ts";
import type { LeafColumn } from "./leaves.ts";
import { behind, NODE, type Workspace } from "./memory.ts";

/** Rows of a batch. */
export interface RowRange {
  readonly batch: BatchData;
  readonly start: number;
  readonly end: number;
}

/** Slots `[start, end)` of the columns on the way to a leaf; the leaf's last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Levels and PLAIN bytes: what rows take at most, or what there is room for. */
export interface Room {
  readonly entries: number;
  readonly bytes: number;
}

/** The columns from the top-level one to the leaf. */
export function columnsOf(leaf: LeafColumn, batch: BatchData): readonly ColumnData[] {
  let children = batch.columns;
  const [top] = leaf.nodes;
  assert(
    top !== undefined && children[top.child]?.length === batch.rowCount,
    `column ${leaf.path[0]} has the rows of its batch`,
  );
  return leaf.nodes.map((node) => {
    const column = children[node.child];
    assert(column !== undefined, `a batch has the column ${leaf.path.join(".")}`);
    children = column.children;
    return column;
  });
}

/** The slots that rows cover, by node. */
export function spansOf(
  leaf: LeafColumn,
  columns: readonly ColumnData[],
  start: number,
  end: number,
): Span[] {
  let span = { start, end };
  return leaf.nodes.map((node, index) => {
    const own = span;
    const column = columns[index];
    assert(column !== undefined && own.end <= column.length, "a column has its slots");
    if (node.isList) span = { start: offsetAt(column, own.start), end: offsetAt(column, own.end) };
    return own;
  });
}

/** The largest end of rows from `start` on that fit; `start` when not even one does. */
export function fit(
  leaf: LeafColumn,
  columns: readonly ColumnData[],
  range: RowRange,
  room: Room,
): number {
  let fitting = range.start;
  let tooMany = Math.min(range.end, range.start + room.entries) + 1;
  if (leaf.repetitionMax === 0 && leaf.width > 0) {
    return Math.min(tooMany - 1, fitting + Math.floor(room.bytes / leaf.width));
  }
  const doesFit =
    leaf.repetitionMax === 0
      ? (end: number): boolean => textBytes(columns, range.start, end) <= room.bytes
      : (end: number): boolean => {
          const needed = roomOf(leaf, columns, range.start, end);
          return needed.entries <= room.entries && needed.bytes <= room.bytes;
        };
  if (doesFit(tooMany - 1)) return tooMany - 1;
  while (tooMany - fitting > 1) {
    const middle = (fitting + tooMany) >>> 1;
    if (doesFit(middle)) fitting = middle;
    else tooMany = middle;
  }
  return fitting;
}

/** Levels and PLAIN bytes of rows, at most. */
export function roomOf(
  leaf: LeafColumn,
  columns: readonly ColumnData[],
  start: number,
  end: number,
): Room {
  const spans = spansOf(leaf, columns, start, end);
  const values = spans.at(-1) ?? { start, end };
  const count = values.end - values.start;
  let entries = end - start;
  leaf.nodes.forEach((node, index) => {
    const below = spans[index + 1];
    if (node.isList && below !== undefined) entries += below.end - below.start;
  });
  const bytes = leaf.width > 0 ? count * leaf.width : textBytes(columns, values.start, values.end);
  return { entries, bytes };
}

/** PLAIN bytes of a leaf's values that have no width. */
function textBytes(columns: readonly ColumnData[], start: number, end: number): number {
  const column = columns.at(-1);
  assert(column !== undefined, "a path has a leaf");
  return 4 * (end - start) + offsetAt(column, end) - offsetAt(column, start);
}

/** An offset, of which an empty column may have none. */
export function offsetAt(column: ColumnData, index: number): number {
  return column.length === 0 ? 0 : (column.offsets?.[index] ?? 0);
}

/**
 * Copies validity and list offsets of the spans behind `workspace.staging` and describes them as
 * nodes; the first address that is still free.
 */
export function stageNodes(
  workspace: Workspace,
  leaf: LeafColumn,
  columns: readonly ColumnData[],
  spans: readonly Span[],
): number {
  let free = workspace.staging;
  leaf.nodes.forEach((node, index) => {
    const column = columns[index];
    const span = spans[index];
    assert(column !== undefined && span !== undefined, "every node has a column");
    const record = workspace.nodes + index * NODE.size;
    workspace.set(record, NODE.list, Number(node.isList));
    workspace.set(record, NODE.optional, Number(node.isOptional));
    workspace.set(record, NODE.length, span.end - span.start);
    const validity = column.nullCount === 0 ? null : column.validity;
    workspace.set(record, NODE.validity, validity === null ? 0 : free);
    workspace.set(record, NODE.bit, span.start & 7);
    if (validity !== null) {
      free = stage(workspace, free, validity, span.start >> 3, bitmapBytes(span.end));
    }
    if (!node.isList) return;
    workspace.set(record, NODE.offsets, free);
    workspace.set(record, NODE.base, offsetAt(column, span.start));
    free = stageOffsets(workspace, free, column, span);
  });
  return free;
}

/** Copies `bytes[start, end)` to `address`; the next free address. */
export function stage(
  workspace: Workspace,
  address: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  assert(end <= bytes.length, "a buffer holds its column's slots");
  workspace.reach(address, end - start);
  workspace.bytes.set(bytes.subarray(start, end), address);
  return behind(address, end - start);
}

/** Copies the offsets of a span, the end's included. */
export function stageOffsets(
  workspace: Workspace,
  address: number,
  column: ColumnData,
  span: Span,
): number {
  const count = span.end - span.start + 1;
  workspace.reach(address, 4 * count);
  const { offsets } = column;
  if (column.length === 0 || offsets === null) workspace.words[address >> 2] = 0;
  else {
    assert(span.end < offsets.length, "a column has one offset more than slots");
    workspace.words.set(offsets.subarray(span.start, span.end + 1), address >> 2);
  }
  return behind(address, 4 * count);
}
