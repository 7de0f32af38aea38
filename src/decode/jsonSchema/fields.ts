/**
 * A JSON Schema -> columns (draft 4 to 2020-12, as registries hold it).
 *
 * | JSON Schema | column |
 * | --- | --- |
 * | boolean, string | boolean, string |
 * | integer | long; `connect.type` int8 to int32: int |
 * | number | double; `connect.type` float32: float |
 * | string, `format` date, time, date-time, uuid | date, time, timestamptz, uuid |
 * | string, `contentEncoding` base64 | binary |
 * | object with `properties` | struct |
 * | object with a schema as `additionalProperties` only | map of strings |
 * | array | list |
 * | `enum`, `const` | the type of its values |
 * | null beside another type, `oneOf` and `anyOf` with null | that type |
 *
 * `$ref` and `allOf` are followed. What says no single type (several kinds of values, nothing at all) makes
 * no column here: it is a field without a schema, by `schema.on_unknown_field`. Columns are optional, since
 * the next version may leave a property out. Types are checked when values are read; `pattern`, `minimum`
 * and their like are not.
 */
import { describe, fail } from "#base/errors.ts";
import { parseJson } from "#base/json.ts";
import { joinPath } from "#columns/paths.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import type { NamedSchema } from "#decode/registry/registry.ts";

type Schema = Readonly<Record<string, unknown>>;

/**
 * The columns of an object's schema, ids 0.
 * @param references schemas by the names under which `$ref` knows them
 * @throws AppError `data` for what is no schema of an object, or contains itself
 */
export function jsonSchemaFields(text: string, references: readonly NamedSchema[]): Field[] {
  const documents = new Map([["", parse(text)]]);
  for (const { name, text: other } of references) documents.set(name, parse(other));
  const reader = new SchemaReader(documents);
  const type = reader.type({ schema: documents.get("") as Schema, document: "" }, "", []);
  if (type?.kind === "struct") return [...type.fields];
  throw fail("data", "it is no schema of an object with properties");
}

