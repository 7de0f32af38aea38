/**
 * How schemas grow: pure rules over fields, matched by name at every level.
 *
 * Allowed (SPEC section 5): new optional columns, int -> long, float -> double, decimal precision
 * up, required -> optional. Nothing is ever dropped or renamed.
 */
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  primitiveName,
  type Type,
} from "./schema.ts";

/** One way in which a merged schema differs from the table's. */
export interface SchemaChange {
  readonly kind: "add" | "promote" | "optional";
  /** Dotted path of the column, e.g. `device.os`, `tags.element.name`. */
  readonly path: string;
  /** For a person: `device.os: added as string`. */
  readonly description: string;
}

/** A merged schema, or why there is none. */
export type MergeResult =
  | {
      readonly ok: true;
      readonly fields: readonly Field[];
      readonly changes: readonly SchemaChange[];
      readonly lastColumnId: number;
    }
  | { readonly ok: false; readonly path: string; readonly reason: string };

interface Conflict {
  readonly path: string;
  readonly reason: string;
}

/**
 * Merges wanted fields (ids ignored) into a table's. The table's fields keep ids and order; new
 * ones come behind, optional, with ids from `lastColumnId + 1` up, parents before children.
 */
export function mergeFields(
  tableFields: readonly Field[],
  wanted: readonly Field[],
  lastColumnId: number,
): MergeResult {
  const merge = new Merge(lastColumnId);
  const fields = merge.fields(tableFields, wanted, "");
  if (merge.conflict !== null) return { ok: false, ...merge.conflict };
  return { ok: true, fields, changes: merge.changes, lastColumnId: merge.lastId };
}

class Merge {
  lastId: number;
  conflict: Conflict | null = null;
  readonly changes: SchemaChange[] = [];

  constructor(lastColumnId: number) {
    this.lastId = lastColumnId;
  }

  fields(table: readonly Field[], wanted: readonly Field[], parent: string): Field[] {
    this.refuseDuplicates(wanted, parent);
    const wantedByName = new Map(wanted.map((field) => [field.name, field]));
    const result = table.map((field) => {
      const want = wantedByName.get(field.name);
      return want === undefined ? field : this.field(field, want, join(parent, field.name));
    });
    const names = new Set(table.map((field) => field.name));
    const lowerNames = new Map(table.map((field) => [field.name.toLowerCase(), field.name]));
    for (const want of wanted) {
      if (names.has(want.name)) continue;
      const path = join(parent, want.name);
      const other = lowerNames.get(want.name.toLowerCase());
      if (other !== undefined) this.refuse(path, `differs only by case from column "${other}"`);
      const field = this.assign({ ...want, required: false }, path);
      const description = `${path}: added as ${typeName(field.type)}`;
      this.changes.push({ kind: "add", path, description });
      result.push(field);
    }
    return result;
  }

  private field(have: Field, want: Field, path: string): Field {
    const required = have.required && want.required;
    if (have.required && !required) {
      const description = `${path}: made optional`;
      this.changes.push({ kind: "optional", path, description });
    }
    return { ...have, required, type: this.type(have.type, want.type, path) };
  }

  private type(have: Type, want: Type, path: string): Type {
    if (have.kind === "struct" && want.kind === "struct") {
      return { kind: "struct", fields: this.fields(have.fields, want.fields, path) };
    }
    if (have.kind === "list" && want.kind === "list") {
      return {
        kind: "list",
        element: this.field(have.element, want.element, join(path, "element")),
      };
    }
    if (have.kind === "map" && want.kind === "map") {
      return {
        kind: "map",
        // Keys never become optional.
        key: this.field(have.key, { ...want.key, required: true }, join(path, "key")),
        value: this.field(have.value, want.value, join(path, "value")),
      };
    }
    if (isPrimitive(have) && isPrimitive(want)) return this.primitive(have, want, path);
    this.refuse(path, `is ${typeName(have)} in the table, but ${typeName(want)} is wanted`);
    return have;
  }

