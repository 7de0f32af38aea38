/**
 * Hands rows to another thread, a little at a time.
 *
 * The hot buffer keeps its columns, so they cannot be transferred; a structured clone would copy
 * them in one go, and every buffer to its full length. Copied here, only the rows and bytes that are
 * wanted go, the copies are transferred, and the event loop gets its turn after each megabyte.
 * Large batches whose buffers are shared already go as they are.
 */
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { bitmapBytes } from "#columns/bitmap.ts";
import { childFields, type Field, type Type } from "#columns/schema.ts";
import { type BatchData, type ColumnData, usedDataBytes } from "./columnData.ts";
import type { RowSlice } from "./encoder.ts";
import { gather, type RowRun } from "./gather.ts";

/** Copied before the event loop gets a turn: a millisecond or two. */
const TURN_BYTES = 1024 * 1024;

/** Smaller shared batches are copied into one: each costs the encoder a turn of its own. */
const SHARED_BYTES_MIN = 256 * 1024;

/** A batch for one message, with the buffers to transfer. */
export interface Parcel {
  readonly batches: readonly BatchData[];
  readonly transfer: ArrayBuffer[];
}

/** The rows of the slices, about 1 MiB a parcel; nothing is copied before it is asked for. */
export async function* parcels(
  fields: readonly Field[],
  slices: Iterable<RowSlice>,
  clock: Clock,
): AsyncGenerator<Parcel, void> {
  let runs: RowRun[] = [];
  let waiting = 0;
  const copied = (): Parcel => {
    const { batch, buffers } = gather(fields, runs, waiting);
    runs = [];
    waiting = 0;
    return { batches: [batch], transfer: buffers };
  };
  for (const slice of slices) {
    if (slice.rows === null && goesAsItIs(slice.batch)) {
      if (runs.length > 0) yield copied();
      yield shared(fields, slice.batch);
      continue;
    }
    for (const { run, bytes } of cut(slice.batch, slice.rows)) {
      if (runs.length > 0 && waiting + bytes > TURN_BYTES) {
        yield copied();
        await clock.turn();
      }
      runs.push(run);
      waiting += bytes;
    }
  }
  if (runs.length > 0) yield copied();
}

/** Every row of the slices as batches of about 1 MiB, for an encoder in the same thread. */
export function* batchesOf(
  fields: readonly Field[],
  slices: Iterable<RowSlice>,
): Generator<BatchData> {
  for (const { batch, rows } of slices) {
    if (rows === null) yield batch;
    else yield* picked(fields, batch, rows);
  }
}

/** Chosen rows of a batch as batches of about 1 MiB. */
export function* picked(
  fields: readonly Field[],
  batch: BatchData,
  rows: Int32Array,
): Generator<BatchData> {
  for (const { run, bytes } of cut(batch, rows)) yield gather(fields, [run], bytes).batch;
}

/** Runs of a slice of at most about {@link TURN_BYTES} each. */
function* cut(batch: BatchData, rows: RowSlice["rows"]): Generator<{ run: RowRun; bytes: number }> {
  const count = rows?.length ?? batch.rowCount;
  const rowBytes = batch.byteCount / Math.max(1, batch.rowCount);
  const step = Math.max(1, Math.floor(TURN_BYTES / Math.max(1, rowBytes)));
  for (let start = 0; start < count; start += step) {
    const end = Math.min(count, start + step);
    const run = { columns: batch.columns, rows, start, end };
    // The room between buffers and the ends of offsets come on top.
    yield { run, bytes: Math.ceil((end - start) * rowBytes) + 16 * batch.columns.length };
  }
}

function goesAsItIs(batch: BatchData): boolean {
  if (batch.byteCount < SHARED_BYTES_MIN) return false;
  return batch.columns.some(hasShared);
}

function hasShared({ validity, offsets, data, children }: ColumnData): boolean {
  return [validity, offsets, data].some(isShared) || children.some(hasShared);
}

function isShared(view: Uint8Array | Int32Array | null): boolean {
  return view !== null && view.buffer instanceof SharedArrayBuffer;
}

/** The batch's shared buffers, and copies of the few that are not. */
function shared(fields: readonly Field[], batch: BatchData): Parcel {
  const transfer: ArrayBuffer[] = [];
  const columns = fields.map((field, index) => {
    const column = batch.columns[index];
    assert(column !== undefined, `column ${field.name} is there`);
    return shareColumn(field.type, column, transfer);
  });
  const { rowCount, byteCount } = batch;
  return { batches: [{ rowCount, byteCount, columns }], transfer };
}

function shareColumn(type: Type, column: ColumnData, transfer: ArrayBuffer[]): ColumnData {
  const { length, nullCount, validity, offsets, data } = column;
  const children = childFields(type).map((field, index) => {
    const child = column.children[index];
    assert(child !== undefined, `child ${field.name} is there`);
    return shareColumn(field.type, child, transfer);
  });
  return {
    length,
    nullCount,
    validity: sharedBytes(validity, bitmapBytes(length), transfer),
    offsets: sharedBytes(offsets, length + 1, transfer),
    data: sharedBytes(data, usedDataBytes(type, column), transfer),
    children,
  };
}

/** The first `count` entries: shared memory as it is, anything else copied. */
function sharedBytes<T extends Uint8Array | Int32Array>(
  view: T | null,
  count: number,
  transfer: ArrayBuffer[],
): T | null {
  if (view === null || isShared(view)) return view;
  const copy = view.slice(0, count);
  transfer.push(copy.buffer as ArrayBuffer);
  return copy as T;
}
