/**
 * How results look: aligned columns for people, JSON for programs.
 */
import { writePortableJson } from "#base/json.ts";
import type { Terminal } from "./actions.ts";

/** A cell; null is shown as `-`. */
export type Cell = string | number | bigint | boolean | null;

/** Rows with one object per row; keys are the columns, in order. */
export type Rows = readonly Readonly<Record<string, Cell>>[];

/**
 * Prints rows: JSON lines of one array with `json`, else a table.
 * @param none what to say when there are no rows (not with `json`)
 */
export function printRows(terminal: Terminal, rows: Rows, json: boolean, none: string): void {
  if (json) terminal.out(`${writePortableJson(rows, 2)}\n`);
  else if (rows.length === 0) terminal.out(`${none}\n`);
  else terminal.out(tableText(rows));
}

/** Aligned columns under a heading; numbers to the right. */
export function tableText(rows: Rows): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => cellText(row[column] ?? null)));
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...cells.map((line) => line[at]?.length ?? 0)),
  );
  const isNumber = columns.map((column) =>
    rows.every((row) => typeof row[column] === "number" || typeof row[column] === "bigint"),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, at) => {
        const width = widths[at] ?? 0;
        return isNumber[at] === true ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return `${[columns, ...cells].map(line).join("\n")}\n`;
}

function cellText(value: Cell): string {
  return value === null ? "-" : String(value);
}

/** ISO time, UTC, of a timestamp in ms, which may be a record's and beyond any calendar; null stays null. */
export function timeText(ms: number | null | undefined): string | null {
  if (ms === null || ms === undefined) return null;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}
