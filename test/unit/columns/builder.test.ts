/** Column builders: layout, taking back, columns added later, memory. */
import { expect, test } from "bun:test";
import { countBits } from "#columns/bitmap.ts";
import { ColumnBuilder, extendBuilders, sealColumns } from "#columns/builder.ts";
import type { Field, Type } from "#columns/schema.ts";
import { checkLayout, rowsOf, valueAt } from "../../support/columnValues.ts";

const field = (name: string, type: Type): Field => ({ id: 0, name, required: false, type });
const long: Type = { kind: "long" };
const text: Type = { kind: "string" };
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

function appendText(column: ColumnBuilder, value: string): void {
  column.appendBytes(bytes(value), 0, bytes(value).length);
}

test("64-bit values keep every digit through each way of appending", () => {
  const column = new ColumnBuilder(field("n", long));
  const safe = [
    0,
    -0,
    1,
    -1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32,
    -(2 ** 32) - 1,
    2 ** 53 - 1,
    1 - 2 ** 53,
  ];
  for (const value of safe) column.appendSafeLong(value);
  const big = [2n ** 63n - 1n, -(2n ** 63n), 9007199254740993n];
  for (const value of big) column.appendBigInt(value);
  column.appendLong(-1, 0);
  const sealed = column.seal();
  const values = Array.from({ length: sealed.length }, (_, row) => valueAt(sealed, row));
  expect(values).toEqual([...safe.map(BigInt), ...big, 0xffff_ffffn]);
});

test("every primitive type reads back what was appended, nulls between, with room of whatever type it had", () => {
  const cases: [Type, (column: ColumnBuilder) => void, unknown][] = [
    [{ kind: "boolean" }, (c) => c.appendBoolean(true), true],
    [{ kind: "int" }, (c) => c.appendInt(-7), -7],
    [{ kind: "date" }, (c) => c.appendInt(20000), 20000],
    [{ kind: "float" }, (c) => c.appendFloat(1.5), 1.5],
    [{ kind: "double" }, (c) => c.appendFloat(-0), -0],
    [
      { kind: "decimal", precision: 38, scale: 2 },
      (c) => c.appendBigInt(-(10n ** 37n)),
      -(10n ** 37n),
    ],
    [{ kind: "uuid" }, (c) => c.appendBytes(new Uint8Array(16).fill(9), 0, 16), "09".repeat(16)],
    [{ kind: "fixed", length: 3 }, (c) => c.appendBytes(Uint8Array.of(1, 2, 3), 0, 3), "010203"],
    [{ kind: "binary" }, (c) => c.appendBytes(Uint8Array.of(255), 0, 1), "ff"],
    [text, (c) => appendText(c, "é"), "é"],
  ];
  const wasText = { length: 20_000, dataBytes: 200_000 };
  const was = [null, wasText, { length: 20_000, dataBytes: 0 }];
  for (const [[type, append, value], size] of cases.flatMap((each) =>
    was.map((w) => [each, w] as const),
  )) {
    const column = new ColumnBuilder(field(type.kind, type));
    if (size !== null) column.reserve({ name: type.kind, children: [], ...size });
    for (let i = 0; i < 40; i++) {
      append(column);
      column.appendNull();
    }
    const batch = sealColumns([column], 80);
    checkLayout(batch);
    const rows = rowsOf(batch).map((row) => row[type.kind]);
    expect(rows).toEqual(
      Array.from({ length: 80 }, (_, i) => (i % 2 === 0 ? value : null)) as never,
    );
  }
});

const nested: Type = {
  kind: "struct",
  fields: [
    field("n", long),
    field("tags", { kind: "list", element: field("element", text) }),
    field("m", {
      kind: "map",
      key: { ...field("key", text), required: true },
      value: field("value", { kind: "boolean" }),
    }),
  ],
};

function appendNested(column: ColumnBuilder, n: number): void {
  const [long_, tags, map] = column.children as [ColumnBuilder, ColumnBuilder, ColumnBuilder];
  long_.appendSafeLong(-1);
  long_.truncate(long_.length - 1);
  long_.appendSafeLong(n);
  for (let i = 0; i < n % 3; i++) appendText(tags.children[0] as ColumnBuilder, `t${n}`);
  tags.endList();
  if (n % 2 === 0) {
    appendText(map.children[0] as ColumnBuilder, "k");
    map.children[1]?.appendBoolean(n % 4 === 0);
    map.endList();
  }
  column.endStruct();
}

