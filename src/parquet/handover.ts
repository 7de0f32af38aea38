/**
 * Copies batches for another thread, a little at a time.
 *
 * The hot buffer keeps its columns, so they cannot be transferred; a structured clone would copy
 * them in one go, and every buffer to its full length. Copied here, only the bytes that are used go,
 * the copies are transferred, and the event loop gets its turn after each megabyte or column.
 * Buffers that are shared already go as they are.
 */

import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { bitmapBytes } from "#columns/bitmap.ts";
import { childFields, type Field, type Type } from "#columns/schema.ts";
import { type BatchData, type ColumnData, usedDataBytes } from "./columnData.ts";

/** Copied before the event loop gets a turn: below a millisecond. */
const TURN_BYTES = 1024 * 1024;

/** Bytes of columns in one message, except for a larger single batch. */
const MESSAGE_BYTES_TARGET = 2 * 1024 * 1024;

/** Batches for one message, with the buffers to transfer. */
export interface Parcel {
  readonly batches: readonly BatchData[];
  readonly transfer: ArrayBuffer[];
}

/** Copies of the batches, about 2 MiB a parcel; nothing is copied before it is asked for. */
export async function* parcels(
  fields: readonly Field[],
  batches: Iterable<BatchData>,
  clock: Clock,
): AsyncGenerator<Parcel, void> {
  let copies: BatchData[] = [];
  let transfer: ArrayBuffer[] = [];
  let waiting = 0;
  for (const batch of batches) {
    copies.push(await copyBatch(fields, batch, transfer, clock));
    waiting += batch.byteCount;
    if (waiting < MESSAGE_BYTES_TARGET) continue;
    yield { batches: copies, transfer };
    copies = [];
    transfer = [];
    waiting = 0;
  }
  if (copies.length > 0) yield { batches: copies, transfer };
}

async function copyBatch(
  fields: readonly Field[],
  batch: BatchData,
  transfer: ArrayBuffer[],
  clock: Clock,
): Promise<BatchData> {
  const columns: ColumnData[] = [];
  let copied = 0;
  for (const [index, field] of fields.entries()) {
    const column = batch.columns[index];
    assert(column !== undefined, `column ${field.name} is there`);
    const first = transfer.length;
    columns.push(copyColumn(field.type, column, transfer));
    for (const buffer of transfer.slice(first)) copied += buffer.byteLength;
    if (copied < TURN_BYTES) continue;
    copied = 0;
    await clock.turn();
  }
  return { rowCount: batch.rowCount, byteCount: batch.byteCount, columns };
}

function copyColumn(type: Type, column: ColumnData, transfer: ArrayBuffer[]): ColumnData {
  const { length, nullCount, validity, offsets, data } = column;
  const children = childFields(type).map((field, index) => {
    const child = column.children[index];
    assert(child !== undefined, `child ${field.name} is there`);
    return copyColumn(field.type, child, transfer);
  });
  return {
    length,
    nullCount,
    validity: copyBytes(validity, bitmapBytes(length), transfer),
    offsets: copyBytes(offsets, length + 1, transfer),
    data: copyBytes(data, usedDataBytes(type, column), transfer),
    children,
  };
}

/** The first `count` entries: shared memory as it is, anything else copied. */
function copyBytes<T extends Uint8Array | Int32Array>(
  view: T | null,
  count: number,
  transfer: ArrayBuffer[],
): T | null {
  if (view === null || view.buffer instanceof SharedArrayBuffer) return view;
  const copy = view.slice(0, count);
  transfer.push(copy.buffer as ArrayBuffer);
  return copy as T;
}
