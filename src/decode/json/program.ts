/**
 * What the JSON reader does with each key: fields compiled to a tree of slots over column builders.
 *
 * A record's keys nearly always come in the order of the record before. Each node remembers which
 * slots followed which (two candidates), so that finding a key is a comparison of a few bytes.
 *
 * With a flatten separator, `a_b` is found as key `a_b` and as key `b` of object `a`: each way of
 * splitting the column's name has its slot in a group, a node whose columns belong to the row.
 */
import { ColumnBuilder } from "#columns/builder.ts";
import { joinPath, type TakenPaths } from "#columns/paths.ts";
import { isPrimitive, type PrimitiveType, type Type } from "#columns/schema.ts";
import type { Cover } from "#decode/covers.ts";
import type { EventTime } from "#decode/eventTime.ts";
import type { Shaping } from "#decode/shaping.ts";
import { type Filler, fillerOf } from "./defaults.ts";
import { keyBytes } from "./strings.ts";
import { hasNoZone, type TextParser, zonedParser } from "./values.ts";

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
  /** Text that stands for a value of any kind. */
  cover: 12,
  /** Nothing but null may stand here: the settings name something inside, and the column has no inside. */
  refuse: 13,
  /** Parts of a change's envelope, which only the kernel reads in their places (`envelope.ts`). */
  row: 24,
  image: 25,
  operation: 26,
} as const;

/** Stands for the column of a slot that has none. */
export const NO_COLUMN: ColumnBuilder = new ColumnBuilder({
  id: 0,
  name: "",
  required: false,
  type: { kind: "string" },
});

/** One place of a value: a key of an object, or a list's or map's element. */
export interface Slot {
  /** The field's own name in the record. */
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
  /** A `Z` behind a date, or behind a time of no zone, is no part of it. */
  readonly dropsZone: boolean;
  readonly cover: Cover | null;
  /** Something in it is masked or left out: it is never shown as it came. */
  readonly isProtected: boolean;
  /** Its field is left out, though there is a column for it. */
  readonly isIgnored: boolean;
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
  /** Keys that are left out, though there are columns for them. */
  readonly ignored: ReadonlySet<string>;
  /** The same by the names in lower case; null: case counts. */
  readonly byLower: ReadonlyMap<string, number> | null;
  /** What a key's column is called: this, then the key's column; "" for the row. */
  readonly prefix: string;
  /** The path of a key's field: this, then the key; "" for the row. */
  readonly source: string;
  readonly shaping: Shaping;
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
  /** Which fields are what. */
  readonly shaping: Shaping;
  /** Dates, and times of no zone, may end with a `Z`: so Debezium writes them (`isostring`). */
  readonly dropsZone: boolean;
}

/** Compiles the row's data columns (metadata columns left out). */
export function compileRow(columns: readonly ColumnBuilder[], options: ProgramOptions): StructNode {
  if (options.flattenSeparator === null) {
    const slots = columns.map((column) => {
      const name = options.shaping.fieldName("", column.field.name);
      return valueSlot(column, { name, path: column.field.name, source: name }, options);
    });
    return structNode(slots, "", "", options);
  }
  const flat = columns.map((column) => {
    return { column, source: options.shaping.fieldName("", column.field.name) };
  });
  return groupNode(flat, "", options, new Map());
}

/**
 * Compiles columns that a key alone fills: an object with their fields, or one whose member `payload` has
 * them (Connect's schemas). Whatever else is in it says nothing.
 * @param isWhole it must have them all
 */
export function compileKey(
  columns: readonly ColumnBuilder[],
  options: ProgramOptions,
  isWhole: boolean,
): StructNode {
  const row = compileRow(columns, options);
  const required = isWhole ? ofImage(row) : { required: [], filled: [] };
  if (row.byName.has(PAYLOAD)) return { ...row, ...required };
  const payload = partSlot(PAYLOAD, OP.group, { ...row, required: [], filled: [] });
  return { ...structNode([...row.slots, payload], "", "", options), ...required };
}

