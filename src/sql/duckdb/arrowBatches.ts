/**
 * Arrow's C structs, as DuckDB fills them, copied into record batches, and those as an IPC stream: what pyarrow,
 * polars and DuckDB read. https://arrow.apache.org/docs/format/Columnar.html
 */
import { CFunction, CString, type Pointer, read, toArrayBuffer } from "bun:ffi";
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  Date_,
  DateUnit,
  Decimal,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  makeData,
  Null,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Time,
  Timestamp,
  TimeUnit,
  tableToIPC,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";

/** Bytes of an `ArrowSchema`. */
export const ARROW_SCHEMA_BYTES = 72;
/** Bytes of an `ArrowArray`. */
export const ARROW_ARRAY_BYTES = 80;
const NULLABLE = 2n;
const SCHEMA = {
  format: 0,
  name: 8,
  flags: 24,
  childCount: 32,
  children: 40,
  dictionary: 48,
  release: 56,
};
const ARRAY = { length: 0, offset: 16, buffers: 40, children: 48, release: 64 };

/** Batches of one schema. */
export class ArrowBatches {
  readonly #schema: Schema;
  readonly #batches: RecordBatch[] = [];
  bytes = 0;
  rows = 0;

  /** @param schema address of an `ArrowSchema`; not needed afterwards */
  constructor(schema: Pointer) {
    this.#schema = new Schema(childrenOf(schema, SCHEMA.childCount, SCHEMA.children).map(fieldOf));
  }

