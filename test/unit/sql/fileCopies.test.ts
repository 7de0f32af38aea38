/** Sparse copies of files in a store: what they hold, what they cost, and what goes when there is no room. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import fc from "fast-check";
import { kindOf } from "#base/errors.ts";
import type { Field, Type } from "#columns/schema.ts";
import type { Admitted } from "#sql/admit.ts";
import type { Database } from "#sql/database.ts";
import { FileCopies, type FileCopiesOptions } from "#sql/fileCopies.ts";
import { fieldsNamed } from "#sql/namedColumns.ts";
import { selectRows } from "#sql/selectRows.ts";
import { NO_FILES } from "#sql/snapshotFiles.ts";
import type { Storage } from "#storage/storage.ts";
import { createMemoryStorage } from "../../fakes/memoryStorage.ts";
import { batchOf, bytesOf, encodeWhole } from "../parquet/rows.ts";
import { newFolder, openDatabase, WHOLE_ANSWER } from "./engine.ts";

const root = newFolder();
const opened: FileCopies[] = [];
let database: Database;

beforeAll(async () => {
  database = await openDatabase();
  database.allow([root]);
});
afterAll(async () => {
  database.close();
  await Promise.all(opened.map((copies) => copies.close()));
  expect(readdirSync(root)).toEqual([]);
  await rm(root, { recursive: true });
});

function field(id: number, name: string, type: Type): Field {
  return { id, name, required: false, type };
}

const ELEMENT = { id: 11, name: "element", required: false, type: { kind: "string" } } as const;
const FIELDS: readonly Field[] = [
  field(1, "a", { kind: "long" }),
  field(2, "b", { kind: "string" }),
  field(3, "c", {
    kind: "struct",
    fields: [field(12, "x", { kind: "int" }), field(13, "y", { kind: "double" })],
  }),
  field(4, "d", { kind: "list", element: ELEMENT }),
  field(5, "e", { kind: "boolean" }),
];
const LOCATION = "s3://b/t/1.parquet";

interface Store {
  readonly storage: Storage;
  readonly bytes: number;
  /** Bytes that were read. */
  read: number;
}

async function storeOf(rows: readonly (readonly unknown[])[], location = LOCATION): Promise<Store> {
  const options = { codec: "snappy", level: null, rowGroupRows: 40, metadata: {} } as const;
  const file = bytesOf(await encodeWhole(FIELDS, [batchOf(FIELDS, rows)], options));
  const storage = createMemoryStorage();
  await storage.put(location, file);
  const store: Store = { storage, bytes: file.length, read: 0 };
  const { getRange } = storage;
  storage.getRange = (from, start, length) => {
    store.read += length;
    return getRange.call(storage, from, start, length);
  };
  return store;
}

function copiesOf(options: Partial<FileCopiesOptions> = {}): FileCopies {
  const copies = new FileCopies({ root, bytesMax: 2 ** 30, nearBytes: 8, ...options });
  opened.push(copies);
  return copies;
}

/** The answer of an admitted statement over `t`, a copy with these columns. */
function answer(admitted: Admitted, fields: readonly Field[], path: string, location: string) {
  const data = [{ path, location, sequence: 1n, partition: "" }];
  const select = selectRows(fields, { ...NO_FILES, data }, database.columnsOfFiles([path]), 0);
  const views = [{ schema: "", name: "t", select }];
  return database.run({ ...WHOLE_ANSWER, admitted, views }).rows;
}

/** The answer of a statement, and the bytes that it fetched. */
async function ask(copies: FileCopies, store: Store, sql: string, location = LOCATION) {
  const admitted = database.admit(sql);
  const fields = fieldsNamed(FIELDS, admitted.columns);
  const columns = admitted.columns === null ? null : new Set(fields.map(({ id }) => id));
  const before = store.read;
  const paths = await copies.begin()(store.storage, [{ location, bytes: store.bytes, columns }]);
  const rows = answer(admitted, fields, paths.get(location) ?? "", location);
  return { rows, fetched: store.read - before };
}

