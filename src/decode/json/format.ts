/**
 * Format `json`: each value is an object, whose members are columns.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import { changeColumns, type EnvelopeReader, type Span } from "#decode/envelope.ts";
import type { Format, KnownSchema, TableSchema } from "#decode/format.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { RecordCursor } from "#decode/records.ts";
import type { RecordPart } from "#decode/registry/subjects.ts";
import { RESCUED, rescues, withRescue } from "#decode/rescue.ts";
import { envelopeReader } from "./envelope.ts";
import { EnvelopeParts } from "./envelopeParts.ts";
import { Inference } from "./infer.ts";
import { compileRow, type ProgramOptions } from "./program.ts";
import { JsonReader } from "./reader.ts";

/** The settings that count for JSON. */
export type JsonOptions = Pick<
  DecoderOptions,
  | "flattenSeparator"
  | "eventTimeField"
  | "matchColumns"
  | "onUnknownField"
  | "onTypeConflict"
  | "inferIntegers"
  | "changes"
  | "metadataPrefix"
>;

/** The format for one table. @param part whether values are read, or Kafka's keys */
export function jsonFormat(options: JsonOptions, part: RecordPart = "value"): Format {
  return {
    own: rescues(options) ? [RESCUED] : [],
    hasFields: true,
    prepare: null,
    revision: null,
    learn: (batches, recordsMax, known) =>
      inferFields(options, batches, recordsMax, known, 0, part),
    reader: (columns, schema) => valueReader(options, columns, schema),
  };
}

/** The reader of rows, or of changes of rows, into these columns. */
export function valueReader(
  options: JsonOptions,
  columns: readonly ColumnBuilder[],
  schema: TableSchema,
): JsonReader | EnvelopeReader {
  const { changes, metadataPrefix: prefix } = options;
  if (changes?.mode !== "cdc") return jsonReader(options, columns, schema);
  const envelope = { prefix, ...changes };
  const rows = jsonReader(options, changeColumns(columns, envelope).row, schema);
  return envelopeReader(rows, columns, envelope, programOptions(options, schema));
}

/** The reader of documents into these columns. */
export function jsonReader(
  options: JsonOptions,
  columns: readonly ColumnBuilder[],
  schema: TableSchema,
): JsonReader {
  const { onUnknownField } = options;
  const [fields, rescue] = withRescue(columns, rescues(options));
  const root = compileRow(fields, programOptions(options, schema));
  const isFull = onUnknownField === "evolve" && schema.isFull;
  const whenFull = rescue === null ? "too_many_columns" : "rescue";
  return new JsonReader(columns, root, {
    unknown: isFull ? whenFull : onUnknownField,
    rescue,
    rescuesConflicts: options.onTypeConflict === "rescue",
  });
}

/** What rows, and keys alone, are compiled by. */
export function programOptions(options: JsonOptions, schema: TableSchema): ProgramOptions {
  const { flattenSeparator, eventTimeField, matchColumns, changes } = options;
  return {
    flattenSeparator,
    eventTimeField,
    ignoresCase: matchColumns === "ignore-case",
    dropsZone: changes?.mode === "cdc",
    ...schema,
  };
}

/**
 * Learns from the documents themselves, of changes from the rows in them.
 * @param headBytes of each value before its document
 * @param part where the documents are
 */
export function inferFields(
  { flattenSeparator, inferIntegers, matchColumns, changes }: JsonOptions,
  batches: readonly RecordBytes[],
  recordsMax: number,
  { fields, room, metadata, dropped, shaping, misses }: KnownSchema,
  headBytes: number,
  part: RecordPart = "value",
): readonly Field[] {
  const ignoresCase = matchColumns === "ignore-case";
  const inference = new Inference(fields, flattenSeparator, inferIntegers, ignoresCase, shaping);
  const rowIn = rowFinder(changes);
  let left = recordsMax;
  for (const batch of batches) {
    const cursor = new RecordCursor(batch);
    const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
    while (left > 0 && cursor.next()) {
      const { bytes, keyStart, keyEnd, valueStart, valueEnd } = cursor;
      const [start, end] = part === "value" ? [valueStart, valueEnd] : [keyStart, keyEnd];
      if (cursor.offsetDelta < wantedDelta || start < 0) continue;
      const row = rowIn(bytes, start + headBytes, end);
      if (row !== null) inference.add(bytes, row.start, row.end);
      left--;
    }
  }
  if (inference.missed !== null) misses(inference.missed);
  return inference.finish(room, metadata, dropped);
}

/** Finds the row in a value: that is it, or holds it as an envelope; null: it is none. */
function rowFinder(
  changes: JsonOptions["changes"],
): (bytes: Uint8Array, start: number, end: number) => Span | null {
  if (changes?.mode !== "cdc") return (_bytes, start, end) => ({ start, end });
  const parts = new EnvelopeParts(changes.opField);
  return (bytes, start, end) =>
    parts.find(bytes, start, end) ? (parts.after ?? parts.before) : null;
}
