/**
 * Message types -> columns (SPEC section 5).
 *
 * | Protobuf | column |
 * | --- | --- |
 * | int32, sint32, sfixed32 | int |
 * | int64, sint64, sfixed64, uint32, fixed32 | long |
 * | uint64, fixed64 | decimal(20, 0) |
 * | bool, float, double, string | boolean, float, double, string |
 * | bytes | binary |
 * | enum | string: the value's name, digits for a number without one |
 * | message, group, Any | struct |
 * | message without fields, Empty | boolean: true when it is set |
 * | repeated, map | list, map |
 * | Timestamp | timestamptz |
 * | Duration | decimal(21, 9), seconds |
 * | wrappers (Int32Value, ..) | their value, null when they are not set |
 * | Struct, Value, ListValue | string, JSON text |
 * | google.type.Date, TimeOfDay | date, time |
 *
 * All columns are optional but those of `required` fields. A type that contains itself has no columns,
 * and is refused by name.
 */
import { fail } from "#base/errors.ts";
import { joinPath } from "#columns/paths.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import { Shaping } from "#decode/shaping.ts";
import type { ProtoField, ProtoMessage, ProtoType, Scalar } from "./model.ts";
import { wellKnown } from "./wellKnown.ts";

/**
 * The columns of a message, ids 0.
 * @param separator messages in it become columns named by their path; null: they become structs
 * @param shaping which of them, and what they are called; default: all, as they are
 * @throws AppError `usage` for a type that contains itself, or one without fields
 */
export function columnsOf(
  message: ProtoMessage,
  separator: string | null = null,
  shaping: Shaping = new Shaping(),
): readonly Field[] {
  if (message.fields.length === 0) {
    throw fail("usage", `Message ${message.name} has no fields: a table needs a column`);
  }
  const fields = membersOf(message, "", []);
  if (separator === null) return shaping.columns(fields);
  return flatColumns(message, fields, "", { separator, shaping });
}

/** Members of messages as columns of the row; the message may be missing, and so may they. */
function flatColumns(
  message: ProtoMessage,
  fields: readonly Field[],
  prefix: string,
  rules: { readonly separator: string; readonly shaping: Shaping },
): readonly Field[] {
  const { separator, shaping } = rules;
  return message.fields.flatMap((field, index) => {
    const column = fields[index] as Field;
    const name = prefix + column.name;
    const { type } = field;
    const isWhole = shaping.ignores(name) || shaping.coverOf(name) !== null || !isFlattened(field);
    if (isWhole || type.kind !== "message" || column.type.kind !== "struct") {
      return shaping.columns([{ ...column, name, required: column.required && prefix === "" }]);
    }
    return flatColumns(type.type, column.type.fields, name + separator, rules);
  });
}

/** True for a message that becomes columns of its own when messages are flattened. */
export function isFlattened({ label, type }: ProtoField): boolean {
  return label === "single" && type.kind === "message" && wellKnown(type.type) === null;
}

/** @param outer the messages around, outermost first */
function membersOf(message: ProtoMessage, path: string, outer: readonly ProtoMessage[]): Field[] {
  const within = [...outer, message];
  return message.fields.map((field) => columnOf(field, joinPath(path, field.name), within));
}

/**
 * The type of a field's column.
 * @param path of the field, for the error
 * @throws AppError `usage` for a type that contains itself
 */
export function columnTypeOf(field: ProtoField, path: string): Type {
  return columnOf(field, path, []).type;
}

/** The kind of the column that one value makes, which a type that contains itself has as well. */
export function valueKind(type: ProtoType): Type["kind"] {
  if (type.kind === "enum") return "string";
  if (type.kind === "scalar") return scalarType(type.scalar).kind;
  const special = wellKnown(type.type);
  if (special === null) return "struct";
  return special.kind === "wrapper" ? scalarType(special.scalar).kind : special.type.kind;
}

function columnOf(field: ProtoField, path: string, within: readonly ProtoMessage[]): Field {
  const { name, label, presence, doc } = field;
  const value = typeOf(field.type, path, within);
  return {
    id: 0,
    name,
    required: presence === "required",
    type: label === "single" ? value : nestedOf(field, value),
    ...(doc === null ? {} : { doc }),
  };
}

function nestedOf({ key }: ProtoField, type: Type): Type {
  if (key === null) {
    return { kind: "list", element: { id: 0, name: "element", required: false, type } };
  }
  return {
    kind: "map",
    key: { id: 0, name: "key", required: true, type: scalarType(key) },
    value: { id: 0, name: "value", required: false, type },
  };
}

function typeOf(type: ProtoType, path: string, within: readonly ProtoMessage[]): Type {
  switch (type.kind) {
    case "scalar":
      return scalarType(type.scalar);
    case "enum":
      return { kind: "string" };
    case "message":
      return messageType(type.type, path, within);
  }
}

function messageType(message: ProtoMessage, path: string, within: readonly ProtoMessage[]): Type {
  const special = wellKnown(message);
  if (special !== null)
    return special.kind === "wrapper" ? scalarType(special.scalar) : special.type;
  if (within.includes(message)) {
    const sentence = `Message ${message.name} contains itself (field ${path}): it has no columns`;
    throw fail("usage", `${sentence}. Leave the field out of the schema that is read`);
  }
  return { kind: "struct", fields: membersOf(message, path, within) };
}

/** The column type of a scalar. */
export function scalarType(scalar: Scalar): PrimitiveType {
  switch (scalar) {
    case "int32":
    case "sint32":
    case "sfixed32":
      return { kind: "int" };
    case "int64":
    case "sint64":
    case "sfixed64":
    case "uint32":
    case "fixed32":
      return { kind: "long" };
    case "uint64":
    case "fixed64":
      return { kind: "decimal", precision: 20, scale: 0 };
    case "bool":
      return { kind: "boolean" };
    case "bytes":
      return { kind: "binary" };
    default:
      return { kind: scalar };
  }
}
