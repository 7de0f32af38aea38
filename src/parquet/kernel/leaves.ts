/**
 * Leaf columns as Parquet sees them: the way from a top-level column to each leaf, its levels and
 * its physical type (Iceberg spec, Appendix A "Parquet").
 */
import { assert } from "#base/assert.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  type Type,
} from "#columns/schema.ts";

/** Parquet's physical types as far as they are written. */
export type PhysicalType =
  | "BOOLEAN"
  | "INT32"
  | "INT64"
  | "FLOAT"
  | "DOUBLE"
  | "BYTE_ARRAY"
  | "FIXED_LEN_BYTE_ARRAY";

/** One field on the way to a leaf, the leaf included. */
export interface PathNode {
  /** Index among the children of the node before, or among the columns. */
  readonly child: number;
  /** list or map */
  readonly isList: boolean;
  readonly isOptional: boolean;
}

/** A leaf column. */
export interface LeafColumn {
  readonly type: PrimitiveType;
  readonly physical: PhysicalType;
  /** Bytes of a PLAIN value; 0 for BYTE_ARRAY. A BOOLEAN takes one byte until its page is ended. */
  readonly width: number;
  /** Names from the column to the leaf, with Parquet's repeated groups. */
  readonly path: readonly string[];
  readonly nodes: readonly PathNode[];
  readonly definitionMax: number;
  readonly repetitionMax: number;
}

/** The leaves below these fields, depth first: the order of Parquet's column chunks. */
export function leafColumns(fields: readonly Field[]): LeafColumn[] {
  return fields.flatMap((field, child) => [...walk(field, child, field.name, [], [])]);
}

function* walk(
  field: Field,
  child: number,
  name: string,
  names: readonly string[],
  above: readonly PathNode[],
): Generator<LeafColumn> {
  const { type } = field;
  const isList = type.kind === "list" || type.kind === "map";
  const nodes = [...above, { child, isList, isOptional: !field.required }];
  const path = [...names, name];
  if (isPrimitive(type)) {
    yield { type, ...physicalOf(type), path, nodes, ...levelsMax(nodes) };
    return;
  }
  const inner = repeatedGroup(type);
  const below = inner === null ? path : [...path, inner];
  for (const [index, each] of childFields(type).entries()) {
    yield* walk(each, index, childName(type, index, each), below, nodes);
  }
}

function levelsMax(nodes: readonly PathNode[]): {
  readonly definitionMax: number;
  readonly repetitionMax: number;
} {
  const lists = nodes.filter((node) => node.isList).length;
  return {
    definitionMax: lists + nodes.filter((node) => node.isOptional).length,
    repetitionMax: lists,
  };
}

/** Name of the repeated group that Parquet puts between a list or map and its elements. */
export function repeatedGroup(type: Type): string | null {
  if (type.kind === "list") return "list";
  return type.kind === "map" ? "key_value" : null;
}

/** Parquet's name of a child: its own in structs, fixed ones in lists and maps. */
export function childName(type: Type, index: number, child: Field): string {
  if (type.kind === "list") return "element";
  if (type.kind === "map") return index === 0 ? "key" : "value";
  return child.name;
}

/** Physical type and width of a PLAIN value. */
export function physicalOf(type: PrimitiveType): {
  readonly physical: PhysicalType;
  readonly width: number;
} {
  switch (type.kind) {
    case "boolean":
      return { physical: "BOOLEAN", width: 1 };
    case "int":
    case "date":
      return { physical: "INT32", width: 4 };
    case "float":
      return { physical: "FLOAT", width: 4 };
    case "double":
      return { physical: "DOUBLE", width: 8 };
    case "long":
    case "time":
    case "timestamp":
    case "timestamp_ns":
      return { physical: "INT64", width: 8 };
    case "string":
    case "binary":
      return { physical: "BYTE_ARRAY", width: 0 };
    case "uuid":
      return { physical: "FIXED_LEN_BYTE_ARRAY", width: 16 };
    case "fixed":
      return { physical: "FIXED_LEN_BYTE_ARRAY", width: type.length };
    case "decimal":
      return decimalPhysical(type.precision);
  }
}

function decimalPhysical(precision: number): {
  readonly physical: PhysicalType;
  readonly width: number;
} {
  assert(precision >= 1 && precision <= 38, "a decimal has 1 to 38 digits");
  if (precision <= 9) return { physical: "INT32", width: 4 };
  if (precision <= 18) return { physical: "INT64", width: 8 };
  const most = 10n ** BigInt(precision) - 1n;
  // One bit is the sign.
  const width = Math.ceil((most.toString(2).length + 1) / 8);
  return { physical: "FIXED_LEN_BYTE_ARRAY", width };
}
