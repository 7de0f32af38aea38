/**
 * Column batches as apache-arrow record batches, sharing the memory: the one door to apache-arrow.
 *
 * Every field, nested ones included, carries its Iceberg field id as `PARQUET:field_id`, which
 * parquet-wasm writes into the Parquet schema.
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
  Schema,
  Struct,
  Table,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampNanosecond,
  tableToIPC,
  Utf8,
} from "apache-arrow";
import type { Column, ColumnBatch } from "./batch.ts";
import type { Field, PrimitiveType, Type } from "./schema.ts";

/** The Arrow schema of fields; field ids in `PARQUET:field_id`. */
export function toArrowSchema(fields: readonly Field[]): Schema {
  return new Schema(fields.map(toArrowField));
}

/** The rows of a batch as an Arrow record batch over the same buffers. */
export function toArrowBatch(batch: ColumnBatch): RecordBatch {
  const schema = toArrowSchema(batch.fields);
  const data = makeData({
    type: new Struct(schema.fields),
    length: batch.rowCount,
    nullCount: 0,
    children: batch.columns.map(toArrowData),
  });
  return new RecordBatch(schema, data);
}

/** Batches of the same fields as one Arrow IPC stream. */
export function toArrowStream(
  fields: readonly Field[],
  batches: readonly ColumnBatch[],
): Uint8Array {
  return tableToIPC(new Table(toArrowSchema(fields), batches.map(toArrowBatch)), "stream");
}

function toArrowField(field: Field): ArrowField {
  const metadata = new Map([["PARQUET:field_id", String(field.id)]]);
  return new ArrowField(field.name, toArrowType(field.type), !field.required, metadata);
}

function toArrowType(type: Type): DataType {
  switch (type.kind) {
    case "struct":
      return new Struct(type.fields.map(toArrowField));
    case "list":
      return new List(toArrowField(type.element));
    case "map": {
      const entries = new Struct([toArrowField(type.key), toArrowField(type.value)]);
      return new Map_(new ArrowField("key_value", entries, false) as never);
    }
    default:
      return toArrowPrimitive(type);
  }
}

function toArrowPrimitive(type: PrimitiveType): DataType {
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
    case "binary":
      return new Binary();
    case "uuid":
      return new FixedSizeBinary(16);
    case "fixed":
      return new FixedSizeBinary(type.length);
  }
}

function toArrowData(column: Column): Data {
  const { length, nullCount, validity, offsets } = column;
  const common = {
    length,
    nullCount,
    ...(validity === null ? {} : { nullBitmap: validity }),
    ...(offsets === null ? {} : { valueOffsets: offsets }),
  };
  const type = toArrowType(column.field.type);
  const children = column.children.map(toArrowData);
  switch (column.field.type.kind) {
    case "struct":
      return makeData({ ...common, type, children } as never);
    case "list":
      return makeData({ ...common, type, child: children[0] } as never);
    case "map": {
      const [key] = column.children;
      const entries = makeData({
        type: type.children[0]?.type,
        length: key?.length ?? 0,
        nullCount: 0,
        children,
      } as never);
      return makeData({ ...common, type, child: entries } as never);
    }
    default:
      return makeData({ ...common, type, data: valuesOf(column) } as never);
  }
}

/** A column's bytes as the typed array that apache-arrow expects for its type. */
function valuesOf({ field, data }: Column): unknown {
  const bytes = data ?? new Uint8Array(0);
  const { buffer, byteOffset, byteLength } = bytes;
  const { kind } = field.type;
  switch (kind) {
    case "int":
    case "date":
      return new Int32Array(buffer, byteOffset, byteLength >> 2);
    case "float":
      return new Float32Array(buffer, byteOffset, byteLength >> 2);
    case "double":
      return new Float64Array(buffer, byteOffset, byteLength >> 3);
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return new BigInt64Array(buffer, byteOffset, byteLength >> 3);
    case "decimal":
      return new Uint32Array(buffer, byteOffset, byteLength >> 2);
    default:
      return bytes;
  }
}
