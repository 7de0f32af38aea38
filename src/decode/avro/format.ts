/**
 * Format `avro`: each value is an Avro record, in Confluent's wire format with a schema registry, or bare,
 * written with the schema in `schema.file`.
 */
import { AppError, describe } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { needsValue } from "#columns/schema.ts";
import type { Growth, RecordBytes } from "#decode/decoder.ts";
import type { Format, KnownSchema, TableSchema } from "#decode/format.ts";
import { fillerOf } from "#decode/json/defaults.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { FramedSchemas } from "#decode/registry/framedSchemas.ts";
import type { RegisteredSchema, SchemaRegistry } from "#decode/registry/registry.ts";
import { HEAD_BYTES, schemaIdOf } from "#decode/registry/wire.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { avroRoot } from "./kernelProgram.ts";
import { learnFields } from "./learn.ts";
import { compileProgram, type Program, type ProgramOptions } from "./program.ts";
import { AvroReader, type Found, type Programs } from "./reader.ts";
import { ReaderSchema } from "./readerSchema.ts";
import { type AvroRecord, type AvroType, parseAvro } from "./schema.ts";
import { STEP } from "./steps.ts";

/** The settings that count for Avro. */
type AvroOptions = Pick<
  DecoderOptions,
  | "flattenSeparator"
  | "eventTimeField"
  | "matchColumns"
  | "onUnknownField"
  | "hasNanos"
  | "schemaText"
>;

/** A writer's schema, or why its values cannot be rows. */
type Writer =
  | { readonly kind: "record"; readonly id: number; readonly record: AvroRecord }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/**
 * The format for one table.
 * @param registry null: values are bare, and all written with `options.schemaText`
 * @throws AppError `usage` when there is neither, or the text is no record's schema
 */
export function avroFormat(options: AvroOptions, registry: SchemaRegistry | null): Format {
  const own = options.schemaText === null ? null : recordOf(parseAvro(options.schemaText));
  const schemas = registry === null ? null : new FramedSchemas(registry, writerOf);
  const settings: ProgramOptions = {
    rules: { required: false, nanos: options.hasNanos },
    flattenSeparator: options.flattenSeparator,
    ignoresCase: options.matchColumns === "ignore-case",
    eventTimeField: options.eventTimeField,
    onUnknownField: options.onUnknownField,
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
  return {
    own: [],
    hasFields: true,
    prepare: schemas === null ? null : (batch) => schemas.prepare(batch),
    revision: schemas === null ? null : () => schemas.revision + answered.size,
    learn: (batches: readonly RecordBytes[], recordsMax: number, known: KnownSchema) => {
      const records = writers(batches, recordsMax).flatMap((each) =>
        each.kind === "record" ? [each.record] : [],
      );
      return learnFields(records, known, settings);
    },
    reader: (columns, table) => {
      const find = schemas === null ? () => bare : (id: number) => schemas.get(id);
      const programs = new TablePrograms(
        columns,
        table,
        settings,
        answered,
        find,
        schemas !== null,
      );
      const known = schemas === null ? [] : [...schemas.entries()].map(([id]) => id);
      programs.compileAll(schemas === null ? [-1] : known);
      const needed = columns.filter(({ field }) => needsValue(field));
      return new AvroReader(
        programs,
        needed.map((column) => [column, fillerOf(column.field)]),
      );
    },
  };
}

/** Schemas whose values the kernel reads: the last ones that were needed. */
const KERNEL_SCHEMAS_MAX = 64;

/** The programs of one segment's columns, by schema. */
class TablePrograms implements Programs {
  private readonly columns: readonly ColumnBuilder[];
  private readonly table: TableSchema;
  private readonly settings: ProgramOptions;
  private readonly answered: Set<number>;
  private readonly writer: (id: number) => Writer | undefined;
  private readonly isFramed: boolean;
  private readonly byId = new Map<number, Found>();
  private last: Found | null = null;
  private lastId = -2;

  constructor(
    columns: readonly ColumnBuilder[],
    table: TableSchema,
    settings: ProgramOptions,
    answered: Set<number>,
    writer: (id: number) => Writer | undefined,
    isFramed: boolean,
  ) {
    this.columns = columns;
    this.table = table;
    this.settings = settings;
    this.answered = answered;
    this.writer = writer;
    this.isFramed = isFramed;
  }

  get root(): ValueRoot | null {
    const programs: [number, Program][] = [];
    for (const [id, found] of this.byId) {
      if (found.kind === "program" && isKernels(found)) programs.push([id, found.program]);
    }
    const last = programs.slice(-KERNEL_SCHEMAS_MAX);
    return avroRoot(last, this.isFramed, this.columns.length);
  }

  compileAll(ids: readonly number[]): void {
    for (const id of ids.slice(-KERNEL_SCHEMAS_MAX)) this.ofId(id);
  }

  find(bytes: Uint8Array, start: number, end: number): Found {
    const id = this.isFramed ? schemaIdOf(bytes, start, end) : -1;
    if (id < 0 && this.isFramed) return NO_ID;
    if (id === this.lastId && this.last !== null) return this.last;
    this.last = this.ofId(id);
    this.lastId = id;
    return this.last;
  }

  private ofId(id: number): Found {
    const known = this.byId.get(id);
    if (known !== undefined) return known;
    const found = this.compile(id);
    this.byId.set(id, found);
    return found;
  }

  private compile(id: number): Found {
    const writer = this.writer(id);
    if (writer === undefined)
      return { kind: "refused", reason: "unknown_schema", path: String(id) };
    if (writer.kind === "refused") return writer;
    try {
      const program = compileProgram(writer.record, this.columns, this.table, this.settings);
      const head = this.isFramed ? HEAD_BYTES : 0;
      return { kind: "program", program, head, growth: this.growthOf(id, writer.record, program) };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { kind: "refused", reason: "bad_schema", path: describe(error) };
    }
  }

  private growthOf(id: number, { name }: AvroRecord, program: Program): Growth | null {
    const { differences, fitting } = program;
    // A file's schema has been held against the table when it was opened.
    if (differences.length === 0 || this.answered.has(id) || !this.isFramed) return null;
    const settled = (): void => void this.answered.add(id);
    return { by: `Schema ${id} (${name})`, fields: fitting, differences, settled };
  }
}

/** Whether the kernel may read values: nothing about them is still to be asked or learned. */
function isKernels({ program, growth }: Found & { readonly kind: "program" }): boolean {
  const hasDefaults = program.ends.some(({ op }) => op === STEP.constant);
  return growth === null && !program.learnable && !hasDefaults;
}

const NO_ID: Found = { kind: "refused", reason: "no_schema_id", path: "" };

function writerOf({ id, language, text, references }: RegisteredSchema): Writer {
  const what = `schema id ${id}`;
  if (language !== "AVRO") {
    return { kind: "refused", reason: "bad_schema", path: `${what} is ${language}, not AVRO` };
  }
  try {
    const record = recordOf(parseAvro(text, references));
    if (record !== null) return { kind: "record", id, record };
    return { kind: "refused", reason: "not_a_record", path: what };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { kind: "refused", reason: "bad_schema", path: `${what}: ${describe(error)}` };
  }
}

/** The record of a schema; null: it is none. */
export function recordOf(type: AvroType): AvroRecord | null {
  return type.kind === "record" ? type : null;
}