/** Compiles columns that all must be in an object: those of the key, in the image of a deleted row. */
export function compileImage(
  columns: readonly ColumnBuilder[],
  options: ProgramOptions,
): StructNode {
  const row = compileRow(columns, options);
  return { ...row, ...ofImage(row) };
}

/** A key is whole, and nothing is made up for what it lacks. */
function ofImage({ slots }: StructNode): Pick<StructNode, "required" | "filled"> {
  return { required: slots.filter(({ op }) => op !== OP.group), filled: [] };
}

/** The member of a document with Connect's schemas that is the document proper. */
const PAYLOAD = "payload";

/** What the kernel reads an envelope by. */
export interface EnvelopeNodes {
  readonly row: StructNode;
  readonly source: StructNode | null;
  /** The column of the operation; null: there is none. */
  readonly operation: ColumnBuilder | null;
}

/** Compiles Debezium's envelope, which is the document or, with Connect's schemas, its `payload`. */
export function compileEnvelope(
  { row, source, operation }: EnvelopeNodes,
  options: ProgramOptions,
): StructNode {
  const slots = [
    partSlot("before", OP.image, null),
    partSlot("after", OP.row, row),
    ...(source === null ? [] : [partSlot("source", OP.group, source)]),
    { ...partSlot("op", OP.operation, null), column: operation ?? NO_COLUMN },
  ];
  const inner = structNode(slots, "", "", options);
  return structNode([...slots, partSlot(PAYLOAD, OP.group, inner)], "", "", options);
}

/**
 * Compiles a bare row that says itself what was done. Only the kernel reads it by this: its operation is
 * one letter there.
 * @param name of the member that says it
 */
export function compileOperation(
  row: StructNode,
  name: string,
  operation: ColumnBuilder | null,
  options: ProgramOptions,
): StructNode {
  const slot = { ...partSlot(name, OP.operation, null), column: operation ?? NO_COLUMN };
  return { ...structNode([...row.slots, slot], "", "", options), byLower: row.byLower };
}

function partSlot(name: string, op: number, members: StructNode | null): Slot {
  return { ...bareSlot(NO_COLUMN, name, name), op, members };
}

/** A column with the flattened path of its field. */
interface FlatColumn {
  readonly column: ColumnBuilder;
  readonly source: string;
}

function structNode(
  all: readonly Slot[],
  prefix: string,
  source: string,
  { taken, dropped, ignoresCase, shaping }: ProgramOptions,
): StructNode {
  const slots = all.filter(({ isIgnored }) => !isIgnored);
  return {
    slots,
    byName: new Map(slots.map((slot, index) => [slot.name, index])),
    ignored: new Set(all.filter(({ isIgnored }) => isIgnored).map(({ name }) => name)),
    byLower: ignoresCase
      ? new Map(slots.map((slot, index) => [slot.name.toLowerCase(), index]))
      : null,
    prefix,
    source,
    shaping,
    taken,
    dropped,
    required: all.filter((slot) => slot.required && slot.fill === null),
    filled: all.filter((slot) => slot.fill !== null),
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
    dropsZone: false,
    cover: null,
    isProtected: false,
    isIgnored: false,
    microsPerUnit: 0,
    isIso: false,
    members: null,
    element: null,
    weight: weightOf(column),
    seenIn: 0,
  };
}

/** What the value of a column is called. */
interface Place {
  /** The field's own name. */
  readonly name: string;
  /** The column's full path. */
  readonly path: string;
  /** The field's full path. */
  readonly source: string;
}

