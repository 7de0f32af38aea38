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

/** The placeholder, as a binary format writes it. */
export interface BinaryForms {
  /** What has none of these has no placeholder. */
  readonly markers: readonly Buffer[];
  /** Whole values: a text that only mentions the placeholder is none. */
  readonly whole: readonly Buffer[];
}

/**
 * The forms in a format that writes texts behind their lengths.
 * @param lengthOf what a text of so many bytes stands behind, as a number
 * @param lists lists of numbers, where they are not the bytes of the text themselves
 */
export function binaryForms(
  lengthOf: (bytes: number) => number,
  lists: readonly Buffer[] = [],
): BinaryForms {
  const text = PLACEHOLDER.toString();
  const texts = [text, PLACEHOLDER_UUID].map(
    (each) => String.fromCharCode(lengthOf(each.length)) + each,
  );
  // In JSON texts that a column holds; inside of those, in turn, quotes are escaped.
  const quoted = [`"${text}"`, `"${text}\\"`];
  return {
    markers: [
      PLACEHOLDER.subarray(-"zium_unavailable_value".length),
      Buffer.from(PLACEHOLDER_UUID),
      ...lists,
    ],
    whole: [...[...texts, ...quoted].map((each) => Buffer.from(each)), ...lists],
  };
}

/** The columns of a row that hold the placeholder. */
export function unavailableColumns(
  columns: readonly ColumnBuilder[],
  row: number,
): readonly ColumnBuilder[] {
  return columns.filter((column) => column.length > row && isUnavailable(column, row));
}

/**
 * Makes null what a column of a row holds in place of values that were not logged, and nothing beside it: in a
 * struct the members concerned, else the whole value. What takes no null is null with what is around it.
 * @returns false: nothing around it takes a null either
 */
export function clearUnavailable(column: ColumnBuilder, row: number): boolean {
  const { field, children } = column;
  if (field.type.kind === "struct") {
    const found = unavailableColumns(children, row);
    if (found.every((child) => clearUnavailable(child, row))) return true;
  }
  if (field.required) return false;
  column.truncate(row);
  column.appendNull();
  return true;
}

/** What judges rows of a format. */
export interface RowJudge {
  readonly columns: readonly ColumnBuilder[];
  /** Those of the columns that say which row it is. */
  readonly keys: readonly ColumnBuilder[];
  readonly forms: BinaryForms;
  /** Columns hold values as they came: nothing is masked, and nothing moved into another column. */
  readonly isPlain: boolean;
}

/** Tells what the row is that was appended last (`PartReaders.wholeness`). */
export function wholenessIn({
  columns,
  keys,
  forms,
  isPlain,
}: RowJudge): (part: Buffer, row: number, isConflict: boolean) => Wholeness {
  return (part, row, isConflict) => {
    const holds = (form: Buffer): boolean => part.includes(form);
    if (!forms.markers.some(holds)) return "whole";
    // A column of another type than the source's has no place for it.
    if (isConflict || !isPlain) return forms.whole.some(holds) ? "lost" : "whole";
    const found = unavailableColumns(columns, row);
    if (found.length === 0) return "whole";
    return found.some((column) => keys.includes(column)) ? "lost" : "partial";
  };
}
