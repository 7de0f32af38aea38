/**
 * How schemas grow: pure rules over fields, matched by name at every level.
 *
 * Allowed (SPEC section 5): new optional columns, int -> long, float -> double, decimal precision
 * up, required -> optional. Nothing is ever dropped or renamed. A new column never takes a path that
 * another one has (`paths.ts`).
 *
 * What records hold only ever adds columns: what is there is its owner's, and grows by declaration.
 */
import { joinPath, TakenPaths } from "./paths.ts";
import {
  childFields,
  DECIMAL_PRECISION_MAX,
  type Field,
  isPrimitive,
  needsValue,
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
  | ({ readonly ok: false } & MergeConflict);

/** Why fields cannot be merged. */
export interface MergeConflict {
  /** Dotted path of the column. */
  readonly path: string;
  readonly reason: string;
}

/** On whose word a schema grows. `records`: columns that are there stay as they are. */
export type GrowsBy = "declaration" | "records";

/**
 * Merges wanted fields into a table's. The table's fields keep ids and order; new ones come behind,
 * optional, with ids from `lastColumnId + 1` up, parents before children.
 *
 * By `records` it is a conflict as well when the wanted fields are not of this schema any more: one has
 * an id that the table lacks (it was dropped or renamed since), or lacks a column that no row may be
 * without. Such rows are to be decoded again with the table's schema.
 */
export function mergeFields(
  tableFields: readonly Field[],
  wanted: readonly Field[],
  lastColumnId: number,
  by: GrowsBy,
): MergeResult {
  const merge = new Merge(tableFields, lastColumnId, by);
  const fields = merge.fields(tableFields, wanted, "");
  if (merge.conflict !== null) return { ok: false, ...merge.conflict };
  return { ok: true, fields, changes: merge.changes, lastColumnId: merge.lastId };
}

class Merge {
  lastId: number;
  conflict: MergeConflict | null = null;
  readonly changes: SchemaChange[] = [];
  private readonly taken: TakenPaths;
  private readonly by: GrowsBy;

  constructor(table: readonly Field[], lastColumnId: number, by: GrowsBy) {
    this.lastId = lastColumnId;
    this.taken = new TakenPaths(table);
    this.by = by;
  }

  fields(table: readonly Field[], wanted: readonly Field[], parent: string): Field[] {
    const wantedByName = new Map(wanted.map((field) => [field.name, field]));
    const result = table.map((field) => {
      const want = wantedByName.get(field.name);
      const path = joinPath(parent, field.name);
      return want === undefined ? this.missing(field, path) : this.field(field, want, path);
    });
    const names = new Set(table.map((field) => field.name));
    for (const want of wanted) {
      if (names.has(want.name)) continue;
      const path = joinPath(parent, want.name);
      if (this.by === "records" && want.id !== 0) {
        this.refuse(path, "was dropped or renamed by another writer");
      }
      const field = this.assign({ ...want, required: false }, path);
      const description = `${path}: added as ${typeName(field.type)}`;
      this.changes.push({ kind: "add", path, description });
      result.push(field);
    }
    return result;
  }

  /** A column of the table that the wanted fields do not have. */
  private missing(field: Field, path: string): Field {
    if (this.by === "records" && needsValue(field)) this.refuse(path, "has a value in every row");
    return field;
  }

  private field(have: Field, want: Field, path: string): Field {
    const required = have.required && (want.required || this.by === "records");
    if (have.required && !want.required && this.by === "records") {
      this.refuse(path, "is required in the table");
    }
    if (have.required && !required) {
      const description = `${path}: made optional`;
      this.changes.push({ kind: "optional", path, description });
    }
    return { ...have, required, type: this.type(have.type, want, path) };
  }

  private type(have: Type, wanted: Field, path: string): Type {
    const want = wanted.type;
    if (have.kind === "struct" && want.kind === "struct") {
      return { kind: "struct", fields: this.fields(have.fields, want.fields, path) };
    }
    if (have.kind === "list" && want.kind === "list") {
      return {
        kind: "list",
        element: this.field(have.element, want.element, joinPath(path, "element")),
      };
    }
    if (have.kind === "map" && want.kind === "map") {
      return {
        kind: "map",
        // Keys never become optional.
        key: this.field(have.key, { ...want.key, required: true }, joinPath(path, "key")),
        value: this.field(have.value, want.value, joinPath(path, "value")),
      };
    }
    if (!isPrimitive(have) || !isPrimitive(want)) return this.mismatch(have, wanted, path);
    // The table may hold more than is wanted already.
    if (primitiveName(have) === primitiveName(want) || canPromote(want, have)) return have;
    if (this.by === "records" || !canPromote(have, want)) return this.mismatch(have, wanted, path);
    const description = `${path}: ${primitiveName(have)} promoted to ${primitiveName(want)}`;
    this.changes.push({ kind: "promote", path, description });
    return want;
  }

  private mismatch(have: Type, want: Field, path: string): Type {
    this.refuse(path, `is ${typeName(have)} in the table, but ${typeName(want.type)} is wanted`);
    return have;
  }

  /** Gives a new field and everything in it ids. */
  private assign(field: Field, path: string): Field {
    const id = ++this.lastId;
    this.take(path);
    return { ...field, id, type: this.assignType(field.type, path) };
  }

  private assignType(type: Type, path: string): Type {
    if (type.kind === "list") {
      return { kind: "list", element: this.assign(type.element, joinPath(path, "element")) };
    }
    if (isPrimitive(type)) return type;
    const fields = childFields(type);
    // Siblings have consecutive ids, as Iceberg's own assignment gives them.
    const first = this.lastId + 1;
    this.lastId += fields.length;
    const [key, value, ...rest] = fields.map((field, index) => {
      const at = joinPath(path, field.name);
      this.take(at);
      return { ...field, id: first + index, type: this.assignType(field.type, at) };
    });
    if (type.kind === "map" && key !== undefined && value !== undefined) {
      return { kind: "map", key, value };
    }
    return { kind: "struct", fields: [key, value, ...rest].filter((field) => field !== undefined) };
  }

  /** A new field takes its path, which no other may have. */
  private take(path: string): void {
    const other = this.taken.find(path);
    if (this.taken.add(path)) return;
    this.refuse(path, `has the full name of column "${other}"; upper and lower case count as one`);
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

/** The widest type to which columns of `type` can be promoted; null: to none. */
export function widestOf(type: PrimitiveType): PrimitiveType | null {
  if (type.kind === "int") return { kind: "long" };
  if (type.kind === "float") return { kind: "double" };
  const isWidest = type.kind !== "decimal" || type.precision === DECIMAL_PRECISION_MAX;
  return isWidest ? null : { ...type, precision: DECIMAL_PRECISION_MAX };
}

/**
 * `base` with what only `more` has, at every level: the decoder's view. Where both have a field, `base`
 * wins. A field of `more` is left out when a path of it is taken in `base` (`paths.ts`), or when it has
 * an id: the table had it once, and has it no longer.
 */
export function overlayFields(base: readonly Field[], more: readonly Field[]): Field[] {
  return overlay(base, more, "", new TakenPaths(base));
}

function overlay(
  base: readonly Field[],
  more: readonly Field[],
  parent: string,
  taken: TakenPaths,
): Field[] {
  const byName = new Map(more.map((field) => [field.name, field]));
  const result = base.map((field) => {
    const other = byName.get(field.name);
    if (other === undefined) return field;
    const type = overlayType(field.type, other.type, joinPath(parent, field.name), taken);
    return { ...field, type };
  });
  const names = new Set(base.map((field) => field.name));
  const added = more.filter(
    (field) =>
      field.id === 0 &&
      !names.has(field.name) &&
      isFree(field, joinPath(parent, field.name), taken),
  );
  return [...result, ...added];
}

/** True when neither the field nor anything in it has a taken path. */
function isFree({ type }: Field, path: string, taken: TakenPaths): boolean {
  if (taken.find(path) !== undefined) return false;
  return childFields(type).every((child) => isFree(child, joinPath(path, child.name), taken));
}

function overlayType(base: Type, more: Type, path: string, taken: TakenPaths): Type {
  if (base.kind === "struct" && more.kind === "struct") {
    return { kind: "struct", fields: overlay(base.fields, more.fields, path, taken) };
  }
  if (base.kind === "list" && more.kind === "list") {
    const at = joinPath(path, "element");
    const type = overlayType(base.element.type, more.element.type, at, taken);
    return { kind: "list", element: { ...base.element, type } };
  }
  if (base.kind === "map" && more.kind === "map") {
    const type = overlayType(base.value.type, more.value.type, joinPath(path, "value"), taken);
    return { ...base, value: { ...base.value, type } };
  }
  return base;
}

/**
 * Where a table is not what is declared, one clause for each column: it lacks the column, or has it
 * with a type that does not hold the declared one's values. A wider type is no difference.
 */
export function declaredDifferences(
  table: readonly Field[],
  declared: readonly Field[],
  parent = "",
): string[] {
  return declared.flatMap((field) => {
    const path = joinPath(parent, field.name);
    const found = table.find(({ name }) => name === field.name);
    const wanted = typeName(field.type);
    if (found === undefined) return [`column ${path} ${wanted} is not in the table`];
    const { type } = found;
    if (isPrimitive(type) || isPrimitive(field.type) || type.kind !== field.type.kind) {
      const isHeld = isPrimitive(type) && isPrimitive(field.type) && canPromote(field.type, type);
      if (isHeld || typeName(type) === wanted) return [];
      return [`column ${path} is ${typeName(type)}, declared as ${wanted}`];
    }
    return declaredDifferences(childFields(type), childFields(field.type), path);
  });
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
