/**
 * What the Protobuf reader does with each field: a message type compiled to slots over column
 * builders. Fields are found by number, in the order in which they came last.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { joinPath, type TakenPaths } from "#columns/paths.ts";
import { isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import type { EventTime } from "#decode/eventTime.ts";
import { type Filler, fillerOf } from "#decode/json/defaults.ts";
import { type TextParser, zonedParser } from "#decode/json/values.ts";
import type { RejectReason } from "#decode/rejects.ts";
import { isFlattened } from "./columns.ts";
import { defaultFiller } from "./defaults.ts";
import {
  type ProtoEnum,
  type ProtoField,
  type ProtoMessage,
  type ProtoType,
  type Scalar,
  scalarWire,
  WIRE,
} from "./model.ts";
import { type WellKnown, wellKnown } from "./wellKnown.ts";

/** What a value is, and what is done with it. */
export type SlotKind =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | {
      readonly kind: "enum";
      readonly type: ProtoEnum;
      readonly names: ReadonlyMap<number, Uint8Array>;
    }
  /** `flat`: its members are columns of the message around it. */
  | { readonly kind: "message"; readonly node: MessageNode; readonly flat: boolean }
  | { readonly kind: "wellKnown"; readonly type: WellKnown }
  /** Text or a number that its column holds in another form. */
  | { readonly kind: "parsed"; readonly scalar: Scalar; readonly parse: TextParser }
  /** Its column cannot hold it. */
  | { readonly kind: "conflict" }
  /** No column is its own; null: it is passed over; `evolve`: one may come. */
  | { readonly kind: "unknown"; readonly reason: RejectReason | "evolve" | null };

/** One field of a message, or the key or value of a map's entries. */
export interface Slot {
  readonly field: ProtoField;
  /** Full path of its column. */
  readonly path: string;
  readonly value: SlotKind;
  /** The wire type of one value. */
  readonly wire: number;
  /** Several values may stand in one field of bytes. */
  readonly packable: boolean;
  /** The field's column; null: `unknown`, or flat. */
  readonly column: ColumnBuilder | null;
  /** Where one value goes: the column, or a list's elements. */
  readonly values: ColumnBuilder | null;
  /** map: the keys. */
  readonly key: Slot | null;
  /** map: the values. */
  readonly entry: Slot | null;
  /** Fills the column where the field is missing; null: it is null there, or an empty list. */
  readonly fill: Filler | null;
  /** A message without it is refused. */
  readonly required: boolean;
  /** The slots of its oneof, its own left out. */
  readonly rivals: Slot[];
  /** Columns that one more element of a list or entry of a map fills at least. */
  readonly weight: number;
  /** Microseconds of one unit, where it is an event time in a whole number; 0: it is not. */
  readonly microsPerUnit: number;
  /** flat: number of the reader's record that showed it last; it has no column that tells. */
  seenIn: number;
}

/** A message whose fields are columns. */
export interface MessageNode {
  readonly message: ProtoMessage;
  readonly slots: readonly Slot[];
  readonly byNumber: ReadonlyMap<number, Slot>;
  /** All columns that a value of it fills. */
  readonly columns: readonly ColumnBuilder[];
  /** Columns of lists and maps: they end with the message. */
  readonly lists: readonly Slot[];
  /** Columns that hold something where their field is missing, or must not be missing. */
  readonly filled: readonly Slot[];
  /** A field of it, or of a message in it, has no column, and one may come. */
  readonly learnable: boolean;
  /** Columns here that no field of the message is for, and that a null does not do for. */
  readonly others: readonly (readonly [path: string, ColumnBuilder, Filler | null])[];
}

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
  /** Why a field without a column refuses its record. */
  readonly unknown: RejectReason | "evolve" | null;
}

/** Compiles a message into the data columns of a row. */
export function compileMessage(
  message: ProtoMessage,
  columns: readonly ColumnBuilder[],
  options: ProgramOptions,
): MessageNode {
  return new Compiler(options).node(message, columns, "", "");
}

class Compiler {
  private readonly options: ProgramOptions;

  constructor(options: ProgramOptions) {
    this.options = options;
  }

