/**
 * Answers as text: a table for people, JSON and CSV for programs. Pure.
 */
import type { Answer, AnswerColumn, ValueForm } from "./database.ts";

/** How an answer is written. */
export type AnswerFormat = "table" | "json" | "csv";

/**
 * Writes an answer. JSON takes values in the form `json`, the others in the form `text`.
 * @param shownMax rows of a table; those between the first and the last are left out
 */
export function writeAnswer(answer: Answer, format: AnswerFormat, shownMax: number): string {
  switch (format) {
    case "table":
      return tableText(answer, shownMax);
    case "csv":
      return csvText(answer);
    case "json":
      return `${jsonText(answer)}\n`;
  }
}

/** An answer as it is sent: JSON of values in the form `json`, else CSV. */
export function writeBytes(answer: Answer, form: ValueForm): Uint8Array {
  return Buffer.from(form === "json" ? jsonText(answer) : csvText(answer));
}

/** `{"columns": [...], "rows": [[...]], "row_count": n}`: integers beyond 2^53 are strings (SPEC section 7). */
export function jsonText({ columns, rows }: Answer): string {
  const lines = rows.map((row) => `[${row.map(jsonValue).join(", ")}]`);
  const names = columns.map(({ name, type }) => JSON.stringify({ name, type }));
  return `{"columns": [${names.join(", ")}], "rows": [${lines.join(",\n")}], "row_count": ${rows.length}}`;
}

/** Comma separated, quoted where needed (RFC 4180); null is empty, an empty text is `""`. */
function csvText({ columns, rows }: Answer): string {
  const cell = (value: string | null): string => {
    if (value === null) return "";
    return value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  };
  const lines = [columns.map(({ name }) => name), ...rows].map((row) => row.map(cell).join(","));
  return `${lines.join("\n")}\n`;
}

/**
 * What JSON has no word for becomes a text: numbers that a double cannot hold, NaN and infinity, also
 * within lists and structs.
 */
function jsonValue(value: string | null): string {
  if (value === null) return "null";
  // Strings are passed over as a whole.
  return value.replaceAll(
    /"(?:[^"\\]|\\.)*"|-?\b(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Infinity|NaN)\b/g,
    (token) => {
      if (token.startsWith('"')) return token;
      const isInteger = /^-?\d+$/.test(token);
      const isExact = isInteger
        ? Number.isSafeInteger(Number(token))
        : Number.isFinite(Number(token));
      return isExact ? token : `"${token}"`;
    },
  );
}

const RIGHT = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|UINTEGER|FLOAT|DOUBLE|DECIMAL.*)$/;
const COLUMN_WIDTH_MAX = 60;

/** As DuckDB's own shell draws it. */
function tableText({ columns, rows }: Answer, shownMax: number): string {
  if (columns.length === 0) return "";
  const half = Math.ceil(shownMax / 2);
  const isCut = rows.length > shownMax;
  const shown = isCut ? [...rows.slice(0, half), ...rows.slice(-half)] : rows;
  const cells = shown.map((row) => row.map(cellText));
  const widths = columns.map(({ name, type }, at) =>
    Math.max(name.length, type.length, ...cells.map((row) => width(row[at] ?? ""))),
  );
  const rule = (left: string, middle: string, right: string): string =>
    left + widths.map((each) => "─".repeat(each + 2)).join(middle) + right;
  const line = (texts: readonly string[], side: (column: AnswerColumn) => Side): string =>
    `│${texts.map((text, at) => pad(text, widths[at] ?? 0, side(columns[at] as AnswerColumn))).join("│")}│`;
  const sideOf = ({ type }: AnswerColumn): Side => (RIGHT.test(type) ? "right" : "left");
  const dots = line(
    columns.map(() => "·"),
    () => "middle",
  );
  const body = cells.map((row) => line(row, sideOf));
  if (isCut) body.splice(half, 0, dots, dots, dots);
  const count = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
  return `${[
    rule("┌", "┬", "┐"),
    line(
      columns.map(({ name }) => name),
      () => "middle",
    ),
    line(
      columns.map(({ type }) => type.toLowerCase()),
      () => "middle",
    ),
    rule("├", "┼", "┤"),
    ...body,
    rule("└", "┴", "┘"),
    isCut ? `${count} (${shown.length} shown)` : count,
  ].join("\n")}\n`;
}

type Side = "left" | "right" | "middle";

/** Control characters would move the terminal's cursor, or colour it. */
function cellText(value: string | null): string {
  if (value === null) return "NULL";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const plain = value.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (each) =>
    JSON.stringify(each).slice(1, -1),
  );
  return width(plain) <= COLUMN_WIDTH_MAX
    ? plain
    : `${[...plain].slice(0, COLUMN_WIDTH_MAX - 1).join("")}…`;
}

function pad(text: string, to: number, side: Side): string {
  const room = Math.max(0, to - width(text));
  const before = side === "right" ? room : side === "middle" ? Math.floor(room / 2) : 0;
  return ` ${" ".repeat(before)}${text}${" ".repeat(room - before)} `;
}

function width(text: string): number {
  return Bun.stringWidth(text);
}
