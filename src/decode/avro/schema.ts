/**
 * Avro schemas (Avro 1.12, "Schema Declaration") as a graph of types. A named type is one object
 * wherever it is used, so that a type that contains itself is a circle.
 *
 * Parsed by ourselves: what counts is how a value is read, so that mistakes without a meaning for it
 * (a default of the wrong type, an odd name) refuse nothing that the registry has accepted.
 */
import { type AppError, fail } from "#base/errors.ts";
import { parseJson } from "#base/json.ts";
import type { NamedSchema } from "#decode/registry/registry.ts";

/** What the bytes of a primitive or fixed type mean; unknown ones, and those that do not fit, are none. */
export type Logical =
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "uuid" | "date" }
  | { readonly kind: "time"; readonly unit: "millis" | "micros" }
  | {
      readonly kind: "timestamp";
      readonly unit: "millis" | "micros" | "nanos";
      /** True: an instant; false: a date and a time of day of no zone. */
      readonly zone: boolean;
    };

const PRIMITIVES = [
  "null",
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "bytes",
  "string",
] as const;

/** A type of one value. */
export interface AvroPrimitive {
  readonly kind: (typeof PRIMITIVES)[number];
  readonly logical: Logical | null;
}

/** Bytes of one length. */
export interface AvroFixed {
  readonly kind: "fixed";
  readonly name: string;
  readonly size: number;
  readonly logical: Logical | null;
}

/** One of a list of words. */
export interface AvroEnum {
  readonly kind: "enum";
  readonly name: string;
  readonly symbols: readonly string[];
}

/** A member of a record. */
export interface AvroField {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: AvroType;
  /** A JSON value; undefined: the field has no default. */
  readonly fallback: unknown;
  readonly doc: string | null;
}

/** A record; its fields are set once all of its inside is known. */
export interface AvroRecord {
  readonly kind: "record";
  /** With its namespace. */
  readonly name: string;
  fields: readonly AvroField[];
}

/** Any Avro type. */
export type AvroType =
  | AvroPrimitive
  | AvroFixed
  | AvroEnum
  | AvroRecord
  | { readonly kind: "array"; readonly items: AvroType }
  | { readonly kind: "map"; readonly values: AvroType }
  | { readonly kind: "union"; readonly branches: readonly AvroType[] };

/** Nesting of a schema's text; deeper is refused. */
const DEPTH_MAX = 100;

/**
 * Parses a schema.
 * @param references schemas that it names types of, each before those that need it
 * @throws AppError `data` when it is none, with the place of the first mistake
 */
export function parseAvro(text: string, references: readonly NamedSchema[] = []): AvroType {
  const parser = new Parser();
  for (const { name, text: other } of references) parser.schema(jsonOf(other, name), name, "", 0);
  return parser.schema(jsonOf(text, "the schema"), "the schema", "", 0);
}

/** The last part of a name with a namespace. */
export function shortName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function jsonOf(text: string, where: string): unknown {
  const start = text.trimStart().charAt(0);
  // A primitive type may stand alone, without quotes, as Java's parser takes it.
  if (start !== "{" && start !== "[" && start !== '"') return text.trim();
  try {
    return parseJson(text);
  } catch (cause) {
    throw fail("data", `${where} is not JSON`, {}, cause);
  }
}

type Members = Readonly<Record<string, unknown>>;

class Parser {
  private readonly named = new Map<string, AvroType>();

  /** @param namespace of names without one */
  schema(json: unknown, where: string, namespace: string, depth: number): AvroType {
    if (depth > DEPTH_MAX) throw wrong(where, "is nested too deeply");
    if (typeof json === "string") return this.byName(json, where, namespace);
    if (Array.isArray(json)) {
      const branches = json.map((each, index) =>
        this.schema(each, `${where}, branch ${index}`, namespace, depth + 1),
      );
      if (branches.length === 0) throw wrong(where, "is a union of nothing");
      return { kind: "union", branches };
    }
    if (typeof json !== "object" || json === null) throw wrong(where, "is no type");
    return this.complex(json as Members, where, namespace, depth);
  }

  private byName(name: string, where: string, namespace: string): AvroType {
    const kind = PRIMITIVES.find((each) => each === name);
    if (kind !== undefined) return { kind, logical: null };
    const full = name.includes(".") || namespace === "" ? name : `${namespace}.${name}`;
    // A name without a namespace may be one of the null namespace.
    const found = this.named.get(full) ?? this.named.get(name);
    if (found === undefined) throw wrong(where, `names type ${name}, which nobody has defined`);
    return found;
  }

