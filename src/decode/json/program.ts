/**
 * What the JSON reader does with each key: fields compiled to a tree of slots over column builders.
 *
 * A record's keys nearly always come in the order of the record before. Each node remembers which
 * slots followed which (two candidates), so that finding a key is a comparison of a few bytes.
 *
 * With a flatten separator, `a_b` is found as key `a_b` and as key `b` of object `a`: each way of
 * splitting the column's name has its slot in a group, a node whose columns belong to the row.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { joinPath, type TakenPaths } from "#columns/paths.ts";
import { isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import type { EventTime } from "#decode/eventTime.ts";
import { type Filler, fillerOf } from "./defaults.ts";
import { keyBytes } from "./strings.ts";
import { type TextParser, textParser } from "./values.ts";

/** What to do with a value. */
export const OP = {
  boolean: 0,
  int: 1,
  long: 2,
  float: 3,
  double: 4,
  string: 5,
  /** A declared type from its text form. */
  text: 6,
  eventTime: 7,
  struct: 8,
  list: 9,
  map: 10,
  /** Only an object makes sense here, and its members are columns of the row. */
  group: 11,
} as const;

/** One place of a value: a key of an object, or a list's or map's element. */
export interface Slot {
  readonly name: string;
  /** The full path of the column, or of the object that is flattened, for people. */
  readonly path: string;
  /** The key as it usually stands in the text, quotes included. */
  readonly key: Uint8Array;
  readonly op: number;
  /** Where values go; a group has the row's first column here, which is never touched. */
  readonly column: ColumnBuilder;
  /** It has no null, not even a written one. */
  readonly required: boolean;
  /** Fills its column in a record without it; null: such a column is null, or missing. */
  readonly fill: Filler | null;
  readonly parse: TextParser | null;
  readonly microsPerUnit: number;
  /** eventTime: text in ISO 8601. */
  readonly isIso: boolean;
  /** struct, group: what the object's keys do. */
  readonly members: StructNode | null;
  /** list: its elements; map: its values. */
  readonly element: Slot | null;
  /** Columns that one value of a list's element or a map's entry fills at least. */
  readonly weight: number;
  /** group: number of the reader's document that showed it last; it has no column that tells. */
  seenIn: number;
}

/** An object whose keys are fields. */
export interface StructNode {
  readonly slots: readonly Slot[];
  readonly byName: ReadonlyMap<string, number>;
  /** The same by the names in lower case; null: case counts. */
  readonly byLower: ReadonlyMap<string, number> | null;
  /** What a key's column is called: this, then the key; "" for the row. */
  readonly prefix: string;
  /** Full paths of all columns: what no new field may have. */
  readonly taken: TakenPaths;
  /** Full paths of columns that the table's owner dropped: what is ignored. */
  readonly dropped: TakenPaths;
  /** Slots that every object must show. */
  readonly required: readonly Slot[];
  /** Slots whose columns have a default. */
  readonly filled: readonly Slot[];
  /** Slot that followed slot `i - 1` last; index 0 is the first key. -1: not seen yet. */
  readonly follow: Int32Array;
  /** Slot that followed before that one. */
  readonly followBefore: Int32Array;
}

/** What a program is compiled from. */
export interface ProgramOptions {
  readonly flattenSeparator: string | null;
  /** Full path of the event time's column. */
  readonly eventTimeField: string | null;
  /** Makes the reader of the event time column, when there is one. */
  readonly eventTime: (type: PrimitiveType) => EventTime | null;
  /** Paths of all columns, metadata columns included. */
  readonly taken: TakenPaths;
  /** Paths whose fields are ignored. */
  readonly dropped: TakenPaths;
  /** A key finds the column whose name differs from it by case only. */
  readonly ignoresCase: boolean;
}

/** Compiles the row's data columns (metadata columns left out). */
export function compileRow(columns: readonly ColumnBuilder[], options: ProgramOptions): StructNode {
  if (options.flattenSeparator === null) {
    const slots = columns.map((column) =>
      valueSlot(column, column.field.name, column.field.name, options),
    );
    return structNode(slots, "", options);
  }
  return groupNode(columns, "", options, new Map());
}

