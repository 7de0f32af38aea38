/**
 * Column `_rescued`: what a record had beside its columns, as one JSON object of full paths and values
 * as they stood in the record (`on_unknown_field` and `on_type_conflict = "rescue"`, SPEC section 4). A
 * path that came more than once, in the elements of a list, has a list of its values.
 */
import { strictUtf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";

/** The column. */
export const RESCUED: Field = {
  id: 0,
  name: "_rescued",
  required: false,
  type: { kind: "string" },
};

const encoder = new TextEncoder();

/** What is kept of the record at hand. */
export class Rescue {
  readonly #column: ColumnBuilder;
  readonly #kept = new Map<string, string[]>();

  constructor(column: ColumnBuilder) {
    this.#column = column;
  }

  /** Forgets what is kept: a record begins, or begins anew. */
  clear(): void {
    if (this.#kept.size > 0) this.#kept.clear();
  }

  /** Keeps the JSON value in `bytes[start, end)`, which is known to be well formed. */
  keep(path: string, bytes: Uint8Array, start: number, end: number): void {
    const text = strictUtf8Text(bytes.subarray(start, end));
    const values = this.#kept.get(path);
    if (values === undefined) this.#kept.set(path, [text]);
    else values.push(text);
  }

  /** Appends what is kept as the value of a row; nothing when the record had nothing to keep. */
  append(): void {
    if (this.#kept.size === 0) return;
    const members = [...this.#kept].map(([path, values]) => {
      const value = values.length === 1 ? values[0] : `[${values.join(",")}]`;
      return `${JSON.stringify(path)}:${value}`;
    });
    const bytes = encoder.encode(`{${members.join(",")}}`);
    this.#column.appendBytes(bytes, 0, bytes.length);
  }
}
