/**
 * The text of one field of a message: what a record is routed by (SPEC section 4, `iceberg.route_field`).
 *
 * As in a column, the last value of a field counts, of a oneof the last member, and a number, a boolean or an
 * enum that is missing where presence is not kept says its default. A text that is missing says nothing.
 */
import { utf8Text } from "#base/text.ts";
import { isUtf8 } from "#decode/json/strings.ts";
import { MetTexts } from "#decode/metTexts.ts";
import { FramedSchemas, ROUTE_NEED } from "#decode/registry/framedSchemas.ts";
import type { RegisteredSchema, SchemaRegistry } from "#decode/registry/registry.ts";
import type { RouteField } from "#decode/routeField.ts";
import { headOf, startsWith } from "./head.ts";
import { type ProtoEnum, type ProtoField, type ProtoMessage, scalarWire, WIRE } from "./model.ts";
import { loadProtobuf, type ProtobufParser } from "./parse.ts";
import { type Registered, registeredOf } from "./registered.ts";
import { readScalar, scalarText, settle } from "./scalars.ts";
import { WireReader } from "./wire.ts";

/**
 * The field at a path.
 * @param message the type of all values; null: it is not known
 * @param registry null: values are bare
 */
export function protobufRouteField(
  path: string,
  message: ProtoMessage | null,
  registry: SchemaRegistry | null,
): RouteField {
  if (registry !== null) return new FramedRouteField(path, registry);
  const text = new ProtobufFieldText(path);
  return {
    prepare: null,
    of: (bytes, start, end) => (message === null ? null : text.of(message, bytes, start, end)),
  };
}

/** Values behind the ids of their schemas and the places of their messages. */
class FramedRouteField implements RouteField {
  readonly #text: ProtobufFieldText;
  readonly #schemas: FramedSchemas<Registered>;
  #parser: ProtobufParser | null = null;
  #lastHead: Uint8Array = new Uint8Array(0);
  #last: ProtoMessage | null = null;

