/**
 * Columns of every age by field id, at every depth: files that were written by an earlier schema, read
 * by a later one.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { childFields, type Field, type Type, withChildFields } from "#columns/schema.ts";
import type { Database } from "#sql/database.ts";
import { selectRows } from "#sql/selectRows.ts";
import { NO_FILES } from "#sql/snapshotFiles.ts";
import { batchOf, bytesOf, encodeWhole, everyTypeRows } from "../parquet/rows.ts";
import { newFolder, openDatabase, ownStatement, WHOLE_ANSWER } from "./engine.ts";

const OPTIONS = { codec: "snappy", level: null, rowGroupRows: 1000, metadata: {} } as const;
const folder = newFolder();
let database: Database;

beforeAll(async () => {
  database = await openDatabase();
  database.allow([folder]);
});
afterAll(() => database.close());

const field = (id: number, name: string, type: Type, more: Partial<Field> = {}): Field => ({
  id,
  name,
  required: false,
  type,
  ...more,
});
const struct = (...fields: Field[]): Type => ({ kind: "struct", fields });
const list = (id: number, type: Type): Type => ({
  kind: "list",
  element: field(id, "element", type),
});
const map = (id: number, key: Type, value: Type): Type => ({
  kind: "map",
  key: field(id, "key", key, { required: true }),
  value: field(id + 1, "value", value),
});
const text: Type = { kind: "string" };
const int: Type = { kind: "int" };
const long: Type = { kind: "long" };

async function writeFile(
  name: string,
  fields: readonly Field[],
  rows: readonly (readonly unknown[])[],
): Promise<string> {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytesOf(await encodeWhole(fields, [batchOf(fields, rows)], OPTIONS)));
  return path;
}

function read(fields: readonly Field[], paths: readonly string[], sql: string) {
  const data = paths.map((path) => ({ path, location: path, sequence: 1n, partition: "" }));
  const select = selectRows(fields, { ...NO_FILES, data }, database.columnsOfFiles(paths), -1);
  const views = [{ schema: "", name: "t", select }];
  const admitted = database.admit(sql);
  return database.run({
    admitted,
    views,
    hot: [],
    parameters: [],
    form: "json",
    rowsMax: 1000,
    bytesMax: 1e9,
  });
}

test("renamed, reordered, added, dropped and widened: each row has its values, whichever file it is in", async () => {
  const before = [
    field(1, "id", int),
    field(2, "old", text),
    field(3, "dropped", text),
    field(4, "s", struct(field(5, "x", int), field(6, "gone", text))),
    field(7, "l", list(8, struct(field(9, "a", int)))),
    field(10, "m", map(11, text, struct(field(13, "v", int)))),
  ];
  const after = [
    field(4, "struct", struct(field(14, "added", text), field(5, "renamed", long))),
    field(2, "new", text),
    field(1, "id", long),
    field(15, "dropped", long),
    field(16, "filled", long, { initialDefault: "42" }),
    field(7, "list", list(8, struct(field(17, "b", text), field(9, "renamed", long)))),
    field(10, "map", map(11, text, struct(field(13, "renamed", long)))),
  ];
  const old = await writeFile("old.parquet", before, [
    [1, "one", "x", { x: 10, gone: "g" }, [{ a: 1 }, null, { a: null }], [["k", { v: 5 }]]],
    [2, null, "x", null, null, null],
  ]);
  const young = await writeFile("young.parquet", after, [
    [
      { added: "y", renamed: 11n },
      "three",
      3n,
      9n,
      7n,
      [{ b: "b", renamed: 2n }],
      [["z", { renamed: 6n }]],
    ],
  ]);
  const { columns, rows } = read(after, [old, young], "SELECT * FROM t ORDER BY id");
  expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
    "struct STRUCT(added VARCHAR, renamed BIGINT)",
    "new VARCHAR",
    "id BIGINT",
    "dropped BIGINT",
    "filled BIGINT",
    "list STRUCT(b VARCHAR, renamed BIGINT)[]",
    "map MAP(VARCHAR, STRUCT(renamed BIGINT))",
  ]);
  expect(rows.map((row) => row.map((value) => JSON.parse(value ?? "null")))).toEqual([
    [
      { added: null, renamed: 10 },
      "one",
      1,
      null,
      42,
      [{ b: null, renamed: 1 }, null, { b: null, renamed: null }],
      { k: { renamed: 5 } },
    ],
    [null, null, 2, null, 42, null, null],
    [
      { added: "y", renamed: 11 },
      "three",
      3,
      9,
      7,
      [{ b: "b", renamed: 2 }],
      { z: { renamed: 6 } },
    ],
  ]);
});

test("every type is read as the type that the table has", async () => {
  const every = everyTypeRows();
  // DuckDB cannot write the least and the greatest of its own nanoseconds.
  const isKept = every.fields.map(({ type }) => type.kind !== "timestamp_ns");
  const plain = every.fields.filter((_, at) => isKept[at]);
  const rows = every.rows.map((row) => row.filter((_, at) => isKept[at]));
  let id = 0;
  const numbered = (each: Field): Field => ({
    ...each,
    id: ++id,
    type: withChildFields(each.type, childFields(each.type).map(numbered)),
  });
  const fields = plain.map(numbered);
  const path = await writeFile("types.parquet", fields, rows);
  const seen = read(fields, [path], "SELECT * FROM t");
  const asDuckDbReadsIt = database.run({
    ...WHOLE_ANSWER,
    admitted: ownStatement(`SELECT * FROM read_parquet('${path}')`),
    views: [],
  });
  expect(seen.rows).toEqual(asDuckDbReadsIt.rows);
  expect(read(fields, [path], "DESCRIBE t").rows.map(([name]) => JSON.parse(name ?? ""))).toEqual(
    fields.map(({ name }) => name),
  );
});

test("a column that was widened keeps its name: later values are not squeezed into the type of earlier files", async () => {
  const narrow = [field(1, "i", int), field(2, "f", { kind: "float" })];
  const wide = [field(1, "i", long), field(2, "f", { kind: "double" })];
  const old = await writeFile("narrow.parquet", narrow, [[1, 0.5]]);
  const young = await writeFile("wide.parquet", wide, [[2n ** 40n, 0.1]]);
  expect(read(wide, [old, young], "SELECT i::VARCHAR, f FROM t ORDER BY i").rows).toEqual([
    ['"1"', "0.5"],
    ['"1099511627776"', "0.1"],
  ]);
});

test("the folders of a partition are no columns: its values are those of the files", async () => {
  const fields = [field(1, "day", text)];
  const first = await writeFile("day=007/a.parquet", fields, [["007"], ["null"]]);
  const second = await writeFile("day=null/b.parquet", fields, [["null"], [null]]);
  expect(read(fields, [first, second], "SELECT day FROM t").rows).toEqual([
    ['"007"'],
    ['"null"'],
    ['"null"'],
    [null],
  ]);
});

test("a table without files has its columns, and no row", () => {
  const fields = [field(1, "id", int), field(2, "t", { kind: "timestamp", zone: true })];
  expect(read(fields, [], "SELECT count(*), max(id) FROM t").rows).toEqual([["0", null]]);
});
