/**
 * What stands in a column for a value that its source did not log (PostgreSQL's TOAST): Debezium's
 * `unavailable.value.placeholder` as it is by default, in the form that the column's type gives it.
 *
 * ```text
 * text, bytea, and text in hstore             "__debezium_unavailable_value", as text, bytes or base64
 * smallint[], int[], bigint[], date[], ...    a number for each of the bytes
 * uuid[]                                      the UUID of the bytes, by name (version 3)
 * ```
 */
import type { Field } from "./schema.ts";

/** The placeholder as bytes. */
export const PLACEHOLDER: Buffer = Buffer.from("__debezium_unavailable_value");
/** What becomes of it in a column of type uuid, as text. */
export const PLACEHOLDER_UUID = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

const TEXTS = [
  PLACEHOLDER,
  Buffer.from(PLACEHOLDER_UUID),
  Buffer.from(PLACEHOLDER.toString("base64")),
];
/** The same in JSON texts that a column holds; inside of those, in turn, quotes are escaped. */
const IN_JSON = ['"', '\\"'].map((quote) => Buffer.from(`${PLACEHOLDER.toString()}${quote}`));
const UUID_BYTES = Buffer.from(PLACEHOLDER_UUID.replaceAll("-", ""), "hex");

/** A column, sealed or under construction. */
export interface Cells {
  readonly field: Field;
  readonly length: number;
  readonly offsets: Int32Array | null;
  readonly data: Uint8Array | null;
  readonly children: readonly Cells[];
}

/** True for a value that is the placeholder, or a struct, list, map or JSON text that holds it. */
export function isUnavailable(column: Cells, row: number): boolean {
  const { field, children } = column;
  switch (field.type.kind) {
    case "string":
    case "binary": {
      const text = bytesOf(column, row);
      return TEXTS.some((each) => text.equals(each)) || holdsQuoted(text);
    }
    case "uuid":
      return sliceOf(column.data, 16 * row, 16 * row + 16).equals(UUID_BYTES);
    case "struct":
      return children.some((child) => child.length > row && isUnavailable(child, row));
    case "list":
    case "map":
      return children.some((child) => holdsUnavailable(column, child, row));
    default:
      return false;
  }
}

/** True for a JSON text in which the placeholder is a whole text. */
function holdsQuoted(text: Buffer): boolean {
  if (text.length < PLACEHOLDER.length) return false;
  for (let at = text.indexOf(PLACEHOLDER); at >= 0; at = text.indexOf(PLACEHOLDER, at + 1)) {
    const isBegun = text[at - 1] === 0x22;
    if (isBegun && IN_JSON.some((end) => text.subarray(at).indexOf(end) === 0)) return true;
  }
  return false;
}

function holdsUnavailable(list: Cells, child: Cells, row: number): boolean {
  const start = list.offsets?.[row] ?? 0;
  const end = list.offsets?.[row + 1] ?? 0;
  const { kind } = child.field.type;
  if (kind === "int" || kind === "date" || kind === "long") {
    if (end - start !== PLACEHOLDER.length) return false;
    const width = kind === "long" ? 8 : 4;
    const bytes = sliceOf(child.data, width * start, width * end);
    return PLACEHOLDER.every((byte, n) => isNumber(bytes, width * n, width, byte));
  }
  for (let at = start; at < end; at++) if (isUnavailable(child, at)) return true;
  return false;
}

/** True where a little-endian number of that width is a byte's value. */
function isNumber(bytes: Buffer, at: number, width: number, byte: number): boolean {
  if (bytes[at] !== byte) return false;
  for (let n = 1; n < width; n++) if (bytes[at + n] !== 0) return false;
  return true;
}

function bytesOf({ data, offsets }: Cells, row: number): Buffer {
  return sliceOf(data, offsets?.[row] ?? 0, offsets?.[row + 1] ?? 0);
}

function sliceOf(data: Uint8Array | null, start: number, end: number): Buffer {
  if (data === null) return Buffer.alloc(0);
  return Buffer.from(data.buffer, data.byteOffset + start, end - start);
}
