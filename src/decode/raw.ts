/**
 * Formats `string` and `bytes`: the record's value is the one column `value`.
 */
import { assert } from "#base/assert.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { needsValue } from "#columns/schema.ts";
import type { Format } from "./format.ts";
import { type Filler, fillerOf } from "./json/defaults.ts";
import { isUtf8 } from "./json/strings.ts";
import type { ValueRoot } from "./kernel/image.ts";
import { KERNEL_OP, SLOT } from "./kernel/layout.ts";
import type { RejectReason } from "./rejects.ts";
import type { ValueReader } from "./segment.ts";

/** The column of a raw value. */
const VALUE = "value";

/** The format for one table. */
export function rawFormat(format: "string" | "bytes"): Format {
  const kind = format === "string" ? "string" : "binary";
  return {
    own: [{ id: 0, name: VALUE, required: false, type: { kind } }],
    hasFields: false,
    prepare: null,
    revision: null,
    learn: () => [],
    reader: (columns) => {
      const value = columns.find((column) => column.field.name === VALUE);
      assert(value !== undefined, "a raw format has its value column");
      return new RawReader(
        value,
        columns.filter((column) => column !== value && needsValue(column.field)),
      );
    },
  };
}

/** Copies values into a string column (checked to be UTF-8) or a binary column. */
class RawReader implements ValueReader {
  reason: RejectReason = "bad_utf8";
  path = "";
  readonly conflict = "value";
  readonly effect = "put";
  evolving = true;
  sawUnknown = false;
  readonly asks = null;
  private readonly column: ColumnBuilder;
  private readonly isText: boolean;
  /** Columns of the table's owner that no value fills, and what does. */
  private readonly others: readonly (readonly [ColumnBuilder, Filler | null])[];

  constructor(column: ColumnBuilder, others: readonly ColumnBuilder[]) {
    this.others = others.map((other) => [other, fillerOf(other.field)]);
    this.column = column;
    this.isText = column.field.type.kind === "string";
  }

  get root(): ValueRoot {
    const { column, isText } = this;
    return {
      ignoreUnknown: false,
      write: (program) => {
        const slot = program.take(SLOT.size);
        program.set(slot + SLOT.op, isText ? KERNEL_OP.rawText : KERNEL_OP.raw);
        program.set(slot + SLOT.column, program.addressOf(column));
        return slot;
      },
    };
  }

  read(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.isText && !isUtf8(bytes, start, end)) return this.refuse("bad_utf8", "");
    this.column.appendBytes(bytes, start, end);
    return this.fillOthers();
  }

  readNull(): boolean {
    const { name, required } = this.column.field;
    return required ? this.refuse("missing_field", name) : this.fillOthers();
  }

  private fillOthers(): boolean {
    for (const [column, fill] of this.others) {
      if (fill === null) return this.refuse("missing_field", column.field.name);
      fill(column);
    }
    return true;
  }

  private refuse(reason: RejectReason, path: string): false {
    this.reason = reason;
    this.path = path;
    return false;
  }
}
