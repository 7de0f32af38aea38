/** Changes in memory over a table's rows: what a map of keys says, whatever came in whatever order. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { FeedKey } from "#base/offsets.ts";
import type { LentSegment } from "#buffer/lease.ts";
import { CHANGE, CHANGE_TYPE } from "#columns/changes.ts";
import type { Database } from "#sql/database.ts";
import { selectChanged } from "#sql/hotChanges.ts";
import { rowsBySegment } from "#sql/hotRows.ts";
import { selectRows } from "#sql/selectRows.ts";
import { NO_FILES } from "#sql/snapshotFiles.ts";
import { batchOf, bytesOf, encodeWhole, field } from "../parquet/rows.ts";
import { newFolder, openDatabase } from "./engine.ts";

const folder = newFolder();
let database: Database;
beforeAll(async () => {
  database = await openDatabase();
  database.allow([folder]);
});
afterAll(() => database.close());

const KEY = { ...field("k", { kind: "string" }, true), id: 1 };
const PART = { ...field("part", { kind: "int" }, true), id: 2 };
const VALUE = { ...field("v", { kind: "long" }), id: 3 };
/** The table does not have it yet. */
const NEW = { ...field("new", { kind: "string" }), id: 0 };
const COLUMNS = [KEY, PART, VALUE];

type Row = readonly [k: string, part: number, v: bigint | null];
/** One change; a value of null deletes, one of -98 empties the table. */
type Change = readonly [k: string, part: number, v: bigint | null];
const EMPTIES = -98n;

let files = 0;

async function writeTable(rows: readonly Row[]): Promise<string> {
  const path = join(folder, `${files++}.parquet`);
  const options = { codec: "none", level: null, rowGroupRows: 100, metadata: {} } as const;
  writeFileSync(path, bytesOf(await encodeWhole(COLUMNS, [batchOf(COLUMNS, rows)], options)));
  return path;
}

function segmentOf(
  changes: readonly Change[],
  form: "old" | "new" | "marked" | "partial",
): LentSegment {
  const fields = [
    ...COLUMNS,
    ...(form === "new" ? [NEW] : []),
    ...(form === "marked" ? [] : [CHANGE_TYPE]),
  ];
  const cells = changes.map(([k, part, v]) => [
    ...[k, part, v],
    ...(form === "new" ? [v === null ? null : `new ${v}`] : []),
    ...(form === "marked" ? [] : [form === "partial" ? CHANGE.partial : changeOf(v)]),
  ]);
  const { columns, rowCount } = batchOf(fields, cells);
  const watermark = new Int32Array(new SharedArrayBuffer(4)).fill(rowCount);
  return { id: 0, key: "f" as FeedKey, start: 0n, columns, watermark };
}

function changeOf(v: bigint | null): number {
  if (v === EMPTIES) return CHANGE.truncate;
  return v === null ? CHANGE.delete : CHANGE.put;
}

function rowsOf(
  path: string,
  segments: readonly LentSegment[],
  sql: string,
  order: string | null = null,
) {
  const rows = rowsBySegment(segments);
  const data = [{ path, location: path, sequence: 1n, partition: "" }];
  const columns = [...COLUMNS, NEW];
  const stored = selectRows(columns, { ...NO_FILES, data }, database.columnsOfFiles([path]), 0);
  const select = selectChanged(stored, { columns, key: ["k", "part"], order, rows, first: 0 });
  const views = [{ schema: "", name: "t", select }];
  const run = { admitted: database.admit(sql), views, hot: rows, parameters: [] };
  return database.run({ ...run, form: "text", rowsMax: 1e6, bytesMax: 1e9 }).rows;
}

const key = fc.constantFrom("a", "b", "c", "d", "é", "");
const part = fc.nat(1);
const value = fc.option(
  fc.oneof(
    { weight: 15, arbitrary: fc.bigInt({ min: 0n, max: 99n }) },
    { weight: 1, arbitrary: fc.constant(EMPTIES) },
  ),
);
const table = fc.uniqueArray(fc.tuple(key, part, value), { selector: ([k, p]) => `${p}${k}` });
const changes = fc.array(fc.tuple(key, part, value), { maxLength: 12 });
const form = fc.constantFrom("old" as const, "new" as const);

type Shown = readonly [k: string, part: string, v: string | null, added: string | null];

const textOf = (v: bigint | null): string | null => (v === null ? null : `${v}`);

