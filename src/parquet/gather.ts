/**
 * Rows of several batches as one new batch: whole runs, or chosen rows of each.
 *
 * What crosses to another thread is copied anyway; here the copy is made of exactly the rows that a
 * file wants, at once, so that neither the rows of an Iceberg partition nor many small segments
 * become batches of their own before.
 */
import { assert } from "#base/assert.ts";
import { bitmapBytes, getBit, setBit } from "#columns/bitmap.ts";
import { hasOffsets, valueBytes } from "#columns/builder.ts";
import { childFields, type Field, type Type } from "#columns/schema.ts";
import type { BatchData, ColumnData } from "./columnData.ts";

/** Rows of one batch. */
export interface RowRun {
  readonly columns: readonly ColumnData[];
  /** Row numbers; null: all from `start` to `end`. */
  readonly rows: Int32Array | null;
  /** Within `rows`, or within the batch. */
  readonly start: number;
  readonly end: number;
}

/** The same rows of one column. */
interface ColumnRun {
  readonly column: ColumnData;
  readonly rows: Int32Array | null;
  readonly start: number;
  readonly end: number;
}

/** What a batch's memory grows by when its bytes were guessed too low. */
const PIECE_BYTES = 64 * 1024;

/** Strings from this length on are copied by the runtime, shorter ones byte by byte. */
const BULK_BYTES = 48;

/** Memory for the buffers of one batch: a few large pieces cross to a thread faster than many small. */
class Memory {
  readonly buffers: ArrayBuffer[] = [];
  #used = 0;

  constructor(bytes: number) {
    this.buffers.push(new ArrayBuffer(bytes));
  }

  /** Zeroed bytes, aligned to 8. */
  take(bytes: number): { readonly buffer: ArrayBuffer; readonly offset: number } {
    const last = this.buffers.at(-1);
    const offset = this.#used;
    if (last !== undefined && offset + bytes <= last.byteLength) {
      this.#used = (offset + bytes + 7) & ~7;
      return { buffer: last, offset };
    }
    this.buffers.push(new ArrayBuffer(Math.max(bytes, PIECE_BYTES)));
    this.#used = 0;
    return this.take(bytes);
  }

  bytes(length: number): Uint8Array {
    const { buffer, offset } = this.take(length);
    return new Uint8Array(buffer, offset, length);
  }

  words(length: number): Int32Array {
    const { buffer, offset } = this.take(4 * length);
    return new Int32Array(buffer, offset, length);
  }
}

/**
 * Copies the rows of all runs, in order; `buffers` hold nothing but the copy.
 * @param bytes about as many as the copy will take
 */
export function gather(
  fields: readonly Field[],
  runs: readonly RowRun[],
  bytes: number,
): { readonly batch: BatchData; readonly buffers: ArrayBuffer[] } {
  const memory = new Memory(bytes);
  const rowCount = runs.reduce((sum, run) => sum + run.end - run.start, 0);
  const columns = fields.map((field, index) => {
    const parts = runs.map(({ columns: from, rows, start, end }) => {
      const column = from[index];
      assert(column !== undefined, `column ${field.name} is there`);
      return { column, rows, start, end };
    });
    return gatherColumn(memory, field.type, parts, rowCount);
  });
  const { buffers } = memory;
  const byteCount = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { batch: { rowCount, columns, byteCount }, buffers };
}

function gatherColumn(
  memory: Memory,
  type: Type,
  runs: readonly ColumnRun[],
  length: number,
): ColumnData {
  const validity = gatherValidity(memory, runs, length);
  const common = { length, nullCount: validity.nullCount, validity: validity.bits };
  if (hasOffsets(type)) {
    const offsets = gatherOffsets(memory, runs, length);
    if (type.kind === "string" || type.kind === "binary") {
      const data = gatherBytes(memory, runs, offsets[length] ?? 0);
      return { ...common, offsets, data, children: [] };
    }
    const elements = runs.map(elementsOf);
    const children = gatherChildren(memory, type, runs, elements, offsets[length] ?? 0);
    return { ...common, offsets, data: null, children };
  }
  if (type.kind === "struct") {
    const children = gatherChildren(memory, type, runs, runs, length);
    return { ...common, offsets: null, data: null, children };
  }
  const data =
    type.kind === "boolean"
      ? gatherBits(memory, runs, (column) => column.data, length).bits
      : gatherFixed(memory, runs, valueBytes(type), length);
  return { ...common, offsets: null, data, children: [] };
}

/** @param below which rows of the children belong to each run */
function gatherChildren(
  memory: Memory,
  type: Type,
  runs: readonly ColumnRun[],
  below: readonly Omit<ColumnRun, "column">[],
  length: number,
): ColumnData[] {
  return childFields(type).map((field, index) => {
    const parts = runs.map((run, at) => {
      const column = run.column.children[index];
      const rows = below[at];
      assert(column !== undefined && rows !== undefined, `child ${field.name} is there`);
      return { column, rows: rows.rows, start: rows.start, end: rows.end };
    });
    return gatherColumn(memory, field.type, parts, length);
  });
}

