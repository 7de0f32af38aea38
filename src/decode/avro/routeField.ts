/**
 * The text of one field of an Avro value: what a record is routed by (SPEC section 4,
 * `iceberg.route_field`). The rest of the value is passed over, and checked: a damaged one has no such field.
 */
import { AppError } from "#base/errors.ts";
import { utf8Text } from "#base/text.ts";
import { MetTexts } from "#decode/metTexts.ts";
import { FramedSchemas, ROUTE_NEED } from "#decode/registry/framedSchemas.ts";
import type { RegisteredSchema, SchemaRegistry } from "#decode/registry/registry.ts";
import { HEAD_BYTES, schemaIdOf } from "#decode/registry/wire.ts";
import type { RouteField } from "#decode/routeField.ts";
import { AvroBytes } from "./bytes.ts";
import { recordOf } from "./format.ts";
import { type AvroField, type AvroRecord, type AvroType, parseAvro } from "./schema.ts";

/**
 * The field at a path; a name may also be an alias of the field.
 * @param schemaText the schema of all values; null: there is none
 * @param registry null: values are bare
 */
export function avroRouteField(
  path: string,
  schemaText: string | null,
  registry: SchemaRegistry | null,
): RouteField {
  const text = new AvroFieldText(path);
  if (registry === null) {
    const record = schemaText === null ? null : recordOf(parseAvro(schemaText));
    return {
      prepare: null,
      of: (bytes, start, end) => (record === null ? null : text.of(record, bytes, start, end)),
    };
  }
  const schemas = new FramedSchemas(registry, recordIn, "value", ROUTE_NEED);
  return {
    prepare: (batch) => schemas.prepare(batch),
    of: (bytes, start, end) => {
      const record = schemas.get(schemaIdOf(bytes, start, end)) ?? null;
      return record === null ? null : text.of(record, bytes, start + HEAD_BYTES, end);
    },
  };
}

/** The record of a registered schema; null: it is none, so that its values are no rows either. */
function recordIn({ language, text, references }: RegisteredSchema): AvroRecord | null {
  if (language !== "AVRO") return null;
  try {
    return recordOf(parseAvro(text, references));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return null;
  }
}

class AvroFieldText {
  readonly #names: readonly string[];
  /** The field of each name, by the record that it is looked for in. */
  readonly #fields: readonly Map<AvroRecord, AvroField | null>[];
  readonly #input = new AvroBytes();
  readonly #met = new MetTexts();
  #text: string | null = null;

  constructor(path: string) {
    this.#names = path.split(".");
    this.#fields = this.#names.map(() => new Map());
  }

  of(record: AvroRecord, bytes: Uint8Array, start: number, end: number): string | null {
    const input = this.#input;
    input.start(bytes, start, end);
    this.#text = null;
    return this.#record(record, 0) && input.at === end ? this.#text : null;
  }

  /** Reads a record to its end; false when the bytes are no value. */
  #record(record: AvroRecord, level: number): boolean {
    const wanted = this.#field(record, level);
    for (const field of record.fields) {
      const isRead =
        field === wanted ? this.#value(field.type, level + 1) : this.#input.skip(field.type, 0);
      if (!isRead) return false;
    }
    return true;
  }

  #field(record: AvroRecord, level: number): AvroField | null {
    const known = this.#fields[level]?.get(record);
    if (known !== undefined) return known;
    const name = this.#names[level] as string;
    const found =
      record.fields.find((field) => field.name === name) ??
      record.fields.find(({ aliases }) => aliases.includes(name)) ??
      null;
    this.#fields[level]?.set(record, found);
    return found;
  }

  /** Reads the value of the name before `level`: looked into, or, of the last name, its text. */
  #value(type: AvroType, level: number): boolean {
    const input = this.#input;
    if (type.kind === "union") {
      if (!input.long()) return false;
      if (!input.isBelow(type.branches.length)) return input.fail("bad_avro");
      return this.#value(type.branches[input.low] as AvroType, level);
    }
    const isLast = level === this.#names.length;
    if (type.kind === "record" && !isLast) return this.#record(type, level);
    return isLast ? this.#leaf(type) : input.skip(type, 0);
  }

  #leaf(type: AvroType): boolean {
    const input = this.#input;
    switch (type.kind) {
      case "string": {
        const size = input.sized();
        if (size < 0 || !input.utf8(size)) return false;
        this.#text = this.#met.of(input.bytes, input.at - size, input.at, textIn);
        return true;
      }
      case "enum":
        if (!input.skip(type, 0)) return false;
        this.#text = type.symbols[input.low] ?? null;
        return true;
      case "int":
      case "long":
        if (!input.skip(type, 0)) return false;
        this.#text = String(input.bigint);
        return true;
      case "boolean":
        if (!input.skip(type, 0)) return false;
        this.#text = String(input.bytes[input.at - 1] === 1);
        return true;
      default:
        return input.skip(type, 0);
    }
  }
}

function textIn(bytes: Uint8Array, from: number, to: number): string {
  return utf8Text(bytes.subarray(from, to));
}
