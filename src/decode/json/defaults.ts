/**
 * What a column gets in a record that does not show its field: its `write-default` (Iceberg spec,
 * format v3, "Default values"), which the table's owner has set. A field that is there with `null` has
 * a value, null, and gets no default.
 *
 * Defaults stand in the metadata as JSON single values (Appendix D).
 */
import { fail } from "#base/errors.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import { typeName } from "#columns/evolve.ts";
import { type Field, isPrimitive, type PrimitiveType } from "#columns/schema.ts";
import { textParser } from "./values.ts";

const HEX = /^(?:[0-9a-fA-F]{2})*$/;

/** Appends one default to the column that it was made for. */
export type Filler = (column: ColumnBuilder) => void;

/**
 * What fills a column; null: it has no default, and is null where its field is missing. Throws
 * `table_unsupported` for a default that its type does not have.
 */
export function fillerOf(field: Field): Filler | null {
  const value = field.writeDefault ?? null;
  if (value === null) return null;
  const { type } = field;
  if (type.kind === "struct") return structFiller(type.fields.map(fillerOf));
  const filler = isPrimitive(type) ? primitiveFiller(type, value) : null;
  if (filler !== null) return filler;
  const sentence = `The write-default of column ${field.name} is no value of type ${typeName(type)}`;
  throw fail("table_unsupported", sentence, { column: field.name });
}

/** The only default of a struct is `{}`: a struct of its members' defaults. */
function structFiller(members: readonly (Filler | null)[]): Filler {
  return (column) => {
    for (const [index, filler] of members.entries()) {
      if (filler !== null) filler(column.children[index] as ColumnBuilder);
    }
    column.endStruct();
  };
}

function primitiveFiller(type: PrimitiveType, value: unknown): Filler | null {
  switch (type.kind) {
    case "boolean":
      return typeof value === "boolean" ? (column) => column.appendBoolean(value) : null;
    case "int":
      return typeof value === "number" ? (column) => column.appendInt(value) : null;
    case "float":
    case "double":
      return isNumber(value) ? (column) => column.appendFloat(Number(value)) : null;
    case "long":
      return isNumber(value) ? (column) => column.appendBigInt(BigInt(value)) : null;
    default:
      return typeof value === "string" ? textFiller(type, value) : null;
  }
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** The text of a default is that of a record, but for bytes, which are in hexadecimal digits. */
function textFiller(type: PrimitiveType, text: string): Filler | null {
  const isHex = type.kind === "binary" || type.kind === "fixed";
  if (isHex || type.kind === "string") {
    if (isHex && !HEX.test(text)) return null;
    const bytes = isHex ? Uint8Array.fromHex(text) : new TextEncoder().encode(text);
    if (type.kind === "fixed" && bytes.length !== type.length) return null;
    return (column) => column.appendBytes(bytes, 0, bytes.length);
  }
  const parse = textParser(type);
  const probe = new ColumnBuilder({ id: 0, name: "", required: false, type });
  if (parse === null || !parse(text, probe)) return null;
  return (column) => {
    parse(text, column);
  };
}
