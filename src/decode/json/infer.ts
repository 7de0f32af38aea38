/**
 * Learns fields from JSON documents (SPEC section 5): integer -> long, any fraction or exponent ->
 * double, object -> struct, array -> list with the element types merged; `null`, `[]` and `{}` give
 * no type yet. Nothing is guessed to be a time, a UUID or a decimal.
 *
 * Deterministic: fields come in the order first seen; where kinds differ, the first typed one
 * counts (the others become type conflicts when they are decoded). What is known already keeps its
 * type; inside known structs, lists and maps new members are found as well.
 */
import { LIMITS } from "#base/limits.ts";
import { isReservedName, isUnusableName } from "#columns/names.ts";
import { joinPath, TakenPaths } from "#columns/paths.ts";
import { childFields, type Field, isPrimitive, type Type } from "#columns/schema.ts";
import type { Shaping } from "#decode/shaping.ts";
import { withoutDuplicates } from "./duplicates.ts";
import { kindAt } from "./inside.ts";
import { CHAR, skipNumber, skipSpace, skipString, skipWord } from "./scan.ts";
import { Skipper } from "./skip.ts";
import { textOf } from "./strings.ts";

type Kind = "none" | "boolean" | "long" | "double" | "string" | "struct" | "list" | "map" | "known";

/** What is known about one place in the documents; members by the names of the fields. */
class Shape {
  /** The path of the field. */
  readonly source: string;
  kind: Kind = "none";
  /** Whether a document had it, be it with null. */
  seen = false;
  /** The field that a table or an earlier batch has here. */
  field: Field | null = null;
  readonly members = new Map<string, Shape>();
  /** Names of members by their lower case; made when they are asked for. */
  private readonly spellings = new Map<string, string>();
  element: Shape | null = null;

  constructor(source: string) {
    this.source = source;
  }

  /** @param source the path of the field */
  static of(field: Field, source: string, shaping: Shaping): Shape {
    const shape = new Shape(source);
    shape.field = field;
    const { type } = field;
    if (isPrimitive(type)) shape.kind = "known";
    else {
      shape.kind = type.kind;
      const last = childFields(type).at(-1);
      if (type.kind === "struct") {
        for (const member of type.fields) {
          const name = shaping.fieldName(source, member.name);
          shape.members.set(name, Shape.of(member, joinPath(source, name), shaping));
        }
      } else if (last !== undefined) {
        shape.element = Shape.of(last, joinPath(source, last.name), shaping);
      }
    }
    return shape;
  }

  /** Takes a kind when there is none yet; a double takes a long's place. */
  see(kind: Kind): void {
    if (this.kind === "none" || (this.kind === "long" && kind === "double")) this.kind = kind;
  }

  /** The name of the member that differs from `name` by case at most; `name` itself: there is none. */
  spelling(name: string): string {
    if (this.members.has(name)) return name;
    if (this.spellings.size !== this.members.size) {
      for (const each of this.members.keys()) this.spellings.set(each.toLowerCase(), each);
    }
    return this.spellings.get(name.toLowerCase()) ?? name;
  }

  member(name: string): Shape {
    const known = this.members.get(name);
    if (known !== undefined) return known;
    const shape = new Shape(joinPath(this.source, name));
    this.members.set(name, shape);
    return shape;
  }
}

/** Collects what documents hold. */
export class Inference {
  private readonly root = new Shape("");
  private readonly separator: string | null;
  private readonly skipper = new Skipper();
  private bytes: Uint8Array = new Uint8Array(0);

  private readonly known: readonly Field[];
  private readonly integers: "long" | "double";
  private readonly ignoresCase: boolean;
  private readonly shaping: Shaping;
  /** Flattened objects, and fields that are ignored, that documents had. */
  private readonly passed = new Set<string>();
  /** Documents that taught something. */
  private documents = 0;

  /**
   * @param known the fields so far, metadata columns left out
   * @param integers what a whole number makes of a new column
   * @param ignoresCase true: a field that differs from a column by case only is that column
   * @param shaping which fields are columns, and under which names
   */
  constructor(
    known: readonly Field[],
    flattenSeparator: string | null,
    integers: "long" | "double",
    ignoresCase: boolean,
    shaping: Shaping,
  ) {
    this.shaping = shaping;
    this.ignoresCase = ignoresCase;
    this.integers = integers;
    this.known = known;
    this.separator = flattenSeparator;
    this.root.kind = "struct";
    for (const field of known) {
      const name = shaping.fieldName("", field.name);
      this.root.members.set(name, Shape.of(field, name, shaping));
    }
  }

