/**
 * Answers as text.
 */
import { expect, test } from "bun:test";
import { writeAnswer } from "#sql/output.ts";

const COLUMNS = [
  { name: "n", type: "BIGINT" },
  { name: "text", type: "VARCHAR" },
];

test("JSON has what JSON can hold; other numbers are strings, at any depth, and strings stay", () => {
  const rows = [
    ["9007199254740993", '"9007199254740993 and \\"NaN\\""'],
    ["NaN", '{"a":[1.5,-Infinity,12345678901234567890],"NaN":null}'],
    ["-5", null],
    ["1e400", "true"],
  ];
  const json = writeAnswer({ columns: COLUMNS, rows }, "json", 40);
  expect(JSON.parse(json)).toEqual({
    columns: COLUMNS,
    rows: [
      ["9007199254740993", '9007199254740993 and "NaN"'],
      ["NaN", { a: [1.5, "-Infinity", "12345678901234567890"], NaN: null }],
      [-5, null],
      ["1e400", true],
    ],
    row_count: 4,
  });
});

test("CSV tells a null from an empty text, and quotes what has to be", () => {
  const rows = [
    [null, ""],
    ["1", 'a "b", c\nd'],
  ];
  expect(writeAnswer({ columns: COLUMNS, rows }, "csv", 40)).toBe(
    'n,text\n,""\n1,"a ""b"", c\nd"\n',
  );
});

test("a table is drawn as DuckDB's shell does: wide letters, control characters, cut rows", () => {
  const rows = Array.from({ length: 100 }, (_, i) => [
    String(i),
    i === 0 ? "日本\u001b[31m" : null,
  ]);
  const lines = writeAnswer({ columns: COLUMNS, rows }, "table", 4).split("\n");
  expect(lines).toEqual([
    "┌────────┬────────────────┐",
    "│   n    │      text      │",
    "│ bigint │    varchar     │",
    "├────────┼────────────────┤",
    "│      0 │ 日本\\u001b[31m │",
    "│      1 │ NULL           │",
    "│   ·    │       ·        │",
    "│   ·    │       ·        │",
    "│   ·    │       ·        │",
    "│     98 │ NULL           │",
    "│     99 │ NULL           │",
    "└────────┴────────────────┘",
    "100 rows (4 shown)",
    "",
  ]);
});
