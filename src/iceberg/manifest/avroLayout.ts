/**
 * Avro schemas by Iceberg field id: what decides where a value lies in a file, and nothing else.
 *
 * Fields are named by their ids, named types are spelled out where they are used, logical types are
 * gone. Two schemas with one layout have the same bytes for the same values.
 */
import { fail } from "#base/errors.ts";
import type { Json } from "#base/json.ts";

/** A record schema after renaming: the only kind of schema that files of Iceberg have. */
export interface Layout {
  readonly type: "record";
  readonly name: string;
  readonly fields: readonly LayoutField[];
}

/** A field of a layout. */
export interface LayoutField {
  readonly name: string;
  /** A layout where the field is a record. */
  readonly type: Layout;
}

/** The layout of an Avro schema. Throws `storage_corrupt` when it is no valid schema. */
export function layoutOf(schema: Json): Layout {
  return new Renamer().rename(schema) as unknown as Layout;
}

/** All fields but the last. */
export function headLayout(layout: Layout): Layout {
  return { ...layout, fields: layout.fields.slice(0, -1) };
}

/** The last field, which must be a record. */
export function tailLayout(layout: Layout): LayoutField {
  const last = layout.fields.at(-1);
  if (last?.type.type !== "record") throw corrupt("its last field is no record");
  return last;
}

/** Rewrites a schema: fields named by id, named types unique and spelled out, no logical types. */
class Renamer {
  private readonly named = new Map<string, Json>();
  private count = 0;

  rename(schema: Json): Json {
    if (typeof schema === "string") {
      const target = this.named.get(schema);
      return target === undefined ? schema : this.rename(target);
    }
    if (Array.isArray(schema)) return schema.map((branch) => this.rename(branch));
    if (typeof schema !== "object" || schema === null) throw corrupt("its schema has no type");
    const { type, name } = schema;
    if (typeof name === "string") this.named.set(name, schema);
    if (typeof type !== "string") return this.rename(type ?? null);
    switch (type) {
      case "record":
        return { type, name: this.unique(), fields: this.fields(schema["fields"] ?? []) };
      case "array":
        return { type, items: this.rename(schema["items"] ?? null) };
      case "map":
        return { type, values: this.rename(schema["values"] ?? null) };
      case "fixed":
        return { type, name: this.unique(), size: schema["size"] ?? 0 };
      case "enum":
        return { type, name: this.unique(), symbols: schema["symbols"] ?? [] };
      default:
        return this.rename(type);
    }
  }

  private fields(fields: Json): Json {
    if (!Array.isArray(fields)) throw corrupt("a record of its schema has no fields");
    return fields.map((field) => {
      if (typeof field !== "object" || field === null || Array.isArray(field)) {
        throw corrupt("a field of its schema is malformed");
      }
      const id = field["field-id"];
      return {
        name: typeof id === "number" ? `f${id}` : this.unique(),
        type: this.rename(field["type"] ?? null),
      };
    });
  }

  private unique(): string {
    this.count++;
    return `t${this.count}`;
  }
}

/** The error of a file that is no Avro file of Iceberg's kind, or is damaged. */
export function corrupt(why: string, cause?: unknown): Error {
  return fail("storage_corrupt", `An Avro file cannot be read: ${why}`, {}, cause);
}
