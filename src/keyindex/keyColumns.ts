/**
 * Key columns of rows that we hold, and of rows that lie in Parquet files of any engine, in the one form
 * that `keyHasher.ts` takes: the same value is the same bytes, wherever it comes from.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { Column, ColumnBatch } from "#columns/batch.ts";
import { getBit } from "#columns/bitmap.ts";
import type { PrimitiveType } from "#columns/schema.ts";
import type { StoredColumn, StoredValue } from "#parquet/readColumns.ts";
import { type KeyColumn, type KeyField, type KeyValues, keyKindOf } from "./keyHasher.ts";

/**
 * The key columns of a batch: by id, or by name where the table's column was dropped and made again since
 * the batch was begun.
 * @throws AppError `table_schema` when it lacks one: every row that is changed says its key
 */
export function keyColumnsOf(batch: ColumnBatch, fields: readonly KeyField[]): KeyColumn[] {
  return fields.map((field) => {
    const column =
      batch.columns.find((each) => each.field.id === field.id) ??
      batch.columns.find((each) => each.field.name === field.name);
    if (column !== undefined) return { values: valuesOf(column), nulls: nullsOf(column) };
    const sentence = `Rows of the table have no column ${field.name}, by which they are to be found`;
    throw fail("table_schema", sentence, { column: field.name });
  });
}

function valuesOf(column: Column): KeyValues {
  const { data, offsets, length, field } = column;
  assert(data !== null, "a key column has values");
  if (offsets !== null) return { kind: "bytes", offsets, data };
  switch (field.type.kind) {
    case "boolean":
      return wordsOf(length, (row) => (getBit(data, row) ? 1n : 0n));
    case "int":
    case "date": {
      const ints = new Int32Array(data.slice(0, 4 * length).buffer);
      // As halves: a 64-bit number for each row would be an object each.
      const halves = new Int32Array(2 * length);
      for (let row = 0; row < length; row++) {
        const int = ints[row] as number;
        halves[2 * row] = int;
        halves[2 * row + 1] = int >> 31;
      }
      return { kind: "word", words: new BigInt64Array(halves.buffer) };
    }
    case "decimal":
    case "uuid":
      return { kind: "pair", bytes: data };
    case "fixed":
      return fixedValues(length, field.type.length, (row, width) =>
        data.subarray(row * width, (row + 1) * width),
      );
    default:
      return { kind: "word", words: new BigInt64Array(data.slice(0, 8 * length).buffer) };
  }
}

function nullsOf({ validity, length, nullCount }: Column): Uint8Array | null {
  if (validity === null || nullCount === 0) return null;
  const nulls = new Uint8Array(length);
  for (let row = 0; row < length; row++) nulls[row] = getBit(validity, row) ? 0 : 1;
  return nulls;
}

/**
 * A key column of a Parquet file; `column` null: the file was written before the table had it.
 * @throws AppError `table_unsupported` for a representation that no engine uses for the type
 */
export function storedKeyColumn(
  column: StoredColumn | null,
  field: KeyField,
  rows: number,
  path: string,
): KeyColumn {
  if (column === null) return nullColumn(field, rows);
  const { values } = column;
  assert(values.length === rows, "a column has a value for each row");
  const { type } = field;
  if (column.isInt96 || !isStoredAs(type, values)) throw unreadable(field, path);
  const nulls = storedNulls(values);
  switch (keyKindOf(type)) {
    case "word":
      return { nulls, values: storedWords(column, type, () => unreadable(field, path)) };
    case "pair":
      return type.kind === "decimal"
        ? { nulls, values: storedDecimals(values) }
        : { nulls, values: fixedValues(rows, widthOf(type), (row) => asBytes(values[row])) };
    case "bytes":
      return { nulls, values: storedBytes(values) };
    case null:
      throw unreadable(field, path);
  }
}

/** A column has one physical type: its first value shows whether that is one of the type's. */
function isStoredAs(type: PrimitiveType, values: ArrayLike<StoredValue>): boolean {
  const first = Array.prototype.find.call(values, (value) => value != null) as StoredValue;
  if (first == null || type.kind === "decimal") return true;
  return (keyKindOf(type) === "word") !== first instanceof Uint8Array;
}

