/**
 * The end of a batch whose rows are elsewhere: its memory serves the next one.
 */
import type { Column, ColumnBatch } from "./batch.ts";
import { giveBack } from "./buffers.ts";

/**
 * Gives the memory of a sealed segment back. Only for a batch as `sealColumns` made it, once, when no
 * other thread and no view made from it (`conform`) is read any more.
 */
export function releaseBatch(batch: ColumnBatch): void {
  for (const column of batch.columns) releaseColumn(column);
}

function releaseColumn(column: Column): void {
  for (const part of [column.validity, column.offsets, column.data]) {
    if (part !== null) giveBack(part);
  }
  for (const child of column.children) releaseColumn(child);
}