  /** Looks at one document; malformed ones and those that are no object teach nothing. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const at = skipSpace(bytes, start);
    if (bytes[at] !== CHAR.open) return;
    const after = this.skipper.value(bytes, at, end, 0);
    if (after < 0 || after > end || skipSpace(bytes, after) < end) return;
    this.documents++;
    const distinct = withoutDuplicates(bytes, at, end);
    this.bytes = distinct ?? bytes;
    this.object(this.root, distinct === null ? at + 1 : 1, "");
  }

  /**
   * The fields: the known ones, extended, then the new ones in the order seen. Left out is what has no
   * name, has the path of an earlier field (`columns/paths.ts`), or is beyond the room.
   * @param leavesMax leaf columns that there is room for
   * @param reserved fields beside the known ones whose names are taken
   * @param dropped paths that make no column
   */
  finish(leavesMax: number, reserved: readonly Field[], dropped: TakenPaths): readonly Field[] {
    const taken = new TakenPaths([...this.known, ...reserved]);
    const { shaping } = this;
    return fieldsOf(this.root, "", "", { left: leavesMax, taken, dropped, shaping });
  }

  /**
   * The paths that the shaping names and no document had; null: there was no document to tell.
   */
  get missed(): ReadonlySet<string> | null {
    if (this.documents === 0) return null;
    const missed = new Set(this.shaping.paths.map(([, path]) => path));
    for (const path of this.passed) missed.delete(path);
    const search = (shape: Shape, source: string): void => {
      for (const [name, member] of shape.members) {
        const path = joinPath(source, name);
        if (member.seen) missed.delete(path);
        search(member, path);
      }
      const { element, kind } = shape;
      if (element !== null) search(element, joinPath(source, kind === "map" ? "value" : "element"));
    };
    if (missed.size > 0) search(this.root, "");
    return missed;
  }

  /** Walks an object that is known to be well formed. `prefix` is null outside flattened objects. */
  private object(shape: Shape, at: number, prefix: string | null): number {
    const { bytes } = this;
    let i = skipSpace(bytes, at);
    while (bytes[i] === CHAR.quote) {
      const key = i + 1;
      i = skipString(bytes, key, bytes.length);
      const name = textOf(bytes, key, i);
      i = skipSpace(bytes, skipSpace(bytes, i) + 1);
      // What cannot be a column is not kept: a name may have megabytes.
      const isTooLong = name.length > LIMITS.columnNameLengthMax;
      i = isTooLong ? this.skip(i) : this.member(shape, name, i, prefix);
      i = skipSpace(bytes, i);
      if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
    }
    return i + 1;
  }

  private member(shape: Shape, name: string, at: number, prefix: string | null): number {
    if (prefix === null || this.separator === null) {
      return this.value(shape.member(this.ignoresCase ? shape.spelling(name) : name), at);
    }
    const path = prefix + name;
    if (this.shaping.paths.length > 0) this.passed.add(path);
    if (this.shaping.ignores(path)) return this.skip(at);
    const column = this.ignoresCase ? this.root.spelling(path) : path;
    const known = this.root.members.get(column);
    // Nothing of what is covered is shown, the names of its members neither.
    const isCovered = this.shaping.coverOf(column) !== null;
    const isWhole = isCovered || known?.kind === "struct" || known?.kind === "map";
    if (this.bytes[at] !== CHAR.open || isWhole) {
      return this.value(this.root.member(column), at);
    }
    return this.object(this.root, at + 1, column + this.separator);
  }

  private value(shape: Shape, at: number): number {
    const { bytes } = this;
    shape.seen = true;
    if (!this.shaping.admits(shape.source, kindAt(bytes, at))) return this.skip(at);
    switch (bytes[at] as number) {
      case CHAR.open:
        return this.members(shape, at);
      case CHAR.openList:
        return this.elements(shape, at);
      case CHAR.quote:
        shape.see("string");
        return skipString(bytes, at + 1, bytes.length);
      case CHAR.n:
        return skipWord(bytes, at);
      case CHAR.t:
      case CHAR.f:
        shape.see("boolean");
        return skipWord(bytes, at);
      default: {
        const after = skipNumber(bytes, at);
        shape.see(isInteger(bytes, at, after) ? this.integers : "double");
        return after;
      }
    }
  }