/** What a reader sees, by key. */
function modelOf(
  stored: readonly Row[],
  flow: readonly (readonly [readonly Change[], "old" | "new"])[],
): Map<string, Shown> {
  const model = new Map<string, Shown>();
  for (const [k, p, v] of stored) model.set(`${k}/${p}`, [k, `${p}`, textOf(v), null]);
  for (const [batch, kind] of flow) {
    for (const [k, p, v] of batch) {
      if (v === EMPTIES) model.clear();
      else if (v === null) model.delete(`${k}/${p}`);
      else model.set(`${k}/${p}`, [k, `${p}`, `${v}`, kind === "new" ? `new ${v}` : null]);
    }
  }
  return model;
}

test("the latest change of each key takes the place of its row, a deleted row is gone, and all that were there when the table was emptied", async () => {
  const segments = fc.array(fc.tuple(changes, form), { maxLength: 4 });
  const property = fc.asyncProperty(table, segments, async (stored, flow) => {
    const model = modelOf(stored, flow);
    const path = await writeTable(stored);
    const lent = flow.map(([batch, kind]) => segmentOf(batch, kind));
    const found = rowsOf(path, lent, "SELECT k, part, v, new FROM t");
    const sorted = (rows: readonly unknown[]): string[] =>
      rows.map((row) => JSON.stringify(row)).sort();
    expect(sorted(found)).toEqual(sorted([...model.values()]));
  });
  await fc.assert(property, { numRuns: 60 });
});

test("the change or row with the largest order is left of each key, whatever came first, of those since the table was emptied; of equal ones the change", async () => {
  const order = fc.oneof(
    { weight: 12, arbitrary: fc.bigInt({ min: 0n, max: 9n }) },
    { weight: 1, arbitrary: fc.constant(EMPTIES) },
  );
  const ordered = fc.array(fc.tuple(key, part, order), { maxLength: 12 });
  const segments = fc.array(ordered, { maxLength: 4 });
  const property = fc.asyncProperty(table, segments, async (stored, flow) => {
    const model = new Map(
      stored.map(([k, p, v]): [string, (string | null)[]] => {
        return [`${k}/${p}`, [k, `${p}`, v === null ? null : `${v}`, "stored"]];
      }),
    );
    for (const [k, p, v] of flow.flat()) {
      if (v === EMPTIES) {
        model.clear();
        continue;
      }
      const before = BigInt(model.get(`${k}/${p}`)?.[2] ?? -1n);
      if (v >= before) model.set(`${k}/${p}`, [k, `${p}`, `${v}`, "changed"]);
    }
    const path = await writeTable(stored);
    const lent = flow.map((batch) => segmentOf(batch, "new"));
    const sql = "SELECT k, part, v, CASE WHEN new IS NULL THEN 'stored' ELSE 'changed' END FROM t";
    const found = rowsOf(path, lent, sql, "v");
    const sorted = (rows: readonly unknown[]): string[] =>
      rows.map((row) => JSON.stringify(row)).sort();
    expect(sorted(found)).toEqual(sorted([...model.values()]));
  });
  await fc.assert(property, { numRuns: 60 });
});

test("rows without the control column are all put", async () => {
  const path = await writeTable([["a", 0, 1n]]);
  const rows = rowsOf(
    path,
    [
      segmentOf(
        [
          ["a", 0, null],
          ["b", 0, 2n],
        ],
        "marked",
      ),
    ],
    "SELECT k, v FROM t ORDER BY k",
  );
  expect(rows).toEqual([
    ["a", null],
    ["b", "2"],
  ]);
});

test("over many vectors the last change counts", async () => {
  const count = 30_000;
  const many = Array.from({ length: count }, (_, n): Change => [`k${n % 7}`, 0, BigInt(n)]);
  const path = await writeTable([
    ["k0", 0, -1n],
    ["other", 0, -2n],
  ]);
  const found = rowsOf(path, [segmentOf(many, "old")], "SELECT v FROM t ORDER BY v");
  const last = Array.from({ length: 7 }, (_, n) => [`${count - 7 + n}`]);
  expect(found).toEqual([["-2"], ...last]);
});

test("a change that lacks values, and came after one had looked, is left out: the row is as it was before", async () => {
  const path = await writeTable([
    ["a", 0, 1n],
    ["b", 0, 2n],
  ]);
  const put = segmentOf([["b", 0, 3n]], "old");
  const partial = segmentOf(
    [
      ["a", 0, 9n],
      ["b", 0, 9n],
      ["c", 0, 9n],
    ],
    "partial",
  );
  expect(rowsOf(path, [put, partial], "SELECT k, v FROM t ORDER BY k")).toEqual([
    ["a", "1"],
    ["b", "3"],
  ]);
});
