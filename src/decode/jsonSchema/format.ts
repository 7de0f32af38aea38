/**
 * Format `json-schema`: JSON objects in Confluent's wire format. The registry's schemas give the columns
 * their types; the values are read as JSON is, by those columns.
 */
import { AppError, describe } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { fieldAt, joinPath } from "#columns/paths.ts";
import { childFields, type Field, type Type } from "#columns/schema.ts";
import type { Effect } from "#decode/changes.ts";
import type { Growth } from "#decode/decoder.ts";
import type { Format, TableSchema } from "#decode/format.ts";
import { inferFields, type JsonOptions, valueReader } from "#decode/json/format.ts";
import { framedJsonRoot } from "#decode/json/kernelProgram.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import { asksOf } from "#decode/registry/asks.ts";
import { FramedSchemas } from "#decode/registry/framedSchemas.ts";
import { learnColumns } from "#decode/registry/learn.ts";
import type { RegisteredSchema, SchemaRegistry } from "#decode/registry/registry.ts";
import type { RecordPart } from "#decode/registry/subjects.ts";
import { HEAD_BYTES, schemaIdOf } from "#decode/registry/wire.ts";
import type { RejectReason, TypeConflict } from "#decode/rejects.ts";
import { RESCUED, rescues } from "#decode/rescue.ts";
import { SchemaAsks } from "#decode/schemaAsks.ts";
import type { ValueReader } from "#decode/segment.ts";
import { jsonSchemaFields } from "./fields.ts";

/** The columns of a schema, or why its values cannot be rows. */
type Writer =
  | { readonly kind: "fields"; readonly fields: readonly Field[] }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

/**
 * The format for one table.
 * @param part read are values, or Kafka's keys
 */
export function jsonSchemaFormat(
  options: JsonOptions,
  registry: SchemaRegistry,
  part: RecordPart = "value",
): Format {
  const schemas = new FramedSchemas(registry, (schema) => writerOf(schema, options), part);
  const answered = new Set<number>();
  return {
    own: rescues(options) ? [RESCUED] : [],
    hasFields: true,
    prepare: (batch) => schemas.prepare(batch),
    revision: () => schemas.revision + answered.size,
    learn: (batches, recordsMax, known) => {
      const writers = [...schemas.of(batches, recordsMax).values()].flatMap((writer) =>
        writer.kind === "fields" ? [writer.fields] : [],
      );
      const rows = writers.map((own) =>
        known.shaping.columns(own).map((field) => ({ field, aliases: [] })),
      );
      const ignoresCase = options.matchColumns === "ignore-case";
      const fields = learnColumns(rows, known, { ignoresCase, nameOf: () => null });
      if (part !== "value") return fields;
      // What a schema has is no slip of the pen, whether a document shows it or not.
      const misses = (paths: ReadonlySet<string>): void => {
        const isMissed = (path: string): boolean =>
          writers.every((own) => fieldAt(own, path) === null);
        known.misses(new Set([...paths].filter(isMissed)));
      };
      return inferFields(options, batches, recordsMax, { ...known, fields, misses }, HEAD_BYTES);
    },
    reader: (columns, table) => {
      const json = valueReader(options, columns, table);
      const find = (id: number): State => {
        const writer = schemas.get(id);
        if (writer === undefined) {
          return { kind: "refused", reason: "unknown_schema", path: String(id) };
        }
        if (writer.kind === "refused") return writer;
        const fields = table.shaping.columns(writer.fields);
        const isLearnable = options.onUnknownField === "evolve" && lacks(columns, fields, table);
        const growth = answered.has(id) ? null : growthOf(id, fields, columns, options, answered);
        return { kind: "known", isLearnable, growth };
      };
      return new FramedJsonReader(
        json,
        find,
        [...schemas.entries()].map(([id]) => id),
      );
    },
  };
}

