/**
 * Columns of the key from Kafka's key: all that a record without a value says about its row (SPEC section
 * 6, `source.key_field` and `source.key_format`).
 *
 * A JSON key is an object with the key's fields, or, with Connect's schemas, has them in `payload`. A text
 * is the one column of the key.
 */
import { assert } from "#base/assert.ts";
import { strictUtf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { isPrimitive } from "#columns/schema.ts";
import type { TableSchema } from "./format.ts";
import { programOptions } from "./json/format.ts";
import { keyRoot } from "./json/kernelProgram.ts";
import { appendNumber } from "./json/numbers.ts";
import { compileKey } from "./json/program.ts";
import { JsonReader } from "./json/reader.ts";
import { isUtf8 } from "./json/strings.ts";
import { textParser } from "./json/values.ts";
import type { ValueRoot } from "./kernel/image.ts";
import type { DecoderOptions } from "./options.ts";

/** Reads the columns of the key from Kafka's keys. */
export interface KeyReader {
  /** What such keys are to the kernel; null: nothing that it takes. */
  readonly root: ValueRoot | null;
  /** Appends a key that is not null; false when it is none. What was appended before that is for the caller to take back. */
  read(bytes: Uint8Array, start: number, end: number, row: number): boolean;
}

/** The reader of keys into `columns`, which are those of the key. */
export function kafkaKeyReader(
  format: "json" | "string",
  options: DecoderOptions,
  columns: readonly ColumnBuilder[],
  schema: TableSchema,
): KeyReader {
  if (format === "string") return textKeyReader(columns);
  const program = programOptions(options, schema);
  const node = compileKey(columns, program);
  const handling = { unknown: "ignore", rescue: null, rescuesConflicts: false } as const;
  const reader = new JsonReader(columns, node, handling);
  return {
    root: program.ignoresCase ? null : keyRoot(node),
    read: (bytes, start, end, row) => reader.read(bytes, start, end, row),
  };
}

function textKeyReader([column, ...others]: readonly ColumnBuilder[]): KeyReader {
  assert(column !== undefined && others.length === 0, "a text is a key of one column");
  return { root: null, read: (bytes, start, end) => appendText(column, bytes, start, end) };
}

function appendText(column: ColumnBuilder, bytes: Uint8Array, start: number, end: number): boolean {
  if (!isUtf8(bytes, start, end)) return false;
  const { type } = column.field;
  if (type.kind === "string") {
    column.appendBytes(bytes, start, end);
    return true;
  }
  if (!isPrimitive(type)) return false;
  const text = strictUtf8Text(bytes.subarray(start, end));
  const parse = textParser(type);
  return parse === null ? appendNumber(text, column) : parse(text, column);
}