  /**
   * @param prefix of the names of its columns, where it is flat
   * @param path of the struct that its columns are in, "" for the row
   */
  node(
    message: ProtoMessage,
    columns: readonly ColumnBuilder[],
    prefix: string,
    path: string,
  ): MessageNode {
    const slots = message.fields.map((field) => this.slot(field, columns, prefix, path));
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
      others: others
        .map(
          (column) => [joinPath(path, column.field.name), column, fillerOf(column.field)] as const,
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
    parent: string,
  ): Slot {
    const name = prefix + field.name;
    const path = joinPath(parent, name);
    const { flattenSeparator } = this.options;
    if (flattenSeparator !== null && parent === "" && isFlattened(field)) {
      return this.flatSlot(field, columns, `${name}${flattenSeparator}`, path);
    }
    const column = this.find(columns, name);
    if (column === null)
      return bareSlot(field, path, { kind: "unknown", reason: this.unknown(path) });
    const slot = this.columnSlot(field, column, path);
    const last = column.children.at(-1);
    if (field.label === "single") return slot;
    if (last === undefined || (field.label === "map") !== (column.field.type.kind === "map")) {
      return { ...slot, column, value: { kind: "conflict" } };
    }
    const [keys] = column.children;
    if (field.key === null || keys === undefined) {
      return { ...slot, ...this.value(field.type, last, path), column, values: last };
    }
    const [keyField, valueField] = entryFields(field, field.key);
    const entry = this.columnSlot(valueField, last, joinPath(path, "value"));
    const key = this.columnSlot(keyField, keys, joinPath(path, "key"));
    return { ...slot, value: entry.value, column, key, entry };
  }

  private columnSlot(field: ProtoField, column: ColumnBuilder, path: string): Slot {
    const isSingle = field.label === "single";
    const value = this.value(field.type, column, path);
    const slot = bareSlot(field, path, value.value);
    const weight = 1 + weightOf(column);
    if (!isSingle) return { ...slot, ...value, column, weight };
    const fill = defaultFiller(field, column, value.value) ?? fillerOf(column.field);
    const required = fill === null && (column.field.required || field.presence === "required");
    return { ...slot, ...value, column, values: column, fill, required, weight };
  }

  private flatSlot(
    field: ProtoField,
    columns: readonly ColumnBuilder[],
    prefix: string,
    path: string,
  ): Slot {
    const { type } = field.type as Extract<ProtoType, { kind: "message" }>;
    const node = this.node(type, columns, prefix, "");
    const slot = bareSlot(field, path, { kind: "message", node, flat: true });
    return { ...slot, required: field.presence === "required" };
  }

  private find(columns: readonly ColumnBuilder[], name: string): ColumnBuilder | null {
    const exact = columns.find((column) => column.field.name === name);
    if (exact !== undefined || !this.options.ignoresCase) return exact ?? null;
    const lower = name.toLowerCase();
    return columns.find((column) => column.field.name.toLowerCase() === lower) ?? null;
  }

  private unknown(path: string): RejectReason | "evolve" | null {
    const { dropped, taken, unknown } = this.options;
    if (unknown === null || dropped.find(path) !== undefined) return null;
    if (taken.find(path) !== undefined) return "ambiguous_field";
    const name = path.slice(path.lastIndexOf(".") + 1);
    const isUsable = !isUnusableName(name) && !isReservedName(path);
    return unknown === "evolve" && !isUsable ? "bad_field_name" : unknown;
  }

  /** How values of a type go into a column. */
  private value(
    type: ProtoType,
    column: ColumnBuilder,
    path: string,
  ): { readonly value: SlotKind; readonly microsPerUnit: number } {
    const to = column.field.type;
    if (type.kind === "message")
      return { value: this.message(type.type, column, path), microsPerUnit: 0 };
    if (type.kind === "enum") {
      const fits = to.kind === "string" || to.kind === "int" || to.kind === "long";
      return { value: fits ? enumKind(type.type) : { kind: "conflict" }, microsPerUnit: 0 };
    }
    const { scalar } = type;
    if (!isPrimitive(to)) return { value: { kind: "conflict" }, microsPerUnit: 0 };
    if (path === this.options.eventTimeField) {
      const time = this.options.eventTime(to);
      if (time !== null) {
        const isWhole = scalar !== "string" && holdsWhole(scalar);
        const microsPerUnit = isWhole ? time.microsPerUnit : 0;
        return { value: { kind: "parsed", scalar, parse: time.parse }, microsPerUnit };
      }
    }
    return { value: scalarKind(scalar, to, this.options.dropsZone), microsPerUnit: 0 };
  }

  private message(message: ProtoMessage, column: ColumnBuilder, path: string): SlotKind {
    const to = column.field.type;
    const special = wellKnown(message);
    if (special === null) {
      if (to.kind !== "struct") return { kind: "conflict" };
      const node = this.node(message, column.children, "", path);
      return { kind: "message", node, flat: false };
    }
    const fits =
      special.kind === "wrapper"
        ? isPrimitive(to) && scalarKind(special.scalar, to, false).kind === "scalar"
        : holds(special, to);
    return fits ? { kind: "wellKnown", type: special } : { kind: "conflict" };
  }
}

function isLearnable({ value, entry }: Slot): boolean {
  if (entry !== null) return isLearnable(entry);
  if (value.kind === "message") return value.node.learnable;
  return value.kind === "unknown" && value.reason === "evolve";
}

/** The members of a map's entry as fields. */
function entryFields(
  field: ProtoField,
  key: Scalar,
): readonly [key: ProtoField, value: ProtoField] {
  const single = {
    ...field,
    label: "single",
    key: null,
    oneof: null,
    doc: null,
    defaultValue: null,
  } as const;
  return [
    {
      ...single,
      name: "key",
      number: 1,
      presence: "implicit",
      type: { kind: "scalar", scalar: key },
    },
    { ...single, name: "value", number: 2, presence: "implicit" },
  ];
}

function linkRivals(slots: readonly Slot[]): void {
  for (const slot of slots) {
    const { oneof } = slot.field;
    if (oneof === null) continue;
    slot.rivals.push(...slots.filter((each) => each !== slot && each.field.oneof === oneof));
  }
}

function bareSlot(field: ProtoField, path: string, value: SlotKind): Slot {
  const wire = wireOf(field.type);
  return {
    field,
    path,
    value,
    wire: field.label === "map" ? WIRE.bytes : wire,
    packable: field.label === "repeated" && wire !== WIRE.bytes && wire !== WIRE.group,
    column: null,
    values: null,
    key: null,
    entry: null,
    fill: null,
    required: false,
    rivals: [],
    weight: 1,
    microsPerUnit: 0,
    seenIn: 0,
  };
}

function wireOf(type: ProtoType): number {
  if (type.kind === "message") return type.group ? WIRE.group : WIRE.bytes;
  return type.kind === "enum" ? WIRE.varint : scalarWire(type.scalar);
}

function enumKind(type: ProtoEnum): SlotKind {
  const encoder = new TextEncoder();
  const names = new Map([...type.names].map(([number, name]) => [number, encoder.encode(name)]));
  return { kind: "enum", type, names };
}

/** True for a scalar that is a whole number. */
function holdsWhole(scalar: Scalar): boolean {
  return !["float", "double", "bool", "string", "bytes"].includes(scalar);
}

/** How a scalar goes into a column of another type than its own, too: where no value is lost. */
function scalarKind(scalar: Scalar, to: PrimitiveType, dropsZone: boolean): SlotKind {
  const fits = (yes: boolean): SlotKind =>
    yes ? { kind: "scalar", scalar } : { kind: "conflict" };
  if (scalar === "string") {
    const parse = zonedParser(to, dropsZone);
    if (parse !== null) return { kind: "parsed", scalar, parse };
    return fits(to.kind === "string");
  }
  if (scalar === "bytes") return fits(["binary", "fixed", "uuid"].includes(to.kind));
  if (scalar === "bool") return fits(to.kind === "boolean");
  if (scalar === "double") return fits(to.kind === "double");
  if (scalar === "float") return fits(to.kind === "float" || to.kind === "double");
  return fits(["int", "long", "decimal", "double"].includes(to.kind));
}

function holds(
  special: Exclude<WellKnown, { kind: "wrapper" }>,
  to: ColumnBuilder["field"]["type"],
): boolean {
  if (special.kind === "timestamp") return to.kind === "timestamp" || to.kind === "timestamp_ns";
  if (special.kind === "duration") return to.kind === "decimal" && to.scale === 9;
  return to.kind === special.type.kind;
}

/** Lists below are left out: their elements are counted one by one. */
function weightOf({ field, children }: ColumnBuilder): number {
  if (field.type.kind === "struct")
    return children.reduce((sum, child) => sum + weightOf(child), 0);
  return 1;
}