function writerOf(
  { id, language, text, references }: RegisteredSchema,
  { flattenSeparator, changes }: JsonOptions,
): Writer {
  const what = `schema id ${id}`;
  if (language !== "JSON") {
    return { kind: "refused", reason: "bad_schema", path: `${what} is ${language}, not JSON` };
  }
  try {
    const own = jsonSchemaFields(text, references);
    const fields = changes?.mode === "cdc" && changes.opField === null ? rowFields(own) : own;
    if (fields === null)
      return { kind: "refused", reason: "bad_schema", path: `${what}: ${NO_ROW}` };
    if (flattenSeparator === null) return { kind: "fields", fields };
    return { kind: "fields", fields: fields.flatMap((field) => flat(field, "", flattenSeparator)) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { kind: "refused", reason: "bad_schema", path: `${what}: ${describe(error)}` };
  }
}

const NO_ROW = "it has no row in `after` or `before`, as Debezium's envelope has";

/** The columns of the row in an envelope; null: it is none. */
function rowFields(envelope: readonly Field[]): readonly Field[] | null {
  for (const part of ["after", "before"]) {
    const type = envelope.find(({ name }) => name === part)?.type;
    if (type?.kind === "struct") return type.fields;
  }
  return null;
}

/** Objects in objects as columns of the row. */
function flat(field: Field, prefix: string, separator: string): Field[] {
  const name = prefix + field.name;
  if (field.type.kind !== "struct") return [{ ...field, name }];
  return field.type.fields.flatMap((inner) => flat(inner, name + separator, separator));
}

/** True when a field of the schema has no column, and may get one. */
function lacks(
  columns: readonly ColumnBuilder[],
  wanted: readonly Field[],
  { taken, dropped, isFull }: TableSchema,
): boolean {
  if (isFull) return false;
  const visit = (have: readonly Field[], fields: readonly Field[], parent: string): boolean =>
    fields.some((field) => {
      const path = joinPath(parent, field.name);
      const own = have.find(({ name }) => name === field.name);
      if (own === undefined) return (taken.find(path) ?? dropped.find(path)) === undefined;
      return (
        own.type.kind === field.type.kind &&
        visit(childFields(own.type), childFields(field.type), path)
      );
    });
  return visit(
    columns.map(({ field }) => field),
    wanted,
    "",
  );
}

function growthOf(
  id: number,
  fields: readonly Field[],
  columns: readonly ColumnBuilder[],
  { eventTimeField }: JsonOptions,
  answered: Set<number>,
): Growth | null {
  const have = columns.map(({ field }) => field);
  const asks = asksOf(have, fields, (path, column, wanted) => {
    return path === eventTimeField || isText(column, wanted);
  });
  if (asks.differences.length === 0) return null;
  return { by: `Schema ${id}`, ...asks, settled: () => void answered.add(id) };
}

/** True when the one is text, and the other has a text form: JSON reads either from a string. */
function isText(column: Type, wanted: Type): boolean {
  const forms = [
    "string",
    "binary",
    "date",
    "time",
    "timestamp",
    "timestamp_ns",
    "uuid",
    "decimal",
  ];
  return forms.includes(column.kind) && forms.includes(wanted.kind);
}

type State =
  | { readonly kind: "known"; readonly isLearnable: boolean; readonly growth: Growth | null }
  | { readonly kind: "refused"; readonly reason: RejectReason; readonly path: string };

type RowOrChangeReader = ReturnType<typeof valueReader>;

/** Reads values behind their heads. */
class FramedJsonReader implements ValueReader {
  reason: RejectReason = "no_schema_id";
  path = "";
  conflict: TypeConflict = "value";
  readonly asks = new SchemaAsks();
  private readonly json: RowOrChangeReader;
  private readonly find: (id: number) => State;
  private readonly states = new Map<number, State>();
  private readonly plain: readonly number[];

  /** @param ids of the schemas that are known */
  constructor(json: RowOrChangeReader, find: (id: number) => State, ids: readonly number[]) {
    this.json = json;
    this.find = find;
    this.plain = ids.filter((id) => {
      const state = this.stateOf(id);
      return state.kind === "known" && !state.isLearnable && state.growth === null;
    });
  }

  get root(): ValueRoot | null {
    const { root } = this.json;
    return root === null ? null : framedJsonRoot(root, this.plain.slice(-KERNEL_SCHEMAS_MAX));
  }

  get effect(): Effect {
    return this.json.effect;
  }

  get evolving(): boolean {
    return this.json.evolving;
  }

  set evolving(evolving: boolean) {
    this.json.evolving = evolving;
  }

  get sawUnknown(): boolean {
    return this.json.sawUnknown;
  }

  set sawUnknown(saw: boolean) {
    this.json.sawUnknown = saw;
  }

  readNull(row: number): boolean {
    return this.json.readNull(row) || this.refuse(this.json.reason, this.json.path);
  }

  read(bytes: Uint8Array, start: number, end: number, row: number): boolean {
    const id = schemaIdOf(bytes, start, end);
    if (id < 0) return this.refuse("no_schema_id", "");
    const state = this.stateOf(id);
    if (state.kind === "refused") return this.refuse(state.reason, state.path);
    if (this.asks.mustWait(state.growth)) return this.refuse("type_conflict", "");
    if (!this.json.read(bytes, start + HEAD_BYTES, end, row)) {
      this.conflict = this.json.conflict;
      return this.refuse(this.json.reason, this.json.path);
    }
    if (state.isLearnable && this.evolving) this.sawUnknown = true;
    return true;
  }

  private stateOf(id: number): State {
    const known = this.states.get(id);
    if (known !== undefined) return known;
    const state = this.find(id);
    this.states.set(id, state);
    return state;
  }

  private refuse(reason: RejectReason, path: string): false {
    this.reason = reason;
    this.path = path;
    return false;
  }
}

/** Schemas whose values the kernel reads: the last ones that were needed. */
const KERNEL_SCHEMAS_MAX = 64;
