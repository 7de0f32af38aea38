/** What the engine keeps from one statement to the next never shows in an answer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { FeedKey } from "#base/offsets.ts";
import type { Field } from "#columns/schema.ts";
import { Database } from "#sql/database.ts";
import { rowsByColumns, selectHot } from "#sql/hotRows.ts";
import { locateLibrary } from "#sql/library.ts";
import { batchOf, field } from "../parquet/rows.ts";
import { openDatabase, WHOLE_ANSWER } from "./engine.ts";

let database: Database;

beforeAll(async () => {
  database = await openDatabase();
});
afterAll(() => database.close());

/** Lent rows are kept by whoever lends them: the engine has addresses only. */
const lent: unknown[] = [];

/** Asks over one segment of these rows, which the statement calls `t`. */
function ask(sql: string, fields: readonly Field[], rows: unknown[][], parameters: string[] = []) {
  const batch = batchOf(fields, rows);
  lent.push(batch);
  const { columns, rowCount } = batch;
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  const hot = rowsByColumns([{ id: 0, key: "k" as FeedKey, start: 0n, columns, watermark }]);
  const views = [{ schema: "", name: "t", select: selectHot(fields, fields, 0) }];
  const run = { admitted: database.admit(sql), views, hot, parameters };
  return database.run({ ...run, form: "json", rowsMax: 1000, bytesMax: 1e6 });
}

const N = [field("n", { kind: "long" })];

test("the same question over other rows has the other rows' answer", () => {
  const sql = "SELECT sum(n)::BIGINT AS s, count(*) AS c FROM t WHERE n > 1";
  for (const last of [2n, 5n, 9n]) {
    const { rows, columns } = ask(sql, N, [[1n], [2n], [last]]);
    expect(rows).toEqual([[String(2n + last), "2"]]);
    expect(columns.map(({ type }) => type)).toEqual(["BIGINT", "BIGINT"]);
  }
});

test("the same question over a column of another type has an answer of that type", () => {
  const answers = (
    [
      ["long", 1n],
      ["string", "a"],
      ["double", 0.5],
      ["long", 2n],
    ] as const
  ).map(([kind, value]) => ask("SELECT n FROM t", [field("n", { kind })], [[value]]));
  expect(answers.map(({ columns: [column] }) => column?.type)).toEqual([
    "BIGINT",
    "VARCHAR",
    "DOUBLE",
    "BIGINT",
  ]);
  expect(answers.flatMap(({ rows }) => rows)).toEqual([["1"], ['"a"'], ["0.5"], ["2"]]);
});

test("the same question with other parameters, or as another form, has its own answer", () => {
  const sql = "SELECT count(*) AS c FROM t WHERE s = ?";
  const fields = [field("s", { kind: "string" })];
  const rows = [["a"], ["a"], ["b"]];
  const counts = ["a", "b", "c", "a"].map((each) => ask(sql, fields, rows, [each]).rows);
  expect(counts).toEqual([[["2"]], [["1"]], [["0"]], [["2"]]]);
});

test("a question that was refused on its way is answered when it comes again", () => {
  const sql = "SELECT n, 10 // n AS q FROM t";
  const many = Array.from({ length: 5000 }, (_, n) => [BigInt(n + 1)]);
  for (let turn = 0; turn < 2; turn++) {
    expect(() => ask(sql, N, many)).toThrow("more than 1000 rows");
    expect(ask(sql, N, [[5n]]).rows).toEqual([["5", "2"]]);
  }
  const failing =
    "SELECT (CASE WHEN n > 4000 THEN 'no number' ELSE '1' END)::BIGINT AS n FROM t WHERE n > 3999";
  for (let turn = 0; turn < 2; turn++) {
    expect(() => ask(failing, N, many)).toThrow("no number");
    expect(ask(failing, N, [[4000n]]).rows).toEqual([["1"]]);
  }
});

test("more questions than are kept are answered, over and over", () => {
  for (let turn = 0; turn < 2; turn++) {
    for (let n = 0; n < 80; n++) {
      expect(ask(`SELECT n + ${n} AS n FROM t`, N, [[1n]]).rows).toEqual([[String(1 + n)]]);
    }
  }
});

test("a question that is refused keeps nothing of what it had put together", async () => {
  const small = new Database({ library: await locateLibrary(null), memoryBytesMax: 48e6 });
  const views = [{ schema: "", name: "t", select: "SELECT range AS n FROM range(100000)" }];
  const run = (sql: string) =>
    small.run({ ...WHOLE_ANSWER, views, rowsMax: 10, admitted: small.admit(sql) });
  for (let n = 0; n < 40; n++) {
    const sql =
      "WITH x AS MATERIALIZED (SELECT n, n + 1 AS m FROM t) " +
      `SELECT a.n FROM x a JOIN x b ON a.n = b.m WHERE a.n > ${n}`;
    expect(() => run(sql)).toThrow("more than 10 rows");
  }
  small.close();
});

test("what plans have put together takes no question's memory", async () => {
  const small = new Database({ library: await locateLibrary(null), memoryBytesMax: 48e6 });
  const views = [{ schema: "", name: "t", select: "SELECT range AS n FROM range(100000)" }];
  // Some 2 MB each.
  for (let n = 0; n < 40; n++) {
    const sql =
      "WITH x AS MATERIALIZED (SELECT n, n + 1 AS m FROM t) " +
      `SELECT count(*) FROM x a JOIN x b ON a.n = b.m WHERE a.n > ${n}`;
    const { rows } = small.run({ ...WHOLE_ANSWER, views, admitted: small.admit(sql) });
    expect(rows).toEqual([[String(99_999 - n)]]);
  }
  small.close();
});

test.each(["current_localtimestamp()", "current_timestamp", "now()", "random()", "uuid()"])(
  "%s is of the moment in each answer",
  async (moment) => {
    const answers = new Set<unknown>();
    for (let turn = 0; turn < 3; turn++) {
      answers.add(ask(`SELECT ${moment} AS v FROM t`, N, [[1n]]).rows[0]?.[0]);
      await Bun.sleep(3);
    }
    expect(answers.size).toBe(3);
  },
);

test.each([
  ["SELECT count(*), sum(a) + 1, lower(b) FROM t WHERE a BETWEEN 1 AND 2 GROUP BY ALL", true],
  ["SELECT a, (SELECT max(b) FROM u) FROM t JOIN u USING (k) WHERE s LIKE 'x%'", true],
  ["SELECT t.current_date FROM t", true],
  ["SELECT current_date", false],
  ["SELECT a FROM t WHERE ts > today() - INTERVAL 1 DAY", false],
  ["SELECT age(ts) FROM t", false],
  ["SELECT a FROM t WHERE b IN (SELECT random())", false],
  ["SELECT localtime, a FROM t", false],
] as const)("whether it is planned alike whenever it comes: %s", (sql, isTimeless) => {
  expect(database.admit(sql).isTimeless).toBe(isTimeless);
});
