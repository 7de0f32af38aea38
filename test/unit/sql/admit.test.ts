/**
 * Which statements are let in, and what they are written anew as.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { kindOf } from "#base/errors.ts";
import type { Database } from "#sql/database.ts";
import { openDatabase } from "./engine.ts";

let database: Database;

beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

function refusal(text: string): string {
  try {
    return `admitted: ${database.admit(text).sql}`;
  } catch (error) {
    expect(kindOf(error)).toBe("query");
    return (error as Error).message;
  }
}

describe("a statement", () => {
  test("is one SELECT, in every form that DuckDB writes it", () => {
    for (const text of [
      "SELECT 1",
      "  select count(*) from events; -- how many",
      "FROM events SELECT count(*) GROUP BY ALL",
      "WITH a AS (SELECT 1 AS x) SELECT * FROM a JOIN raw.events USING (x)",
      "VALUES (1, 'a')",
      "DESCRIBE events",
      "SUMMARIZE events",
      "TABLE events",
      "SELECT x, row_number() OVER (PARTITION BY y ORDER BY z) FROM events QUALIFY x > 1",
      "SELECT * FROM (PIVOT events ON y IN ('a', 'b') USING sum(x))",
      "SELECT list_transform([1, 2], lambda x: x + 1), repeat(url, 3) FROM events",
      "SELECT * FROM events TABLESAMPLE 10%",
      "SELECT 12345678901234567890123456789, 10.50, 1e300, $1",
    ]) {
      expect(`${text}: ${refusal(text)}`).toContain(": admitted: ");
    }
  });

  test("of any other kind is refused, also one that hides behind another", () => {
    const only = "Only a SELECT, or an EXPLAIN of one, may be asked";
    for (const text of [
      "COPY (SELECT 1) TO 'x.csv'",
      "ATTACH 'x.db'",
      "INSTALL httpfs",
      "LOAD httpfs",
      "SET threads = 4",
      "PRAGMA database_size",
      "CREATE TEMP TABLE t (i INT)",
      "CALL pragma_version()",
      "EXPLAIN ANALYZE DELETE FROM events",
      "EXPLAIN COPY (SELECT 1) TO 'x.csv'",
      "BEGIN TRANSACTION",
      "PIVOT events ON y USING sum(x)",
    ]) {
      expect(`${text}: ${refusal(text)}`).toContain(only);
    }
    expect(refusal("SELECT 1; SELECT 2")).toBe("One statement at a time");
    expect(refusal("SELECT 1) FROM (SELECT 2")).toContain("cannot be read");
  });

  test("calls no function that reads, writes, waits, or tells of the engine", () => {
    for (const text of [
      "SELECT * FROM read_csv('/etc/passwd')",
      "SELECT * FROM read_parquet('x')",
      "SELECT * FROM glob('/*')",
      "SELECT * FROM duckdb_settings()",
      "SELECT * FROM duckdb_secrets()",
      "SELECT * FROM query('SELECT 1')",
      "SELECT (SELECT count(*) FROM read_text('/etc/passwd'))",
      "SELECT sleep_ms(1000)",
      "SELECT current_setting('allowed_directories')",
      "SELECT x FROM events WHERE getenv('HOME') = x",
      "SELECT write_log('x')",
    ]) {
      expect(`${text}: ${refusal(text)}`).toContain("may not be called");
    }
    expect(refusal("SHOW ALL TABLES")).toContain("SHOW is for TABLES");
  });

  test("may not be nested without an end: both the walk and DuckDB's own writer recurse", () => {
    expect(refusal(`SELECT 1${"+1".repeat(3000)}`)).toMatch(/nested too deeply|cannot be read/);
  });
});

describe("relations", () => {
  test("are those that a statement names, wherever it does", () => {
    const { relations } = database.admit(
      'WITH a AS (SELECT * FROM raw.one) SELECT (SELECT max(x) FROM two) FROM A WHERE y IN (SELECT z FROM "a.b"."Three")',
    );
    expect(relations.map(({ schema, table }) => `${schema}/${table}`).toSorted()).toEqual([
      "/two",
      "a.b/Three",
      "raw/one",
    ]);
  });

  test("of another time are views of their own, under the name that the statement uses", () => {
    const { sql, relations } = database.admit(
      "SELECT events.x FROM raw.events AT (VERSION => 8123456789012345678), events AT (TIMESTAMP => TIMESTAMP '2026-01-08 12:00:00')",
    );
    expect(relations.map(({ at }) => at)).toEqual([
      { unit: "version", value: "8123456789012345678" },
      { unit: "timestamp", value: "2026-01-08 12:00:00" },
    ]);
    expect(sql).toContain('"raw.events at version 8123456789012345678" AS events');
    expect(refusal("SELECT 1 FROM events AT (TIMESTAMP => now())")).toContain("as constants");
  });
});