function structNode(
  slots: readonly Slot[],
  prefix: string,
  { taken, dropped, ignoresCase }: ProgramOptions,
): StructNode {
  return {
    slots,
    byName: new Map(slots.map((slot, index) => [slot.name, index])),
    byLower: ignoresCase
      ? new Map(slots.map((slot, index) => [slot.name.toLowerCase(), index]))
      : null,
    prefix,
    taken,
    dropped,
    required: slots.filter((slot) => slot.required && slot.fill === null),
    filled: slots.filter((slot) => slot.fill !== null),
    follow: new Int32Array(slots.length + 1).fill(-1),
    followBefore: new Int32Array(slots.length + 1).fill(-1),
  };
}

function bareSlot(column: ColumnBuilder, name: string, path: string): Slot {
  return {
    name,
    path,
    key: keyBytes(name),
    op: OP.string,
    column,
    required: column.field.required,
    fill: fillerOf(column.field),
    parse: null,
    microsPerUnit: 0,
    isIso: false,
    members: null,
    element: null,
    weight: weightOf(column),
    seenIn: 0,
  };
}

/** @param path the column's full path */
function valueSlot(
  column: ColumnBuilder,
  name: string,
  path: string,
  options: ProgramOptions,
): Slot {
  const { type } = column.field;
  const slot = bareSlot(column, name, path);
  const last = column.children.at(-1);
  const below = (child: ColumnBuilder): Slot =>
    valueSlot(child, child.field.name, joinPath(path, child.field.name), options);
  if (type.kind === "struct") {
    const members = column.children.map((child) => below(child));
    return { ...slot, op: OP.struct, members: structNode(members, `${path}.`, options) };
  }
  if (last !== undefined) {
    const op = type.kind === "list" ? OP.list : OP.map;
    return { ...slot, op, element: below(last) };
  }
  if (path === options.eventTimeField && isPrimitive(type)) {
    const time = options.eventTime(type);
    if (time !== null) return { ...slot, op: OP.eventTime, ...time };
  }
  const parse = isPrimitive(type) ? textParser(type) : null;
  if (parse !== null) return { ...slot, op: OP.text, parse };
  return {
    ...slot,
    op: OP[type.kind as "boolean" | "int" | "long" | "float" | "double" | "string"],
  };
}

/** Lists below are left out: their elements are counted one by one. */
function weightOf({ field, children }: ColumnBuilder): number {
  if (field.type.kind !== "struct") return 1;
  return children.reduce((sum, child) => sum + weightOf(child), 1);
}

/**
 * The node of the columns whose names begin with `prefix`, under the rest of their names.
 * @param known nodes by prefix: a prefix is reached by several ways of splitting
 */
function groupNode(
  columns: readonly ColumnBuilder[],
  prefix: string,
  options: ProgramOptions,
  known: Map<string, StructNode>,
): StructNode {
  const separator = options.flattenSeparator ?? "";
  const slots = new Map<string, Slot>();
  const below = columns.filter((column) => column.field.name.startsWith(prefix));
  for (const column of below) {
    const rest = column.field.name.slice(prefix.length);
    if (rest !== "") slots.set(rest, valueSlot(column, rest, column.field.name, options));
  }
  for (const column of below) {
    const rest = column.field.name.slice(prefix.length);
    for (let at = rest.indexOf(separator); at >= 0; at = rest.indexOf(separator, at + 1)) {
      const key = rest.slice(0, at);
      if (key === "" || slots.has(key)) continue;
      const inner = `${prefix}${key}${separator}`;
      const members = known.get(inner) ?? groupNode(columns, inner, options, known);
      const slot = bareSlot(column, key, prefix + key);
      slots.set(key, { ...slot, op: OP.group, required: false, fill: null, members });
    }
  }
  const isRow = prefix === "";
  const whole = structNode([...slots.values()], prefix, options);
  // A missing column may come by another way of splitting its name: the row's end knows.
  const node = isRow ? whole : { ...whole, required: [], filled: [] };
  known.set(prefix, node);
  return node;
}
