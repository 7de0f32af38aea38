/**
 * Columns of the key from Kafka's key: all that a record without a value says about its row (SPEC section
 * 6, `source.key_field` and `source.key_format`).
 *
 * A JSON key is an object with the key's fields, or, with Connect's schemas, has them in `payload`. A text,
 * bytes, or a number as Kafka's own serializers write it are the one column of the key. Keys with schemas of
 * a registry are read as values are.
 */
import { assert } from "#base/assert.ts";
import { strictUtf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { widestOf } from "#columns/evolve.ts";
import { type Field, isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import { Aside } from "./aside.ts";
import type { TableSchema } from "./format.ts";
import { programOptions } from "./json/format.ts";
import { keyRoot } from "./json/kernelProgram.ts";
import { appendNumber } from "./json/numbers.ts";
import { compileKey } from "./json/program.ts";
import { JsonReader } from "./json/reader.ts";
import { isUtf8 } from "./json/strings.ts";
import { textParser } from "./json/values.ts";
import type { ValueRoot } from "./kernel/image.ts";
import type { DecoderOptions, KeyFormat } from "./options.ts";
import type { RejectReason } from "./rejects.ts";
import type { SchemaAsks } from "./schemaAsks.ts";
import type { ValueReader } from "./segment.ts";
import type { Shaping } from "./shaping.ts";

/** Reads the columns of the key from Kafka's keys. */
export interface KeyReader {
  /** What such keys are to the kernel; null: nothing that it takes. */
  readonly root: ValueRoot | null;
  /** Why the last key was refused. */
  readonly reason: RejectReason;
  /** What the schemas of keys ask of columns that are there; null: nothing is asked. */
  readonly asks: SchemaAsks | null;
  /** Appends a key that is not null; false when it is none. What was appended before that is for the caller to take back. */
  read(bytes: Uint8Array, start: number, end: number, row: number): boolean;
}

/** Fields with the column of a key that is one value, whose type its format says. */
export function withKey(
  fields: readonly Field[],
  rowKey: DecoderOptions["rowKey"],
): readonly Field[] {
  const [name] = rowKey?.columns ?? [];
  const type = rowKey === null ? undefined : SINGLE[rowKey.format]?.type;
  if (name === undefined || type === undefined) return fields;
  if (fields.some((field) => field.name === name)) return fields;
  return [{ id: 0, name, required: false, type }, ...fields];
}

/**
 * The reader of keys into `columns`, which are those of the key.
 * @param isWhole a key must have them all
 */
export function kafkaKeyReader(
  format: KeyFormat,
  options: DecoderOptions,
  columns: readonly ColumnBuilder[],
  schema: TableSchema,
  isWhole: boolean,
): KeyReader {
  const single = SINGLE[format];
  if (single !== undefined) return singleKeyReader(columns, single, schema.shaping);
  const program = programOptions(options, schema);
  const node = compileKey(columns, program, isWhole);
  const handling = { unknown: "ignore", rescue: null, rescuesConflicts: false } as const;
  const reader = new JsonReader(columns, node, handling);
  return readerOf(reader, null, program.ignoresCase ? null : keyRoot(node));
}

/**
 * The reader of keys with schemas of a registry, by the reader of such values.
 * @param isAsking what a key's schema asks of the table is heard; false: the values' schema asks it as well
 */
export function schemaKeyReader(reader: ValueReader, isAsking: boolean): KeyReader {
  if (reader.asks !== null) reader.asks.isFinal = true;
  return readerOf(reader, isAsking ? reader.asks : null, null);
}

function readerOf(reader: ValueReader, asks: SchemaAsks | null, root: ValueRoot | null): KeyReader {
  return {
    root,
    asks,
    get reason() {
      return reader.reason;
    },
    read: (bytes, start, end, row) => reader.read(bytes, start, end, row),
  };
}

/** Appends a key of one column; false when the column cannot hold it. */
type AppendKey = (column: ColumnBuilder, bytes: Uint8Array, start: number, end: number) => boolean;

/** A key of one column: what it is, and how it is appended. */
interface SingleKey {
  readonly type: PrimitiveType;
  readonly append: AppendKey;
}

const SINGLE: Readonly<Partial<Record<KeyFormat, SingleKey>>> = {
  string: { type: { kind: "string" }, append: appendText },
  bytes: { type: { kind: "binary" }, append: appendBytes },
  long: {
    type: { kind: "long" },
    append: (column, bytes, start, end) => appendNumeric(column, bytes, start, end, 8),
  },
  int: {
    type: { kind: "int" },
    append: (column, bytes, start, end) => appendNumeric(column, bytes, start, end, 4),
  },
};

function singleKeyReader(
  [column, ...others]: readonly ColumnBuilder[],
  { type, append }: SingleKey,
  shaping: Shaping,
): KeyReader {
  assert(column !== undefined && others.length === 0, "it is a key of one column");
  const cover = shaping.coverOf(shaping.fieldPath(column.field.name));
  if (cover === null) return plainKeyReader(column, append);
  // Hashed as the field of the value is, so that the same row is found.
  const aside = new Aside(type);
  return {
    ...{ root: null, asks: null, reason: "bad_key" },
    read: (bytes, start, end) => {
      const isKey = append(aside.column, bytes, start, end);
      if (isKey) cover.append(aside.takeText() ?? "", column);
      return isKey;
    },
  };
}

/** Keys as they are: where a wider type of their column would hold one, that is a conflict of types. */
function plainKeyReader(column: ColumnBuilder, append: AppendKey): KeyReader {
  const { type } = column.field;
  const widest = isPrimitive(type) ? widestOf(type) : null;
  const aside = widest === null ? null : new Aside(widest);
  let reason: RejectReason = "bad_key";
  return {
    root: null,
    asks: null,
    get reason() {
      return reason;
    },
    read: (bytes, start, end) => {
      if (append(column, bytes, start, end)) return true;
      const isWider = aside !== null && append(aside.column, bytes, start, end);
      aside?.clear();
      reason = isWider ? "type_conflict" : "bad_key";
      return false;
    },
  };
}

/** Kafka's serializers write numbers in network order. */
function appendNumeric(
  column: ColumnBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  size: 4 | 8,
): boolean {
  const { type } = column.field;
  if (end - start !== size || !isPrimitive(type)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, size);
  const number = size === 8 ? view.getBigInt64(0) : BigInt(view.getInt32(0));
  return appendTyped(column, type, String(number));
}

function appendBytes(
  column: ColumnBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { kind } = column.field.type;
  const isWhole = kind === "binary" || (kind === "fixed" && end - start === column.width);
  if (isWhole) column.appendBytes(bytes, start, end);
  return isWhole;
}

function appendText(column: ColumnBuilder, bytes: Uint8Array, start: number, end: number): boolean {
  if (!isUtf8(bytes, start, end)) return false;
  const { type } = column.field;
  if (type.kind === "string") {
    column.appendBytes(bytes, start, end);
    return true;
  }
  if (!isPrimitive(type)) return false;
  return appendTyped(column, type, strictUtf8Text(bytes.subarray(start, end)));
}

function appendTyped(column: ColumnBuilder, type: PrimitiveType, text: string): boolean {
  if (type.kind === "string") {
    const digits = Buffer.from(text);
    column.appendBytes(digits, 0, digits.length);
    return true;
  }
  const parse = textParser(type);
  if (parse !== null) return parse(text, column);
  const isFloating = type.kind === "double" || type.kind === "float";
  return (!isFloating || NUMBER.test(text)) && appendNumber(text, column);
}

/** A number as JSON writes it: JavaScript would take "" for 0, and " 7 " and "0x10" for numbers; of whole numbers ours does not. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
