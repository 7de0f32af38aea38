/**
 * The reader of changes in Protobuf: the readers of their parts, by the types that the parts have in their
 * messages, and what they are to the kernel.
 */
import { assert } from "#base/assert.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { TakenPaths } from "#columns/paths.ts";
import { keepsDeleted } from "#decode/changes.ts";
import { changeColumns, type EnvelopeOptions, EnvelopeReader } from "#decode/envelope.ts";
import { eventTime } from "#decode/eventTime.ts";
import type { TableSchema } from "#decode/format.ts";
import { type Rescue, withRescue } from "#decode/rescue.ts";
import { Shaping } from "#decode/shaping.ts";
import { binaryForms, wholenessIn } from "#decode/unavailable.ts";
import { type ChangeFound, type FoundChange, ProtobufChangeParts } from "./change.ts";
import { type Frame, protobufRoot } from "./kernelProgram.ts";
import type { ProtoMessage } from "./model.ts";
import { compileMessage, type ProgramOptions } from "./program.ts";
import type { Found } from "./programs.ts";
import { ProtobufReader } from "./reader.ts";
import type { MessageNode } from "./slots.ts";

/** Numbers of a list, which are below 128, are the bytes of the text. */
const FORMS = binaryForms((bytes) => bytes);

/** What the reader of changes is made from, beside its columns. */
export interface ChangeContext {
  readonly table: TableSchema;
  readonly settings: ProgramOptions;
  /** The type of a value. */
  readonly find: (bytes: Uint8Array, start: number, end: number) => ChangeFound;
  /** What rows of a type are read by, without a head. */
  readonly rowOf: (found: FoundChange, columns: readonly ColumnBuilder[]) => Found;
  /** Types that are known, with the heads of their values. */
  readonly known: readonly (readonly [head: Uint8Array, FoundChange])[];
}

/** The reader of changes into these columns. */
export function changeReader(
  columns: readonly ColumnBuilder[],
  context: ChangeContext,
  options: EnvelopeOptions,
): EnvelopeReader {
  const { table, settings } = context;
  const { row, keys, operation, source: members } = changeColumns(columns, options);
  const isKept = keepsDeleted(options);
  const readsImage = isKept || keys.length > 0;
  const parts = new ProtobufChangeParts(context.find);
  const ignored = { ...settings, unknown: null };
  const { hasRescue } = settings;
  const isPlain = !hasRescue && settings.shaping.covered.length === 0;
  const rows = new ByType((found) => context.rowOf(found, row));
  const images = new ByType(({ change: { before } }) =>
    plain(compileMessage(before, isKept ? row : keys, ignored)),
  );
  const sources = new ByType(({ change: { source } }) => {
    const own = members.map(([, column]) => column);
    return plain(
      compileMessage(renamed(source, members), own, sourceSettings(ignored, table, options)),
    );
  });
  const reader = (
    programs: ByType,
    own: readonly ColumnBuilder[],
    rescue: Rescue | null = null,
  ): ProtobufReader => {
    const find = (): Found => {
      assert(parts.found !== null, "a part is read when it was found");
      return programs.of(parts.found);
    };
    return new ProtobufReader(own, { find }, null, rescue);
  };
  const frameOf = ([head, found]: readonly [Uint8Array, FoundChange]): readonly Frame[] => {
    const ofRow = rows.of(found);
    if (ofRow.kind === "refused" || ofRow.growth !== null || ofRow.node.learnable) return [];
    const { change } = found;
    const ofChange = {
      change,
      image: readsImage ? images.nodeOf(found) : null,
      source: members.length === 0 || change.source === null ? null : sources.nodeOf(found),
      column: operation,
      takesDeletes: options.onDelete !== "ignore",
    };
    return [{ head, node: ofRow.node, change: ofChange }];
  };
  // Flattened members are null, not their defaults, in a record without their message.
  const frames = settings.flattenSeparator === null ? context.known.flatMap(frameOf) : [];
  const readers = {
    row: reader(rows, ...withRescue(row, hasRescue)),
    columns: row,
    before: readsImage ? reader(images, ...withRescue(isKept ? row : keys, hasRescue)) : null,
    source: members.length === 0 ? null : reader(sources, []),
    operation,
    wholeness: wholenessIn({ columns: row, keys, forms: FORMS, isPlain }),
  };
  return new EnvelopeReader(parts, readers, options, protobufRoot(frames, FORMS.markers));
}

/** Programs of one part, by the types of the changes. */
class ByType {
  readonly #make: (found: FoundChange) => Found;
  readonly #found = new Map<string, Found>();

  constructor(make: (found: FoundChange) => Found) {
    this.#make = make;
  }

  of(change: FoundChange): Found {
    const known = this.#found.get(change.key);
    if (known !== undefined) return known;
    const made = this.#make(change);
    this.#found.set(change.key, made);
    return made;
  }

  nodeOf(change: FoundChange): MessageNode {
    const found = this.of(change);
    assert(found.kind === "program", "what asks nothing of a table is never refused");
    return found.node;
  }
}

function plain(node: MessageNode): Found {
  return { kind: "program", node, headBytes: 0, growth: null };
}

/** The source's members under the names of their columns; what has no column is left out. */
function renamed(
  source: ProtoMessage | null,
  members: readonly (readonly [member: string, ColumnBuilder])[],
): ProtoMessage {
  const names = new Map(members.map(([member, { field }]) => [member, field.name]));
  const fields = (source?.fields ?? []).flatMap((field) => {
    const name = names.get(field.name);
    return name === undefined ? [] : [{ ...field, name }];
  });
  return { name: source?.name ?? "", fields };
}

function sourceSettings(
  settings: ProgramOptions,
  table: TableSchema,
  { prefix }: EnvelopeOptions,
): ProgramOptions {
  return {
    ...settings,
    dropped: new TakenPaths([]),
    shaping: new Shaping(),
    taken: table.taken,
    eventTimeField: `${prefix}source_ts`,
    eventTime: () => eventTime("epoch_millis", 1000n),
  };
}
