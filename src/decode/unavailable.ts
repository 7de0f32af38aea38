/**
 * Rows in which a placeholder stands for a value that their source did not log (`columns/unavailable.ts`),
 * in formats that give it the type of its column; `json/unavailable.ts` has its forms in JSON.
 *
 * Batches and rows are searched for a part of each form; only what has one is looked at closely.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import { isUnavailable, PLACEHOLDER, PLACEHOLDER_UUID } from "#columns/unavailable.ts";

/**
 * What a row is that was just read. `whole`: it has all its values. `partial`: columns hold the placeholder
 * of those that it has not. `lost`: a value is missing, and its column, or the row's key, cannot say so.
 */
export type Wholeness = "whole" | "partial" | "lost";

/**
 * What has none of these has no placeholder.
 * @param wordOf the number as the format writes it, before it becomes a varint
 */
export function binaryMarkers(wordOf: (value: number) => number): readonly Buffer[] {
  const bytes = [...PLACEHOLDER.subarray(0, 10)].flatMap((value) => {
    const word = wordOf(value);
    return word < 0x80 ? [word] : [(word & 0x7f) | 0x80, word >>> 7];
  });
  const text = PLACEHOLDER.subarray(-"zium_unavailable_value".length);
  return [text, Buffer.from(PLACEHOLDER_UUID), Buffer.from(bytes)];
}

/** The columns of a row that hold the placeholder. */
export function unavailableColumns(
  columns: readonly ColumnBuilder[],
  row: number,
): readonly ColumnBuilder[] {
  return columns.filter((column) => column.length > row && isUnavailable(column, row));
}

/** What judges rows of a format. */
export interface RowJudge {
  readonly columns: readonly ColumnBuilder[];
  /** Those of the columns that say which row it is. */
  readonly keys: readonly ColumnBuilder[];
  readonly markers: readonly Buffer[];
  /** Columns hold values as they came: nothing is masked, and nothing moved into another column. */
  readonly isPlain: boolean;
}

/** Tells what the row is that was appended last (`PartReaders.wholeness`). */
export function wholenessIn({
  columns,
  keys,
  markers,
  isPlain,
}: RowJudge): (part: Buffer, row: number, isConflict: boolean) => Wholeness {
  return (part, row, isConflict) => {
    if (!markers.some((marker) => part.includes(marker))) return "whole";
    // A column of another type than the source's has no place for it.
    if (isConflict || !isPlain) return "lost";
    const found = unavailableColumns(columns, row);
    if (found.length === 0) return "whole";
    return found.some((column) => keys.includes(column)) ? "lost" : "partial";
  };
}
