/**
 * A value that becomes no column as it is, but text: hashed, or kept in `_rescued` (SPEC section 4). It is
 * read into a column of its own, of the type that its schema gives it, so that every format with schemas
 * says the same of it as its columns do.
 */
import { writeJson } from "#base/json.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import { liveColumns } from "#columns/live.ts";
import { type Field, isPrimitive, type Type } from "#columns/schema.ts";
import { rowJson } from "#columns/valueJson.ts";

const NAME = "value";

/** A column of one value at a time. */
export class Aside {
  readonly column: ColumnBuilder;

  /** @param type of the values */
  constructor(type: Type) {
    const field: Field = { id: 0, name: NAME, required: false, type };
    this.column = new ColumnBuilder(field);
  }

  /** Forgets what was read. */
  clear(): void {
    this.column.truncate(0);
  }

  /** The value as JSON, in the words of `/query`'s answers, and forgets it; null: it is null. */
  takeJson(): string | null {
    const value = this.#take();
    return value === null ? null : writeJson(value);
  }

  /** The same, but a text as it is, and the keys of maps in one order: equal values have equal texts. */
  takeText(): string | null {
    const value = this.#take();
    if (value === null) return null;
    return typeof value === "string" ? value : writeJson(ordered(value, this.column.field.type));
  }

  #take(): unknown {
    const value = this.column.length === 0 ? null : rowJson(liveColumns([this.column]), 0)[NAME];
    this.clear();
    return value;
  }
}

/** A value of `rowJson`, the keys of its maps in order. */
function ordered(value: unknown, type: Type): unknown {
  if (value === null || isPrimitive(type)) return value;
  if (type.kind === "list") {
    return (value as readonly unknown[]).map((each) => ordered(each, type.element.type));
  }
  const members = value as Readonly<Record<string, unknown>>;
  if (type.kind === "map") {
    const keys = Object.keys(members).sort();
    return Object.fromEntries(keys.map((key) => [key, ordered(members[key], type.value.type)]));
  }
  return Object.fromEntries(
    type.fields.map(({ name, type: inner }) => [name, ordered(members[name], inner)]),
  );
}
