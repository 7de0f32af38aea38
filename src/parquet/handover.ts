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

/**
 * What one message shares, since each wakes a thread; but no more than went before it: slices may be made as
 * they are asked for, and a file ends by what has come of it.
 */
const MESSAGE_BYTES = 8 * 1024 * 1024;

/** A batch for one message, with the buffers to transfer. */
export interface Parcel {
  readonly batches: readonly BatchData[];
  readonly transfer: ArrayBuffer[];
}

/** The rows of the slices in order, about 1 MiB of copies a parcel; nothing is copied before it is asked for. */
export async function* parcels(
  fields: readonly Field[],
  slices: Iterable<RowSlice>,
  clock: Clock,
): AsyncGenerator<Parcel, void> {
  const load = new Load(fields);
  for (const part of partsOf(slices)) {
    if (!load.fits(part)) {
      const parcel = load.take();
      yield parcel;
      if (parcel.transfer.length > 0) await clock.turn();
    }
    load.add(part);
  }
  if (!load.isEmpty) yield load.take();
}

/** Of the rows to hand over: a batch that goes as it is, or a run of rows that is copied. */
type Part = { readonly bytes: number } & ({ readonly batch: BatchData } | { readonly run: RowRun });

function* partsOf(slices: Iterable<RowSlice>): Generator<Part> {
  for (const { batch, rows } of slices) {
    if (rows === null && goesAsItIs(batch)) yield { batch, bytes: batch.byteCount };
    else yield* cut(batch, rows);
  }
}

/** What the next parcel is made of: batches, or runs. */
class Load {
  readonly #fields: readonly Field[];
  #batches: BatchData[] = [];
  #runs: RowRun[] = [];
  #bytes = 0;
  /** Of the parcels before. */
  #handedBytes = 0;

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
  }

  get isEmpty(): boolean {
    return this.#batches.length + this.#runs.length === 0;
  }

  /** False when a part has to wait for the next parcel. */
  fits(part: Part): boolean {
    if (this.isEmpty) return true;
    const bytes = this.#bytes + part.bytes;
    const sharedMax = Math.min(MESSAGE_BYTES, this.#handedBytes);
    if ("batch" in part) return this.#runs.length === 0 && bytes <= sharedMax;
    return this.#batches.length === 0 && bytes <= TURN_BYTES;
  }

  add(part: Part): void {
    if ("batch" in part) this.#batches.push(part.batch);
    else this.#runs.push(part.run);
    this.#bytes += part.bytes;
  }

  take(): Parcel {
    const [batches, runs, bytes] = [this.#batches, this.#runs, this.#bytes];
    this.#batches = [];
    this.#runs = [];
    this.#bytes = 0;
    this.#handedBytes += bytes;
    if (runs.length > 0) {
      const { batch, buffers } = gather(this.#fields, runs, bytes);
      return { batches: [batch], transfer: buffers };
    }
    const transfer: ArrayBuffer[] = [];
    return { batches: batches.map((batch) => shared(this.#fields, batch, transfer)), transfer };
  }
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

/** The batch's shared buffers, and copies of the few that are not, which are to be transferred. */
function shared(fields: readonly Field[], batch: BatchData, transfer: ArrayBuffer[]): BatchData {
  const columns = fields.map((field, index) => {
    const column = batch.columns[index];
    assert(column !== undefined, `column ${field.name} is there`);
    return shareColumn(field.type, column, transfer);
  });
  const { rowCount, byteCount } = batch;
  return { rowCount, byteCount, columns };
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
