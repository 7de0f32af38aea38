/**
 * Columns -> Arrow IPC, the form in which `parquet-wasm` takes them.
 *
 * The Arrow types are chosen so that the Parquet file has exactly the physical and logical types of
 * the Iceberg specification, Appendix A "Parquet"; `uuid` alone lacks its annotation, which
 * `footer.ts` adds. Field ids travel as `PARQUET:field_id`. Values are not copied here, only by the
 * IPC writer.
 */
import {
  Field as ArrowField,
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampNanosecond,
  Utf8,
} from "apache-arrow";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  type Type,
} from "#columns/schema.ts";
import { type BatchData, type ColumnData, usedDataBytes } from "./columnData.ts";

/** Bytes of columns in one IPC message: bounds what WASM memory holds beside the row group. */
const PIECE_BYTES_TARGET = 4 * 1024 * 1024;

/** The Arrow schema of a table's fields. Errors: `table_unsupported` for a struct of no fields. */
export function arrowSchema(fields: readonly Field[]): Schema {
  return new Schema(fields.map((field) => arrowField(field)));
}

/** The batch as Arrow IPC streams of one record batch each, about 4 MiB of columns a piece. */
export function* toIpcPieces(
  schema: Schema,
  fields: readonly Field[],
  batch: BatchData,
): Generator<Uint8Array> {
  const children = fields.map((field, index) => {
    const column = batch.columns[index];
    assert(column?.length === batch.rowCount, `column ${field.name} has the rows of its batch`);
    return arrowData(schema.fields[index]?.type, field, column);
  });
  const type = new Struct(schema.fields);
  const data = makeData({ type, length: batch.rowCount, nullCount: 0, children });
  const whole = new RecordBatch(schema, data);
  const pieces = Math.max(1, Math.ceil(batch.byteCount / PIECE_BYTES_TARGET));
  const pieceRows = Math.max(1, Math.ceil(batch.rowCount / pieces));
  for (let row = 0; row === 0 || row < batch.rowCount; row += pieceRows) {
    const piece = pieces === 1 ? whole : whole.slice(row, row + pieceRows);
    yield RecordBatchStreamWriter.writeAll([piece]).toUint8Array(true);
  }
}

function arrowField(field: Field, name = field.name): ArrowField {
  const metadata = new Map([["PARQUET:field_id", String(field.id)]]);
  return new ArrowField(name, arrowType(field), !field.required, metadata);
}

function arrowType(field: Field): DataType {
  const { type } = field;
  if (isPrimitive(type)) return arrowPrimitive(type);
  if (type.kind === "list") return new List(arrowField(type.element, "element"));
  if (type.kind === "map") {
    const pair = new Struct([arrowField(type.key, "key"), arrowField(type.value, "value")]);
    const entries = new ArrowField("key_value", pair, false);
    const map = new Map_(entries as never);
    // The constructor renamed it to `entries`; Parquet's specification says `key_value`.
    Object.assign(entries, { name: "key_value" });
    return map;
  }
  if (type.fields.length === 0) {
    throw fail("table_unsupported", "Parquet cannot hold a struct without fields", {
      column: field.name,
    });
  }
  return new Struct(type.fields.map((child) => arrowField(child)));
}

function arrowPrimitive(type: PrimitiveType): DataType {
  switch (type.kind) {
    case "boolean":
      return new Bool();
    case "int":
      return new Int32();
    case "long":
      return new Int64();
    case "float":
      return new Float32();
    case "double":
      return new Float64();
    case "decimal":
      return new Decimal(type.scale, type.precision, 128);
    case "date":
      return new DateDay();
    case "time":
      return new TimeMicrosecond();
    case "timestamp":
      return new TimestampMicrosecond(type.zone ? "UTC" : null);
    case "timestamp_ns":
      return new TimestampNanosecond(type.zone ? "UTC" : null);
    case "string":
      return new Utf8();
    case "uuid":
      return new FixedSizeBinary(16);
    case "fixed":
      return new FixedSizeBinary(type.length);
    case "binary":
      return new Binary();
  }
}

function arrowData(type: DataType | undefined, field: Field, column: ColumnData): Data {
  assert(type !== undefined, "the Arrow schema has every field");
  const nullBitmap = column.validity?.subarray(0, (column.length + 7) >> 3);
  const common = { type, length: column.length, nullCount: column.nullCount, nullBitmap };
  const children = arrowChildren(type, field.type, column);
  const valueOffsets = column.offsets?.subarray(0, column.length + 1);
  const data = column.data?.subarray(0, usedDataBytes(field.type, column));
  const parts = { ...common, valueOffsets, data: data && aligned(data), children };
  // A list's makeData takes `child`; one set of parts serves every type.
  return makeData({ ...parts, child: children[0] } as never);
}

/** A map's children are wrapped in its entries struct, as Arrow lays maps out. */
function arrowChildren(arrow: DataType, type: Type, column: ColumnData): Data[] {
  const fields = childFields(type);
  assert(column.children.length === fields.length, "a nested column has its type's children");
  const entries = type.kind === "map" ? arrow.children[0]?.type : undefined;
  const children = column.children.map((child, index) => {
    const field = fields[index];
    assert(field !== undefined, "each child has a field");
    return arrowData((entries ?? arrow).children[index]?.type, field, child);
  });
  if (entries === undefined) return children;
  const length = column.children[0]?.length ?? 0;
  return [makeData({ type: entries as Struct, length, nullCount: 0, children })];
}

/** The bytes at an offset that 8-byte values may be read from. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
}
