/** Statements whose answer, as a stream, would wait for itself: DuckDB never begins to answer them. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Instance } from "#sql/duckdb/instance.ts";
import { locateLibrary } from "#sql/library.ts";

const folder = `${mkdtempSync(join(tmpdir(), "streams-"))}/`;
afterAll(() => rmSync(folder, { recursive: true }));

/** More than two of DuckDB's row groups, so that it takes one thread to be busy with them. */
const ROWS = 600_000;

async function open(memoryBytesMax: number): Promise<Instance> {
  const library = await locateLibrary(null);
  return new Instance({ library, memoryBytesMax }, [folder]);
}

function file(instance: Instance, name: string, columns: string): string {
  const path = join(folder, `${name}.parquet`);
  instance.execute(`COPY (SELECT ${columns} FROM range(${ROWS}) t(i)) TO '${path}'`);
  return `read_parquet('${path}')`;
}

/** Rows of one file without those of another, as of a table with deletes. */
function without(rows: string, deleted: string, width: number): string {
  return `SELECT r.id::VARCHAR || repeat('x', ${width}) AS c FROM ${rows} r LEFT JOIN ${deleted} d ON d.gone = r.id WHERE d.gone IS NULL AND r.id >= ?`;
}

/** @param width about, of a row's text */
function statement(instance: Instance, width: number): string {
  const deleted = file(instance, "deleted", "2 * i AS gone");
  const [one, other] = [
    file(instance, "one", "i AS id"),
    file(instance, "other", "i AS id, i AS n"),
  ];
  return `${without(one, deleted, width)} UNION ALL ${without(other, deleted, width)}`;
}

test("a union of joins that is larger than a stream's buffer is answered whole", async () => {
  const instance = await open(256e6);
  try {
    const sql = statement(instance, 40);
    const prepared = instance.prepare(sql);
    let rows = 0;
    // Twice: a prepared statement is used again.
    for (let run = 0; run < 2; run++) {
      for (const [texts = []] of prepared.run([2, 2])) rows += texts.length;
    }
    prepared.close();
    // Of each file the odd numbers but 1, in both runs.
    expect(rows).toBe(2 * (ROWS - 2));
  } finally {
    instance.close();
  }
}, 60_000);

test("one that does not fit into memory either ends with DuckDB's sentence, and the next is answered", async () => {
  const instance = await open(48e6);
  try {
    const prepared = instance.prepare(statement(instance, 400));
    expect(() => prepared.run([0, 0]).toArray().length).toThrow("Out of Memory");
    prepared.close();
    expect(instance.rows("SELECT 'next'")).toEqual([["next"]]);
    expect(() => instance.rows("SELECT error('no')")).toThrow("Invalid Input Error: no");
  } finally {
    instance.close();
  }
}, 60_000);
