/**
 * A value that becomes no column as it is, but text: hashed, or kept in `_rescued` (SPEC section 4). It is
 * read into a column of its own, of the type that its schema gives it, so that every format with schemas
 * says the same of it as its columns do.
 */
import { writeJson } from "#base/json.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import { liveColumns } from "#columns/live.ts";
import type { Field, Type } from "#columns/schema.ts";
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

  /** The same, but a text as it is. */
  takeText(): string | null {
    const value = this.#take();
    if (value === null) return null;
    return typeof value === "string" ? value : writeJson(value);
  }

  #take(): unknown {
    const value = this.column.length === 0 ? null : rowJson(liveColumns([this.column]), 0)[NAME];
    this.clear();
    return value;
  }
}
