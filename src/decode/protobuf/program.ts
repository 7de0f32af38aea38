/**
 * What the Protobuf reader does with each field: a message type compiled to slots over column
 * builders. Fields are found by number, in the order in which they came last.
 */
import { assert } from "#base/assert.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { joinPath, type TakenPaths } from "#columns/paths.ts";
import { isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import { Aside } from "#decode/aside.ts";
import type { Cover } from "#decode/covers.ts";
import type { EventTime } from "#decode/eventTime.ts";
import { type Filler, fillerOf } from "#decode/json/defaults.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { RESCUED } from "#decode/rescue.ts";
import { Shaping } from "#decode/shaping.ts";
import { columnsOf, columnTypeOf, isFlattened, valueKind } from "./columns.ts";
import { defaultFiller } from "./defaults.ts";
import type { ProtoField, ProtoMessage, ProtoType } from "./model.ts";
import { enumKind, holds, holdsWhole, scalarKind } from "./slotKinds.ts";
import {
  type Beside,
  bareSlot,
  entryFields,
  linkRivals,
  type MessageNode,
  type Slot,
  type SlotKind,
} from "./slots.ts";
import { wellKnown } from "./wellKnown.ts";

/** What a program is compiled from, beside the message and its columns. */
export interface ProgramOptions {
  readonly flattenSeparator: string | null;
  readonly eventTimeField: string | null;
  readonly eventTime: (type: PrimitiveType) => EventTime | null;
  readonly ignoresCase: boolean;
  /** Texts of times of no zone may end with a `Z`, as Debezium's do (`isostring`). */
  readonly dropsZone: boolean;
  /** Full paths of all columns. */
  readonly taken: TakenPaths;
  /** Full paths of columns that the table's owner dropped. */
  readonly dropped: TakenPaths;
  readonly shaping: Shaping;
  /** What a field without a column does: it may get one, is kept in `_rescued`, or refuses its record; null: nothing. */
  readonly unknown: RejectReason | "evolve" | "rescue" | null;
  /** Rows keep what has no place in other columns in `_rescued`. */
  readonly hasRescue: boolean;
  /** Values that their columns cannot hold are kept there. */
  readonly rescuesConflicts: boolean;
}

/** Where a field is: the full path of its column, and its own, as the settings name it. */
interface Place {
  readonly path: string;
  readonly source: string;
}

const ROW: Place = { path: "", source: "" };

/** Compiles a message into the data columns of a row. */
export function compileMessage(
  message: ProtoMessage,
  columns: readonly ColumnBuilder[],
  options: ProgramOptions,
): MessageNode {
  const own = columns.filter(({ field }) => !options.hasRescue || field.name !== RESCUED.name);
  const hasRescue = own.length < columns.length;
  const rescuesConflicts = hasRescue && options.rescuesConflicts;
  const compiler = new Compiler({ ...options, hasRescue, rescuesConflicts });
  return { ...compiler.node(message, own, "", ROW), columns };
}

class Compiler {
  private readonly options: ProgramOptions;

  constructor(options: ProgramOptions) {
    this.options = options;
  }

  /**
   * @param prefix of the names of its columns, where it is flat
   * @param at the struct that its columns are in
   */
  node(
    message: ProtoMessage,
    columns: readonly ColumnBuilder[],
    prefix: string,
    at: Place,
  ): MessageNode {
    const slots = message.fields.map((field) => this.slot(field, columns, prefix, at));
    linkRivals(slots);
    const own = new Set(slots.flatMap((slot) => this.columnsOf(slot)));
    const others = prefix === "" ? columns.filter((column) => !own.has(column)) : [];
    return {
      message,
      slots,
      columns,
      learnable: slots.some(isLearnable),
      byNumber: new Map(slots.map((slot) => [slot.field.number, slot])),
      lists: slots.filter(({ field, values, key }) => {
        return field.label !== "single" && (values !== null || key !== null);
      }),
      filled: slots.filter(({ fill, required }) => fill !== null || required),
      beside: slots.filter(({ value }) => value.kind === "beside"),
      others: others
        .map(
          (column) =>
            [joinPath(at.path, column.field.name), column, fillerOf(column.field)] as const,
        )
        .filter(([, column, fill]) => fill !== null || column.field.required),
    };
  }

  private columnsOf(slot: Slot): ColumnBuilder[] {
    if (slot.column !== null) return [slot.column];
    const { value } = slot;
    const isFlat = value.kind === "message" && value.flat;
    return isFlat ? value.node.slots.flatMap((each) => this.columnsOf(each)) : [];
  }

  private slot(
    field: ProtoField,
    columns: readonly ColumnBuilder[],
    prefix: string,
    parent: Place,
  ): Slot {
    const { flattenSeparator, shaping } = this.options;
    const name = prefix + field.name;
    const column = this.find(columns, name, parent);
    const own = column === null ? [] : [shaping.fieldName(parent.source, column.field.name)];
    const source = joinPath(parent.source, shaping.nameAmong(parent.source, [name, ...own]));
    const path = joinPath(parent.path, column?.field.name ?? shaping.columnName(source, name));
    if (shaping.ignores(source)) return bareSlot(field, path, { kind: "unknown", reason: null });
    const at = { path, source };
    const cover = shaping.coverOf(source);
    const isFlat = flattenSeparator !== null && parent.path === "" && isFlattened(field);
    if (isFlat && cover === null) {
      return this.flatSlot(field, columns, `${name}${flattenSeparator}`, path);
    }
    if (column === null) return this.unplaced(field, at);
    if (cover !== null) return this.covered(field, column, path, cover);
    const slot = this.placed(field, column, at);
    return isConflict(slot) && this.keepsConflicts(column, source)
      ? this.kept(field, path, column)
      : slot;
  }

  /** A field with a column. */
  private placed(field: ProtoField, column: ColumnBuilder, at: Place): Slot {
    const slot = this.columnSlot(field, column, at);
    const last = column.children.at(-1);
    if (field.label === "single") return slot;
    const kind = field.label === "map" ? "map" : "list";
    const isAdmitted = this.options.shaping.admits(at.source, kind);
    if (last === undefined || column.field.type.kind !== kind || !isAdmitted) {
      return { ...slot, column, value: { kind: "conflict" } };
    }
    const [keys] = column.children;
    if (field.key === null || keys === undefined) {
      const inside = below(at, "element");
      const keepsConflicts = this.keepsConflicts(last, inside.source);
      const value = this.value(field.type, last, inside);
      return { ...slot, ...value, keepsConflicts, column, values: last };
    }
    const [keyField, valueField] = entryFields(field, field.key);
    const entry = this.columnSlot(valueField, last, below(at, "value"));
    const key = this.columnSlot(keyField, keys, below(at, "key"));
    return { ...slot, value: entry.value, column, key, entry };
  }

  private columnSlot(field: ProtoField, column: ColumnBuilder, at: Place): Slot {
    const isSingle = field.label === "single";
    const value = this.value(field.type, column, at);
    const slot = bareSlot(field, at.path, value.value);
    const weight = 1 + weightOf(column);
    if (!isSingle) return { ...slot, ...value, column, weight };
    const fill = defaultFiller(field, column, value.value) ?? fillerOf(column.field);
    const required = fill === null && (column.field.required || field.presence === "required");
    const keepsConflicts = this.keepsConflicts(column, at.source);
    return { ...slot, ...value, column, values: column, fill, required, weight, keepsConflicts };
  }

  private flatSlot(
    field: ProtoField,
    columns: readonly ColumnBuilder[],
    prefix: string,
    path: string,
  ): Slot {
    const { type } = field.type as Extract<ProtoType, { kind: "message" }>;
    const node = this.node(type, columns, prefix, ROW);
    const slot = bareSlot(field, path, { kind: "message", node, flat: true });
    return { ...slot, required: field.presence === "required" };
  }

  private keepsConflicts({ field }: ColumnBuilder, source: string): boolean {
    const { rescuesConflicts, shaping } = this.options;
    return rescuesConflicts && !field.required && !shaping.hides(source);
  }

  /** A field in whose column something else stands. */
  private covered(field: ProtoField, column: ColumnBuilder, path: string, cover: Cover): Slot {
    const slot = bareSlot(field, path, { kind: "conflict" });
    if (column.field.type.kind !== "string") return { ...slot, column };
    const beside = this.beside(field, cover);
    // A field that is missing may mean its default, which is a value like any other.
    beside.node.slots[0]?.fill?.(beside.aside.column);
    const missing = beside.aside.takeText();
    const ofMissing: Filler | null = missing === null ? null : (to) => cover.append(missing, to);
    const fill = ofMissing ?? fillerOf(column.field);
    const required = fill === null && (column.field.required || field.presence === "required");
    return { ...slot, value: { kind: "beside", value: beside }, column, fill, required };
  }

  /** A field that is kept in `_rescued`, under `path`. @param column that cannot hold it; null: it has none */
  private kept(field: ProtoField, path: string, column: ColumnBuilder | null): Slot {
    const value = { kind: "beside", value: this.beside(field, null) } as const;
    const fill = column === null ? null : fillerOf(column.field);
    return { ...bareSlot(field, path, value), column, fill };
  }

  /** A field alone, into a column of its type. */
  private beside(field: ProtoField, cover: Cover | null): Beside {
    const [made] = columnsOf({ name: field.name, fields: [field] });
    assert(made !== undefined, "a field makes a column");
    const aside = new Aside(made.type);
    const alone = { ...field, name: aside.column.field.name, oneof: null };
    const message = { name: field.name, fields: [alone] };
    const compiler = new Compiler({
      ...this.options,
      flattenSeparator: null,
      eventTimeField: null,
      shaping: new Shaping(),
      unknown: null,
      hasRescue: false,
      rescuesConflicts: false,
    });
    const node = compiler.node(message, [aside.column], "", ROW);
    return { node, aside, cover, pieces: [] };
  }

  private find(
    columns: readonly ColumnBuilder[],
    name: string,
    { source }: Place,
  ): ColumnBuilder | null {
    const { shaping, ignoresCase } = this.options;
    const fieldOf = ({ field }: ColumnBuilder): string => shaping.fieldName(source, field.name);
    const exact = columns.find((column) => fieldOf(column) === name);
    if (exact !== undefined || !ignoresCase) return exact ?? null;
    const lower = name.toLowerCase();
    return columns.find((column) => fieldOf(column).toLowerCase() === lower) ?? null;
  }

  /** A field without a column. */
  private unplaced(field: ProtoField, at: Place): Slot {
    const reason = this.misplaced(field, at) ?? this.unknown(at);
    if (reason === "nothing") return bareSlot(field, at.path, { kind: "unknown", reason: null });
    if (reason === "rescue") return this.kept(field, at.source, null);
    return bareSlot(field, at.path, { kind: "unknown", reason });
  }

  /** What the settings say of a field that they name something inside of; null: nothing. */
  private misplaced(field: ProtoField, { path, source }: Place): "nothing" | RejectReason | null {
    const { shaping, unknown } = this.options;
    if (!shaping.leadsInside(source)) return null;
    const type = columnTypeOf(field, path);
    if (shaping.leavesNothing(type, source)) return "nothing";
    return unknown === "evolve" ? shaping.refusalOf(type, source) : null;
  }

  private unknown({ path, source }: Place): RejectReason | "evolve" | "rescue" | null {
    const { dropped, taken, unknown, shaping } = this.options;
    if (unknown === null || dropped.find(path) !== undefined) return null;
    // What is masked somewhere inside is never shown as it came.
    if (unknown === "rescue") return shaping.hides(source) ? "unknown_field" : "rescue";
    const isSlip = unknown === "evolve" && shaping.isSlip(source);
    if (isSlip || taken.find(path) !== undefined) return "ambiguous_field";
    const name = path.slice(path.lastIndexOf(".") + 1);
    const isUsable = !isUnusableName(name) && !isReservedName(path);
    return unknown === "evolve" && !isUsable ? "bad_field_name" : unknown;
  }

  /** How values of a type go into a column. */
  private value(
    type: ProtoType,
    column: ColumnBuilder,
    at: Place,
  ): { readonly value: SlotKind; readonly microsPerUnit: number } {
    const to = column.field.type;
    if (!this.options.shaping.admits(at.source, valueKind(type))) {
      return { value: { kind: "conflict" }, microsPerUnit: 0 };
    }
    if (type.kind === "message")
      return { value: this.message(type.type, column, at), microsPerUnit: 0 };
    if (type.kind === "enum") {
      const fits = to.kind === "string" || to.kind === "int" || to.kind === "long";
      return { value: fits ? enumKind(type.type) : { kind: "conflict" }, microsPerUnit: 0 };
    }
    const { scalar } = type;
    if (!isPrimitive(to)) return { value: { kind: "conflict" }, microsPerUnit: 0 };
    if (at.path === this.options.eventTimeField) {
      const time = this.options.eventTime(to);
      if (time !== null) {
        const isWhole = scalar !== "string" && holdsWhole(scalar);
        const microsPerUnit = isWhole ? time.microsPerUnit : 0;
        return { value: { kind: "parsed", scalar, parse: time.parse }, microsPerUnit };
      }
    }
    return { value: scalarKind(scalar, to, this.options.dropsZone), microsPerUnit: 0 };
  }

  private message(message: ProtoMessage, column: ColumnBuilder, at: Place): SlotKind {
    const to = column.field.type;
    const special = wellKnown(message);
    if (special === null) {
      if (to.kind !== "struct") return { kind: "conflict" };
      const node = this.node(message, column.children, "", at);
      return { kind: "message", node, flat: false };
    }
    const fits =
      special.kind === "wrapper"
        ? isPrimitive(to) && scalarKind(special.scalar, to, false).kind === "scalar"
        : holds(special, to);
    return fits ? { kind: "wellKnown", type: special } : { kind: "conflict" };
  }
}

/** The place of what is in a list or a map. */
function below({ path, source }: Place, name: string): Place {
  return { path: joinPath(path, name), source: joinPath(source, name) };
}

/** True where the type of a field, or of what is in it, does not fit its column. */
function isConflict({ value, key, entry }: Slot): boolean {
  return [value, key?.value, entry?.value].some((each) => each?.kind === "conflict");
}

function isLearnable({ value, entry }: Slot): boolean {
  if (entry !== null) return isLearnable(entry);
  if (value.kind === "message") return value.node.learnable;
  return value.kind === "unknown" && value.reason === "evolve";
}

/** Lists below are left out: their elements are counted one by one. */
function weightOf({ field, children }: ColumnBuilder): number {
  if (field.type.kind === "struct")
    return children.reduce((sum, child) => sum + weightOf(child), 0);
  return 1;
}