const ROWS = Array.from({ length: 200 }, (_, n) => [
  BigInt(n),
  `text ${n}`,
  n % 3 === 0 ? null : { x: n, y: n / 4 },
  Array.from({ length: n % 4 }, (_each, at) => `${n}.${at}`),
  n % 2 === 0,
]);

const STATEMENTS = [
  "SELECT count(*) FROM t",
  "SELECT sum(a), max(b) FROM t",
  "SELECT c.y, count(*) FROM t WHERE e GROUP BY ALL ORDER BY ALL",
  "SELECT len(d) AS n FROM t ORDER BY n, a DESC",
  "SELECT x.a FROM t x JOIN t y USING (a) WHERE y.b LIKE '%9' ORDER BY 1",
  "WITH u AS (SELECT a + 1 AS next, e FROM t) SELECT next FROM u WHERE NOT e ORDER BY next",
  "SELECT count(*) AS b FROM t ORDER BY b",
  "SELECT * FROM t ORDER BY a",
  "SELECT t FROM t ORDER BY a",
  "SELECT a FROM t NATURAL JOIN t u ORDER BY a",
  "SELECT #2 FROM t ORDER BY a",
  "SELECT r.q FROM t AS r(p, q) ORDER BY p",
  "SELECT COLUMNS('^[ab]$') FROM t ORDER BY a",
  "SELECT name, v FROM (UNPIVOT (SELECT a, e::BIGINT AS e FROM t) ON a, e INTO NAME name VALUE v) ORDER BY ALL",
  "DESCRIBE t",
  "SUMMARIZE SELECT a, b FROM t",
];

describe("a sparse copy", () => {
  test("answers as the whole file does, whatever was asked before", async () => {
    const store = await storeOf(ROWS);
    const wanted = new Map<string, unknown>();
    for (const sql of STATEMENTS) {
      const admitted = { ...database.admit(sql), columns: null };
      const all = copiesOf();
      const paths = await all.begin()(store.storage, [
        { location: LOCATION, bytes: store.bytes, columns: null },
      ]);
      wanted.set(sql, answer(admitted, FIELDS, paths.get(LOCATION) ?? "", LOCATION));
    }
    const order = fc.shuffledSubarray(STATEMENTS, { minLength: 3 });
    const property = fc.asyncProperty(order, async (statements) => {
      const copies = copiesOf();
      for (const sql of statements) {
        const { rows } = await ask(copies, store, sql);
        expect([sql, rows]).toEqual([sql, wanted.get(sql) as typeof rows]);
      }
    });
    await fc.assert(property, { numRuns: 15 });
  });

  test("costs its footer and the columns that are named, once", async () => {
    const wide = Array.from({ length: 400 }, (_, n) => [
      BigInt(n),
      Array.from({ length: 12 }, (_each, at) => Math.sin(n * 20 + at)).join(),
      null,
      [],
      true,
    ]);
    const store = await storeOf(wide);
    const copies = copiesOf();
    expect(store.bytes).toBeGreaterThan(50_000);
    const first = await ask(copies, store, "SELECT sum(a) FROM t");
    expect(first.fetched).toBeLessThan(store.bytes / 3);
    expect((await ask(copies, store, "SELECT max(a) FROM t")).fetched).toBe(0);
    const second = await ask(copies, store, "SELECT max(b) FROM t");
    expect(first.fetched + second.fetched).toBeLessThan(store.bytes);
    expect((await ask(copies, store, "SELECT * FROM t LIMIT 1")).fetched).toBeGreaterThan(0);
    expect((await ask(copies, store, "SELECT * FROM t LIMIT 1")).fetched).toBe(0);
  });
});

