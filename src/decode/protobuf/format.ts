/**
 * Format `protobuf`: each value is a message, whose fields are columns: of one type that a file has, or, in
 * Confluent's wire format, of the types of a schema registry.
 */
import { assert } from "#base/assert.ts";
import { AppError, describe } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Growth, RecordBytes } from "#decode/decoder.ts";
import type { EnvelopeOptions } from "#decode/envelope.ts";
import type { Format, KnownSchema, TableSchema } from "#decode/format.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { RecordCursor } from "#decode/records.ts";
import { asksOf } from "#decode/registry/asks.ts";
import { FramedSchemas } from "#decode/registry/framedSchemas.ts";
import { learnColumns, missedPaths } from "#decode/registry/learn.ts";
import type { RegisteredSchema, SchemaRegistry } from "#decode/registry/registry.ts";
import type { RecordPart } from "#decode/registry/subjects.ts";
import { RESCUED, rescues, withRescue } from "#decode/rescue.ts";
import { type ChangeFound, changeMessage } from "./change.ts";
import { type ChangeContext, changeReader } from "./changeReader.ts";
import { columnsOf } from "./columns.ts";
import { headOf, startsWith } from "./head.ts";
import { type Frame, protobufRoot } from "./kernelProgram.ts";
import type { ProtoMessage } from "./model.ts";
import { loadProtobuf, type ProtobufParser } from "./parse.ts";
import { compileMessage, type ProgramOptions } from "./program.ts";
import type { Found, Programs } from "./programs.ts";
import { ProtobufReader } from "./reader.ts";
import { type Registered, registeredOf } from "./registered.ts";

type ProtobufOptions = Pick<
  DecoderOptions,
  | "message"
  | "flattenSeparator"
  | "eventTimeField"
  | "matchColumns"
  | "onUnknownField"
  | "onTypeConflict"
  | "changes"
  | "metadataPrefix"
>;

const NO_HEAD = new Uint8Array(0);

/**
 * The format for one table.
 * @param registry null: values are bare, and all of `options.message`
 * @param part read are values, or Kafka's keys
 */
export function protobufFormat(
  options: ProtobufOptions,
  registry: SchemaRegistry | null,
  part: RecordPart = "value",
): Format {
  if (registry !== null) return new FramedFormat(options, registry, part);
  // Without either nothing is read: who asks wants the columns that are known before.
  const message = options.message ?? { name: "", fields: [] };
  return {
    own: ownOf(options),
    hasFields: true,
    prepare: null,
    learn: (_batches, _recordsMax, known) => {
      if (options.message !== null) tellMissed(options, known, [message]);
      return known.fields;
    },
    revision: null,
    reader: (columns, schema) => {
      const node = compileMessage(message, columns, settingsOf(options, schema, "unknown_field"));
      const found: Found = { kind: "program", node, headBytes: 0, growth: null };
      return readerOf(options, columns, { find: () => found }, [{ head: NO_HEAD, node }]);
    },
  };
}

function ownOf(options: ProtobufOptions): Format["own"] {
  return rescues(options) ? [RESCUED] : [];
}

/** Tells which paths of the settings no message has. */
function tellMissed(
  { flattenSeparator }: ProtobufOptions,
  { shaping, misses }: KnownSchema,
  messages: readonly ProtoMessage[],
): void {
  if (shaping.paths.length === 0 || messages.length === 0) return;
  const own = messages.flatMap((message) => columnsOf(message, flattenSeparator));
  misses(missedPaths(shaping, own, flattenSeparator));
}

/** @param evolved what a field without a column does under `evolve` */
function settingsOf(
  options: ProtobufOptions,
  schema: TableSchema,
  evolved: "unknown_field" | "evolve" | "rescue" | "too_many_columns",
): ProgramOptions {
  const { flattenSeparator, eventTimeField, matchColumns, onUnknownField } = options;
  const { taken, dropped, eventTime, shaping } = schema;
  const unknown = {
    evolve: evolved,
    ignore: null,
    rescue: "rescue",
    dead_letter: "unknown_field",
  } as const;
  return {
    flattenSeparator,
    eventTimeField,
    ignoresCase: matchColumns === "ignore-case",
    dropsZone: options.changes?.mode === "cdc",
    shaping,
    unknown: unknown[onUnknownField],
    hasRescue: rescues(options),
    rescuesConflicts: options.onTypeConflict === "rescue",
    taken,
    dropped,
    eventTime: (type) => eventTime(type),
  };
}

function readerOf(
  options: ProtobufOptions,
  columns: readonly ColumnBuilder[],
  programs: Programs,
  frames: readonly Frame[],
): ProtobufReader {
  // Flattened members are null, not their defaults, in a record without their message.
  const root = protobufRoot(options.flattenSeparator === null ? frames : []);
  const [own, rescue] = withRescue(columns, rescues(options));
  return new ProtobufReader(own, programs, root, rescue);
}

