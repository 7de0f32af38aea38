/**
 * Where lent rows lie in this process's memory, so that another process can read them there
 * (`borrow.ts`). Nothing is looked at, and nothing copied.
 */
import { ptr } from "bun:ffi";
import type { LentSegment } from "#buffer/lease.ts";
import type { LiveColumn } from "#columns/live.ts";

/** Addresses of a column's buffers; 0: there is none, or nothing in it. Its field says which it has. */
export interface ColumnPlace {
  readonly validity: number;
  readonly offsets: number;
  readonly data: number;
  readonly children: readonly ColumnPlace[];
}

/** Rows of a segment that may be read, and where. */
export interface PartPlace {
  readonly rowCount: number;
  readonly columns: readonly ColumnPlace[];
}

/** Of a segment as it is now: the rows that are finished. To be kept lent for as long as it is read. */
export function placeOf({ columns, watermark }: LentSegment): PartPlace {
  return { rowCount: Atomics.load(watermark, 0), columns: columns.map(placeOfColumn) };
}

function placeOfColumn({ validity, offsets, data, children }: LiveColumn): ColumnPlace {
  return {
    validity: addressOf(validity),
    offsets: addressOf(offsets),
    data: addressOf(data),
    children: children.map(placeOfColumn),
  };
}

function addressOf(memory: NodeJS.TypedArray | null): number {
  return memory === null || memory.byteLength === 0 ? 0 : Number(ptr(memory));
}
