/**
 * Iceberg's columns as SQL over a Parquet file's, found by field id at every depth (Iceberg spec,
 * "Column Projection"): renamed, reordered, added, dropped and widened fields are right in files of
 * every age. Pure.
 */
import {
  childFields,
  type Field,
  isPrimitive,
  type PrimitiveType,
  type Type,
} from "#columns/schema.ts";
import { sqlName, sqlText } from "./duckdb/instance.ts";
import { elementOf, entryOf, type ParquetNode } from "./parquetNodes.ts";

/** `"a", CAST("old" AS BIGINT) AS "b", NULL::VARCHAR AS "c"`: the columns of a select list. */
export function projectColumns(fields: readonly Field[], nodes: readonly ParquetNode[]): string {
  return fields
    .map((field) => `${member(field, nodes, null)} AS ${sqlName(field.name)}`)
    .join(", ");
}

/** The same columns without any row. */
export function noRows(fields: readonly Field[]): string {
  const columns = fields.map(({ name, type }) => `NULL::${sqlType(type)} AS ${sqlName(name)}`);
  return `SELECT ${columns.join(", ")} WHERE false`;
}

/** DuckDB's type of an Iceberg type. Nanoseconds with a zone become microseconds: DuckDB has none. */
export function sqlType(type: Type): string {
  switch (type.kind) {
    case "struct":
      return `STRUCT(${type.fields.map((each) => `${sqlName(each.name)} ${sqlType(each.type)}`).join(", ")})`;
    case "list":
      return `${sqlType(type.element.type)}[]`;
    case "map":
      return `MAP(${sqlType(type.key.type)}, ${sqlType(type.value.type)})`;
    default:
      return primitiveSql(type);
  }
}

function primitiveSql(type: PrimitiveType): string {
  switch (type.kind) {
    case "boolean":
      return "BOOLEAN";
    case "int":
      return "INTEGER";
    case "long":
      return "BIGINT";
    case "float":
      return "FLOAT";
    case "double":
      return "DOUBLE";
    case "decimal":
      return `DECIMAL(${type.precision}, ${type.scale})`;
    case "date":
      return "DATE";
    case "time":
      return "TIME";
    case "timestamp":
      return type.zone ? "TIMESTAMPTZ" : "TIMESTAMP";
    case "timestamp_ns":
      return type.zone ? "TIMESTAMPTZ" : "TIMESTAMP_NS";
    case "string":
      return "VARCHAR";
    case "uuid":
      return "UUID";
    case "fixed":
    case "binary":
      return "BLOB";
  }
}

/** A field of a row (`of` null) or of a struct. */
function member(field: Field, nodes: readonly ParquetNode[], of: string | null): string {
  const node = nodes.find(({ fieldId }) => fieldId === field.id);
  if (node === undefined) return missing(field);
  const name = sqlName(node.name);
  return project(field.type, node, of === null ? name : `${of}.${name}`);
}

/** A value of a type from the file's expression for it. */
function project(type: Type, node: ParquetNode, sql: string): string {
  if (isPrimitive(type) || hasNames(type, node)) return `CAST(${sql} AS ${sqlType(type)})`;
  if (type.kind === "struct") {
    const members = type.fields.map(
      (each) => `${sqlName(each.name)} := ${member(each, node.children, sql)}`,
    );
    return orNull(sql, `struct_pack(${members.join(", ")})`);
  }
  const item = `i${depthOf(sql)}`;
  if (type.kind === "list") {
    const element = elementOf(node);
    if (element === null) return `NULL::${sqlType(type)}`;
    return `list_transform(${sql}, lambda ${item}: ${project(type.element.type, element, item)})`;
  }
  const entry = entryOf(node);
  if (entry === null) return `NULL::${sqlType(type)}`;
  const key = project(type.key.type, entry.key, `${item}.key`);
  const value = project(type.value.type, entry.value, `${item}.value`);
  const entries = `list_transform(map_entries(${sql}), lambda ${item}: struct_pack(k := ${key}, v := ${value}))`;
  return orNull(sql, `map_from_entries(${entries})`);
}

/** Lambdas within lambdas name their parameters apart. */
function depthOf(sql: string): number {
  const [, inner] = /^i(\d+)/.exec(sql) ?? [];
  return inner === undefined ? 0 : Number(inner) + 1;
}

function orNull(sql: string, value: string): string {
  return `CASE WHEN ${sql} IS NULL THEN NULL ELSE ${value} END`;
}

/** True when every name below is the file's name for that id, and none is missing or too many. */
function hasNames(type: Type, node: ParquetNode): boolean {
  const fields = childFields(type);
  const children = childNodes(type, node);
  return (
    fields.length === children.length &&
    fields.every((field, index) => {
      const child = children[index];
      const isHere = child !== undefined && child.fieldId === field.id;
      const isNamed = type.kind !== "struct" || child?.name === field.name;
      return isHere && isNamed && (isPrimitive(field.type) || hasNames(field.type, child));
    })
  );
}

function childNodes(type: Type, node: ParquetNode): readonly ParquetNode[] {
  if (type.kind === "list") return [elementOf(node)].filter((each) => each !== null);
  if (type.kind !== "map") return node.children;
  const entry = entryOf(node);
  return entry === null ? [] : [entry.key, entry.value];
}

/** A column that the file is older than: its initial default, else null. */
function missing({ type, initialDefault }: Field): string {
  const value = initialDefault ?? null;
  if (value === null || !isPrimitive(type)) return `NULL::${sqlType(type)}`;
  const text = String(value);
  switch (type.kind) {
    case "binary":
    case "fixed":
      return `unhex(${sqlText(text)})`;
    default:
      return `CAST(${sqlText(text)} AS ${sqlType(type)})`;
  }
}
