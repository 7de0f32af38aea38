/**
 * What the engine answers, and what it keeps from a statement even if it were admitted.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { kindOf } from "#base/errors.ts";
import type { Answer, Database, ValueForm } from "#sql/database.ts";
import { newFolder, openDatabase, ownStatement } from "./engine.ts";

let database: Database;

beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

function ask(sql: string, form: ValueForm = "text", rowsMax = 1000): Answer {
  return database.run({
    admitted: database.admit(sql),
    views: [],
    hot: [],
    parameters: [],
    form,
    rowsMax,
    bytesMax: 1e9,
  });
}

describe("an answer", () => {
  test("has each column's name and type, and each value as DuckDB writes it", () => {
    const { columns, rows } = ask(
      "SELECT 1::BIGINT AS a, 'é and a text of more than twelve bytes' AS a, NULL AS n, [1, 2] AS l, " +
        "TIMESTAMP '2026-01-08 12:00:00.123456' AS t, 0.10::DECIMAL(9, 2) AS d, {'x': 1} AS s",
    );
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "a BIGINT",
      "a VARCHAR",
      "n INTEGER",
      "l INTEGER[]",
      "t TIMESTAMP",
      "d DECIMAL(9,2)",
      "s STRUCT(x INTEGER)",
    ]);
    expect(rows).toEqual([
      [
        "1",
        "é and a text of more than twelve bytes",
        null,
        "[1, 2]",
        "2026-01-08 12:00:00.123456",
        "0.10",
        "{'x': 1}",
      ],
    ]);
  });

  test("keeps the order of the statement over many chunks, nulls in their places", () => {
    const { rows } = ask(
      "SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE i END FROM range(10000) t(i) ORDER BY i DESC",
      "text",
      10_000,
    );
    const expected = Array.from({ length: 10_000 }, (_, at) => {
      const i = 9999 - at;
      return [i % 3 === 0 ? null : String(i)];
    });
    expect(rows).toEqual(expected);
  });

  test("takes parameters of every kind, and says how many there have to be", () => {
    const admitted = database.admit("SELECT $1, $2, $3, $4, $5, $6");
    const run = (parameters: readonly (string | number | bigint | boolean | null)[]) =>
      database.run({
        admitted,
        views: [],
        hot: [],
        parameters,
        form: "text",
        rowsMax: 1,
        bytesMax: 1e9,
      });
    const parameters = ["it's", 5, 2.5, 9007199254740993n, true, null];
    expect(run(parameters).rows).toEqual([["it's", "5", "2.5", "9007199254740993", "true", null]]);
    expect(() => run([1])).toThrow("6 parameters, 1 are given");
  });

  test("ends at its number of rows, with a sentence", () => {
    expect(ask("FROM range(5)", "text", 5).rows.length).toBe(5);
    expect(() => ask("FROM range(6)", "text", 5)).toThrow("more than 5 rows");
    // The engine goes on as if nothing had happened.
    expect(ask("SELECT 1").rows).toEqual([["1"]]);
  });

  test("of EXPLAIN is the plan; of EXPLAIN ANALYZE, too", () => {
    expect(ask("EXPLAIN SELECT 42").rows[0]?.[1]).toContain("PROJECTION");
    expect(ask("explain analyze select 42").rows[0]?.[1]).toContain("Total Time");
  });

  test("that fails on its way is an error in one line, not a short answer", () => {
    for (const sql of [
      "SELECT CASE WHEN i = 9000 THEN error('on its way') ELSE i END FROM range(10000) t(i)",
      "SELECT CAST('x' AS INTEGER)",
      "SELECT nothing",
    ]) {
      let message = "";
      try {
        ask(sql, "text", 100_000);
      } catch (error) {
        expect(kindOf(error)).toBe("query");
        ({ message } = error as Error);
      }
      expect(message).not.toBe("");
      expect(message).not.toContain("\n");
    }
  });
});

describe("a statement that was admitted by mistake", () => {
  const run = (sql: string) =>
    database.run({
      admitted: ownStatement(sql),
      views: [],
      hot: [],
      parameters: [],
      form: "text",
      rowsMax: 10,
      bytesMax: 1e9,
    });

  test("reads no file outside the folders, changes no setting, and writes nowhere", () => {
    const folder = newFolder();
    const other = newFolder();
    writeFileSync(`${folder}a.csv`, "x\n1\n");
    writeFileSync(`${other}b.csv`, "x\n1\n");
    database.allow([folder]);
    for (const sql of [
      `SELECT * FROM read_csv('${other}b.csv')`,
      `SELECT * FROM read_csv('${folder}../${other.split("/").at(-2)}/b.csv')`,
      `SELECT * FROM glob('/etc/*')`,
      `SELECT * FROM '${other}b.csv'`,
      "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    ]) {
      expect(() => run(sql)).toThrow();
    }
    expect(run(`SELECT count(*) FROM read_csv('${folder}a.csv')`).rows).toEqual([["1"]]);
  });
});

describe("views", () => {
  test("of one statement are unknown to the next", () => {
    const views = [
      { schema: "a.b", name: 'q"t', select: "SELECT 7 AS x" },
      { schema: "", name: "plain", select: "SELECT 8 AS x" },
    ];
    const sql = 'SELECT x FROM "a.b"."q""t" UNION ALL SELECT x FROM plain';
    const admitted = database.admit(sql);
    const run = {
      admitted,
      views,
      hot: [],
      parameters: [],
      form: "text" as const,
      rowsMax: 10,
      bytesMax: 1e9,
    };
    expect(database.run(run).rows).toEqual([["7"], ["8"]]);
    expect(() => database.run({ ...run, views: [] })).toThrow("does not exist");
  });
});