  constructor(path: string, registry: SchemaRegistry) {
    this.#text = new ProtobufFieldText(path);
    const parse = (schema: RegisteredSchema): Registered =>
      this.#parser === null
        ? { kind: "refused", reason: "bad_schema", path: "" }
        : registeredOf(this.#parser, schema);
    this.#schemas = new FramedSchemas(registry, parse, "value", ROUTE_NEED);
  }

  readonly prepare: NonNullable<RouteField["prepare"]> = (batch) => {
    if (this.#parser !== null) return this.#schemas.prepare(batch);
    return loadProtobuf().then((parser) => {
      this.#parser = parser;
    });
  };

  of(bytes: Uint8Array, start: number, end: number): string | null {
    if (this.#last === null || !startsWith(bytes, start, end, this.#lastHead)) {
      const head = headOf(bytes, start, end);
      const registered = head === null ? undefined : this.#schemas.get(head.id);
      if (head === null || registered?.kind !== "schema") return null;
      this.#last = registered.schema.messageAt(head.indexes);
      this.#lastHead = bytes.slice(start, start + head.size);
    }
    if (this.#last === null) return null;
    return this.#text.of(this.#last, bytes, start + this.#lastHead.length, end);
  }
}

class ProtobufFieldText {
  readonly #names: readonly string[];
  /** The field of each name, by the message that it is looked for in. */
  readonly #fields: readonly Map<ProtoMessage, ProtoField | null>[];
  readonly #wire = new WireReader();
  readonly #met = new MetTexts();
  #text: string | null = null;

  constructor(path: string) {
    this.#names = path.split(".");
    this.#fields = this.#names.map(() => new Map());
  }

  of(message: ProtoMessage, bytes: Uint8Array, start: number, end: number): string | null {
    this.#wire.start(bytes, start, end);
    this.#text = null;
    return this.#message(message, 0) ? this.#text : null;
  }

  /** Reads a message to its end; false when the bytes are none. */
  #message(message: ProtoMessage, level: number): boolean {
    const wire = this.#wire;
    const wanted = this.#field(message, level);
    if (wanted !== null && this.#isLast(level)) this.#text ??= defaultText(wanted);
    while (wire.at < wire.end) {
      if (!wire.tag()) return false;
      const isWanted = wanted !== null && wire.number === wanted.number;
      const isRead = isWanted ? this.#value(wanted, level) : wire.skip(level + 1);
      if (!isRead) return false;
      if (!isWanted && wanted !== null && isRival(message, wanted, wire.number)) this.#text = null;
    }
    return true;
  }

  #isLast(level: number): boolean {
    return level === this.#names.length - 1;
  }

  #field(message: ProtoMessage, level: number): ProtoField | null {
    const known = this.#fields[level]?.get(message);
    if (known !== undefined) return known;
    const name = this.#names[level];
    const found =
      message.fields.find((field) => field.name === name && field.label === "single") ?? null;
    this.#fields[level]?.set(message, found);
    return found;
  }

  /** Reads the field whose tag was read: looked into, or, of the last name, its text. */
  #value({ type }: ProtoField, level: number): boolean {
    const wire = this.#wire;
    if (type.kind === "message") return this.#inside(type.type, level);
    const scalar = type.kind === "enum" ? "int32" : type.scalar;
    const isOwn = this.#isLast(level) && wire.wire === scalarWire(scalar);
    if (!isOwn) return wire.skip(level + 1);
    if (!readScalar(wire, scalar)) return false;
    if (type.kind === "enum") {
      if (settle(wire, "int32")) this.#text = nameOf(type.type, wire.low) ?? this.#text;
      return true;
    }
    switch (scalar) {
      case "string":
        this.#text = this.#met.of(wire.bytes, wire.at - wire.size, wire.at, textIn);
        return true;
      case "bool":
        this.#text = String((wire.low | wire.high) !== 0);
        return true;
      case "float":
      case "double":
      case "bytes":
        return true;
      default:
        this.#text = scalarText(wire, scalar);
        return true;
    }
  }

  #inside(message: ProtoMessage, level: number): boolean {
    const wire = this.#wire;
    const isBody = wire.wire === WIRE.bytes || wire.wire === WIRE.group;
    if (this.#isLast(level) || !isBody) return wire.skip(level + 1);
    if (!wire.body(wire.wire === WIRE.group, level + 1)) return false;
    const { at, end } = wire;
    wire.enter();
    const isRead = this.#message(message, level + 1);
    wire.leave(at, end);
    return isRead;
  }
}

/** True for another member of a field's oneof: it takes the field's value back. */
function isRival({ fields }: ProtoMessage, { oneof }: ProtoField, number: number): boolean {
  return oneof !== null && fields.some((each) => each.number === number && each.oneof === oneof);
}

/** What a field says that is not there; null: nothing. */
function defaultText({ type, presence, oneof, defaultValue }: ProtoField): string | null {
  const own = oneof === null ? defaultValue : null;
  if (type.kind === "message" || (own === null && presence !== "implicit")) return null;
  if (type.kind === "enum") return nameOf(type.type, own === null ? type.type.first : Number(own));
  switch (type.scalar) {
    case "string":
      return typeof own === "string" && own !== "" ? own : null;
    case "bool":
      return String(own ?? false);
    case "float":
    case "double":
    case "bytes":
      return null;
    default:
      return String(own ?? 0);
  }
}

/** A number's name, its digits where an open enum has none; null: it is an unknown field. */
function nameOf({ names, closed }: ProtoEnum, number: number): string | null {
  return names.get(number) ?? (closed ? null : String(number));
}

function textIn(bytes: Uint8Array, from: number, to: number): string | null {
  return isUtf8(bytes, from, to) ? utf8Text(bytes.subarray(from, to)) : null;
}
