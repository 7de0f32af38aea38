/**
 * The reader of changes in Avro: the readers of their parts, by the schemas that the parts have in their
 * envelopes', and what they are to the kernel.
 */
import { assert } from "#base/assert.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { TakenPaths } from "#columns/paths.ts";
import { PLACEHOLDER } from "#columns/unavailable.ts";
import { keepsDeleted } from "#decode/changes.ts";
import { changeColumns, type EnvelopeOptions, EnvelopeReader } from "#decode/envelope.ts";
import { eventTime } from "#decode/eventTime.ts";
import type { ValueRoot } from "#decode/kernel/image.ts";
import { schemaIdOf } from "#decode/registry/wire.ts";
import { type Rescue, withRescue } from "#decode/rescue.ts";
import { Shaping } from "#decode/shaping.ts";
import { binaryForms, wholenessIn } from "#decode/unavailable.ts";
import {
  AvroChangeParts,
  type ChangeFound,
  type ChangeSchema,
  changeSchema,
  changeSteps,
} from "./change.ts";
import { avroRoot, type KernelProgram } from "./kernelProgram.ts";
import { AvroReader } from "./reader.ts";
import type { AvroRecord } from "./schema.ts";
import {
  KERNEL_SCHEMAS_MAX,
  kernelsProgram,
  type ProgramContext,
  TablePrograms,
} from "./tablePrograms.ts";

/** Lists of int and long, whose last bit is the sign; items that may be null stand behind their branch, the second. */
const LISTS = [[], [2]].map((branch) =>
  Buffer.from(
    [...PLACEHOLDER].flatMap((byte) => {
      const word = 2 * byte;
      return [...branch, ...(word < 0x80 ? [word] : [(word & 0x7f) | 0x80, word >>> 7])];
    }),
  ),
);
const FORMS = binaryForms((bytes) => 2 * bytes, LISTS);

/**
 * The reader of changes into these columns.
 * @param ids of the schemas that are known
 */
export function changeReader(
  columns: readonly ColumnBuilder[],
  context: ProgramContext,
  options: EnvelopeOptions,
  ids: readonly number[],
): EnvelopeReader {
  const schemas = new ChangeSchemas(context, options.opField);
  const { row, keys, operation, source: members } = changeColumns(columns, options);
  const isKept = keepsDeleted(options);
  const { hasRescue } = context.settings;
  const isPlain = !hasRescue && context.table.shaping.covered.length === 0;
  const ofPart = (part: (schema: ChangeSchema) => AvroRecord | null): ProgramContext["find"] => {
    return (id) => {
      const found = schemas.ofId(id);
      if (found.kind === "refused") return found;
      const record = part(found.schema);
      return record === null ? undefined : { kind: "record", id, record };
    };
  };
  const rows = new TablePrograms(row, { ...context, find: ofPart(({ after }) => after) }, true);
  const ofBefore = { ...context, find: ofPart(({ before }) => before) };
  const images = isKept
    ? new TablePrograms(row, ofBefore, true)
    : new TablePrograms(keys, withoutQuestions(ofBefore), true);
  const sources = new TablePrograms(
    members.map(([, column]) => column),
    sourceContext({ ...context, find: ofPart(({ source }) => source) }, members, options.prefix),
    true,
  );
  const readsImage = isKept || keys.length > 0;
  const parts = new AvroChangeParts((bytes, start, end) => schemas.find(bytes, start, end));
  const reader = (
    programs: TablePrograms,
    own: readonly ColumnBuilder[],
    rescue: Rescue | null = null,
  ): AvroReader => {
    const find = (): ReturnType<TablePrograms["ofId"]> => {
      assert(parts.schema !== null, "a part is read when it was found");
      return programs.ofId(parts.schema.id);
    };
    return new AvroReader({ find, root: null }, own, rescue);
  };
  const programOf = (id: number): KernelProgram | null => {
    const found = schemas.ofId(id);
    const program = kernelsProgram(rows.ofId(id));
    if (found.kind === "refused" || program === null) return null;
    const source = members.length === 0 ? null : kernelsProgram(sources.ofId(id));
    const image = readsImage ? kernelsProgram(images.ofId(id)) : null;
    if (members.length > 0 && found.schema.source !== null && source === null) return null;
    const takesDeletes = options.onDelete !== "ignore" && (!readsImage || image !== null);
    return changeSteps(found.schema, { row: program, source, image }, operation, takesDeletes);
  };
  const root = (): ValueRoot | null => {
    const programs = ids.slice(-KERNEL_SCHEMAS_MAX).flatMap((id) => programOf(id) ?? []);
    return avroRoot(programs, true, columns.length, FORMS.markers);
  };
  const readers = {
    row: reader(rows, ...withRescue(row, hasRescue)),
    columns: row,
    before: readsImage ? reader(images, ...withRescue(isKept ? row : keys, hasRescue)) : null,
    source: members.length === 0 ? null : reader(sources, []),
    operation,
    wholeness: wholenessIn({ columns: row, keys, forms: FORMS, isPlain }),
  };
  return new EnvelopeReader(parts, readers, options, root());
}

/** The parts of values, by the ids of their schemas. */
class ChangeSchemas {
  readonly #context: ProgramContext;
  readonly #opField: string | null;
  readonly #byId = new Map<number, ChangeFound>();

  constructor(context: ProgramContext, opField: string | null) {
    this.#context = context;
    this.#opField = opField;
  }

  find(bytes: Uint8Array, start: number, end: number): ChangeFound {
    const id = schemaIdOf(bytes, start, end);
    return id < 0 ? { kind: "refused", reason: "no_schema_id", path: "" } : this.ofId(id);
  }

  ofId(id: number): ChangeFound {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const found = this.#make(id);
    this.#byId.set(id, found);
    return found;
  }

  #make(id: number): ChangeFound {
    const writer = this.#context.find(id);
    if (writer === undefined)
      return { kind: "refused", reason: "unknown_schema", path: String(id) };
    if (writer.kind === "refused") return writer;
    const schema = changeSchema(id, writer.record, this.#opField);
    if (schema !== null) return { kind: "change", schema };
    return { kind: "refused", reason: "bad_envelope", path: "" };
  }
}

/** Of a deleted row only its key counts: what else its schema has asks nothing of the table. */
function withoutQuestions({ settings, ...context }: ProgramContext): ProgramContext {
  return { ...context, settings: { ...settings, onUnknownField: "ignore" } };
}

/** Members of `source` into the columns that are made of them. */
function sourceContext(
  { settings, table, ...context }: ProgramContext,
  members: readonly (readonly [member: string, ColumnBuilder])[],
  prefix: string,
): ProgramContext {
  const names = new Map(members.map(([member, { field }]) => [member, field.name]));
  const reader = { nameOf: (path: string) => names.get(path) ?? null, fallbackOf: () => null };
  return {
    ...context,
    table: {
      ...table,
      dropped: new TakenPaths([]),
      shaping: new Shaping(),
      eventTime: () => eventTime("epoch_millis", 1000n),
    },
    settings: {
      ...settings,
      reader,
      flattenSeparator: null,
      eventTimeField: `${prefix}source_ts`,
      onUnknownField: "ignore",
    },
  };
}
