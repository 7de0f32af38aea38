/**
 * Columns in the words of Hive, as Glue and the Hive Metastore show them to people and to engines that do
 * not read Iceberg's metadata. The same type names as Iceberg's own catalogs for Java write.
 */
import type { Field, Schema, Type } from "#columns/schema.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";

/** Longest type that Hive and Glue keep, characters. */
const TYPE_LENGTH_MAX = 131_072;
/** Longest name and comment of a column, in bytes of UTF-8. */
const TEXT_LENGTH_MAX = 255;

/** One column of a listing. */
export interface HiveColumn {
  readonly name: string;
  readonly type: string;
  /** Null: the field has no documentation. */
  readonly comment: string | null;
  readonly field: Field;
  /** False: a column of an older schema alone. */
  readonly isCurrent: boolean;
}

/**
 * The columns of the current schema, then those that only older schemas have. Of names that differ in
 * nothing but case the first one stays, since Hive compares without case; names and types that the
 * services cannot keep are left out.
 * @param zoned the name of `timestamptz`
 */
export function hiveColumns(metadata: TableMetadata, zoned: string): HiveColumn[] {
  const isCurrent = ({ schemaId }: Schema): boolean => schemaId === metadata.currentSchemaId;
  const schemas = [
    ...metadata.schemas.filter(isCurrent),
    ...metadata.schemas.filter((schema) => !isCurrent(schema)),
  ];
  const columns = new Map<string, HiveColumn>();
  for (const schema of schemas) {
    for (const field of schema.fields) {
      const key = field.name.toLowerCase();
      const column = hiveColumn(field, zoned, isCurrent(schema));
      if (!columns.has(key) && isKept(column)) columns.set(key, column);
    }
  }
  return [...columns.values()];
}

function hiveColumn(field: Field, zoned: string, isCurrent: boolean): HiveColumn {
  const { name, type, doc = "" } = field;
  const comment = oneLine(doc);
  return {
    name,
    type: hiveType(type, zoned),
    comment: comment === "" ? null : comment,
    field,
    isCurrent,
  };
}

function isKept({ name, type }: HiveColumn): boolean {
  const isLine = oneLine(name) === name && oneLine(type, type.length) === type;
  return isLine && name !== "" && type.length <= TYPE_LENGTH_MAX;
}

/** Text without line breaks and other controls, cut to so many bytes. */
function oneLine(text: string, bytesMax: number = TEXT_LENGTH_MAX): string {
  let bytes = 0;
  let line = "";
  for (const character of text.replaceAll(/\p{Cc}+/gu, " ")) {
    bytes += Buffer.byteLength(character);
    if (bytes > Math.max(bytesMax, 1)) break;
    line += character;
  }
  return line;
}

/** A type as Hive writes it. */
export function hiveType(type: Type, zoned: string): string {
  switch (type.kind) {
    case "boolean":
    case "int":
    case "float":
    case "double":
    case "date":
      return type.kind;
    case "long":
      return "bigint";
    case "time":
    case "string":
    case "uuid":
      return "string";
    case "fixed":
    case "binary":
      return "binary";
    case "timestamp":
    case "timestamp_ns":
      return type.zone ? zoned : "timestamp";
    case "decimal":
      return `decimal(${type.precision},${type.scale})`;
    case "struct":
      return `struct<${type.fields.map((each) => `${each.name}:${hiveType(each.type, zoned)}`).join(",")}>`;
    case "list":
      return `array<${hiveType(type.element.type, zoned)}>`;
    case "map":
      return `map<${hiveType(type.key.type, zoned)},${hiveType(type.value.type, zoned)}>`;
  }
}
