/**
 * Format `avro`: each value is an Avro record, in Confluent's wire format with a schema registry, or bare,
 * written with the schema in `schema.file`.
 */
import { AppError, describe } from "#base/errors.ts";
import { neededColumns } from "#decode/changes.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import type { Format, KnownSchema } from "#decode/format.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { FramedSchemas } from "#decode/registry/framedSchemas.ts";
import type { RegisteredSchema, SchemaRegistry } from "#decode/registry/registry.ts";
import type { RecordPart } from "#decode/registry/subjects.ts";
import { RESCUED, rescues, withRescue } from "#decode/rescue.ts";
import { changeSchema } from "./change.ts";
import { changeReader } from "./changeReader.ts";
import { learnFields } from "./learn.ts";
import { AvroReader } from "./reader.ts";
import { ReaderSchema } from "./readerSchema.ts";
import { type AvroRecord, type AvroType, parseAvro } from "./schema.ts";
import { TablePrograms, type Writer } from "./tablePrograms.ts";
import type { ProgramOptions } from "./unplaced.ts";

/** The settings that count for Avro. */
type AvroOptions = Pick<
  DecoderOptions,
  | "flattenSeparator"
  | "eventTimeField"
  | "matchColumns"
  | "onUnknownField"
  | "onTypeConflict"
  | "hasNanos"
  | "schemaText"
  | "changes"
  | "metadataPrefix"
>;

/**
 * The format for one table.
 * @param registry null: values are bare, and all written with `options.schemaText`
 * @param keyFields of Kafka's keys, where these are read: one that is no record is the only field's value.
 * Default: null, values are read
 * @param part what is read
 * @throws AppError `usage` when there is neither, or the text is no record's schema
 */
export function avroFormat(
  options: AvroOptions,
  registry: SchemaRegistry | null,
  keyFields: readonly string[] | null = null,
  part: RecordPart = keyFields === null ? "value" : "key",
): Format {
  const own = options.schemaText === null ? null : recordOf(parseAvro(options.schemaText));
  const schemas =
    registry === null
      ? null
      : new FramedSchemas(registry, (schema) => writerOf(schema, keyFields), part);
  const settings: ProgramOptions = {
    rules: { required: false, nanos: options.hasNanos },
    flattenSeparator: options.flattenSeparator,
    ignoresCase: options.matchColumns === "ignore-case",
    eventTimeField: options.eventTimeField,
    onUnknownField: options.onUnknownField,
    hasRescue: rescues(options),
    rescuesConflicts: options.onTypeConflict === "rescue",
    dropsZone: options.changes?.mode === "cdc",
    needed: neededColumns(options),
    reader: own === null ? null : new ReaderSchema(own, options.flattenSeparator),
  };
  const bare: Writer =
    own === null
      ? { kind: "refused", reason: "bad_schema", path: "" }
      : { kind: "record", id: -1, record: own };
  /** Ids of schemas that the table has answered. */
  const answered = new Set<number>();
  const writers = (batches: readonly RecordBytes[], recordsMax: number): readonly Writer[] =>
    schemas === null ? [bare] : [...schemas.of(batches, recordsMax).values()];
  const { changes, metadataPrefix: prefix } = options;
  const envelope = changes?.mode === "cdc" ? { prefix, ...changes } : null;
  const opField = envelope?.opField ?? null;
  const rowOf = ({ id, record }: Writer & { readonly kind: "record" }): AvroRecord | null =>
    envelope === null ? record : (changeSchema(id, record, opField)?.after ?? null);
  return {
    own: rescues(options) ? [RESCUED] : [],
    hasFields: true,
    prepare: schemas === null ? null : (batch) => schemas.prepare(batch),
    revision: schemas === null ? null : () => schemas.revision + answered.size,
    learn: (batches: readonly RecordBytes[], recordsMax: number, known: KnownSchema) => {
      const records = writers(batches, recordsMax).flatMap((each) =>
        each.kind === "record" ? (rowOf(each) ?? []) : [],
      );
      return learnFields(records, known, settings);
    },
    reader: (columns, table) => {
      const find = schemas === null ? () => bare : (id: number) => schemas.get(id);
      const ids = schemas === null ? [-1] : [...schemas.entries()].map(([id]) => id);
      const isFramed = schemas !== null;
      const context = { table, settings, answered, find, isFramed };
      if (envelope !== null) return changeReader(columns, context, envelope, ids);
      const programs = new TablePrograms(columns, context);
      programs.compileAll(ids);
      const [own, rescue] = withRescue(columns, settings.hasRescue);
      return new AvroReader(programs, own, rescue);
    },
  };
}

function writerOf(
  { id, language, text, references }: RegisteredSchema,
  keyFields: readonly string[] | null,
): Writer {
  const what = `schema id ${id}`;
  if (language !== "AVRO") {
    return { kind: "refused", reason: "bad_schema", path: `${what} is ${language}, not AVRO` };
  }
  try {
    const type = parseAvro(text, references);
    const record = recordOf(type) ?? keyRecord(type, keyFields ?? []);
    if (record !== null) return { kind: "record", id, record };
    return { kind: "refused", reason: "not_a_record", path: what };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { kind: "refused", reason: "bad_schema", path: `${what}: ${describe(error)}` };
  }
}

/** A key of one column as a record, which Avro writes in the same bytes; null: there are several. */
function keyRecord(type: AvroType, [name, ...others]: readonly string[]): AvroRecord | null {
  if (name === undefined || others.length > 0) return null;
  const field = { name, aliases: [], type, fallback: undefined, doc: null };
  return { kind: "record", name, fields: [field] };
}

/** The record of a schema; null: it is none. */
export function recordOf(type: AvroType): AvroRecord | null {
  return type.kind === "record" ? type : null;
}
