/**
 * What stands in a column in place of a field's values (`source.transform.mask`, `hash`).
 */
import { createHmac } from "node:crypto";
import type { ColumnBuilder } from "#columns/builder.ts";

/** What stands for a value. */
export interface Cover {
  /** False: it is the same whatever the value is. */
  readonly needsText: boolean;
  /** Appends it, given the value's text. */
  append(text: string, column: ColumnBuilder): void;
}

/** What stands for a masked value. */
const MASK = "***";
const encoder = new TextEncoder();

/** One text for all values. */
export const MASKING: Cover = {
  needsText: false,
  append: (_text, column) => appendText(MASK, column),
};

/** HMAC-SHA-256 of a value's UTF-8 text, as hexadecimal digits. */
export function hashCover(salt: string): Cover {
  return {
    needsText: true,
    append: (text, column) =>
      appendText(createHmac("sha256", salt).update(text, "utf8").digest("hex"), column),
  };
}

function appendText(text: string, column: ColumnBuilder): void {
  const bytes = encoder.encode(text);
  column.appendBytes(bytes, 0, bytes.length);
}