function nullColumn({ type }: KeyField, rows: number): KeyColumn {
  const nulls = new Uint8Array(rows).fill(1);
  switch (keyKindOf(type)) {
    case "word":
      return { nulls, values: { kind: "word", words: new BigInt64Array(rows) } };
    case "pair":
      return { nulls, values: { kind: "pair", bytes: new Uint8Array(16 * rows) } };
    default: {
      const offsets = new Int32Array(rows + 1);
      return { nulls, values: { kind: "bytes", offsets, data: new Uint8Array(0) } };
    }
  }
}

function storedNulls(values: ArrayLike<StoredValue>): Uint8Array | null {
  // Typed arrays hold no null.
  if (!Array.isArray(values)) return null;
  let nulls: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    if (values[row] != null) continue;
    nulls ??= new Uint8Array(values.length);
    nulls[row] = 1;
  }
  return nulls;
}

/** Integers; times are turned into the unit of the type. */
function storedWords(
  { values, unit }: StoredColumn,
  type: PrimitiveType,
  unreadable: () => Error,
): KeyValues {
  const isNanos = type.kind === "timestamp_ns";
  const isTime = isNanos || type.kind === "timestamp" || type.kind === "time";
  if (isTime && unit === "NANOS" && !isNanos) throw unreadable();
  if (isTime && unit === "MICROS" && isNanos) throw unreadable();
  if (isTime && unit === "MILLIS") {
    const factor = isNanos ? 1_000_000n : 1000n;
    return wordsOf(values.length, (row) => asWord(values[row]) * factor);
  }
  if (values instanceof BigInt64Array) return { kind: "word", words: values };
  return wordsOf(values.length, (row) => asWord(values[row]));
}

function wordsOf(count: number, valueAt: (row: number) => bigint): KeyValues {
  const words = new BigInt64Array(count);
  for (let row = 0; row < count; row++) words[row] = valueAt(row);
  return { kind: "word", words };
}

function asWord(value: StoredValue): bigint {
  if (typeof value === "bigint") return value;
  return typeof value === "number" || typeof value === "boolean" ? BigInt(value) : 0n;
}

/** Decimals as columns hold them: 16 bytes, two's complement, little endian. */
function storedDecimals(values: ArrayLike<StoredValue>): KeyValues {
  const bytes = new Uint8Array(16 * values.length);
  const view = new DataView(bytes.buffer);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (value instanceof Uint8Array) {
      const negative = ((value[0] ?? 0) & 0x80) !== 0;
      if (negative) bytes.fill(0xff, 16 * row, 16 * row + 16);
      const used = Math.min(value.length, 16);
      for (let n = 0; n < used; n++) bytes[16 * row + n] = value[value.length - 1 - n] ?? 0;
    } else {
      const word = asWord(value);
      view.setBigInt64(16 * row, word, true);
      view.setBigInt64(16 * row + 8, word >> 63n, true);
    }
  }
  return { kind: "pair", bytes };
}

/** Values of one width: padded to 16 bytes, or, when longer, as texts are. */
function fixedValues(
  count: number,
  width: number,
  valueAt: (row: number, width: number) => Uint8Array,
): KeyValues {
  if (width > 16) {
    const data = new Uint8Array(count * width);
    for (let row = 0; row < count; row++) data.set(valueAt(row, width), row * width);
    return {
      kind: "bytes",
      offsets: Int32Array.from({ length: count + 1 }, (_, n) => n * width),
      data,
    };
  }
  const bytes = new Uint8Array(16 * count);
  for (let row = 0; row < count; row++) bytes.set(valueAt(row, width).subarray(0, 16), 16 * row);
  return { kind: "pair", bytes };
}

function storedBytes(values: ArrayLike<StoredValue>): KeyValues {
  const offsets = new Int32Array(values.length + 1);
  for (let row = 0; row < values.length; row++) {
    offsets[row + 1] = (offsets[row] ?? 0) + asBytes(values[row]).length;
  }
  const data = new Uint8Array(offsets[values.length] ?? 0);
  for (let row = 0; row < values.length; row++) data.set(asBytes(values[row]), offsets[row]);
  return { kind: "bytes", offsets, data };
}

const NO_BYTES = new Uint8Array(0);

function asBytes(value: StoredValue): Uint8Array {
  return value instanceof Uint8Array ? value : NO_BYTES;
}

function widthOf(type: PrimitiveType): number {
  return type.kind === "fixed" ? type.length : 16;
}

function unreadable({ name, type }: KeyField, path: string): Error {
  const sentence = `Key column ${name} of ${path} is stored in a way that cannot be compared with our ${type.kind} values: rewrite the file with another engine`;
  return fail("table_unsupported", sentence, { column: name, file: path });
}
