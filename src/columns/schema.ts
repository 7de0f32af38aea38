/**
 * The only schema of the program: Iceberg's types with field ids (Iceberg spec, "Schemas and Data
 * Types"). Decoders, the hot buffer, Parquet and table metadata all speak it.
 *
 * Before a field is known to a table its id is 0 ("provisional"); `writer/` resolves provisional
 * schemas against the table's by name before anything is encoded (SPEC 2.9).
 */

/** Digits of a decimal at most (Iceberg spec, "Primitive Types"). */
export const DECIMAL_PRECISION_MAX = 38;

/** An Iceberg primitive type. */
export type PrimitiveType =
  | { readonly kind: "boolean" }
  | { readonly kind: "int" }
  | { readonly kind: "long" }
  | { readonly kind: "float" }
  | { readonly kind: "double" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "date" }
  | { readonly kind: "time" }
  /** Microseconds; `zone` true is timestamptz. */
  | { readonly kind: "timestamp"; readonly zone: boolean }
  /** Nanoseconds (format v3); `zone` true is timestamptz_ns. */
  | { readonly kind: "timestamp_ns"; readonly zone: boolean }
  | { readonly kind: "string" }
  | { readonly kind: "uuid" }
  | { readonly kind: "fixed"; readonly length: number }
  | { readonly kind: "binary" };

/** A struct: an ordered list of fields. */
export interface StructType {
  readonly kind: "struct";
  readonly fields: readonly Field[];
}

/** A list; the element is a field so that it has an id. Its name is always `element`. */
export interface ListType {
  readonly kind: "list";
  readonly element: Field;
}

/** A map; key and value are fields named `key` (required) and `value`. */
export interface MapType {
  readonly kind: "map";
  readonly key: Field;
  readonly value: Field;
}

/** Any Iceberg type. */
export type Type = PrimitiveType | StructType | ListType | MapType;

/** A named, typed member of a struct, list or map. */
export interface Field {
  /** Iceberg field id, positive; 0 while provisional. */
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: Type;
  readonly doc?: string;
  /** Format v3 default for rows written before the field existed; kept, never made by us. */
  readonly initialDefault?: unknown;
  /** Format v3 default for records without the field, a JSON single value; null is none. */
  readonly writeDefault?: unknown;
}

/** A table schema. */
export interface Schema {
  readonly schemaId: number;
  readonly fields: readonly Field[];
  readonly identifierFieldIds: readonly number[];
}

/** True for a column that no row may leave out without a thought: required, or with a default. */
export function needsValue(field: Field): boolean {
  return field.required || (field.writeDefault ?? null) !== null;
}

/** True for types without children. */
export function isPrimitive(type: Type): type is PrimitiveType {
  return type.kind !== "struct" && type.kind !== "list" && type.kind !== "map";
}

/** A type with other child fields, as many as it has; a primitive type as it is. */
export function withChildFields(type: Type, children: readonly Field[]): Type {
  const [first, second] = children;
  switch (type.kind) {
    case "struct":
      return { kind: "struct", fields: children };
    case "list":
      return first === undefined ? type : { kind: "list", element: first };
    case "map":
      if (first === undefined || second === undefined) return type;
      return { kind: "map", key: first, value: second };
    default:
      return type;
  }
}

/** The child fields of a type, in order; none for primitives. */
export function childFields(type: Type): readonly Field[] {
  switch (type.kind) {
    case "struct":
      return type.fields;
    case "list":
      return [type.element];
    case "map":
      return [type.key, type.value];
    default:
      return [];
  }
}

/** Iceberg's text form of a primitive type, e.g. `decimal(10, 2)`, `timestamptz`. */
export function primitiveName(type: PrimitiveType): string {
  switch (type.kind) {
    case "decimal":
      return `decimal(${type.precision}, ${type.scale})`;
    case "timestamp":
      return type.zone ? "timestamptz" : "timestamp";
    case "timestamp_ns":
      return type.zone ? "timestamptz_ns" : "timestamp_ns";
    case "fixed":
      return `fixed[${type.length}]`;
    default:
      return type.kind;
  }
}

/** Parses Iceberg's text form of a primitive type; null when it is none. */
export function parsePrimitive(text: string): PrimitiveType | null {
  switch (text) {
    case "boolean":
    case "int":
    case "long":
    case "float":
    case "double":
    case "date":
    case "time":
    case "string":
    case "uuid":
    case "binary":
      return { kind: text };
    case "timestamp":
    case "timestamptz":
      return { kind: "timestamp", zone: text === "timestamptz" };
    case "timestamp_ns":
    case "timestamptz_ns":
      return { kind: "timestamp_ns", zone: text === "timestamptz_ns" };
    default:
      return parseParameterised(text);
  }
}

function parseParameterised(text: string): PrimitiveType | null {
  const decimal = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(text);
  if (decimal !== null) {
    const precision = Number(decimal[1]);
    const scale = Number(decimal[2]);
    if (precision < 1 || precision > DECIMAL_PRECISION_MAX || scale > precision) return null;
    return { kind: "decimal", precision, scale };
  }
  const fixed = /^fixed\[\s*(\d+)\s*\]$/.exec(text);
  const length = Number(fixed?.[1] ?? 0);
  return length > 0 ? { kind: "fixed", length } : null;
}

/** True when two types are the same, ids included; defaults that are objects never are. */
export function sameType(a: Type, b: Type): boolean {
  if (isPrimitive(a) || isPrimitive(b)) {
    return isPrimitive(a) && isPrimitive(b) && primitiveName(a) === primitiveName(b);
  }
  const left = childFields(a);
  const right = childFields(b);
  return (
    a.kind === b.kind &&
    left.length === right.length &&
    left.every((field, index) => {
      const other = right[index];
      return (
        other !== undefined &&
        field.id === other.id &&
        field.name === other.name &&
        field.required === other.required &&
        field.writeDefault === other.writeDefault &&
        sameType(field.type, other.type)
      );
    })
  );
}
