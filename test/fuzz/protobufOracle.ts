/**
 * What a message means, as protobufjs reads it: the rows that our columns must have. Knows nothing of
 * our reader; what protobufjs takes and no column can hold is a {@link Refusal}.
 */
import protobuf from "protobufjs";
import type { Value } from "../support/columnValues.ts";

/** A value that no column of its type can hold. */
export class Refusal extends Error {}

/** protobufjs does not tell what the record means. */
export class Unjudged extends Error {}

/** JSON text: whatever its form, it must mean this. */
export class JsonValue {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/** A value of a row, or the JSON that its text must mean. */
export type Expected =
  | Exclude<Value, Map<Value, Value>>
  | JsonValue
  | Expected[]
  | { readonly [name: string]: Expected }
  | Map<Value, Expected>;

type Row = { readonly [name: string]: Expected };
type Members = Readonly<Record<string, unknown>>;

/** Reads records by the file's message. Throws what protobufjs throws, or a {@link Refusal}. */
export function protobufOracle(file: string, name: string): (bytes: Uint8Array) => Row {
  const root = new protobuf.Root();
  for (const each of file.matchAll(/import "(.*?)"/g)) {
    const common = protobuf.common.get(each[1] ?? "");
    if (common?.nested !== undefined) root.addJSON(common.nested);
  }
  protobuf.parse(file, root, { keepCase: true });
  root.resolveAll();
  const type = root.lookupType(name);
  return (bytes) => members(type, type.decode(bytes) as unknown as Members);
}

function members(type: protobuf.Type, message: Members): Row {
  return Object.fromEntries(
    type.fieldsArray.map((field) => [field.name, memberOf(field, message)]),
  );
}

function memberOf(field: protobuf.Field, message: Members): Expected {
  const isThere = Object.hasOwn(message, field.name);
  const value = message[field.name];
  if (field instanceof protobuf.MapField) return mapOf(field, isThere ? (value as Members) : {});
  if (field.repeated)
    return ((isThere ? value : []) as unknown[]).map((each) => single(field, each));
  if (isThere) return single(field, value);
  // protobufjs does not look into the message that a map's entry without a value has.
  if (field.required) throw new Unjudged();
  const hasDefault = field.options?.["default"] !== undefined && field.partOf === null;
  const isImplicit = !(field.resolvedType instanceof protobuf.Type) && !field.hasPresence;
  return hasDefault || isImplicit ? single(field, field.typeDefault) : null;
}

function mapOf(field: protobuf.MapField, entries: Members): Map<Value, Expected> {
  // Of a key 0 and a missing one, which are the same, nothing says which came last.
  if (Object.hasOwn(entries, "0") && Object.hasOwn(entries, ZERO_HASH)) throw new Unjudged();
  return new Map(
    Object.entries(entries).map(([key, value]) => [
      keyOf(field.keyType, key),
      single(field as unknown as protobuf.Field, value),
    ]),
  );
}

function keyOf(type: string, key: string): Value {
  switch (type) {
    case "string":
      return key;
    case "bool":
      return key === "true";
    case "uint32":
    case "fixed32":
      return BigInt(key);
    case "int64":
    case "sint64":
    case "sfixed64":
      return fromHash(key, false);
    case "uint64":
    case "fixed64":
      return fromHash(key, true);
    default:
      return Number(key);
  }
}

const ZERO_HASH = "\0".repeat(8);

/** protobufjs writes 64-bit keys as eight characters, but for a key that is missing. */
function fromHash(key: string, unsigned: boolean): bigint {
  return key === "0" ? 0n : BigInt(protobuf.util.longFromHash(key, unsigned).toString());
}

function single(field: protobuf.Field, value: unknown): Expected {
  const { resolvedType, type } = field;
  if (resolvedType instanceof protobuf.Enum) {
    return resolvedType.valuesById[value as number] ?? String(value);
  }
  if (resolvedType !== null) {
    return messageOf(resolvedType, (value ?? {}) as Members);
  }
  return scalarOf(type, value);
}

function scalarOf(type: string, value: unknown): Expected {
  switch (type) {
    case "int32":
    case "sint32":
    case "sfixed32":
    case "double":
    case "float":
      return value as number;
    case "bool":
      return value as boolean;
    case "string":
      return value as string;
    case "bytes":
      return Buffer.from(value as Uint8Array).toString("hex");
    default:
      return BigInt(String(value));
  }
}

function longOf(value: unknown): bigint {
  return value === undefined || value === null ? 0n : BigInt(String(value));
}

function messageOf(type: protobuf.Type, message: Members): Expected {
  const isWrapper = /^\.google\.protobuf\.\w+Value$/.test(type.fullName);
  const [first] = type.fieldsArray;
  switch (type.fullName) {
    case ".google.protobuf.Timestamp":
      return timestampOf(message);
    case ".google.protobuf.Duration":
      return durationOf(message);
    case ".google.protobuf.Struct":
      return new JsonValue(structOf(message));
    case ".google.protobuf.Value":
      return new JsonValue(jsonOf(message));
    case ".google.protobuf.ListValue":
      return new JsonValue(listOf(message));
    case ".google.protobuf.Empty":
      return true;
    default:
      if (isWrapper && first !== undefined) return memberOf(first, message);
      return members(type, message);
  }
}

function timestampOf(message: Members): bigint {
  const [seconds, nanos] = [longOf(message["seconds"]), longOf(message["nanos"])];
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n) throw new Refusal();
  if (nanos < 0n || nanos > 999_999_999n) throw new Refusal();
  return seconds * 1_000_000n + nanos / 1000n;
}

function durationOf(message: Members): bigint {
  const [seconds, nanos] = [longOf(message["seconds"]), longOf(message["nanos"])];
  if (seconds < -315_576_000_000n || seconds > 315_576_000_000n) throw new Refusal();
  if (nanos < -999_999_999n || nanos > 999_999_999n || seconds * nanos < 0n) throw new Refusal();
  return seconds * 1_000_000_000n + nanos;
}

function structOf(message: Members): unknown {
  const fields = Object.hasOwn(message, "fields") ? (message["fields"] as Members) : {};
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, jsonOf((value ?? {}) as Members)]),
  );
}

function listOf(message: Members): unknown {
  return ((Object.hasOwn(message, "values") ? message["values"] : []) as Members[]).map(jsonOf);
}

function jsonOf(message: Members): unknown {
  const kind = message["kind"] as string | undefined;
  const value = kind === undefined ? undefined : message[kind];
  switch (kind) {
    case "nullValue":
    case "null_value":
      return null;
    case "structValue":
    case "struct_value":
      return structOf(value as Members);
    case "listValue":
    case "list_value":
      return listOf(value as Members);
    case undefined:
      throw new Refusal();
    default:
      if (typeof value === "number" && !Number.isFinite(value)) throw new Refusal();
      return value;
  }
}
