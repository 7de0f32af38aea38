/**
 * The end of a batch whose rows are elsewhere, or nowhere: its memory serves the next one.
 */
import type { Column, ColumnBatch } from "./batch.ts";
import type { SegmentMemory } from "./segmentMemory.ts";

/**
 * Leaves the memory of a sealed segment: it is given back when nobody holds the segment any more. Only
 * for a batch as `sealColumns` made it, once.
 */
export function releaseBatch(batch: ColumnBatch, memory: SegmentMemory): void {
  for (const column of batch.columns) releaseColumn(column, memory);
}

function releaseColumn(column: Column, memory: SegmentMemory): void {
  for (const part of [column.validity, column.offsets, column.data]) {
    if (part !== null) memory.leave(part);
  }
  for (const child of column.children) releaseColumn(child, memory);
}