  private primitive(have: PrimitiveType, want: PrimitiveType, path: string): PrimitiveType {
    // The table may hold more than is wanted already.
    if (primitiveName(have) === primitiveName(want) || canPromote(want, have)) return have;
    if (!canPromote(have, want)) {
      this.refuse(
        path,
        `is ${primitiveName(have)} in the table, but ${primitiveName(want)} is wanted`,
      );
      return have;
    }
    const description = `${path}: ${primitiveName(have)} promoted to ${primitiveName(want)}`;
    this.changes.push({ kind: "promote", path, description });
    return want;
  }

  /** Gives a new field and everything in it ids. */
  private assign(field: Field, path: string): Field {
    const id = ++this.lastId;
    return { ...field, id, type: this.assignType(field.type, path) };
  }

  private assignType(type: Type, path: string): Type {
    if (type.kind === "list") {
      return { kind: "list", element: this.assign(type.element, join(path, "element")) };
    }
    if (isPrimitive(type)) return type;
    const fields = childFields(type);
    this.refuseDuplicates(fields, path);
    // Siblings have consecutive ids, as Iceberg's own assignment gives them.
    const first = this.lastId + 1;
    this.lastId += fields.length;
    const [key, value, ...rest] = fields.map((field, index) => ({
      ...field,
      id: first + index,
      type: this.assignType(field.type, join(path, field.name)),
    }));
    if (type.kind === "map" && key !== undefined && value !== undefined) {
      return { kind: "map", key, value };
    }
    return { kind: "struct", fields: [key, value, ...rest].filter((field) => field !== undefined) };
  }

  private refuseDuplicates(fields: readonly Field[], parent: string): void {
    const seen = new Map<string, string>();
    for (const { name } of fields) {
      const other = seen.get(name.toLowerCase());
      if (other !== undefined) {
        this.refuse(join(parent, name), `differs only by case from column "${other}"`);
      }
      seen.set(name.toLowerCase(), name);
    }
  }

  private refuse(path: string, reason: string): void {
    this.conflict ??= { path, reason };
  }
}

/** True when values of `from` may be read as `to` (Iceberg spec, "Schema Evolution"). */
export function canPromote(from: PrimitiveType, to: PrimitiveType): boolean {
  if (from.kind === "int") return to.kind === "long";
  if (from.kind === "float") return to.kind === "double";
  return (
    from.kind === "decimal" &&
    to.kind === "decimal" &&
    from.scale === to.scale &&
    from.precision < to.precision
  );
}

/**
 * `base` with what only `more` has, at every level, without ids or checks: the decoder's view.
 * Where both have a field, `base` wins, unless `more` is what it may be promoted to; names that
 * differ by case count as the same.
 */
export function overlayFields(base: readonly Field[], more: readonly Field[]): Field[] {
  const byLower = new Map(more.map((field) => [field.name.toLowerCase(), field]));
  const result = base.map((field) => {
    const other = byLower.get(field.name.toLowerCase());
    return other?.name === field.name
      ? { ...field, type: overlayType(field.type, other.type) }
      : field;
  });
  const names = new Set(base.map((field) => field.name.toLowerCase()));
  return [...result, ...more.filter((field) => !names.has(field.name.toLowerCase()))];
}

function overlayType(base: Type, more: Type): Type {
  if (base.kind === "struct" && more.kind === "struct") {
    return { kind: "struct", fields: overlayFields(base.fields, more.fields) };
  }
  if (base.kind === "list" && more.kind === "list") {
    const type = overlayType(base.element.type, more.element.type);
    return { kind: "list", element: { ...base.element, type } };
  }
  if (base.kind === "map" && more.kind === "map") {
    const type = overlayType(base.value.type, more.value.type);
    return { ...base, value: { ...base.value, type } };
  }
  return isPrimitive(base) && isPrimitive(more) && canPromote(base, more) ? more : base;
}

/** A type for a person: `struct<os: string>`, `list<long>`. */
export function typeName(type: Type): string {
  switch (type.kind) {
    case "struct":
      return `struct<${type.fields.map((f) => `${f.name}: ${typeName(f.type)}`).join(", ")}>`;
    case "list":
      return `list<${typeName(type.element.type)}>`;
    case "map":
      return `map<${typeName(type.key.type)}, ${typeName(type.value.type)}>`;
    default:
      return primitiveName(type);
  }
}

function join(parent: string, name: string): string {
  return parent === "" ? name : `${parent}.${name}`;
}
