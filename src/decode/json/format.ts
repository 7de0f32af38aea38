/**
 * Format `json`: each value is an object, whose members are columns.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import type { Format, KnownSchema, TableSchema } from "#decode/format.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { RecordCursor } from "#decode/records.ts";
import { Inference } from "./infer.ts";
import { compileRow } from "./program.ts";
import { JsonReader } from "./reader.ts";
import { RESCUED, Rescue } from "./rescue.ts";

/** The settings that count for JSON. */
export type JsonOptions = Pick<
  DecoderOptions,
  | "flattenSeparator"
  | "eventTimeField"
  | "matchColumns"
  | "onUnknownField"
  | "onTypeConflict"
  | "inferIntegers"
>;

/** The format for one table. */
export function jsonFormat(options: JsonOptions): Format {
  return {
    own: rescues(options) ? [RESCUED] : [],
    hasFields: true,
    prepare: null,
    revision: null,
    learn: (batches, recordsMax, known) => inferFields(options, batches, recordsMax, known, 0),
    reader: (columns, schema) => jsonReader(options, columns, schema),
  };
}

/** Whether rows keep what has no place in other columns. */
export function rescues({ onUnknownField, onTypeConflict }: JsonOptions): boolean {
  return onUnknownField === "rescue" || onTypeConflict === "rescue";
}

/** The reader of documents into these columns. */
export function jsonReader(
  options: JsonOptions,
  columns: readonly ColumnBuilder[],
  schema: TableSchema,
): JsonReader {
  const { flattenSeparator, eventTimeField, onUnknownField } = options;
  const ignoresCase = options.matchColumns === "ignore-case";
  const column = columns.find(({ field }) => rescues(options) && field.name === RESCUED.name);
  const fields = columns.filter((each) => each !== column);
  const root = compileRow(fields, { flattenSeparator, eventTimeField, ignoresCase, ...schema });
  const isFull = onUnknownField === "evolve" && schema.isFull;
  const whenFull = column === undefined ? "too_many_columns" : "rescue";
  return new JsonReader(columns, root, {
    unknown: isFull ? whenFull : onUnknownField,
    rescue: column === undefined ? null : new Rescue(column),
    rescuesConflicts: options.onTypeConflict === "rescue",
  });
}

/** Learns from the documents themselves. @param headBytes of each value before its document */
export function inferFields(
  { flattenSeparator, inferIntegers, matchColumns }: JsonOptions,
  batches: readonly RecordBytes[],
  recordsMax: number,
  { fields, room, metadata, dropped, shaping, misses }: KnownSchema,
  headBytes: number,
): readonly Field[] {
  const ignoresCase = matchColumns === "ignore-case";
  const inference = new Inference(fields, flattenSeparator, inferIntegers, ignoresCase, shaping);
  let left = recordsMax;
  for (const batch of batches) {
    const cursor = new RecordCursor(batch);
    const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
    while (left > 0 && cursor.next()) {
      if (cursor.offsetDelta < wantedDelta || cursor.valueStart < 0) continue;
      inference.add(cursor.bytes, cursor.valueStart + headBytes, cursor.valueEnd);
      left--;
    }
  }
  if (inference.missed !== null) misses(inference.missed);
  return inference.finish(room, metadata, dropped);
}