  /** Copies an `ArrowArray`. */
  add(array: Pointer): void {
    const length = wordAt(array, ARRAY.length);
    const children = this.#schema.fields.map((field, at) => dataOf(field.type, childAt(array, at)));
    const data = makeData({ type: new Struct(this.#schema.fields), length, children });
    const batch = new RecordBatch(this.#schema, data);
    this.#batches.push(batch);
    this.rows += length;
    this.bytes += children.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** As a stream: schema, batches, end. */
  toBytes(): Uint8Array {
    return tableToIPC(new Table(this.#schema, this.#batches), "stream");
  }
}

/** Gives the struct at an address back to those who made it. */
export function releaseArrow(struct: Pointer, kind: "schema" | "array"): void {
  const release = read.ptr(struct, kind === "schema" ? SCHEMA.release : ARRAY.release);
  if (release === 0) return;
  const known = releases.get(release);
  const call = known ?? CFunction({ ptr: release as Pointer, args: ["ptr"], returns: "void" });
  releases.set(release, call);
  call(struct);
}

/** Functions of DuckDB's that give structs back: a few, each asked for every chunk of an answer. */
const releases = new Map<number, ReturnType<typeof CFunction>>();

/** The memory of a column, where it lies. */
export interface ColumnMemory {
  readonly length: number;
  /** Null: every value is there. */
  readonly validity: Uint8Array | null;
  /** Of texts and bytes only; `length + 1` numbers of 32 bits. */
  readonly offsets: Uint8Array | null;
  readonly values: Uint8Array;
}

/**
 * A column of an `ArrowArray`, void once that is released.
 * @param width bytes of a value; null: texts or bytes
 */
export function columnMemory(array: Pointer, column: number, width: number | null): ColumnMemory {
  const child = childAt(array, column);
  const length = wordAt(child, ARRAY.length);
  assert(wordAt(child, ARRAY.offset) === 0, "an array of DuckDB begins at its first value");
  const validity = viewAt(bufferAt(child, 0), Math.ceil(length / 8));
  if (width !== null) {
    const values = viewAt(bufferAt(child, 1), width * length) ?? EMPTY;
    return { length, validity, offsets: null, values };
  }
  const offsets = viewAt(bufferAt(child, 1), 4 * (length + 1)) ?? new Uint8Array(4 * (length + 1));
  const bytes = new DataView(offsets.buffer, offsets.byteOffset).getInt32(4 * length, true);
  return { length, validity, offsets, values: viewAt(bufferAt(child, 2), bytes) ?? EMPTY };
}

function fieldOf(schema: Pointer): Field {
  const name = new CString(addressAt(schema, SCHEMA.name)).toString();
  return new Field(name, typeOf(schema), (read.i64(schema, SCHEMA.flags) & NULLABLE) !== 0n);
}

const PLAIN: Readonly<Record<string, () => DataType>> = {
  n: () => new Null(),
  b: () => new Bool(),
  c: () => new Int8(),
  C: () => new Uint8(),
  s: () => new Int16(),
  S: () => new Uint16(),
  i: () => new Int32(),
  I: () => new Uint32(),
  l: () => new Int64(),
  L: () => new Uint64(),
  f: () => new Float32(),
  g: () => new Float64(),
  u: () => new Utf8(),
  z: () => new Binary(),
  tdD: () => new Date_(DateUnit.DAY),
  ttu: () => new Time(TimeUnit.MICROSECOND, 64),
};
const UNITS: Readonly<Record<string, TimeUnit>> = {
  s: TimeUnit.SECOND,
  m: TimeUnit.MILLISECOND,
  u: TimeUnit.MICROSECOND,
  n: TimeUnit.NANOSECOND,
};

function typeOf(schema: Pointer): DataType {
  const format = new CString(addressAt(schema, SCHEMA.format)).toString();
  const isDictionary = read.ptr(schema, SCHEMA.dictionary) !== 0;
  const plain = PLAIN[format];
  if (plain !== undefined && !isDictionary) return plain();
  const [kind = "", rest = ""] = format.split(/:(.*)/);
  const children = childrenOf(schema, SCHEMA.childCount, SCHEMA.children).map(fieldOf);
  const nested = nestedOf(kind, children, Number(rest));
  if (nested !== null) return nested;
  if (kind === "w") return new FixedSizeBinary(Number(rest));
  const [precision = 0, scale = 0, width = 128] = rest.split(",").map(Number);
  if (kind === "d" && width === 128) return new Decimal(scale, precision, 128);
  const unit = UNITS[kind.slice(2)];
  if (kind.startsWith("ts") && unit !== undefined) {
    return new Timestamp(unit, rest === "" ? null : rest);
  }
  throw fail(
    "query_engine",
    `An Arrow answer has no column of format ${format}: cast it to VARCHAR`,
  );
}

/** Null: the format is not one of a type with children. */
function nestedOf(kind: string, children: Field[], size: number): DataType | null {
  const [first] = children;
  if (kind === "+s") return new Struct(children);
  if (first === undefined) return null;
  if (kind === "+l") return new List(first);
  if (kind === "+m") return new Map_(first as never, false);
  return kind === "+w" ? new FixedSizeList(size, first) : null;
}

function dataOf(type: DataType, array: Pointer): Data {
  const length = wordAt(array, ARRAY.length);
  assert(wordAt(array, ARRAY.offset) === 0, "an array of DuckDB begins at its first value");
  const nullBitmap = bytesAt(bufferAt(array, 0), Math.ceil(length / 8));
  const of = { length, ...(nullBitmap === null ? { nullCount: 0 } : { nullBitmap }) };
  const make = (props: object): Data => makeData({ type, ...of, ...props } as never);
  if (type instanceof Null) return makeData({ type, length });
  if (type instanceof Struct) {
    return make({
      children: type.children.map((field, at) => dataOf(field.type, childAt(array, at))),
    });
  }
  if (type instanceof FixedSizeList) {
    return make({ child: dataOf(type.valueType, childAt(array, 0)) });
  }
  if (type instanceof List || type instanceof Map_) {
    const child = dataOf(type.children[0]?.type as DataType, childAt(array, 0));
    return make({ valueOffsets: offsetsAt(array, length), child });
  }
  if (type instanceof Utf8 || type instanceof Binary) {
    const valueOffsets = offsetsAt(array, length);
    const data = bytesAt(bufferAt(array, 2), valueOffsets[length] ?? 0) ?? EMPTY;
    return make({ valueOffsets, data });
  }
  return make({ data: valuesAt(array, type, length) });
}

const EMPTY = new Uint8Array(0);

function valuesAt(array: Pointer, type: DataType, length: number): NodeJS.TypedArray {
  if (type instanceof Bool) return bytesAt(bufferAt(array, 1), Math.ceil(length / 8)) ?? EMPTY;
  const { ArrayType } = type as {
    readonly ArrayType: new (bytes: ArrayBuffer) => NodeJS.TypedArray;
  };
  const width = type instanceof FixedSizeBinary ? type.byteWidth : widthOf(type);
  return new ArrayType((bytesAt(bufferAt(array, 1), width * length) ?? EMPTY).slice().buffer);
}

/** Bytes of a value; a type's own array tells, but for decimals, which are four words. */
function widthOf(type: DataType): number {
  if (type instanceof Decimal) return 16;
  const { ArrayType } = type as unknown as { readonly ArrayType: { BYTES_PER_ELEMENT: number } };
  return ArrayType.BYTES_PER_ELEMENT;
}

function offsetsAt(array: Pointer, length: number): Int32Array {
  const bytes = bytesAt(bufferAt(array, 1), 4 * (length + 1));
  return bytes === null ? new Int32Array(length + 1) : new Int32Array(bytes.buffer);
}

/** A copy; null: there is no such buffer. */
function bytesAt(address: number, length: number): Uint8Array<ArrayBuffer> | null {
  return viewAt(address, length)?.slice() ?? null;
}

function viewAt(address: number, length: number): Uint8Array<ArrayBuffer> | null {
  if (address === 0 || length === 0) return null;
  return new Uint8Array(toArrayBuffer(address as Pointer, 0, length));
}

function bufferAt(array: Pointer, at: number): number {
  return read.ptr(addressAt(array, ARRAY.buffers), 8 * at);
}

function childAt(array: Pointer, at: number): Pointer {
  return addressAt(addressAt(array, ARRAY.children), 8 * at);
}

function childrenOf(struct: Pointer, count: number, children: number): Pointer[] {
  return Array.from({ length: wordAt(struct, count) }, (_, at) =>
    addressAt(addressAt(struct, children), 8 * at),
  );
}

function addressAt(struct: Pointer, at: number): Pointer {
  return read.ptr(struct, at) as Pointer;
}

function wordAt(struct: Pointer, at: number): number {
  return Number(read.i64(struct, at));
}