/** Types that values were of: this many have programs in the kernel, and are remembered. */
const TYPES_MAX = 64;
/** Heads that are remembered: one type may be written in many ways. */
const HEADS_MAX = 1000;

/** A type that a value was of. */
interface ValueType {
  readonly id: number;
  /** What its values begin with. */
  readonly head: Uint8Array;
  readonly message: ProtoMessage;
}

type Refusal = Extract<Found, { readonly kind: "refused" }>;

/** Values of a registry's types. */
class FramedFormat implements Format {
  readonly own: Format["own"];
  readonly hasFields = true;
  private readonly options: ProtobufOptions;
  private readonly part: RecordPart;
  private readonly schemas: FramedSchemas<Registered>;
  private parser: ProtobufParser | null = null;
  /** By the bytes of their heads, the last ones last. */
  private readonly types = new Map<string, ValueType>();
  /** Heads of types that the table has answered. */
  private readonly answered = new Set<string>();
  /** Types that were found so far. */
  private found = 0;

  /** How rows come in changes; null: values are rows. */
  private readonly envelope: EnvelopeOptions | null;

  constructor(options: ProtobufOptions, registry: SchemaRegistry, part: RecordPart) {
    const { changes, metadataPrefix: prefix } = options;
    this.options = options;
    this.own = ownOf(options);
    this.part = part;
    this.envelope = changes?.mode === "cdc" ? { prefix, ...changes } : null;
    const parse = (schema: RegisteredSchema): Registered => {
      assert(this.parser !== null, "the parser is loaded before schemas are asked for");
      return registeredOf(this.parser, schema);
    };
    this.schemas = new FramedSchemas(registry, parse, part);
  }

  readonly prepare = (batch: RecordBytes): Promise<void> | null => {
    if (this.parser !== null) return this.schemas.prepare(batch);
    return loadProtobuf().then((parser) => {
      this.parser = parser;
    });
  };

  readonly revision = (): number => this.schemas.revision + this.answered.size + this.found;

  readonly learn: Format["learn"] = (batches, recordsMax, known) => {
    const messages = this.typesOf(batches, recordsMax);
    tellMissed(this.options, known, messages);
    const rows = messages.map((message) => {
      return columnsOf(message, this.options.flattenSeparator, known.shaping).map((field) => ({
        field: { ...field, required: false },
        aliases: [],
      }));
    });
    const ignoresCase = this.options.matchColumns === "ignore-case";
    return learnColumns(rows, known, { ignoresCase, nameOf: () => null });
  };

  readonly reader: Format["reader"] = (columns, table) => {
    if (this.envelope !== null)
      return changeReader(columns, this.changeContext(table), this.envelope);
    const programs = new TablePrograms(this, columns, table);
    const types = [...this.types.values()].slice(-TYPES_MAX);
    const frames = types.flatMap(({ head, message }): Frame[] => {
      const found = programs.compile(head, message);
      const isPlain = found.kind === "program" && found.growth === null && !found.node.learnable;
      return isPlain ? [{ head, node: found.node }] : [];
    });
    return readerOf(this.options, columns, programs, frames);
  };

  /** The type of a value; its program is in the kernel from the next batch on. */
  typeOf(bytes: Uint8Array, start: number, end: number): ValueType | Refusal {
    const head = headOf(bytes, start, end);
    if (head === null) return { kind: "refused", reason: "no_schema_id", path: "" };
    const { id, indexes, size } = head;
    const registered = this.schemas.get(id);
    if (registered === undefined) {
      return { kind: "refused", reason: "unknown_schema", path: String(id) };
    }
    if (registered.kind === "refused") return registered;
    const own = bytes.slice(start, start + size);
    const key = own.toHex();
    const known = this.types.get(key);
    if (known !== undefined) return known;
    const message = registered.schema.messageAt(indexes);
    if (message === null) {
      const path = `schema id ${id} has no message ${indexes.join(".")}`;
      return { kind: "refused", reason: "bad_schema", path };
    }
    const type = { id, head: own, message };
    if (this.types.size >= HEADS_MAX) return type;
    this.types.set(key, type);
    this.found++;
    return type;
  }

  /** What changes are read by. */
  private changeContext(table: TableSchema): ChangeContext {
    const byType = new Map<ValueType, ChangeFound>();
    const changeOf = (type: ValueType): ChangeFound => {
      const known = byType.get(type);
      if (known !== undefined) return known;
      const { head, message } = type;
      const change = changeMessage(message, this.envelope?.opField ?? null);
      const found: ChangeFound =
        change === null
          ? { kind: "refused", reason: "bad_envelope", path: "" }
          : { kind: "change", change, key: head.toHex(), headBytes: head.length };
      byType.set(type, found);
      return found;
    };
    return {
      table,
      settings: settingsOf(this.options, table, "unknown_field"),
      find: (bytes, start, end) => {
        const type = this.typeOf(bytes, start, end);
        return "message" in type ? changeOf(type) : type;
      },
      rowOf: ({ key, change }, columns) => {
        const found = this.compile(Uint8Array.fromHex(key), change.after, columns, table);
        return found.kind === "program" ? { ...found, headBytes: 0 } : found;
      },
      known: [...this.types.values()].slice(-TYPES_MAX).flatMap((type) => {
        const found = changeOf(type);
        return found.kind === "change" ? [[type.head, found] as const] : [];
      }),
    };
  }

