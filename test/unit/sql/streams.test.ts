/** Statements whose answer, as a stream, would wait for itself: DuckDB never begins to answer them. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromIPC } from "apache-arrow";
import { Instance } from "#sql/duckdb/instance.ts";
import { locateLibrary } from "#sql/library.ts";
import { openDatabase, WHOLE_ANSWER } from "./engine.ts";

const folder = `${mkdtempSync(join(tmpdir(), "streams-"))}/`;
afterAll(() => rmSync(folder, { recursive: true }));

/** More than four of DuckDB's row groups, so that it takes one thread to be busy with each table of the union. */
const ROWS = 600_000;

/** An engine, and the statements that it was asked to prepare. */
async function open(memoryBytesMax: number): Promise<{ instance: Instance; prepared: string[] }> {
  const library = await locateLibrary(null);
  const instance = new Instance({ library, memoryBytesMax }, [folder]);
  const prepared: string[] = [];
  const prepare = instance.prepare.bind(instance);
  instance.prepare = (sql) => {
    prepared.push(sql);
    return prepare(sql);
  };
  return { instance, prepared };
}

function file(instance: Instance, name: string, columns: string): string {
  const path = join(folder, `${name}.parquet`);
  instance.execute(`COPY (SELECT ${columns} FROM range(${ROWS}) t(i)) TO '${path}'`);
  return `read_parquet('${path}')`;
}

/** Rows of two files, each with those of a third: as of a table whose files have two shapes and deletes. @param width of a row's text, about */
function union(instance: Instance, width: number): string {
  const deleted = file(instance, "deleted", "2 * i AS gone");
  const [one, other] = [
    file(instance, "one", "i AS id"),
    file(instance, "other", "i AS id, i AS n"),
  ];
  const select = (rows: string): string =>
    `SELECT (r.id + ?)::VARCHAR AS c, r.id || repeat('x', ${width}), d.gone::VARCHAR FROM ${rows} r LEFT JOIN ${deleted} d ON d.gone = r.id`;
  // A table may be called what the answer is called.
  instance.execute(`CREATE OR REPLACE VIEW answer AS FROM ${one}`);
  return `${select("answer")} UNION ALL ${select(other)} -- both`;
}

test("a union of joins that is larger than a stream's buffer is answered whole, from memory", async () => {
  const { instance, prepared } = await open(512e6);
  try {
    const statement = instance.prepare(union(instance, 40));
    // Twice: a prepared statement is used again.
    for (const first of [1, 2]) {
      const seen = new Map<string | null, number>();
      for (const [texts = []] of statement.run([first, first])) {
        for (const text of texts) seen.set(text, (seen.get(text) ?? 0) + 1);
      }
      expect(seen.size).toBe(ROWS);
      expect(seen.has(String(first)) && seen.has(String(first + ROWS - 1))).toBe(true);
      expect([...seen.values()].every((count) => count === 2)).toBe(true);
    }
    statement.close();
    // DuckDB still waits for itself: where it no longer does, this is not needed.
    expect(prepared.filter((sql) => sql.startsWith("WITH answer AS MATERIALIZED"))).toHaveLength(2);
  } finally {
    instance.close();
  }
}, 60_000);

test("one that does not fit into memory ends with DuckDB's sentence, and the next is answered, as behind one that is left early", async () => {
  const { instance, prepared } = await open(128e6);
  try {
    const large = instance.prepare(union(instance, 400));
    expect(() => large.run([0, 0]).toArray().length).toThrow("Out of Memory");
    expect(prepared.some((sql) => sql.startsWith("WITH answer AS MATERIALIZED"))).toBe(true);
    large.close();
    const left = instance.prepare(union(instance, 4));
    for (const chunk of left.run([0, 0])) if (chunk.length > 0) break;
    left.close();
    expect(instance.rows("SELECT 'next'")).toEqual([["next"]]);
    expect(() => instance.rows("SELECT error('no')")).toThrow("Invalid Input Error: no");
  } finally {
    instance.close();
  }
}, 60_000);

test("a question is answered so in its read-only transaction: names, types and values are the statement's", async () => {
  const database = await openDatabase();
  const odd = `SELECT r.i AS n, {'x': r.i::INTEGER} AS n, 'é' || r.i AS "a b", r.i::HUGEINT FROM range(${ROWS}) r(i) LEFT JOIN range(${ROWS}) d(j) ON d.j = r.i`;
  try {
    const admitted = database.admit(`${odd} UNION ALL ${odd} -- twice`);
    const run = { ...WHOLE_ANSWER, rowsMax: 2 * ROWS };
    const { columns, rows } = database.run({ ...run, admitted, views: [], form: "text" });
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "n BIGINT",
      "n STRUCT(x INTEGER)",
      "a b VARCHAR",
      'CAST(r.i AS "HUGEINT") HUGEINT',
    ]);
    expect(rows).toHaveLength(2 * ROWS);
    expect(new Set(rows.map(([n]) => n)).size).toBe(ROWS);
    const isWhole = rows.every(
      ([n, x, text, huge]) => x === `{'x': ${n}}` && text === `é${n}` && huge === n,
    );
    expect(isWhole).toBe(true);
    // No more than is asked for is put together, and it says so; as Arrow a struct may have no names.
    expect(() => database.run({ ...run, admitted, views: [], rowsMax: 1000 })).toThrow(
      "more than 1000 rows",
    );
    const row = odd.replace("{'x': r.i::INTEGER}", "row(r.i, 'x')");
    const unnamed = database.admit(`${row} UNION ALL ${row}`);
    const bytes = database.runArrow({ ...run, admitted: unnamed, views: [] });
    expect(tableFromIPC(bytes).numRows).toBe(2 * ROWS);
  } finally {
    database.close();
  }
}, 60_000);
