/**
 * What stands in a change for a value that its source did not log (PostgreSQL's TOAST), in formats that
 * give it the type of its column: Debezium's `unavailable.value.placeholder` as it is by default
 * (`json/unavailable.ts` has its forms in JSON).
 *
 * ```text
 * text, bytea, and text in hstore             "__debezium_unavailable_value", as text or bytes
 * smallint[], int[], bigint[], date[], ...    a number for each of the bytes
 * uuid[]                                      the UUID of the bytes, by name (version 3)
 * ```
 * Batches and rows are searched for a part of each form; only what has one is looked at closely.
 */
import type { ColumnBuilder } from "#columns/builder.ts";

const TEXT = Buffer.from("__debezium_unavailable_value");
const UUID = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";
/** The same in JSON texts that a column holds. */
const IN_JSON = Buffer.from(`"${TEXT.toString()}`);

/**
 * What has none of these has no placeholder.
 * @param wordOf the number as the format writes it, before it becomes a varint
 */
export function binaryMarkers(wordOf: (value: number) => number): readonly Buffer[] {
  const bytes = [...TEXT.subarray(0, 10)].flatMap((value) => {
    const word = wordOf(value);
    return word < 0x80 ? [word] : [(word & 0x7f) | 0x80, word >>> 7];
  });
  return [TEXT.subarray(-"zium_unavailable_value".length), Buffer.from(UUID), Buffer.from(bytes)];
}

/** Tells whether the row that was appended last lacks a value (`PartReaders.lacksValue`). */
export function unavailableIn(
  columns: readonly ColumnBuilder[],
  markers: readonly Buffer[],
): (part: Buffer, row: number, isConflict: boolean) => boolean {
  return (part, row, isConflict) => {
    if (!markers.some((marker) => part.includes(marker))) return false;
    // A column of another type than the source's has no place for it.
    return (
      isConflict || columns.some((column) => column.length > row && isPlaceholder(column, row))
    );
  };
}

/** True for a value that is the placeholder, or a struct, list or map that holds it. */
function isPlaceholder(column: ColumnBuilder, row: number): boolean {
  const { field, children } = column;
  switch (field.type.kind) {
    case "string":
    case "binary": {
      const text = bytesOf(column, row);
      return text.equals(TEXT) || text.equals(UUID_TEXT) || text.includes(IN_JSON);
    }
    case "uuid":
      return Buffer.from(column.data.subarray(16 * row, 16 * row + 16)).equals(UUID_BYTES);
    case "struct":
      return children.some((child) => child.length > row && isPlaceholder(child, row));
    case "list":
    case "map":
      return children.some((child) => holdsPlaceholder(column, child, row));
    default:
      return false;
  }
}

function holdsPlaceholder(list: ColumnBuilder, child: ColumnBuilder, row: number): boolean {
  const start = list.offsets[row] ?? 0;
  const end = list.offsets[row + 1] ?? 0;
  const { kind } = child.field.type;
  if (kind === "int" || kind === "date" || kind === "long") {
    const stride = kind === "long" ? 2 : 1;
    const isPart = (byte: number, n: number): boolean =>
      child.words[stride * (start + n)] === byte &&
      (stride === 1 || child.words[stride * (start + n) + 1] === 0);
    return end - start === TEXT.length && TEXT.every(isPart);
  }
  for (let at = start; at < end; at++) if (isPlaceholder(child, at)) return true;
  return false;
}

const UUID_TEXT = Buffer.from(UUID);
const UUID_BYTES = Buffer.from(UUID.replaceAll("-", ""), "hex");

function bytesOf({ data, offsets }: ColumnBuilder, row: number): Buffer {
  const start = offsets[row] ?? 0;
  return Buffer.from(data.buffer, data.byteOffset + start, (offsets[row + 1] ?? 0) - start);
}
