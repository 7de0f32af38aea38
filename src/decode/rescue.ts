/**
 * Column `_rescued`: what a record had beside its columns, as one JSON object of full paths and values
 * as they stood in the record (`on_unknown_field` and `on_type_conflict = "rescue"`, SPEC section 4). A
 * path that came more than once, in the elements of a list, has a list of its values.
 */
import { strictUtf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import type { DecoderOptions } from "./options.ts";

/** The column. */
export const RESCUED: Field = {
  id: 0,
  name: "_rescued",
  required: false,
  type: { kind: "string" },
};

const encoder = new TextEncoder();

/** Whether rows keep what has no place in other columns. */
export function rescues({
  onUnknownField,
  onTypeConflict,
}: Pick<DecoderOptions, "onUnknownField" | "onTypeConflict">): boolean {
  return onUnknownField === "rescue" || onTypeConflict === "rescue";
}

/**
 * The columns that a record's own fields fill, and what keeps the rest of it; null: nothing does.
 * @param isKept what `rescues` says
 */
export function withRescue(
  columns: readonly ColumnBuilder[],
  isKept: boolean,
): readonly [own: readonly ColumnBuilder[], rescue: Rescue | null] {
  const column = columns.find(({ field }) => isKept && field.name === RESCUED.name);
  if (column === undefined) return [columns, null];
  return [columns.filter((each) => each !== column), new Rescue(column)];
}

/** What is kept of the record at hand. */
export class Rescue {
  readonly #column: ColumnBuilder;
  readonly #kept = new Map<string, string[]>();
  /** Paths in the order in which values were kept. */
  readonly #order: string[] = [];

  constructor(column: ColumnBuilder) {
    this.#column = column;
  }

  /** Forgets what is kept: a record begins, or begins anew. */
  clear(): void {
    if (this.#order.length > 0) this.cut(0);
  }

  /** Values that are kept. */
  get count(): number {
    return this.#order.length;
  }

  /** Forgets what was kept behind the first `count` values. */
  cut(count: number): void {
    for (const path of this.#order.splice(count).reverse()) {
      const values = this.#kept.get(path);
      values?.pop();
      if (values?.length === 0) this.#kept.delete(path);
    }
  }

  /** Keeps the JSON value in `bytes[start, end)`, which is known to be well formed. */
  keep(path: string, bytes: Uint8Array, start: number, end: number): void {
    this.keepText(path, strictUtf8Text(bytes.subarray(start, end)));
  }

  /** Keeps a value, given as JSON. */
  keepText(path: string, text: string): void {
    const values = this.#kept.get(path);
    if (values === undefined) this.#kept.set(path, [text]);
    else values.push(text);
    this.#order.push(path);
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
