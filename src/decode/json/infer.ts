/**
 * Learns fields from JSON documents (SPEC section 5): integer -> long, any fraction or exponent ->
 * double, object -> struct, array -> list with the element types merged; `null`, `[]` and `{}` give
 * no type yet. Nothing is guessed to be a time, a UUID or a decimal.
 *
 * Deterministic: fields come in the order first seen; where kinds differ, the first typed one
 * counts (the others become type conflicts when they are decoded). What is known already keeps its
 * type; inside known structs, lists and maps new members are found as well.
 */
import { childFields, type Field, isPrimitive, type Type } from "#columns/schema.ts";
import { withoutDuplicates } from "./duplicates.ts";
import { CHAR, skipNumber, skipSpace, skipString, skipWord } from "./scan.ts";
import { Skipper } from "./skip.ts";
import { textOf } from "./strings.ts";

type Kind = "none" | "boolean" | "long" | "double" | "string" | "struct" | "list" | "map" | "known";

/** What is known about one place in the documents. */
class Shape {
  kind: Kind = "none";
  /** The field that a table or an earlier batch has here. */
  field: Field | null = null;
  readonly members = new Map<string, Shape>();
  element: Shape | null = null;

  static of(field: Field): Shape {
    const shape = new Shape();
    shape.field = field;
    const { type } = field;
    if (isPrimitive(type)) shape.kind = "known";
    else {
      shape.kind = type.kind;
      const last = childFields(type).at(-1);
      if (type.kind === "struct") {
        for (const member of type.fields) shape.members.set(member.name, Shape.of(member));
      } else if (last !== undefined) shape.element = Shape.of(last);
    }
    return shape;
  }

  /** Takes a kind when there is none yet; a double takes a long's place. */
  see(kind: Kind): void {
    if (this.kind === "none" || (this.kind === "long" && kind === "double")) this.kind = kind;
  }

  member(name: string): Shape {
    const known = this.members.get(name);
    if (known !== undefined) return known;
    const shape = new Shape();
    this.members.set(name, shape);
    return shape;
  }
}

/** What was learned. */
export interface Inferred {
  readonly fields: readonly Field[];
  /** True when a new field was left out because of `leavesMax`. */
  readonly full: boolean;
}

/** Collects what documents hold. */
export class Inference {
  private readonly root = new Shape();
  private readonly separator: string | null;
  private readonly skipper = new Skipper();
  private bytes: Uint8Array = new Uint8Array(0);

  /** @param known the fields so far, metadata columns left out */
  constructor(known: readonly Field[], flattenSeparator: string | null) {
    this.separator = flattenSeparator;
    this.root.kind = "struct";
    for (const field of known) this.root.members.set(field.name, Shape.of(field));
  }

  /** Looks at one document; malformed ones and those that are no object teach nothing. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const at = skipSpace(bytes, start);
    if (bytes[at] !== CHAR.open) return;
    const after = this.skipper.value(bytes, at, end, 0);
    if (after < 0 || after > end || skipSpace(bytes, after) < end) return;
    const distinct = withoutDuplicates(bytes, at, end);
    this.bytes = distinct ?? bytes;
    this.object(this.root, distinct === null ? at + 1 : 1, "");
  }

  /** The fields: the known ones, extended, then the new ones in the order seen. */
  finish(leavesMax: number): Inferred {
    const budget = { left: leavesMax, full: false };
    return { fields: fieldsOf(this.root, budget), full: budget.full };
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
      i = this.member(shape, name, i, prefix);
      i = skipSpace(bytes, i);
      if (bytes[i] === CHAR.comma) i = skipSpace(bytes, i + 1);
    }
    return i + 1;
  }

  private member(shape: Shape, name: string, at: number, prefix: string | null): number {
    if (prefix === null || this.separator === null) return this.value(shape.member(name), at);
    const column = prefix + name;
    const known = this.root.members.get(column);
    if (this.bytes[at] !== CHAR.open || known?.kind === "struct" || known?.kind === "map") {
      return this.value(this.root.member(column), at);
    }
    return this.object(this.root, at + 1, column + this.separator);
  }

  private value(shape: Shape, at: number): number {
    const { bytes } = this;
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
        shape.see(isInteger(bytes, at, after) ? "long" : "double");
        return after;
      }
    }
  }

  private members(shape: Shape, at: number): number {
    const after = this.skip(at);
    if (this.skipper.typed) shape.see("struct");
    if (shape.kind === "struct") this.object(shape, at + 1, null);
    else if (shape.kind === "map" && shape.element !== null) {
      const entries = new Shape();
      this.object(asMap(entries, shape.element), at + 1, null);
    }
    return after;
  }

  private elements(shape: Shape, at: number): number {
    const after = this.skip(at);
    if (this.skipper.typed) shape.see("list");
    if (shape.kind !== "list") return after;
    shape.element ??= new Shape();
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

interface Budget {
  left: number;
  full: boolean;
}

function fieldsOf(shape: Shape, budget: Budget): Field[] {
  const fields: Field[] = [];
  const lowerNames = new Set<string>();
  for (const [name, member] of shape.members) {
    const lower = name.toLowerCase();
    const isNew = member.field === null;
    if (isNew && (name === "" || lowerNames.has(lower))) continue;
    const type = typeOf(member, budget);
    if (type === null) continue;
    lowerNames.add(lower);
    fields.push({ id: 0, name, required: false, ...member.field, type });
  }
  return fields;
}

/** The type of a place, null while it has none or when there is no room for it. */
function typeOf(shape: Shape, budget: Budget): Type | null {
  switch (shape.kind) {
    case "none":
      return null;
    case "known":
      return shape.field?.type ?? null;
    case "struct": {
      const fields = fieldsOf(shape, budget);
      return fields.length === 0 && shape.field === null ? null : { kind: "struct", fields };
    }
    case "list": {
      const element = childOf(shape, "element", budget);
      return element === null ? null : { kind: "list", element };
    }
    case "map": {
      const value = childOf(shape, "value", budget);
      const known = shape.field?.type;
      return value === null || known?.kind !== "map" ? null : { ...known, value };
    }
    default:
      if (budget.left <= 0) {
        budget.full = true;
        return null;
      }
      budget.left--;
      return { kind: shape.kind };
  }
}

function childOf(shape: Shape, name: string, budget: Budget): Field | null {
  const type = shape.element === null ? null : typeOf(shape.element, budget);
  return type === null ? null : { id: 0, name, required: false, ...shape.element?.field, type };
}

/** Leaf columns of fields. */
export function leafCount(fields: readonly Field[]): number {
  return fields.reduce(
    (total, { type }) => total + (isPrimitive(type) ? 1 : leafCount(childFields(type))),
    0,
  );
}