test("truncate takes back whole rows and half-built nested values without a trace", () => {
  const kept = new ColumnBuilder(field("s", nested));
  const other = new ColumnBuilder(field("s", nested));
  for (let n = 0; n < 30; n++) {
    appendNested(kept, n);
    appendNested(other, n);
    if (n % 5 === 0) {
      kept.appendNull();
      other.appendNull();
    }
    appendNested(other, n + 100);
    other.appendNull();
    // Half-built: children have more values than the struct.
    other.children[0]?.appendSafeLong(1);
    appendText(other.children[1]?.children[0] as ColumnBuilder, "half");
    other.truncate(kept.length);
  }
  const [a, b] = [kept, other].map((column) => sealColumns([column], column.length));
  expect(a && rowsOf(a)).toEqual((b && rowsOf(b)) as never);
  if (b !== undefined) checkLayout(b);
});

test("truncate to nothing clears nulls, so that later values are present", () => {
  const column = new ColumnBuilder(field("n", long));
  column.appendNulls(100);
  column.truncate(0);
  for (let i = 0; i < 100; i++) column.appendSafeLong(i);
  expect(column.seal().nullCount).toBe(0);
  expect(column.seal().validity).toBeNull();
});

test("values taken back leave no bytes behind below later nulls", () => {
  const boolean = new ColumnBuilder(field("b", { kind: "boolean" }));
  const double = new ColumnBuilder(field("d", { kind: "double" }));
  for (let i = 0; i < 3; i++) boolean.appendBoolean(true);
  for (let i = 0; i < 3; i++) double.appendFloat(7);
  for (const column of [boolean, double]) {
    column.truncate(1);
    column.appendNulls(2);
  }
  expect(boolean.seal().data).toEqual(Uint8Array.of(1));
  expect(double.seal().data?.subarray(8)).toEqual(new Uint8Array(16));
});

test("columns added later are null in the rows before, at every level", () => {
  const column = new ColumnBuilder(field("s", { kind: "struct", fields: [field("a", long)] }));
  const list = new ColumnBuilder(
    field("l", { kind: "list", element: field("element", { kind: "struct", fields: [] }) }),
  );
  for (let n = 0; n < 3; n++) {
    column.children[0]?.appendSafeLong(n);
    column.endStruct();
    list.children[0]?.endStruct();
    list.endList();
  }
  const wider: Type = { kind: "struct", fields: [field("a", text), field("b", text)] };
  const columns = [column, list];
  extendBuilders(
    columns,
    [
      field("s", wider),
      field("l", { kind: "list", element: field("element", wider) }),
      field("new", { kind: "double" }),
    ],
    3,
  );
  const batch = sealColumns(columns, 3);
  checkLayout(batch);
  expect(rowsOf(batch)[2]).toEqual({ s: { a: 2n, b: null }, l: [{ a: null, b: null }], new: null });
  const type = batch.fields[0]?.type;
  expect(type?.kind === "struct" && type.fields.map((f) => f.type.kind)).toEqual([
    "long",
    "string",
  ]);
});

test("an empty builder costs next to nothing, and byteCount grows with what it holds", () => {
  const column = new ColumnBuilder(field("s", nested));
  expect(column.byteCount).toBeLessThan(64);
  for (let n = 0; n < 10_000; n++) appendNested(column, n);
  const filled = column.byteCount;
  expect(filled).toBeGreaterThan(10_000 * (8 + 4 + 4));
  expect(filled).toBeLessThan(10_000 * (8 + 4 + 4) * 6);
});

test("a column beyond its size limit is refused, not wrapped", () => {
  const column = new ColumnBuilder(field("s", text));
  expect(() => column.growData(2 ** 31)).toThrow("over its size limit");
});

test("countBits counts any range", () => {
  const bits = Uint8Array.of(0b1010_1010, 0xff, 0x01);
  expect(countBits(bits, 0, 24)).toBe(13);
  expect(countBits(bits, 1, 2)).toBe(1);
  expect(countBits(bits, 3, 17)).toBe(3 + 8 + 1);
  expect(countBits(bits, 5, 5)).toBe(0);
});
