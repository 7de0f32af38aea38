/**
 * Avro types as columns (SPEC section 5): a union with null is an optional column, another union a
 * struct with a member for each of its types, an enum text.
 *
 * A type has no column inside itself: where it contains itself, values are refused by its name
 * (`recursiveType`), unless they are null.
 */
import { fail } from "#base/errors.ts";
import { joinPath } from "#columns/paths.ts";
import { type Field, isPrimitive, type PrimitiveType, type Type } from "#columns/schema.ts";
import type { Shaping } from "#decode/shaping.ts";
import {
  type AvroFixed,
  type AvroPrimitive,
  type AvroType,
  type Logical,
  shortName,
} from "./schema.ts";

/** What columns are made like. */
export interface ColumnRules {
  /** True: a value that cannot be null makes a required column; false: all columns are optional. */
  readonly required: boolean;
  /** True: the table may have columns of nanoseconds (format v3). */
  readonly nanos: boolean;
}

/** Columns of one schema, at most: named types that are used again and again multiply. */
const COLUMNS_MAX = 20_000;

/**
 * The members of a record as fields, ids 0; those without a value that a column could hold are left out.
 * @throws AppError `data` when they are too many
 */
export function fieldsOf(type: AvroType, rules: ColumnRules): readonly Field[] {
  const maker = new FieldMaker(rules);
  const columns = maker.type(type);
  return columns?.kind === "struct" ? columns.fields : [];
}

/** The field of one value; null: there is nothing in it that a column could hold. Throws as `fieldsOf`. */
export function fieldOf(name: string, type: AvroType, rules: ColumnRules): Field | null {
  return new FieldMaker(rules).field(name, type, null);
}

/** The name of a type in `type` that contains itself; null: there is none. */
export function recursiveType(type: AvroType): string | null {
  const inside = new Set<AvroType>();
  const done = new Set<AvroType>();
  const search = (each: AvroType): string | null => {
    const isRecord = each.kind === "record";
    if (isRecord && inside.has(each)) return each.name;
    if (done.has(each)) return null;
    if (isRecord) inside.add(each);
    for (const below of innerTypes(each)) {
      const found = search(below);
      if (found !== null) return found;
    }
    inside.delete(each);
    if (isRecord) done.add(each);
    return null;
  };
  return search(type);
}

/** The types that a type is made of. */
export function innerTypes(type: AvroType): readonly AvroType[] {
  switch (type.kind) {
    case "record":
      return type.fields.map((field) => field.type);
    case "union":
      return type.branches;
    case "array":
      return [type.items];
    case "map":
      return [type.values];
    default:
      return [];
  }
}

/** Whether the columns of a type that is no union hold something inside, and what; `string`: nothing. */
export function nestingOf({ kind }: AvroType): "struct" | "list" | "map" | "string" {
  if (kind === "record") return "struct";
  if (kind === "array") return "list";
  return kind === "map" ? "map" : "string";
}

/** A union's branches that are not null. */
export function valueBranches(type: AvroType): readonly AvroType[] {
  if (type.kind !== "union") return type.kind === "null" ? [] : [type];
  return type.branches.filter(({ kind }) => kind !== "null");
}

/** Whether a value may be null. */
export function isNullable(type: AvroType): boolean {
  return type.kind === "union" && type.branches.some(({ kind }) => kind === "null");
}

/** What a branch's member of a union's struct is called: its type, a named one by its short name. */
export function memberName(branch: AvroType, branches: readonly AvroType[]): string {
  if (!("name" in branch)) return branch.kind;
  const short = shortName(branch.name);
  const isShared = branches.some(
    (other) => other !== branch && shortOf(other).toLowerCase() === short.toLowerCase(),
  );
  return isShared ? branch.name.replaceAll(".", "_") : short;
}

function shortOf(type: AvroType): string {
  return "name" in type ? shortName(type.name) : type.kind;
}

/** True where a record's own column has a member of the name of one of the record's types, by chance. */
export function isUnsuited(branch: AvroType, type: Type): boolean {
  const isNested = !isPrimitive(type);
  const wantsNested = branch.kind === "record" || branch.kind === "array" || branch.kind === "map";
  return isNested !== wantsNested;
}

