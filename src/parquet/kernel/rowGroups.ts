/**
 * Batches as row groups: rows of batches that are kept by reference until a group is whole.
 */
import { LIMITS } from "#base/limits.ts";
import type { BatchSource } from "#parquet/columnData.ts";
import type { RowRange } from "./pieces.ts";

/** Row groups of at most `rowsMax` rows, and of about 32 MiB of columns unless one row has more. */
export async function* rowGroups(
  batches: BatchSource,
  rowsMax: number,
): AsyncGenerator<readonly RowRange[], void> {
  let group: RowRange[] = [];
  let rows = 0;
  let bytes = 0;
  for await (const batch of batches) {
    const rowBytes = batch.byteCount / Math.max(1, batch.rowCount);
    for (let start = 0; start < batch.rowCount; ) {
      const byBytes = Math.max(
        1,
        Math.floor((LIMITS.rowGroupBytesMax - bytes) / Math.max(1, rowBytes)),
      );
      const taken = Math.min(batch.rowCount - start, rowsMax - rows, byBytes);
      group.push({ batch, start, end: start + taken });
      start += taken;
      rows += taken;
      bytes += taken * rowBytes;
      if (rows < rowsMax && bytes + rowBytes <= LIMITS.rowGroupBytesMax) continue;
      yield group;
      group = [];
      rows = 0;
      bytes = 0;
    }
  }
  if (group.length > 0) yield group;
}
