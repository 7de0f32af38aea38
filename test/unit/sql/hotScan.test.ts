/**
 * Rows in memory as relations: every type, nulls and nesting, over many vectors, by the columns asked for.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { FeedKey } from "#base/offsets.ts";
import type { LentSegment } from "#buffer/lease.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { Database, ValueForm } from "#sql/database.ts";
import { HotScan } from "#sql/duckdb/hotScan.ts";
import { rowsByColumns, selectHot, unionFields } from "#sql/hotRows.ts";
import {
  batchOf,
  bytesOf,
  encodeWhole,
  everyTypeRows,
  field,
  listOf,
  mapOf,
  structOf,
} from "../parquet/rows.ts";
import { newFolder, openDatabase, ownStatement, WHOLE_ANSWER } from "./engine.ts";

let database: Database;
const folder = newFolder();

beforeAll(async () => {
  database = await openDatabase();
  database.allow([folder]);
});
afterAll(() => database.close());

function ask(
  sql: string,
  fields: readonly Field[],
  parts: readonly ColumnBatch[],
  form: ValueForm = "json",
) {
  const views = [{ schema: "", name: "t", select: `SELECT * FROM ${HotScan.select(0)}` }];
  const admitted = database.admit(sql);
  const none = {
    kind: "lent",
    fields,
    pid: process.pid,
    rowCounts: [],
    byteCounts: [],
    places: new Float64Array(0),
  } as const;
  const hot = parts.length === 0 ? [none] : rowsByColumns(parts.map(lent));
  return database.run({
    admitted,
    views,
    hot,
    parameters: [],
    form,
    rowsMax: 1_000_000,
    bytesMax: 1e9,
  });
}

/** A batch as a reader gets it that another thread has lent. */
function lent({ columns, rowCount }: ColumnBatch): LentSegment {
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  return { id: 0, key: "k" as FeedKey, start: 0n, columns, watermark };
}

test("every type is what DuckDB reads from the same rows as Parquet", async () => {
  const every = everyTypeRows();
  const isKept = every.fields.map(({ type }) => type.kind !== "timestamp_ns");
  const fields = every.fields.filter((_, at) => isKept[at]);
  const rows = every.rows.map((row) => row.filter((_, at) => isKept[at]));
  const batch = batchOf(fields, rows);
  const path = `${folder}every.parquet`;
  const options = { codec: "snappy", level: null, rowGroupRows: 1000, metadata: {} } as const;
  writeFileSync(path, bytesOf(await encodeWhole(fields, [batch], options)));
  const expected = database.run({
    ...WHOLE_ANSWER,
    admitted: ownStatement(`SELECT * FROM read_parquet('${path}')`),
    views: [],
  });
  expect(ask("SELECT * FROM t", fields, [batch]).rows).toEqual(expected.rows);
});

const FIELDS = [
  field("n", { kind: "long" }),
  field("s", { kind: "string" }),
  field("b", { kind: "boolean" }),
  field("l", listOf({ kind: "int" })),
  field("m", mapOf({ kind: "string" }, { kind: "long" })),
  field("d", structOf({ x: { kind: "int" }, y: { kind: "string" } })),
];

function rowOf(i: number): unknown[] {
  return [
    i % 7 === 0 ? null : BigInt(i),
    i % 5 === 0 ? null : `text ${i} that is longer than twelve bytes`,
    i % 11 === 0 ? null : i % 2 === 0,
    i % 3 === 0 ? null : Array.from({ length: i % 4 }, (_, at) => (at === 1 ? null : i)),
    i % 13 === 0 ? null : [[`k${i}`, BigInt(i)]],
    i % 17 === 0 ? null : { x: i % 6 === 0 ? null : i, y: `y${i}` },
  ];
}

test("over many vectors and parts each row is there once, with its own values", () => {
  const sizes = [1, 2047, 2048, 2049, 5000, 0, 63];
  let at = 0;
  const parts = sizes.map((size) =>
    batchOf(
      FIELDS,
      Array.from({ length: size }, () => rowOf(at++)),
    ),
  );
  const { rows } = ask("SELECT * FROM t", FIELDS, parts);
  expect(rows.length).toBe(at);
  for (const [i, row] of rows.entries()) {
    const [n, s, b, l, m, d] = rowOf(i) as [
      bigint | null,
      unknown,
      unknown,
      unknown,
      [string, bigint][] | null,
      unknown,
    ];
    const expected = [
      n === null ? null : Number(n),
      s,
      b,
      l,
      m && Object.fromEntries(m.map(([k, v]) => [k, Number(v)])),
      d,
    ];
    if (
      JSON.stringify(row.map((each) => JSON.parse(each ?? "null"))) !== JSON.stringify(expected)
    ) {
      expect([i, row.map((each) => JSON.parse(each ?? "null"))]).toEqual([i, expected]);
    }
  }
});

