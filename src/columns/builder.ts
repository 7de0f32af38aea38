/**
 * Growable Arrow-layout columns: what a decoder appends to, one value at a time.
 *
 * One class for every type, so that the decoder's loop sees one object shape only. A nested column
 * holds its children as builders. Whoever appends to a struct, list or map appends to the children
 * first and then ends the value (`endStruct`, `endList`).
 *
 * Taking back is `truncate`: to a row count, at any moment, also in the middle of a nested value.
 * That is how a rejected record, a duplicate key and a re-decoded batch leave no trace.
 *
 * Validity is Arrow's bitmap (1 = present), made at the first null; its bits behind the values so far
 * are ones: present values pay nothing for it. Buffers start at a few bytes, and grow geometrically.
 *
 * Values are only ever written behind those that are there, and a buffer that is too small is left as it is
 * for a larger copy (`SegmentMemory`): what others read below a row count that was published does not change.
 */

import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { Column, ColumnBatch } from "./batch.ts";
import { bitmapBytes, clearBit, clearBits, countBits, joinBits, setBit } from "./bitmap.ts";
import { bytesOf, copyInto } from "./buffers.ts";
import { childFields, type Field, type Type, withChildFields } from "./schema.ts";
import { SegmentMemory } from "./segmentMemory.ts";
import type { ColumnSize } from "./size.ts";

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);
const NO_DOUBLES = new Float64Array(0);
const ROWS_FIRST = 16;
const ALL_ONES = 255;

/** Bytes per value; 0 for bit-packed, variable-length and nested columns. */
export function valueBytes(type: Type): number {
  switch (type.kind) {
    case "int":
    case "float":
    case "date":
      return 4;
    case "long":
    case "double":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return 8;
    case "decimal":
    case "uuid":
      return 16;
    case "fixed":
      return type.length;
    default:
      return 0;
  }
}

/** True for columns with offsets. */
export function hasOffsets(type: Type): boolean {
  return (
    type.kind === "string" || type.kind === "binary" || type.kind === "list" || type.kind === "map"
  );
}

/** A column under construction. Members are open to the decoder's loop, to nobody else. */
export class ColumnBuilder {
  field: Field;
  /** Values appended. */
  length = 0;
  /** Bytes of `data` in use, for string and binary. */
  dataLength = 0;
  data: Uint8Array = NO_BYTES;
  /** The same memory as `data`, as 32-bit words. Empty unless the width is a multiple of 4. */
  words: Int32Array = NO_WORDS;
  /** The same memory as `data`, for float and double. */
  floats: Float32Array | Float64Array = NO_DOUBLES;
  offsets: Int32Array = NO_WORDS;
  readonly children: ColumnBuilder[];
  readonly width: number;
  private readonly memory: SegmentMemory;
  private nullCount = 0;
  /** Empty while there is no null. */
  validity: Uint8Array = NO_BYTES;
  /** Values that fit without growing. */
  private capacity = 0;

  /** @param memory of the segment that the column belongs to; default: its own */
  constructor(field: Field, memory: SegmentMemory = new SegmentMemory()) {
    this.field = field;
    this.memory = memory;
    this.width = valueBytes(field.type);
    this.children = childFields(field.type).map((child) => new ColumnBuilder(child, memory));
    if (hasOffsets(field.type)) this.offsets = new Int32Array(1);
  }

  /** Bytes of memory that this column holds, children included. */
  get byteCount(): number {
    let total = this.data.byteLength + this.offsets.byteLength + this.validity.byteLength;
    for (const child of this.children) total += child.byteCount;
    return total;
  }

  /** Bytes of its values so far, children included. */
  get usedBytes(): number {
    let total = this.dataLength + this.length * this.width;
    if (this.offsets !== NO_WORDS) total += 4 * this.length;
    for (const child of this.children) total += child.usedBytes;
    return total;
  }

  /** Makes room for a little more than these sizes, perhaps of another type; only before anything is appended. */
  reserve({ length, dataBytes, children }: ColumnSize): void {
    const isText = this.offsets !== NO_WORDS && this.children.length === 0;
    if (length > 0) this.growRows(length + (length >> 4));
    if (isText && dataBytes > 0) this.growData(dataBytes + (dataBytes >> 4));
    for (const child of children) {
      this.children.find((each) => each.field.name === child.name)?.reserve(child);
    }
  }

  /** Appends a null, also to the children of a struct. */
  appendNull(): void {
    this.appendNulls(1);
  }