function parse(text: string): Schema {
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch (cause) {
    throw fail("data", `it is not JSON: ${describe(cause)}`, {}, cause);
  }
  if (isObject(parsed)) return parsed;
  throw fail("data", "it is no JSON object");
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A schema, and the document that its references are relative to. */
interface Place {
  readonly schema: Schema;
  readonly document: string;
}

class SchemaReader {
  private readonly documents: ReadonlyMap<string, Schema>;

  constructor(documents: ReadonlyMap<string, Schema>) {
    this.documents = documents;
  }

  /** The column type; null: none. @param outer the schemas around, outermost first */
  type(place: Place, path: string, outer: readonly Schema[]): Type | null {
    const { schema, document } = this.resolve(place, 0);
    if (outer.includes(schema)) {
      throw fail("data", `a schema in it contains itself (property ${path})`);
    }
    const within = [...outer, schema];
    const at = (inner: unknown): Place | null =>
      isObject(inner) ? { schema: inner, document } : null;
    const choice = this.choice(schema);
    if (choice !== null) {
      const inner = at(choice);
      return inner === null ? null : this.type(inner, path, within);
    }
    switch (kindOf(schema)) {
      case "object":
        return this.object({ schema, document }, path, within);
      case "array": {
        const items = at(schema["items"]);
        const element = items && this.type(items, joinPath(path, "element"), within);
        if (element === null) return null;
        return {
          kind: "list",
          element: { id: 0, name: "element", required: false, type: element },
        };
      }
      case "string":
        return stringType(schema);
      case "integer":
        return { kind: isSmall(schema) ? "int" : "long" };
      case "number":
        return { kind: schema["connect.type"] === "float32" ? "float" : "double" };
      case "boolean":
        return { kind: "boolean" };
      default:
        return null;
    }
  }

  /** The only schema of a choice beside null; null: it is no such choice. */
  private choice(schema: Schema): unknown {
    const choices = schema["oneOf"] ?? schema["anyOf"];
    if (!Array.isArray(choices)) return null;
    const others = choices.filter((each) => !(isObject(each) && each["type"] === "null"));
    return others.length === 1 ? others[0] : null;
  }

  private object(place: Place, path: string, within: readonly Schema[]): Type | null {
    const properties = this.properties(place, 0);
    if (properties.size === 0) return this.map(place, path, within);
    const fields = [...properties].flatMap(([name, inner]): Field[] => {
      const type = this.type(inner, joinPath(path, name), within);
      if (type === null) return [];
      const doc = inner.schema["description"];
      return [{ id: 0, name, required: false, type, ...(typeof doc === "string" ? { doc } : {}) }];
    });
    return fields.length === 0 ? null : { kind: "struct", fields };
  }

  /** The properties of a schema and of all that it is made of. */
  private properties({ schema, document }: Place, depth: number): Map<string, Place> {
    const found = new Map<string, Place>();
    const parts = Array.isArray(schema["allOf"]) ? schema["allOf"] : [];
    for (const part of parts) {
      if (!isObject(part) || depth > DEPTH_MAX) continue;
      const inner = this.resolve({ schema: part, document }, 0);
      for (const [name, place] of this.properties(inner, depth + 1)) found.set(name, place);
    }
    const own = schema["properties"];
    for (const [name, inner] of Object.entries(isObject(own) ? own : {})) {
      if (isObject(inner)) found.set(name, { schema: inner, document });
    }
    return found;
  }

  private map({ schema, document }: Place, path: string, within: readonly Schema[]): Type | null {
    const values = schema["additionalProperties"];
    if (!isObject(values)) return null;
    const type = this.type({ schema: values, document }, joinPath(path, "value"), within);
    if (type === null) return null;
    return {
      kind: "map",
      key: { id: 0, name: "key", required: true, type: { kind: "string" } },
      value: { id: 0, name: "value", required: false, type },
    };
  }

  /** Follows references. */
  private resolve(place: Place, depth: number): Place {
    const reference = place.schema["$ref"];
    if (typeof reference !== "string") return place;
    if (depth > DEPTH_MAX) throw fail("data", `its reference ${reference} has no end`);
    const [name = "", pointer = ""] = reference.split("#");
    const document = name === "" ? place.document : name;
    let at: unknown = this.documents.get(document);
    for (const part of pointer.split("/").slice(1)) {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      at = isObject(at) ? at[key] : undefined;
    }
    if (!isObject(at)) throw fail("data", `its reference ${reference} leads nowhere`);
    return this.resolve({ schema: at, document }, depth + 1);
  }
}

/** References and parts that follow each other at most. */
const DEPTH_MAX = 64;

/** The only kind of values beside null; null: there are several, or nothing says. */
function kindOf(schema: Schema): string | null {
  const { type } = schema;
  const values = Array.isArray(schema["enum"]) ? schema["enum"] : [schema["const"]];
  const said = Array.isArray(type) ? type : type === undefined ? values.map(kindOfValue) : [type];
  const kinds = new Set(said.filter((each) => each !== "null" && each !== undefined));
  const [only] = kinds;
  if (kinds.size === 1 && typeof only === "string") return only;
  if (kinds.size === 2 && kinds.has("integer") && kinds.has("number")) return "number";
  return kinds.size === 0 && (isObject(schema["properties"]) || Array.isArray(schema["allOf"]))
    ? "object"
    : null;
}

function kindOfValue(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  if (typeof value === "bigint") return "integer";
  return typeof value === "object" ? "none" : typeof value;
}

function isSmall(schema: Schema): boolean {
  return ["int8", "int16", "int32"].includes(String(schema["connect.type"]));
}

function stringType(schema: Schema): PrimitiveType {
  if (schema["contentEncoding"] === "base64") return { kind: "binary" };
  switch (schema["format"]) {
    case "date":
    case "time":
    case "uuid":
      return { kind: schema["format"] };
    case "date-time":
      return { kind: "timestamp", zone: true };
    default:
      return { kind: "string" };
  }
}
