/**
 * Answers as Arrow streams: every type, nulls, nesting, many chunks, and none, as readers of Arrow see them.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { tableFromIPC } from "apache-arrow";
import type { Database, Run } from "#sql/database.ts";
import { openDatabase } from "./engine.ts";

let database: Database;
beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

function runOf(sql: string, form: Run["form"]): Run {
  const limits = { rowsMax: 100_000, bytesMax: 1e9 };
  return { admitted: database.admit(sql), views: [], hot: [], parameters: [], form, ...limits };
}

const COLUMNS = [
  "i % 2 = 0 AS b",
  "i::TINYINT AS i8",
  "i::USMALLINT AS u16",
  "i::INTEGER AS i32",
  "i AS i64",
  "i / 4 AS f64",
  "(i / 4)::FLOAT AS f32",
  "'text ' || i AS s",
  "('x' || i)::BLOB AS bytes",
  "[i, NULL, i + 1] AS l",
  "{'a': i, 'b': ['x', NULL]} AS d",
  "MAP {'k' || i: i} AS m",
  "NULL AS nothing",
  "'00000000-0000-4000-8000-000000000001'::UUID AS u",
  "INTERVAL (i) DAY AS iv",
  "'a'::ENUM ('a', 'b') AS e",
  'i AS "i64"',
];
const MANY = `SELECT ${COLUMNS.map((each) => {
  const [, value = "", name = ""] = /^(.*) AS (\S+)$/.exec(each) ?? [];
  return `CASE WHEN i % 7 = 3 THEN NULL ELSE ${value} END AS ${name}`;
}).join(", ")} FROM range(100) t(i) ORDER BY i`;

test("every value is the one that JSON has", () => {
  const table = tableFromIPC(database.runArrow(runOf(MANY, "arrow")));
  const { columns, rows } = database.run(runOf(MANY, "json"));
  const names = columns.map(({ name }) => name);
  expect(table.schema.names).toEqual([...names.slice(0, -1), "i64_1"]);
  expect(table.numRows).toBe(100);
  for (const [at, { name }] of columns.entries()) {
    const vector = table.getChildAt(at);
    for (const [row, texts] of rows.entries()) {
      const wanted = JSON.parse(texts[at] ?? "null") as unknown;
      const found = plain(vector?.get(row));
      expect([name, row, found]).toEqual([name, row, wanted]);
    }
  }
});

/** A value of Arrow as JSON has it. */
function plain(value: unknown): unknown {
  const text = JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return Number(each);
    return each instanceof Uint8Array ? Buffer.from(each).toString() : each;
  });
  const bytes = value instanceof Uint8Array ? Buffer.from(value).toString() : undefined;
  return bytes ?? (text === undefined ? null : (JSON.parse(text) as unknown));
}

test("times and decimals have the types and values that readers expect", () => {
  const sql =
    "SELECT TIMESTAMP '2026-01-08 12:00:00.123456' AS t, TIMESTAMPTZ '2026-01-08 12:00:00+00' AS z, " +
    "DATE '2026-01-08' AS d, TIME '12:00:00' AS c, 12.34::DECIMAL(9, 2) AS e, 5::HUGEINT AS h";
  const table = tableFromIPC(database.runArrow(runOf(sql, "arrow")));
  expect(table.schema.fields.map(({ type }) => String(type))).toEqual([
    "Timestamp<MICROSECOND>",
    "Timestamp<MICROSECOND, UTC>",
    "Date32<DAY>",
    "Time64<MICROSECOND>",
    "Decimal[9e+2]",
    "Decimal[38e0]",
  ]);
  const arrays = tableFromIPC(database.runArrow(runOf("SELECT [1, 2]::BIGINT[2] AS a", "arrow")));
  expect(plain(arrays.getChildAt(0)?.get(0))).toEqual([1, 2]);
  expect(Number(table.getChildAt(0)?.get(0))).toBeCloseTo(Date.UTC(2026, 0, 8, 12, 0, 0, 123), 0);
});

test("many chunks are one stream, no row is a stream with its columns, and limits are errors", () => {
  const many = tableFromIPC(database.runArrow(runOf("FROM range(50000) t(i)", "arrow")));
  expect(many.numRows).toBe(50_000);
  expect(many.getChildAt(0)?.get(49_999)).toBe(49_999n);
  const none = tableFromIPC(
    database.runArrow(runOf("SELECT 1 AS x, 'a' AS y WHERE false", "arrow")),
  );
  expect([none.numRows, none.schema.names]).toEqual([0, ["x", "y"]]);
  const over = runOf("FROM range(100001)", "arrow");
  expect(() => database.runArrow(over)).toThrow("more than 100000 rows");
  const large = { ...runOf("SELECT repeat('x', 1000) FROM range(10)", "arrow"), bytesMax: 5000 };
  expect(() => database.runArrow(large)).toThrow("more than 5000 bytes");
  expect(() => database.runArrow(runOf("EXPLAIN SELECT 1", "arrow"))).toThrow("JSON or CSV");
  expect(database.run(runOf("SELECT 1", "text")).rows).toEqual([["1"]]);
});