  /** Appends `count` nulls: columns added later are null in the rows before. */
  appendNulls(count: number): void {
    const end = this.length + count;
    if (end > this.capacity) this.growRows(end);
    if (count > 0) this.beginValidity(end);
    for (let row = this.length; row < end; row++) clearBit(this.validity, row);
    this.nullCount += count;
    const { kind } = this.field.type;
    if (kind === "struct") for (const child of this.children) child.appendNulls(count);
    else if (this.offsets !== NO_WORDS) {
      this.offsets.fill(this.offsets[this.length] as number, this.length + 1, end + 1);
    } else if (this.width > 0) this.data.fill(0, this.length * this.width, end * this.width);
    else for (let row = this.length; row < end; row++) clearBit(this.data, row);
    this.length = end;
  }

  /** Appends a boolean. */
  appendBoolean(value: boolean): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    if (value) setBit(this.data, this.length);
    else clearBit(this.data, this.length);
    this.length++;
  }

  /** Appends an int or date. */
  appendInt(value: number): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    this.words[this.length++] = value;
  }

  /** Appends a 64-bit integer from its halves (long, time, timestamps). */
  appendLong(low: number, high: number): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    const at = this.length << 1;
    this.words[at] = low;
    this.words[at + 1] = high;
    this.length++;
  }

  /**
   * Appends a 64-bit integer that a double holds exactly.
   * @param value integral, below 2^53 in magnitude
   */
  appendSafeLong(value: number): void {
    const high = Math.floor(value / 0x1_0000_0000);
    // Kept within int32 while it is converted: out-of-range conversions are slow.
    const low = ((value - high * 0x1_0000_0000 - 0x8000_0000) | 0) ^ 0x8000_0000;
    this.appendLong(low, high);
  }

  /** Appends a float (must fit) or double. */
  appendFloat(value: number): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    this.floats[this.length++] = value;
  }

  /** Appends a two's complement integer of the column's width, little-endian (long, decimal). */
  appendBigInt(value: bigint): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    const perValue = this.width >> 2;
    let rest = value;
    for (let word = 0; word < perValue; word++) {
      this.words[this.length * perValue + word] = Number(BigInt.asIntN(32, rest));
      rest >>= 32n;
    }
    this.length++;
  }

  /** Appends `bytes[start, end)`: string, binary, or a fixed or uuid of exactly that width. */
  appendBytes(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (this.width > 0) {
      if (this.length === this.capacity) this.growRows(this.length + 1);
      copyInto.call(bytes, this.data, this.length * this.width, start, end);
      this.length++;
      return;
    }
    if (this.dataLength + size > this.data.length) this.growData(size);
    copyInto.call(bytes, this.data, this.dataLength, start, end);
    this.endBytes(this.dataLength + size);
  }

  /** Ends a string or binary value whose bytes were written to `data` up to `dataEnd`. */
  endBytes(dataEnd: number): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    this.dataLength = dataEnd;
    this.offsets[++this.length] = dataEnd;
  }

  /** Ends a list or map value: the children appended since the last one are its elements. */
  endList(): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    this.offsets[++this.length] = (this.children[0] as ColumnBuilder).length;
  }

  /** Ends a struct value; members not appended become null. */
  endStruct(): void {
    if (this.length === this.capacity) this.growRows(this.length + 1);
    this.length++;
    for (const child of this.children) if (child.length < this.length) child.appendNull();
  }

  /**
   * Appends `count` values that lie in Arrow layout already; children are appended to by themselves.
   * @param data the values at `[from, to)`; of booleans their bits, from bit `length % 8` on
   * @param ends string, binary, list, map: the end of each value, counted from the column's beginning
   * @param nullBits 1 = null, from bit `length % 8` on; null when there is none
   */
  appendRun(
    count: number,
    data: Uint8Array,
    from: number,
    to: number,
    ends: Int32Array | null,
    nullBits: Uint8Array | null,
    nullCount: number,
  ): void {
    const end = this.length + count;
    if (end > this.capacity) this.growRows(end);
    const size = to - from;
    if (size > 0) {
      if (this.width > 0) copyInto.call(data, this.data, this.length * this.width, from, to);
      else if (ends === null) joinBits(this.data, this.length, data.subarray(from, to));
      else {
        if (this.dataLength + size > this.data.length) this.growData(size);
        copyInto.call(data, this.data, this.dataLength, from, to);
        this.dataLength += size;
      }
    }
    if (ends !== null) this.offsets.set(ends, this.length + 1);
    if (nullBits !== null) {
      this.beginValidity(end);
      clearBits(this.validity, this.length, nullBits);
      this.nullCount += nullCount;
    }
    this.length = end;
  }

  /** Takes back everything after the first `length` values, partly built ones included. */
  truncate(length: number): void {
    if (this.nullCount > 0 && this.length > length) {
      this.nullCount -= this.length - length - countBits(this.validity, length, this.length);
      for (let row = length; row < this.length; row++) setBit(this.validity, row);
    }
    if (this.length > length) this.length = length;
    const { kind } = this.field.type;
    if (this.offsets !== NO_WORDS) {
      const dataEnd = this.offsets[this.length] as number;
      this.dataLength = dataEnd;
      for (const child of this.children) child.truncate(dataEnd);
    } else if (kind === "struct") for (const child of this.children) child.truncate(this.length);
  }

  /** Makes room for `more` bytes of string or binary data. */
  growData(more: number): void {
    const needed = this.dataLength + more;
    if (needed > LIMITS.columnBytesMax) {
      throw fail("internal", "A column of one segment is over its size limit: seal earlier", {
        column: this.field.name,
      });
    }
    this.data = this.memory.grow(this.data, needed);
  }

  /**
   * Takes over fields of `field` that this column does not have yet, at every level, null in the
   * values so far. What is there keeps its type.
   */
  extend(field: Field): void {
    const { type } = this.field;
    const wanted = field.type;
    if (type.kind === "struct" && wanted.kind === "struct") {
      extendBuilders(this.children, wanted.fields, this.length, this.memory);
    } else if (type.kind === wanted.kind) {
      childFields(wanted).forEach((child, index) => {
        this.children[index]?.extend(child);
      });
    }
    const children = this.children.map((child) => child.field);
    this.field = { ...field, type: withChildFields(type, children) };
  }

  /** The column with the values so far; it stays as it is when more are appended. */
  seal(): Column {
    const { length, nullCount, field } = this;
    let data: Uint8Array | null = null;
    if (this.width > 0) data = this.data.subarray(0, length * this.width);
    else if (field.type.kind === "boolean") data = this.data.subarray(0, bitmapBytes(length));
    else if (field.type.kind === "string" || field.type.kind === "binary") {
      data = this.data.subarray(0, this.dataLength);
    }
    return {
      field,
      length,
      nullCount,
      validity: nullCount === 0 ? null : this.validity.subarray(0, bitmapBytes(length)),
      offsets: this.offsets === NO_WORDS ? null : this.offsets.subarray(0, length + 1),
      data,
      children: this.children.map((child) => child.seal()),
    };
  }

  /** Makes the bitmap at the first null; `end` values fit. */
  private beginValidity(end: number): void {
    if (this.validity !== NO_BYTES) return;
    const isStruct = this.field.type.kind === "struct";
    this.growValidity(isStruct ? end : this.capacity);
    // A struct has no other buffer: from now on its bitmap says how many values fit.
    if (isStruct) this.capacity = this.validity.length << 3;
  }

  private growValidity(rows: number): void {
    const { length } = this.validity;
    if (bitmapBytes(rows) <= length) return;
    this.validity = this.memory.grow(this.validity, bitmapBytes(rows)).fill(ALL_ONES, length);
  }

  private growRows(needed: number): void {
    const { type } = this.field;
    if (type.kind === "struct") {
      const hasNulls = this.validity !== NO_BYTES;
      if (hasNulls) this.growValidity(needed);
      this.capacity = hasNulls ? this.validity.length << 3 : Number.POSITIVE_INFINITY;
      return;
    }
    if (this.width > 0) {
      this.data = this.memory.grow(this.data, Math.max(needed, ROWS_FIRST) * this.width);
      this.capacity = Math.floor(this.data.length / this.width);
      this.setViews(type);
    } else if (type.kind === "boolean") {
      this.data = this.memory.grow(this.data, bitmapBytes(needed));
      this.capacity = this.data.length << 3;
    } else {
      const bytes = this.memory.grow(bytesOf(this.offsets), (Math.max(needed, ROWS_FIRST) + 1) * 4);
      this.offsets = new Int32Array(bytes.buffer);
      this.capacity = this.offsets.length - 1;
    }
    if (this.validity !== NO_BYTES) this.growValidity(this.capacity);
  }

  private setViews(type: Type): void {
    const { buffer } = this.data;
    if (type.kind === "double") this.floats = new Float64Array(buffer);
    else if (type.kind === "float") this.floats = new Float32Array(buffer);
    else if (type.kind !== "fixed") this.words = new Int32Array(buffer);
  }
}

/** Adds builders for the fields that are not there by name; `length` is the rows so far. */
export function extendBuilders(
  builders: ColumnBuilder[],
  fields: readonly Field[],
  length: number,
  memory?: SegmentMemory,
): void {
  for (const field of fields) {
    const known = builders.find((builder) => builder.field.name === field.name);
    if (known !== undefined) known.extend(field);
    else {
      const added = new ColumnBuilder(field, memory);
      added.appendNulls(length);
      builders.push(added);
    }
  }
}

/** The rows of a segment so far; nothing that is in it changes when more are appended. */
export function sealColumns(builders: readonly ColumnBuilder[], rowCount: number): ColumnBatch {
  const columns = builders.map((builder) => builder.seal());
  return {
    fields: columns.map((column) => column.field),
    rowCount,
    columns,
    byteCount: builders.reduce((total, builder) => total + builder.byteCount, 0),
  };
}