  private members(shape: Shape, at: number): number {
    const after = this.skip(at);
    if (this.skipper.typed) shape.see("struct");
    if (shape.kind === "struct") this.object(shape, at + 1, null);
    else if (shape.kind === "map" && shape.element !== null) {
      const entries = new Shape(shape.source);
      this.object(asMap(entries, shape.element), at + 1, null);
    }
    return after;
  }

  private elements(shape: Shape, at: number): number {
    const after = this.skip(at);
    if (this.skipper.typed) shape.see("list");
    if (shape.kind !== "list") return after;
    shape.element ??= new Shape(joinPath(shape.source, "element"));
    let i = skipSpace(this.bytes, at + 1);
    while (this.bytes[i] !== CHAR.closeList) {
      i = skipSpace(this.bytes, this.value(shape.element, i));
      if (this.bytes[i] === CHAR.comma) i = skipSpace(this.bytes, i + 1);
    }
    return after;
  }

  private skip(at: number): number {
    this.skipper.typed = false;
    return this.skipper.value(this.bytes, at, this.bytes.length, 0);
  }
}

/** A shape whose every member is `element`. */
function asMap(shape: Shape, element: Shape): Shape {
  shape.member = () => element;
  return shape;
}

function isInteger(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const c = bytes[i] as number;
    if (c === CHAR.dot || (c | 0x20) === CHAR.lowerE) return false;
  }
  return true;
}

/** What new fields may still take. */
interface Room {
  left: number;
  readonly taken: TakenPaths;
  readonly dropped: TakenPaths;
  readonly shaping: Shaping;
}

/** @param source the path of the field whose members these are; `parent`: that of its column */
function fieldsOf(shape: Shape, parent: string, source: string, room: Room): Field[] {
  const fields: Field[] = [];
  for (const [own, member] of shape.members) {
    const from = joinPath(source, own);
    const isHidden = room.shaping.ignores(from) || room.shaping.isSlip(from);
    if (member.field === null && isHidden) continue;
    const name = member.field?.name ?? room.shaping.columnName(from, own);
    const path = joinPath(parent, name);
    if (member.field === null && (isUnusableName(name) || isReservedName(path))) continue;
    const field = fieldOf(member, name, path, from, room);
    if (field !== null) fields.push(field);
  }
  return fields;
}

/** The field of a place; null while it has no type, and where its path or the room is taken. */
function fieldOf(
  shape: Shape,
  name: string,
  path: string,
  source: string,
  room: Room,
): Field | null {
  const isNew = shape.field === null;
  if (isNew && (room.taken.find(path) ?? room.dropped.find(path)) !== undefined) return null;
  const isCovered = isNew && shape.kind !== "none" && room.shaping.coverOf(source) !== null;
  const type = isCovered ? leafOf("string", room) : typeOf(shape, path, source, room);
  if (type === null) return null;
  if (isNew) room.taken.add(path);
  return { id: 0, name, required: false, ...shape.field, type };
}

function typeOf(shape: Shape, path: string, source: string, room: Room): Type | null {
  switch (shape.kind) {
    case "none":
      return null;
    case "known":
      return shape.field?.type ?? null;
    case "struct": {
      const fields = fieldsOf(shape, path, source, room);
      return fields.length === 0 && shape.field === null ? null : { kind: "struct", fields };
    }
    case "list": {
      const element = childOf(shape, "element", path, source, room);
      return element === null ? null : { kind: "list", element };
    }
    case "map": {
      const value = childOf(shape, "value", path, source, room);
      const known = shape.field?.type;
      return value === null || known?.kind !== "map" ? null : { ...known, value };
    }
    default:
      return leafOf(shape.kind, room);
  }
}

/** A leaf column's type, while there is room for one. */
function leafOf(kind: "boolean" | "long" | "double" | "string", room: Room): Type | null {
  if (room.left <= 0) return null;
  room.left--;
  return { kind };
}

function childOf(
  { element }: Shape,
  name: string,
  path: string,
  source: string,
  room: Room,
): Field | null {
  if (element === null) return null;
  return fieldOf(element, name, joinPath(path, name), joinPath(source, name), room);
}

/** Leaf columns of fields. */
export function leafCount(fields: readonly Field[]): number {
  return fields.reduce(
    (total, { type }) => total + (isPrimitive(type) ? 1 : leafCount(childFields(type))),
    0,
  );
}
