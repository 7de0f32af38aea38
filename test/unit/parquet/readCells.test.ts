/** Values of single rows, of columns of every type, as they were written. */
import { expect, test } from "bun:test";
import { appendCell } from "#columns/appendCell.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import type { Field, Type } from "#columns/schema.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import { readCells } from "#parquet/readCells.ts";
import type { ParquetBytes } from "#parquet/readColumns.ts";
import { rejection } from "../../support/rejection.ts";
import { allRows, batchOf, bytesOf, field, listOf, mapOf, structOf, whole } from "./rows.ts";

const TEXT: Type = { kind: "string" };
const BYTES: Type = { kind: "binary" };
const TYPES: readonly Type[] = [
  { kind: "boolean" },
  { kind: "int" },
  { kind: "long" },
  { kind: "float" },
  { kind: "double" },
  { kind: "date" },
  { kind: "time" },
  { kind: "timestamp", zone: true },
  { kind: "decimal", precision: 9, scale: 2 },
  { kind: "decimal", precision: 38, scale: 2 },
  { kind: "uuid" },
  { kind: "fixed", length: 3 },
  TEXT,
  BYTES,
  listOf(TEXT),
  listOf({ kind: "int" }),
  listOf(listOf({ kind: "long" })),
  mapOf(TEXT, TEXT),
  structOf({ wkb: BYTES, srid: { kind: "int" }, tags: listOf(TEXT) }),
];
const FIELDS = TYPES.map((type, n) => field(`c${n}`, type));

function rowOf(n: number): unknown[] {
  return [
    ...[n % 2 === 0, -n, BigInt(n) << 40n, n / 2, n / 3, n, BigInt(n), -BigInt(n)],
    ...[BigInt(-n), -(BigInt(n) << 90n)],
    ...[new Uint8Array(16).fill(n), Buffer.from([n % 256, 0, 255])],
    ...[`text \u00e9 ${n}`, Buffer.from([255, n % 256])],
    ...[
      [`a${n}`, null, ""],
      [n, -1],
      [[1n], [], null, [BigInt(n), null]],
    ],
    [
      [`k${n}`, "v"],
      ["", null],
    ],
    { wkb: Buffer.from([n % 256]), srid: 4326, tags: n % 3 === 0 ? null : [`t${n}`] },
  ];
}

const ROWS = Array.from({ length: 700 }, (_, n) =>
  n % 10 === 7 ? FIELDS.map(() => null) : rowOf(n),
);
const BATCH = batchOf(FIELDS, ROWS);

async function file(): Promise<ParquetBytes> {
  const options = { codec: "zstd", level: null, rowGroupRows: 100, metadata: {} } as const;
  const encoder = createInlineEncoder();
  const bytes = bytesOf(
    await whole((sink) => encoder.encode(FIELDS, [allRows(BATCH)], options, sink)),
  );
  return {
    byteLength: bytes.length,
    slice: async (start, end = bytes.length) => new Uint8Array(bytes.slice(start, end)).buffer,
  };
}

/** These columns are all in the file. */
function noneMissing({ name }: Field): void {
  throw new Error(`${name} is missing`);
}

/** These rows of a batch, copied value by value. */
function picked(batch: ColumnBatch, rows: readonly number[]): ColumnBatch {
  const builders = FIELDS.map((each) => new ColumnBuilder(each));
  for (const row of rows) {
    for (const [at, builder] of builders.entries()) {
      const column = batch.columns[at];
      if (column !== undefined) appendCell(builder, column, row);
    }
  }
  return sealColumns(builders, rows.length);
}

for (const rows of [[0], [699], [7, 8, 99, 100, 101, 350, 698], Array.from(ROWS.keys())]) {
  test(`the values of ${rows.length} rows, among them row ${rows[0]}, are those that were written`, async () => {
    const builders = FIELDS.map((each) => new ColumnBuilder(each));
    const sinks = builders.map((builder) => ({ id: builder.field.id, names: [], builder }));
    const read = await Array.fromAsync(
      readCells(await file(), sinks, Uint32Array.from(rows), noneMissing),
    );
    expect(read).toEqual(rows);
    const copied = picked(BATCH, rows);
    expect(sealColumns(builders, rows.length).columns).toEqual(copied.columns);
    const wanted = batchOf(
      FIELDS,
      rows.map((row) => ROWS[row] ?? []),
    );
    expect(copied.columns).toEqual(wanted.columns);
  });
}

test("rows that are far apart are read without those between them, and nothing is fetched twice", async () => {
  const text = field("text", TEXT);
  const count = 100_000;
  const textOf = (n: number): string => `${n} ${Bun.hash(`${n}`)} ${Bun.hash(`of ${n}`)}`;
  const rows = Array.from({ length: count }, (_, n) => [textOf(n)]);
  const options = { codec: "zstd", level: null, rowGroupRows: count, metadata: {} } as const;
  const encoder = createInlineEncoder();
  const bytes = bytesOf(
    await whole((sink) => encoder.encode([text], [allRows(batchOf([text], rows))], options, sink)),
  );
  // A page between them that cannot be read: whoever reads it fails.
  bytes.fill(0, bytes.length / 2, bytes.length / 2 + 1000);
  const fetched: string[] = [];
  const stored: ParquetBytes = {
    byteLength: bytes.length,
    slice: async (start, end = bytes.length) => {
      fetched.push(`${start} ${end}`);
      return new Uint8Array(bytes.slice(start, end)).buffer;
    },
  };
  const builder = new ColumnBuilder(text);
  const sink = { id: text.id, names: [], builder };
  const wanted = [0, 1, 9000, 90_000, count - 1];
  const read = readCells(stored, [sink], Uint32Array.from(wanted), noneMissing);
  expect(await Array.fromAsync(read)).toEqual(wanted);
  const expected = batchOf(
    [text],
    wanted.map((n) => [textOf(n)]),
  );
  expect(sealColumns([builder], wanted.length).columns).toEqual(expected.columns);
  expect(new Set(fetched).size).toBe(fetched.length);
});

test("a column that the file does not have is null, and one of another type is refused", async () => {
  const builder = new ColumnBuilder(field("new", TEXT));
  const sink = { id: builder.field.id, names: [], builder };
  const missing: string[] = [];
  const cells = readCells(await file(), [sink], Uint32Array.of(3, 4), ({ name }) => {
    missing.push(name);
  });
  await Array.fromAsync(cells);
  expect(missing).toEqual(["new"]);
  expect(sealColumns([builder], 2).columns[0]).toMatchObject({ length: 2, nullCount: 2 });
  const other = new ColumnBuilder({ ...field("other", TEXT), id: FIELDS[1]?.id ?? 0 });
  const wrong = { id: other.field.id, names: [], builder: other };
  const refused = rejection(
    Array.fromAsync(readCells(await file(), [wrong], Uint32Array.of(3), noneMissing)),
  );
  expect(await refused).toMatchObject({ kind: "table_unsupported" });
});
