/**
 * Whether the columns of a file are those of the table as they are: found by field id, with Parquet types that are
 * what Iceberg writes for the table's (Iceberg spec, Appendix A "Parquet"). Pure.
 *
 * Whether a field may be null is the file's to say: it decides how levels are stored.
 */
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  withChildFields,
} from "#columns/schema.ts";
import { type PhysicalType, physicalOf } from "#parquet/kernel/leaves.ts";
import { type RawLogicalType, type SchemaNode, unfit } from "./source.ts";

/** A column of the table in a file. */
export interface FittedColumn {
  /** As the file has it: what is required there. */
  readonly field: Field;
  /** Its leaves' numbers among those of the file, depth first. */
  readonly leaves: readonly number[];
}

/** Numbers of Parquet's `Type`. */
const PHYSICAL: Readonly<Record<PhysicalType, number>> = {
  ...{ BOOLEAN: 0, INT32: 1, INT64: 2, FLOAT: 4, DOUBLE: 5 },
  ...{ BYTE_ARRAY: 6, FIXED_LEN_BYTE_ARRAY: 7 },
};

/** Numbers of `ConvertedType`. */
const CONVERTED = { utf8: 0, map: 1, mapKeyValue: 2, list: 3 } as const;

/**
 * Finds a column; null: the file does not have it.
 * @throws AppError `table_unsupported` when it is there as something else
 */
export function fitColumn(field: Field, nodes: readonly SchemaNode[]): FittedColumn | null {
  const node = nodes.find(({ fieldId }) => fieldId === field.id);
  if (node === undefined) return null;
  const leaves: number[] = [];
  return { field: fitField(field, node, leaves), leaves };
}

/** Which fields of a column are required, in one text. */
export function shapeOf({ required, type }: Field): string {
  return `${Number(required)}${childFields(type).map(shapeOf).join("")}`;
}

function fitField(field: Field, node: SchemaNode, leaves: number[]): Field {
  const { type } = field;
  const differs = (): Error => unfit(`column ${field.name} is stored as another type`);
  if (node.repetition === "REPEATED") throw differs();
  const required = node.repetition === "REQUIRED";
  if (isPrimitive(type)) {
    if (node.children.length > 0 || !isStoredAs(type, node)) throw differs();
    leaves.push(node.leaf);
    return { ...field, required };
  }
  const members = type.kind === "struct" ? node.children : repeatedOf(node, type.kind);
  if (members === null) throw differs();
  const children = childFields(type).map((child) => {
    const below = members.find(({ fieldId }) => fieldId === child.id);
    if (below === undefined) throw unfit(`a file lacks a field of column ${field.name}`);
    return fitField(child, below, leaves);
  });
  // Levels of a list are those of its only element.
  if (type.kind !== "struct" && members.length !== children.length) throw differs();
  return { ...field, required, type: withChildFields(type, children) };
}

/** What is in the repeated group of a list or map in three levels; null: it is none. */
function repeatedOf(
  { children, converted, logical }: SchemaNode,
  kind: "list" | "map",
): readonly SchemaNode[] | null {
  const [group, ...others] = children;
  if (group?.repetition !== "REPEATED" || others.length > 0 || group.physical !== null) return null;
  const isList = converted === CONVERTED.list || hasMember(logical, 3);
  const isMap =
    converted === CONVERTED.map || converted === CONVERTED.mapKeyValue || hasMember(logical, 2);
  return (kind === "list" ? isList : isMap) ? group.children : null;
}

function isStoredAs(type: PrimitiveType, node: SchemaNode): boolean {
  const { physical, width } = physicalOf(type);
  if (node.physical !== PHYSICAL[physical]) return false;
  if (physical === "FIXED_LEN_BYTE_ARRAY" && node.width !== width) return false;
  return isAnnotated(type, node);
}

function isAnnotated(
  type: PrimitiveType,
  { logical, converted, scale, precision }: SchemaNode,
): boolean {
  switch (type.kind) {
    case "boolean":
    case "float":
    case "double":
    case "fixed":
    case "binary":
      return logical === null && converted === null;
    case "int":
      return isInteger(logical, converted, 32);
    case "long":
      return isInteger(logical, converted, 64);
    case "date":
      return hasMember(logical, 6) || converted === 6;
    case "time":
      return logical?.field_7?.field_2.field_2 !== undefined;
    case "timestamp":
      return isTimestamp(logical, type.zone, "field_2");
    case "timestamp_ns":
      return isTimestamp(logical, type.zone, "field_3");
    case "string":
      return hasMember(logical, 1) || converted === CONVERTED.utf8;
    case "uuid":
      return hasMember(logical, 14);
    case "decimal": {
      const own = logical?.field_5;
      if (own === undefined && converted !== 5) return false;
      return (
        (own?.field_1 ?? scale) === type.scale && (own?.field_2 ?? precision) === type.precision
      );
    }
  }
}

function hasMember(logical: RawLogicalType | null, member: number): boolean {
  return logical !== null && `field_${member}` in logical;
}

/** A plain integer, or one that is said to be signed and of that width (`INT_32` 17, `INT_64` 18). */
function isInteger(
  logical: RawLogicalType | null,
  converted: number | null,
  bits: 32 | 64,
): boolean {
  if (logical !== null) {
    return logical.field_10?.field_1 === bits && logical.field_10.field_2;
  }
  return converted === null || converted === (bits === 32 ? 17 : 18);
}

function isTimestamp(
  logical: RawLogicalType | null,
  zone: boolean,
  unit: "field_2" | "field_3",
): boolean {
  const own = logical?.field_8;
  return own?.field_1 === zone && own.field_2[unit] !== undefined;
}