function valueSlot(
  column: ColumnBuilder,
  { name, path, source }: Place,
  options: ProgramOptions,
): Slot {
  const { shaping } = options;
  const { type } = column.field;
  const isIgnored = shaping.ignores(source);
  const isProtected = shaping.hides(source);
  const slot = { ...bareSlot(column, name, path), isProtected, isIgnored };
  const last = column.children.at(-1);
  const hiding = hidingOf(type, source, shaping);
  if (hiding !== null) return { ...slot, ...hiding };
  const below = (child: ColumnBuilder): Slot => {
    const own = shaping.fieldName(source, child.field.name);
    const place = { path: joinPath(path, child.field.name), source: joinPath(source, own) };
    return valueSlot(child, { name: own, ...place }, options);
  };
  if (type.kind === "struct") {
    const members = column.children.map((child) => below(child));
    const node = structNode(members, `${path}.`, `${source}.`, options);
    return { ...slot, op: OP.struct, members: node };
  }
  if (last !== undefined) {
    const op = type.kind === "list" ? OP.list : OP.map;
    const element = below(last);
    return { ...slot, op, element, isIgnored: isIgnored || element.isIgnored };
  }
  if (path === options.eventTimeField && isPrimitive(type)) {
    const time = options.eventTime(type);
    if (time !== null) return { ...slot, op: OP.eventTime, ...time };
  }
  const parse = isPrimitive(type) ? zonedParser(type, options.dropsZone) : null;
  if (parse !== null && isPrimitive(type)) {
    return { ...slot, op: OP.text, parse, dropsZone: options.dropsZone && hasNoZone(type) };
  }
  return {
    ...slot,
    op: OP[type.kind as "boolean" | "int" | "long" | "float" | "double" | "string"],
  };
}

/** What stands in a column in place of its field's values, or refuses them; null: they themselves stand there. */
function hidingOf(type: Type, source: string, shaping: Shaping): Pick<Slot, "op" | "cover"> | null {
  const cover = shaping.coverOf(source);
  if (cover !== null && type.kind === "string") return { op: OP.cover, cover };
  const isRefused = cover !== null || !shaping.admits(source, type.kind);
  return isRefused ? { op: OP.refuse, cover: null } : null;
}

/** Lists below are left out: their elements are counted one by one. */
function weightOf({ field, children }: ColumnBuilder): number {
  if (field.type.kind !== "struct") return 1;
  return children.reduce((sum, child) => sum + weightOf(child), 1);
}

/** True for an object that is left out or covered as a whole: none of its members fills a column. */
function isWhole(path: string, { shaping }: ProgramOptions): boolean {
  return shaping.ignores(path) || shaping.coverOf(path) !== null;
}

/**
 * The node of the columns whose fields' names begin with `prefix`, under the rest of those names.
 * @param known nodes by prefix: a prefix is reached by several ways of splitting
 */
function groupNode(
  columns: readonly FlatColumn[],
  prefix: string,
  options: ProgramOptions,
  known: Map<string, StructNode>,
): StructNode {
  const separator = options.flattenSeparator ?? "";
  const slots = new Map<string, Slot>();
  const below = columns.filter(({ source }) => source.startsWith(prefix));
  for (const { column, source } of below) {
    const rest = source.slice(prefix.length);
    const place = { name: rest, path: column.field.name, source };
    if (rest !== "") slots.set(rest, valueSlot(column, place, options));
  }
  for (const { column, source } of below) {
    const rest = source.slice(prefix.length);
    for (let at = rest.indexOf(separator); at >= 0; at = rest.indexOf(separator, at + 1)) {
      const key = rest.slice(0, at);
      if (key === "" || slots.has(key) || isWhole(prefix + key, options)) continue;
      const inner = `${prefix}${key}${separator}`;
      const members = known.get(inner) ?? groupNode(columns, inner, options, known);
      const slot = bareSlot(column, key, prefix + key);
      const isProtected = options.shaping.hides(prefix + key);
      slots.set(key, { ...slot, isProtected, op: OP.group, required: false, fill: null, members });
    }
  }
  const isRow = prefix === "";
  const whole = structNode([...slots.values()], prefix, prefix, options);
  // A missing column may come by another way of splitting its name: the row's end knows.
  const node = isRow ? whole : { ...whole, required: [], filled: [] };
  known.set(prefix, node);
  return node;
}
