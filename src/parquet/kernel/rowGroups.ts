/**
 * Batches as row groups: rows of batches that are kept by reference until a group is whole.
 */
import type { BatchSource } from "#parquet/columnData.ts";
import type { RowRange } from "./pieces.ts";

/** Bytes of columns at which a row group ends before it has its rows: bounds what is kept. */
const ROW_GROUP_BYTES_MAX = 32 * 1024 * 1024;

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
        Math.floor((ROW_GROUP_BYTES_MAX - bytes) / Math.max(1, rowBytes)),
      );
      const taken = Math.min(batch.rowCount - start, rowsMax - rows, byBytes);
      group.push({ batch, start, end: start + taken });
      start += taken;
      rows += taken;
      bytes += taken * rowBytes;
      if (rows < rowsMax && bytes + rowBytes <= ROW_GROUP_BYTES_MAX) continue;
      yield group;
      group = [];
      rows = 0;
      bytes = 0;
    }
  }
  if (group.length > 0) yield group;
}