test("segments that are read together are one column, also where some have nulls, or no values", () => {
  const counts = Array.from({ length: 1300 }, (_, part) => (part * 7) % 23);
  let at = 0;
  const parts = counts.map((count, part) =>
    batchOf(
      FIELDS,
      Array.from({ length: count }, () => {
        const row = rowOf(at++);
        const whole = [
          BigInt(at),
          `text ${at}`,
          at % 2 === 0,
          [at],
          [["k", BigInt(at)]],
          { x: at, y: "y" },
        ];
        const empty = [BigInt(at), "", at % 2 === 0, [], [], { x: at, y: "" }];
        return [row, whole, empty][part % 3] ?? row;
      }),
    ),
  );
  const alone = parts.flatMap((part) =>
    part.rowCount === 0 ? [] : ask("SELECT * FROM t", FIELDS, [part]).rows,
  );
  expect(ask("SELECT * FROM t", FIELDS, parts).rows).toEqual(alone);
});

test("joins, several scans and columns in any order refer to the right columns", () => {
  const parts = [
    batchOf(
      FIELDS,
      Array.from({ length: 5000 }, (_, i) => rowOf(i)),
    ),
  ];
  const one = (sql: string) => ask(sql, FIELDS, parts, "text").rows[0];
  expect(one("SELECT count(*) FROM t")).toEqual(["5000"]);
  const sum = Array.from({ length: 5000 }, (_, i) => (i % 7 === 0 ? 0 : i)).reduce(
    (a, b) => a + b,
    0,
  );
  expect(one("SELECT sum(n), count(s), count(*) FROM t")).toEqual([String(sum), "4000", "5000"]);
  expect(one("SELECT count(*) FROM t a JOIN t b ON a.n = b.n WHERE b.s LIKE '%1%'")).toEqual([
    String(
      Array.from({ length: 5000 }, (_, i) => i).filter(
        (i) => i % 7 !== 0 && i % 5 !== 0 && String(i).includes("1"),
      ).length,
    ),
  ]);
  expect(one("SELECT d.y, n FROM t WHERE n = 4999")).toEqual(["y4999", "4999"]);
  // A scan that ends early leaves nothing behind for the next statement.
  expect(ask("SELECT n FROM t LIMIT 3", FIELDS, parts).rows.length).toBe(3);
  expect(one("SELECT count(*) FROM t WHERE b")).toEqual([
    String(
      Array.from({ length: 5000 }, (_, i) => i).filter((i) => i % 11 !== 0 && i % 2 === 0).length,
    ),
  ]);
});

test("what a statement keeps of a part is still right when the memory of that part is used again", () => {
  const parts = Array.from({ length: 12 }, (_, part) =>
    batchOf(
      FIELDS,
      Array.from({ length: 3000 }, (_, i) => rowOf(3000 * part + i)),
    ),
  );
  const column = (sql: string, at = 0) =>
    ask(sql, FIELDS, parts, "text").rows.map((row) => row[at]);
  const texts = Array.from({ length: 36_000 }, (_, i) => rowOf(i)[1] ?? null);
  const numbered = "(SELECT *, row_number() OVER () AS r FROM t)";
  expect(column(`SELECT s FROM ${numbered} ORDER BY r`)).toEqual(texts as string[]);
  expect(column(`SELECT lag(s) OVER (ORDER BY r) FROM ${numbered} ORDER BY r`).slice(1)).toEqual(
    texts.slice(0, -1) as string[],
  );
  const present = texts.filter((text) => text !== null);
  expect(column("SELECT unnest(list(s)) FROM t WHERE s IS NOT NULL")).toEqual(present as string[]);
  expect(column("SELECT count(*) FROM t a JOIN t b ON a.s = b.s AND a.d.y = b.d.y")).toEqual([
    String(Array.from({ length: 36_000 }, (_, i) => i).filter((i) => i % 5 && i % 17).length),
  ]);
  expect(column("SELECT string_agg(s, '|') FROM t")).toEqual([present.join("|")]);
  expect(column("SELECT max(s) FROM t WHERE s IS NOT NULL GROUP BY s HAVING count(*) > 1")).toEqual(
    [],
  );
});

test("no rows at all are a relation, too", () => {
  expect(ask("SELECT count(*), max(n) FROM t", FIELDS, [], "text").rows).toEqual([["0", null]]);
});

test("columns that the table has not named yet are found by name, at every depth; others by id", async () => {
  const id = (each: Field, to: number): Field => ({ ...each, id: to });
  const struct = (...fields: Field[]): Field["type"] => ({ kind: "struct", fields });
  const plain = (name: string): Field => ({ name, id: 0, required: false, type: { kind: "long" } });
  const columns = [
    id(plain("renamed"), 1),
    { ...id(plain("s"), 2), type: struct(id(plain("a"), 3), id(plain("b"), 4)) },
  ];
  const older = [
    id(plain("old"), 1),
    // Decoded before the table gave these their ids.
    { ...plain("s"), type: struct(plain("b"), plain("a")) },
    { ...plain("new"), type: struct(plain("x"), plain("y")) },
  ];
  const batch = batchOf(older, [[5n, { b: 1n, a: 2n }, { x: 7n, y: 8n }]]);
  const all = unionFields(columns, [older]);
  expect(all.map(({ name }) => name)).toEqual(["renamed", "s", "new"]);
  const select = selectHot(all, older, 0);
  const admitted = database.admit("SELECT * FROM t");
  const { rows } = database.run({
    admitted,
    views: [{ schema: "", name: "t", select }],
    hot: rowsByColumns([lent(batch)]),
    parameters: [],
    form: "json",
    rowsMax: 10,
    bytesMax: 1e9,
  });
  expect(rows).toEqual([["5", '{"a":2,"b":1}', '{"x":7,"y":8}']]);
});
