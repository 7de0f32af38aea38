/** Sort orders as terms of a statement: the engine puts rows into the order in which ingest does. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Field, isPrimitive } from "#columns/schema.ts";
import type { SortField } from "#iceberg/metadata/metadata.ts";
import { readColumns } from "#parquet/readColumns.ts";
import { Instance, sqlText } from "#sql/duckdb/instance.ts";
import { locateLibrary } from "#sql/library.ts";
import { ordered } from "#sql/rewrite/copyStatement.ts";
import { sortTerms } from "#sql/rewrite/sortTerms.ts";
import {
  batchOf,
  bytesOf,
  encodeWhole,
  everyTypeRows,
  field,
  type Row,
  structOf,
} from "../parquet/rows.ts";
import { newFolder } from "./engine.ts";

const OPTIONS = { codec: "snappy", level: null, rowGroupRows: 1000, metadata: {} } as const;
const folder = newFolder();
let engine: Instance;

beforeAll(async () => {
  engine = new Instance({ library: await locateLibrary(null), memoryBytesMax: 256e6 }, [
    `${folder}/`,
  ]);
});
afterAll(() => {
  engine.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The place of a row, as the select of a rewrite has it. */
const POSITION = field("_pos", { kind: "int" });

function by(source: Field, more: Partial<SortField> = {}): SortField {
  const ascending = { direction: "asc", nullOrder: "nulls-first" } as const;
  return { sourceId: source.id, transform: "identity", ...ascending, ...more };
}

function numbered(values: readonly unknown[]): Row[] {
  return values.map((value, place) => [place, value]);
}

/** The places of some values as the engine sorts them. */
async function sortedBy(
  column: Field,
  values: readonly unknown[],
  order: SortField,
): Promise<number[]> {
  const fields = [POSITION, column];
  const terms = sortTerms(fields, { orderId: 1, fields: [order] });
  expect(terms).not.toEqual([]);
  const path = join(folder, "rows.parquet");
  const batch = batchOf(fields, numbered(values));
  await Bun.write(path, bytesOf(await encodeWhole(fields, [batch], OPTIONS)));
  const select = ordered(`SELECT * FROM read_parquet(${sqlText(path)})`, terms);
  return engine.rows(`SELECT _pos::VARCHAR FROM (${select})`).map(([place]) => Number(place));
}

/** The places of some values as ingest sorts them. */
async function sortedByIngest(
  column: Field,
  values: readonly unknown[],
  { direction, nullOrder }: SortField,
): Promise<number[]> {
  const key = { isDescending: direction === "desc", hasNullsFirst: nullOrder === "nulls-first" };
  const fields = [POSITION, column];
  const options = { ...OPTIONS, sort: [{ path: [1], ...key }] };
  const file = await encodeWhole(fields, [batchOf(fields, numbered(values))], options);
  const bytes = bytesOf(file);
  const stored = {
    byteLength: bytes.length,
    slice: async (start: number, end?: number): Promise<ArrayBuffer> =>
      bytes.slice(start, end).buffer,
  };
  const groups = await Array.fromAsync(readColumns(stored, [{ id: POSITION.id, names: [] }]));
  return groups.flatMap(([places]) => Array.from(places ?? [], Number));
}

for (const direction of ["asc", "desc"] as const) {
  for (const nullOrder of ["nulls-first", "nulls-last"] as const) {
    test(`values of every type are sorted as ingest sorts them (${direction}, ${nullOrder})`, async () => {
      const { fields, rows } = everyTypeRows();
      for (const [at, column] of fields.entries()) {
        const { type } = column;
        // What the engine has no type for is in no table that it may rewrite.
        const isOther = type.kind === "fixed" || (type.kind === "timestamp_ns" && type.zone);
        if (isOther || !isPrimitive(type)) continue;
        const values = [...rows, ...rows.toReversed(), []].map((row) => row[at] ?? null);
        const order = by(column, { direction, nullOrder });
        const places = await sortedBy(column, values, order);
        const wanted = await sortedByIngest(column, values, order);
        expect({ type, places }).toEqual({ type, places: wanted });
      }
    });
  }
}

test("floats are in total order: -0 before 0, NaN behind infinity, also within a struct and descending", async () => {
  const inner = structOf({ 'x"y': { kind: "double" } });
  const source = inner.kind === "struct" ? inner.fields[0] : undefined;
  if (source === undefined) throw new Error("the struct has a field");
  const numbers = [0, Number.NaN, -0, Infinity, null, -Infinity, -1.5];
  const values = [...numbers.map((number) => ({ 'x"y': number })), null];
  const column = field("s", inner);
  const ascending = [5, 6, 2, 0, 3, 1];
  expect(await sortedBy(column, values, by(source))).toEqual([4, 7, ...ascending]);
  const descending = by(source, { direction: "desc", nullOrder: "nulls-last" });
  expect(await sortedBy(column, values, descending)).toEqual([...ascending.toReversed(), 4, 7]);
});

test("rows are sorted by what a transform makes of them", async () => {
  const hour = 3_600_000_000n;
  const times = [hour, hour - 1n, -1n, hour + 5n, 0n];
  for (const zone of [true, false]) {
    const time = field("t", { kind: "timestamp", zone });
    expect(await sortedBy(time, times, by(time, { transform: "hour" }))).toEqual([2, 1, 4, 0, 3]);
  }
  const day = field("d", { kind: "date" });
  const days = [400, 364, -1, 365, 0];
  expect(await sortedBy(day, days, by(day, { transform: "year" }))).toEqual([2, 1, 4, 0, 3]);
  const text = field("x", { kind: "string" });
  const texts = ["b", "😀éb", "😀éa", "a"];
  const byBegin = by(text, { transform: "truncate[2]" });
  expect(await sortedBy(text, texts, byBegin)).toEqual([3, 0, 1, 2]);
  const number = field("n", { kind: "long" });
  const numbers = [9n, -1n, 0n, -10n, 10n, -(2n ** 63n), 2n ** 63n - 1n];
  const byTens = by(number, { transform: "truncate[10]" });
  expect(await sortedBy(number, numbers, byTens)).toEqual([5, 1, 3, 0, 2, 4, 6]);
});

test("an order that cannot be said has no terms: of a column that is gone or has no order, or by a transform that the engine lacks", () => {
  const id = field("id", { kind: "long" });
  const list = field("l", { kind: "list", element: field("element", { kind: "long" }) });
  const nanos = field("n", { kind: "timestamp_ns", zone: false });
  const fields = [id, list, nanos];
  const refused = [
    [],
    [by(id, { transform: "bucket[4]" })],
    [by(id, { transform: "void" })],
    [by(id, { transform: "a transform of the year 2030" })],
    [by(id, { transform: "day" })],
    [by(nanos, { transform: "hour" })],
    [by(list)],
    [by(id), { ...by(id), sourceId: 99_999 }],
  ];
  for (const order of refused) expect(sortTerms(fields, { orderId: 1, fields: order })).toEqual([]);
});