/** Names of the members of each union of several types, by its path, as `Shaping.memberPath` has them. */
export function unionsIn(type: AvroType, path: string, shaping: Shaping): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const inside = new Set<AvroType>();
  const search = (each: AvroType, at: string): void => {
    if (inside.has(each)) return;
    inside.add(each);
    const values = valueBranches(each);
    const names = values.map((branch) => memberName(branch, values));
    const isSeveral = values.length > 1;
    if (isSeveral) found.set(at, names);
    for (const [index, branch] of values.entries()) {
      const own = isSeveral ? shaping.memberPath(at, names[index] ?? "", names) : at;
      for (const [name, part] of namedParts(branch)) search(part, joinPath(own, name));
    }
    inside.delete(each);
  };
  search(type, path);
  return found;
}

/** What is in a value, by the names that paths give it. */
function namedParts(type: AvroType): readonly (readonly [string, AvroType])[] {
  if (type.kind === "array") return [["element", type.items]];
  if (type.kind === "map") return [["value", type.values]];
  return type.kind === "record" ? type.fields.map((field) => [field.name, field.type]) : [];
}

class FieldMaker {
  private readonly rules: ColumnRules;
  private readonly inside = new Set<AvroType>();
  private count = 0;

  constructor(rules: ColumnRules) {
    this.rules = rules;
  }

  field(name: string, type: AvroType, doc: string | null): Field | null {
    const made = this.type(type);
    if (made === null) return null;
    const required = this.rules.required && !isNullable(type);
    return { id: 0, name, required, type: made, ...(doc === null ? {} : { doc }) };
  }

  /** Null: there is nothing in it that a column could hold. */
  type(type: AvroType): Type | null {
    if (++this.count > COLUMNS_MAX) throw fail("data", `it has more than ${COLUMNS_MAX} columns`);
    switch (type.kind) {
      case "null":
        return null;
      case "union": {
        const values = valueBranches(type);
        const [first] = values;
        if (first === undefined) return null;
        return values.length === 1 ? this.type(first) : this.union(values);
      }
      case "record":
        return this.nested(type, () =>
          type.fields.flatMap(({ name, type: inner, doc }) => this.field(name, inner, doc) ?? []),
        );
      case "array": {
        const element = this.field("element", type.items, null);
        return element === null ? null : { kind: "list", element };
      }
      case "map": {
        const value = this.field("value", type.values, null);
        const key: Field = { id: 0, name: "key", required: true, type: { kind: "string" } };
        return value === null ? null : { kind: "map", key, value };
      }
      case "enum":
        return { kind: "string" };
      default:
        return type.logical === null ? bareType(type) : this.logical(type.logical);
    }
  }

  private union(values: readonly AvroType[]): Type | null {
    const members = values.flatMap((each) => {
      const field = this.field(memberName(each, values), each, null);
      return field === null ? [] : { ...field, required: false };
    });
    return members.length === 0 ? null : { kind: "struct", fields: members };
  }

  private nested(type: AvroType & { readonly name: string }, make: () => Field[]): Type | null {
    if (this.inside.has(type)) return null;
    this.inside.add(type);
    const fields = make();
    this.inside.delete(type);
    return fields.length === 0 ? null : { kind: "struct", fields };
  }

  private logical(logical: Logical): PrimitiveType {
    switch (logical.kind) {
      case "decimal":
        return { kind: "decimal", precision: logical.precision, scale: logical.scale };
      case "timestamp": {
        const isNanos = logical.unit === "nanos" && this.rules.nanos;
        return { kind: isNanos ? "timestamp_ns" : "timestamp", zone: logical.zone };
      }
      default:
        return { kind: logical.kind };
    }
  }
}

/** The column of values without a meaning of their own. Iceberg has no fixed type of no bytes. */
function bareType(type: AvroFixed | AvroPrimitive): PrimitiveType {
  switch (type.kind) {
    case "fixed":
      return type.size === 0 ? { kind: "binary" } : { kind: "fixed", length: type.size };
    case "bytes":
    case "null":
      return { kind: "binary" };
    default:
      return { kind: type.kind };
  }
}