  /** The types of rows. */
  private typesOf(batches: readonly RecordBytes[], recordsMax: number): readonly ProtoMessage[] {
    const types = new Set<ProtoMessage>();
    for (const [bytes, start, end] of partsOf(batches, recordsMax, this.part)) {
      const type = this.typeOf(bytes, start, end);
      const row = "message" in type ? this.rowIn(type.message) : null;
      if (row !== null && columnsProblem(row) === null) types.add(row);
    }
    return [...types];
  }

  /** The type of the row in a value of a type; null: there is none. */
  private rowIn(message: ProtoMessage): ProtoMessage | null {
    if (this.envelope === null) return message;
    return changeMessage(message, this.envelope.opField)?.after ?? null;
  }

  /** What a value of a type is read by. */
  compile(
    head: Uint8Array,
    message: ProtoMessage,
    columns: readonly ColumnBuilder[],
    table: TableSchema,
  ): Found {
    const problem = columnsProblem(message);
    if (problem !== null) return { kind: "refused", reason: "bad_schema", path: problem };
    const whenFull = rescues(this.options) ? "rescue" : "too_many_columns";
    const settings = settingsOf(this.options, table, table.isFull ? whenFull : "evolve");
    const node = compileMessage(message, columns, settings);
    return {
      kind: "program",
      node,
      headBytes: head.length,
      growth: this.growthOf(head, message, columns, table),
    };
  }

  private growthOf(
    head: Uint8Array,
    message: ProtoMessage,
    columns: readonly ColumnBuilder[],
    { shaping }: TableSchema,
  ): Growth | null {
    const key = head.toHex();
    if (this.answered.has(key)) return null;
    const { flattenSeparator, eventTimeField } = this.options;
    const have = columns.map(({ field }) => field);
    const { fields, differences } = asksOf(
      have,
      columnsOf(message, flattenSeparator, shaping),
      (path, column, wanted) =>
        path === eventTimeField || (wanted.kind === "string" && hasTextForm(column.kind)),
    );
    if (differences.length === 0) return null;
    const settled = (): void => void this.answered.add(key);
    return { by: `Message ${message.name}`, fields, differences, settled };
  }
}

/** The values, or keys, of the first records. */
function* partsOf(
  batches: readonly RecordBytes[],
  recordsMax: number,
  part: RecordPart,
): Generator<readonly [bytes: Uint8Array, start: number, end: number]> {
  let left = recordsMax;
  for (const batch of batches) {
    const cursor = new RecordCursor(batch);
    for (; left > 0 && cursor.next(); left--) {
      const { bytes, keyStart, keyEnd, valueStart, valueEnd } = cursor;
      const [start, end] = part === "value" ? [valueStart, valueEnd] : [keyStart, keyEnd];
      if (start >= 0) yield [bytes, start, end];
    }
  }
}

/** True for a type whose column takes text. */
function hasTextForm(kind: string): boolean {
  const forms = ["decimal", "date", "time", "timestamp", "timestamp_ns", "uuid"];
  return forms.includes(kind);
}

/** Why a message has no columns; null: it has. */
function columnsProblem(message: ProtoMessage): string | null {
  try {
    columnsOf(message);
    return null;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return describe(error);
  }
}

/** The programs of one segment's columns, by what values begin with. */
class TablePrograms implements Programs {
  private readonly format: FramedFormat;
  private readonly columns: readonly ColumnBuilder[];
  private readonly table: TableSchema;
  private readonly byHead = new Map<string, Found>();
  private lastHead: Uint8Array = NO_HEAD;
  private last: Found | null = null;

  constructor(format: FramedFormat, columns: readonly ColumnBuilder[], table: TableSchema) {
    this.format = format;
    this.columns = columns;
    this.table = table;
  }

  compile(head: Uint8Array, message: ProtoMessage): Found {
    const key = head.toHex();
    const known = this.byHead.get(key);
    if (known !== undefined) return known;
    const found = this.format.compile(head, message, this.columns, this.table);
    this.byHead.set(key, found);
    return found;
  }

  find(bytes: Uint8Array, start: number, end: number): Found {
    if (this.last !== null && startsWith(bytes, start, end, this.lastHead)) return this.last;
    const type = this.format.typeOf(bytes, start, end);
    if (!("message" in type)) return type;
    this.last = this.compile(type.head, type.message);
    this.lastHead = type.head;
    return this.last;
  }
}