describe("without room", () => {
  test("the copies that were used the longest ago go, and are fetched again", async () => {
    const store = await storeOf(ROWS);
    const copies = copiesOf({ bytesMax: 2.5 * store.bytes });
    const locations = ["s3://b/t/1.parquet", "s3://b/t/2.parquet", "s3://b/t/3.parquet"];
    const content = await store.storage.get(LOCATION);
    for (const location of locations.slice(1)) await store.storage.put(location, content);
    const all = "SELECT * FROM t ORDER BY a";
    const fetched: boolean[] = [];
    for (const number of [0, 1, 0, 2, 0, 1]) {
      fetched.push((await ask(copies, store, all, locations[number])).fetched > 0);
    }
    expect(fetched).toEqual([true, true, false, true, false, true]);
  });

  test("a statement that needs more is refused, and the next one is answered", async () => {
    const store = await storeOf(ROWS);
    const copies = copiesOf({ bytesMax: store.bytes - 100 });
    const refused = await ask(copies, store, "SELECT * FROM t").catch((error: unknown) => error);
    expect(String(refused)).toContain("server.query_cache_mb");
    expect((await ask(copies, store, "SELECT sum(a) FROM t")).rows).toEqual([["19900"]]);
  });
});

test("a statement that was given up fetches no more", async () => {
  const store = await storeOf(ROWS);
  const copies = copiesOf();
  const fetch = copies.begin(AbortSignal.abort());
  const wanted = [{ location: LOCATION, bytes: store.bytes, columns: null }];
  const given = await fetch(store.storage, wanted).catch((error: unknown) => error);
  expect(kindOf(given)).toBe("query");
  expect((await ask(copies, store, "SELECT count(*) FROM t")).rows).toEqual([["200"]]);
});

test("what is no Parquet file, or has another size than its manifest says, is an error", async () => {
  const store = await storeOf(ROWS);
  const copies = copiesOf();
  for (const bytes of [4, store.bytes - 1]) {
    const wanted = [{ location: LOCATION, bytes, columns: null }];
    const error = await copies
      .begin()(store.storage, wanted)
      .catch((each: unknown) => each);
    expect([bytes, kindOf(error)]).toEqual([bytes, "storage_corrupt"]);
  }
});

test("a statement that was given up touches no copy of those after it", async () => {
  const store = await storeOf(ROWS);
  const copies = copiesOf();
  const over = new AbortController();
  const early = copies.begin(over.signal);
  const wanted = [{ location: LOCATION, bytes: store.bytes, columns: new Set([1]) }];
  const paths = await copies.begin()(store.storage, wanted);
  over.abort();
  const more = [{ ...wanted[0], location: LOCATION, bytes: store.bytes, columns: null }];
  expect(kindOf(await early(store.storage, more).catch((error: unknown) => error))).toBe("query");
  expect(existsSync(paths.get(LOCATION) ?? "")).toBe(true);
});

test("a folder that somebody has removed, or that could not be made, is made anew", async () => {
  const store = await storeOf(ROWS);
  const blocked = `${root}blocked`;
  writeFileSync(blocked, "");
  const copies = copiesOf({ root: blocked });
  const sql = "SELECT sum(a) FROM t";
  expect(await ask(copies, store, sql).then(String, () => "failed")).toBe("failed");
  rmSync(blocked);
  expect((await ask(copies, store, sql)).rows).toEqual([["19900"]]);
  rmSync(blocked, { recursive: true });
  expect((await ask(copies, store, sql)).rows).toEqual([["19900"]]);
  await copies.close();
  rmSync(blocked, { recursive: true });
});

test("a file with a large footer is fetched whole", async () => {
  const store = await storeOf(ROWS);
  const copies = copiesOf({ layoutBytesMax: 100 });
  const { rows, fetched } = await ask(copies, store, "SELECT sum(a) FROM t");
  expect(rows).toEqual([["19900"]]);
  expect(fetched).toBeGreaterThanOrEqual(store.bytes);
});
