/**
 * Rows in JSON in which a placeholder stands for a value that their source did not log, in the form that
 * the value's type gives it (`columns/unavailable.ts`).
 *
 * Batches are searched for a part of each form. Parts begin with a letter that is rare where they can: that
 * makes the search fast. Only what has a part is looked at closely.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { PLACEHOLDER_UUID as UUID } from "#columns/unavailable.ts";
import { unavailableColumns, type Wholeness } from "#decode/unavailable.ts";

const NUMBERS = [95, 95, 100, 101, 98, 101, 122, 105, 117, 109];

/** What has none of these has no placeholder. */
export const UNAVAILABLE_MARKERS: readonly Buffer[] = [
  "zium_unavailable_value",
  "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
  UUID,
  NUMBERS.join(","),
  NUMBERS.join(", "),
].map((text) => Buffer.from(text));

/** A whole value: a text that only mentions the placeholder is a text. */
const PLACEHOLDER = new RegExp(
  [
    String.raw`"__debezium_unavailable_value\\*"`,
    '"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="',
    `"${UUID}"`,
    String.raw`\[\s*${[...Buffer.from("__debezium_unavailable_value")].join(String.raw`\s*,\s*`)}\s*\]`,
  ].join("|"),
);

/** The same as the name of a member. */
const AS_NAME = /"__debezium_unavailable_value"\s*:/;

/** What judges rows in JSON. */
export interface JsonRowParts {
  readonly columns: readonly ColumnBuilder[];
  /** Those of the columns that say which row it is. */
  readonly keys: readonly ColumnBuilder[];
  /** Columns hold values as they came: nothing is masked, and nothing moved into another column. */
  readonly isPlain: boolean;
  /** The row that was read last showed a field that may become a column, and is read again then. */
  readonly sawUnknown: () => boolean;
}

/** Tells what the row is that was appended last (`PartReaders.wholeness`). */
export function jsonWholeness({
  columns,
  keys,
  isPlain,
  sawUnknown,
}: JsonRowParts): (part: Buffer, row: number, isConflict: boolean) => Wholeness {
  return (part, row, isConflict) => {
    const lacking = lackingMembers(part);
    if (lacking === 0) return "whole";
    if (isConflict || !isPlain) return "lost";
    const found = unavailableColumns(columns, row);
    if (found.some((column) => keys.includes(column))) return "lost";
    // What is called like the placeholder would become a column, but for a map, whose keys are values.
    if (AS_NAME.test(part.toString("latin1")) && !found.some(isMap)) return "lost";
    if (sawUnknown()) return "partial";
    return found.length === lacking ? "partial" : "lost";
  };
}

function isMap({ field }: ColumnBuilder): boolean {
  return field.type.kind === "map";
}

/** How many members of a row, JSON as bytes, lack a value. */
function lackingMembers(row: Buffer): number {
  if (!UNAVAILABLE_MARKERS.some((marker) => row.includes(marker))) return 0;
  if (!PLACEHOLDER.test(row.toString("latin1"))) return 0;
  try {
    const members = Object.values(JSON.parse(row.toString()) as object);
    return members.filter((value) => PLACEHOLDER.test(JSON.stringify(value))).length;
  } catch {
    // Not JSON to the last letter: then nothing says how many.
    return Number.POSITIVE_INFINITY;
  }
}
