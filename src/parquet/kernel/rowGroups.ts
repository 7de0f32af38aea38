/**
 * Batches as row groups: rows of batches that are kept by reference until a group is whole.
 */
import type { BatchSource } from "#parquet/columnData.ts";
import { type EncodeOptions, ROW_GROUP_BYTES } from "#parquet/encoder.ts";
import type { RowRange } from "./pieces.ts";

/**
 * Bytes of columns for one byte of the file: as supposed for the first group, and the most that is
 * believed afterwards, since all columns of a group are kept until it is whole.
 */
const SHRINKS_FIRST = 2;
const SHRINKS_MAX = 4;

/** How large row groups become: by rows, and by encoded bytes as the groups before tell. */
export class RowGroupSize {
  readonly rowsMax: number;
  readonly #bytes: number;
  #shrinks = SHRINKS_FIRST;

  constructor(options: Pick<EncodeOptions, "rowGroupRows" | "rowGroupBytes">) {
    this.rowsMax = options.rowGroupRows;
    this.#bytes = options.rowGroupBytes ?? ROW_GROUP_BYTES;
  }

  /** Bytes of columns at which the next group is large enough. */
  get columnBytesMax(): number {
    return this.#bytes * this.#shrinks;
  }

  /** Takes note of what became of a group's columns. */
  learn(ranges: readonly RowRange[], encodedBytes: bigint): void {
    const bytes = ranges.reduce((sum, range) => sum + columnBytes(range), 0);
    const shrinks = bytes / Math.max(1, Number(encodedBytes));
    this.#shrinks = Math.min(SHRINKS_MAX, Math.max(1, shrinks));
  }
}

/** Row groups of the size, unless one row is larger. */
export async function* rowGroups(
  batches: BatchSource,
  size: Pick<RowGroupSize, "rowsMax" | "columnBytesMax">,
): AsyncGenerator<readonly RowRange[], void> {
  const { rowsMax } = size;
  let group: RowRange[] = [];
  let rows = 0;
  let bytes = 0;
  for await (const batch of batches) {
    const rowBytes = bytesPerRow(batch);
    for (let start = 0; start < batch.rowCount; ) {
      const { columnBytesMax } = size;
      const byBytes = Math.max(1, Math.floor((columnBytesMax - bytes) / Math.max(1, rowBytes)));
      const taken = Math.min(batch.rowCount - start, rowsMax - rows, byBytes);
      group.push({ batch, start, end: start + taken });
      start += taken;
      rows += taken;
      bytes += taken * rowBytes;
      if (rows < rowsMax && bytes + rowBytes <= columnBytesMax) continue;
      yield group;
      group = [];
      rows = 0;
      bytes = 0;
    }
  }
  if (group.length > 0) yield group;
}

function columnBytes({ batch, start, end }: RowRange): number {
  return bytesPerRow(batch) * (end - start);
}

function bytesPerRow({ byteCount, rowCount }: RowRange["batch"]): number {
  return byteCount / Math.max(1, rowCount);
}