  private complex(json: Members, where: string, namespace: string, depth: number): AvroType {
    const { type } = json;
    switch (type) {
      case "record":
      case "error":
        return this.record(json, where, namespace, depth);
      case "enum": {
        const symbols: unknown = json["symbols"];
        if (!Array.isArray(symbols)) throw wrong(where, "is an enum without symbols");
        const name = nameOf(json, where, namespace);
        return this.define({ kind: "enum", name, symbols: symbols.map(String) }, json);
      }
      case "fixed": {
        const size = Number(json["size"]);
        if (!Number.isSafeInteger(size) || size < 0) throw wrong(where, "has no size");
        const name = nameOf(json, where, namespace);
        return this.define({ kind: "fixed", name, size, logical: logicalOf(json, size) }, json);
      }
      case "array":
        return { kind: "array", items: this.schema(json["items"], where, namespace, depth + 1) };
      case "map":
        return { kind: "map", values: this.schema(json["values"], where, namespace, depth + 1) };
      default: {
        const inner = this.schema(type, where, namespace, depth + 1);
        const isBare = "logical" in inner && inner.kind !== "fixed" && inner.logical === null;
        return isBare ? { ...inner, logical: logicalOf(json, null) } : inner;
      }
    }
  }

  private record(json: Members, where: string, namespace: string, depth: number): AvroType {
    const name = nameOf(json, where, namespace);
    const record: AvroRecord = { kind: "record", name, fields: [] };
    this.define(record, json);
    const { fields } = json;
    if (!Array.isArray(fields)) throw wrong(where, "is a record without fields");
    const own = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "";
    record.fields = fields.map((each: Members | null, index) => {
      if (typeof each?.["name"] !== "string") throw wrong(name, `has no name at field ${index}`);
      return {
        name: each["name"],
        aliases: listOf(each["aliases"]),
        type: this.schema(each["type"], `${name}.${each["name"]}`, own, depth + 1),
        fallback: each["default"],
        doc: typeof each["doc"] === "string" ? each["doc"] : null,
      };
    });
    return record;
  }

  /** Makes a type known by its name and its aliases. */
  private define(type: AvroRecord | AvroEnum | AvroFixed, json: Members): AvroType {
    this.named.set(type.name, type);
    const space = type.name.slice(0, type.name.lastIndexOf(".") + 1);
    for (const alias of listOf(json["aliases"])) {
      const full = alias.includes(".") ? alias : space + alias;
      if (!this.named.has(full)) this.named.set(full, type);
    }
    return type;
  }
}

function nameOf(json: Members, where: string, namespace: string): string {
  const { name, namespace: own } = json;
  if (typeof name !== "string" || name === "") throw wrong(where, "is a type without a name");
  if (name.includes(".")) return name;
  const space = typeof own === "string" ? own : namespace;
  return space === "" ? name : `${space}.${name}`;
}

function listOf(json: unknown): readonly string[] {
  return Array.isArray(json) ? json.map(String) : [];
}

/** What Debezium says of a type by Connect's name for it, in Avro's words. */
const CONNECT_NAMES: ReadonlyMap<unknown, string> = new Map([
  ["io.debezium.data.Uuid", "uuid"],
  ["io.debezium.time.Date", "date"],
  ["io.debezium.time.Time", "time-millis"],
  ["io.debezium.time.MicroTime", "time-micros"],
  ["io.debezium.time.Timestamp", "local-timestamp-millis"],
  ["io.debezium.time.MicroTimestamp", "local-timestamp-micros"],
  ["io.debezium.time.NanoTimestamp", "local-timestamp-nanos"],
]);

/** @param size of a fixed type; null: another one */
function logicalOf(json: Members, size: number | null): Logical | null {
  const { type } = json;
  const logicalType = json["logicalType"] ?? CONNECT_NAMES.get(json["connect.name"]);
  switch (`${String(logicalType)} ${size === null ? String(type) : "fixed"}`) {
    case "decimal bytes":
    case "decimal fixed":
      return decimalOf(json, size);
    case "uuid string":
      return { kind: "uuid" };
    case "uuid fixed":
      return size === 16 ? { kind: "uuid" } : null;
    case "date int":
      return { kind: "date" };
    case "time-millis int":
      return { kind: "time", unit: "millis" };
    case "time-micros long":
      return { kind: "time", unit: "micros" };
    default:
      return type === "long" ? timestampOf(String(logicalType)) : null;
  }
}

function timestampOf(name: string): Logical | null {
  const [, local, unit] = /^(local-)?timestamp-(millis|micros|nanos)$/.exec(name) ?? [];
  if (unit !== "millis" && unit !== "micros" && unit !== "nanos") return null;
  return { kind: "timestamp", unit, zone: local === undefined };
}

/** Iceberg's decimals have at most 38 digits: one with more is its bytes. */
function decimalOf(json: Members, size: number | null): Logical | null {
  const precision = Number(json["precision"]);
  const scale = Number(json["scale"] ?? 0);
  const isWhole = Number.isSafeInteger(precision) && Number.isSafeInteger(scale);
  if (!isWhole || precision < 1 || precision > 38 || scale < 0 || scale > precision) return null;
  const isRoomy = size === null || size > 16 || 10n ** BigInt(precision) <= 2n ** BigInt(8 * size);
  return isRoomy && size !== 0 ? { kind: "decimal", precision, scale } : null;
}

function wrong(where: string, what: string): AppError {
  return fail("data", `${where} ${what}`);
}