function gatherValidity(
  memory: Memory,
  runs: readonly ColumnRun[],
  length: number,
): { readonly bits: Uint8Array | null; readonly nullCount: number } {
  if (runs.every(({ column }) => column.nullCount === 0)) return { bits: null, nullCount: 0 };
  const { bits, set } = gatherBits(memory, runs, (column) => column.validity, length);
  const nullCount = length - set;
  return { bits: nullCount === 0 ? null : bits, nullCount };
}

/** Bits of the rows; where a column has no bitmap, all are set. */
function gatherBits(
  memory: Memory,
  runs: readonly ColumnRun[],
  of: (column: ColumnData) => Uint8Array | null,
  length: number,
): { readonly bits: Uint8Array; readonly set: number } {
  const bits = memory.bytes(bitmapBytes(length));
  let at = 0;
  let set = 0;
  for (const { column, rows, start, end } of runs) {
    const from = of(column);
    for (let row = start; row < end; row++, at++) {
      if (from !== null && !getBit(from, rows === null ? row : (rows[row] as number))) continue;
      setBit(bits, at);
      set++;
    }
  }
  return { bits, set };
}

function gatherFixed(
  memory: Memory,
  runs: readonly ColumnRun[],
  width: number,
  length: number,
): Uint8Array {
  const to = memory.bytes(length * width);
  let at = 0;
  for (const { column, rows, start, end } of runs) {
    const from = column.data;
    assert(from !== null, "a column of values has data");
    if (rows === null) to.set(from.subarray(start * width, end * width), at);
    else if (width % 4 === 0 && from.byteOffset % 4 === 0) {
      pickWords(from, rows, start, end, to.subarray(at), width >> 2);
    } else {
      for (let row = start, next = at; row < end; row++, next += width) {
        const first = (rows[row] as number) * width;
        for (let byte = 0; byte < width; byte++) to[next + byte] = from[first + byte] as number;
      }
    }
    at += (end - start) * width;
  }
  return to;
}

function pickWords(
  data: Uint8Array,
  rows: Int32Array,
  start: number,
  end: number,
  bytes: Uint8Array,
  perValue: number,
): void {
  const from = new Int32Array(data.buffer, data.byteOffset, data.length >> 2);
  const to = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  for (let row = start, at = 0; row < end; row++) {
    const first = (rows[row] as number) * perValue;
    for (let word = 0; word < perValue; word++) to[at++] = from[first + word] as number;
  }
}

function gatherOffsets(memory: Memory, runs: readonly ColumnRun[], length: number): Int32Array {
  const to = memory.words(length + 1);
  let at = 0;
  for (const { column, rows, start, end } of runs) {
    const from = column.offsets;
    assert(from !== null, "a column of variable length has offsets");
    for (let index = start; index < end; index++, at++) {
      const row = rows === null ? index : (rows[index] as number);
      to[at + 1] = (to[at] as number) + (from[row + 1] as number) - (from[row] as number);
    }
  }
  return to;
}

function gatherBytes(memory: Memory, runs: readonly ColumnRun[], total: number): Uint8Array {
  const to = memory.bytes(total);
  let at = 0;
  for (const { column, rows, start, end } of runs) {
    const { data, offsets } = column;
    assert(data !== null && offsets !== null, "a column of strings has data and offsets");
    if (rows === null) {
      const bytes = data.subarray(offsets[start], offsets[end]);
      to.set(bytes, at);
      at += bytes.length;
      continue;
    }
    for (let index = start; index < end; index++) {
      const row = rows[index] as number;
      const first = offsets[row] as number;
      const last = offsets[row + 1] as number;
      if (last - first < BULK_BYTES) {
        for (let byte = first; byte < last; byte++) to[at++] = data[byte] as number;
      } else {
        to.set(data.subarray(first, last), at);
        at += last - first;
      }
    }
  }
  return to;
}

/** The elements of a run's lists. */
function elementsOf({ column, rows, start, end }: ColumnRun): Omit<ColumnRun, "column"> {
  const { offsets } = column;
  assert(offsets !== null, "a list has offsets");
  if (rows === null) {
    return { rows: null, start: offsets[start] as number, end: offsets[end] as number };
  }
  let count = 0;
  for (let index = start; index < end; index++) {
    const row = rows[index] as number;
    count += (offsets[row + 1] as number) - (offsets[row] as number);
  }
  const elements = new Int32Array(count);
  for (let index = start, at = 0; index < end; index++) {
    const row = rows[index] as number;
    const last = offsets[row + 1] as number;
    for (let element = offsets[row] as number; element < last; element++) elements[at++] = element;
  }
  return { rows: elements, start: 0, end: count };
}
