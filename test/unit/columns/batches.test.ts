/** Conforming to a table, over one batch with every type in it. */
import { expect, test } from "bun:test";
import type { ColumnBatch } from "#columns/batch.ts";
import { conform } from "#columns/conform.ts";
import { mergeFields } from "#columns/evolve.ts";
import type { Field, Type } from "#columns/schema.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import { DECODER_DEFAULTS } from "#decode/options.ts";
import { checkLayout, rowsOf } from "../../support/columnValues.ts";
import { recordBatch } from "../../support/records.ts";

const field = (name: string, type: Type, required = false): Field => {
  return { id: 0, name, required, type };
};
const text: Type = { kind: "string" };
const member: Type = { kind: "struct", fields: [field("x", { kind: "int" }), field("y", text)] };

const FIELDS: readonly Field[] = [
  field("boolean", { kind: "boolean" }),
  field("int", { kind: "int" }),
  field("long", { kind: "long" }),
  field("float", { kind: "float" }),
  field("double", { kind: "double" }),
  field("decimal", { kind: "decimal", precision: 20, scale: 2 }),
  field("date", { kind: "date" }),
  field("time", { kind: "time" }),
  field("timestamp", { kind: "timestamp", zone: false }),
  field("timestamptz", { kind: "timestamp", zone: true }),
  field("timestamp_ns", { kind: "timestamp_ns", zone: false }),
  field("timestamptz_ns", { kind: "timestamp_ns", zone: true }),
  field("string", text),
  field("uuid", { kind: "uuid" }),
  field("fixed", { kind: "fixed", length: 3 }),
  field("binary", { kind: "binary" }),
  field("struct", member),
  field("list", { kind: "list", element: field("element", member) }),
  field("map", {
    kind: "map",
    key: field("key", text, true),
    value: field("value", { kind: "list", element: field("element", { kind: "long" }) }),
  }),
];

function document(n: number): string {
  const all: Record<string, unknown> = {
    boolean: n % 2 === 0,
    int: -n,
    long: n * 1e12,
    float: n / 2,
    double: n / 10,
    decimal: `-${n}.25`,
    date: `2026-01-${String((n % 28) + 1).padStart(2, "0")}`,
    time: "23:59:59.123456",
    timestamp: "2026-01-31T23:59:59.5",
    timestamptz: "2026-01-31T23:59:59+01:00",
    timestamp_ns: "2026-01-31T23:59:59.123456789",
    timestamptz_ns: "1969-12-31T23:59:59.999999999Z",
    string: "x".repeat(n % 20),
    uuid: `00112233-4455-6677-8899-aabbccddee${String(n % 90).padStart(2, "0")}`,
    fixed: "AQID",
    binary: "/w==",
    struct: { x: n, ...(n % 3 === 0 ? { y: `y${n}` } : {}) },
    list: Array.from({ length: n % 4 }, (_, i) => (i === 2 ? null : { x: i })),
    map: Object.fromEntries(Array.from({ length: n % 3 }, (_, i) => [`k${i}`, [i, null]])),
  };
  const kept = Object.entries(all).filter((_, index) => (n + index) % 7 !== 0);
  return JSON.stringify(Object.fromEntries(kept));
}

function makeBatch(rows: number): ColumnBatch {
  const decoder = createDecoder({ ...DECODER_DEFAULTS, fields: FIELDS, metadataColumns: [] });
  const segment = decoder.builder();
  const result = segment.decode(recordBatch(Array.from({ length: rows }, (_, n) => document(n))));
  expect(result.rejected).toEqual([]);
  return segment.seal();
}

function tableFields(wanted: readonly Field[]): readonly Field[] {
  const merge = mergeFields([], wanted, 0, "declaration");
  if (!merge.ok) throw new Error(merge.reason);
  return merge.fields;
}

test("conform orders by the table, adds missing columns as nulls and carries its ids", () => {
  const batch = makeBatch(20);
  const added = [
    field("new", { kind: "list", element: field("element", text) }),
    field("newStruct", member),
  ];
  const wanted = [...added, ...FIELDS];
  const target = [...tableFields(wanted)].reverse();
  const result = conform(batch, target);
  checkLayout(result);
  expect(result.columns.map((column) => column.field)).toEqual(target);
  const rows = rowsOf(batch).map((row) => ({ ...row, new: null, newStruct: null }));
  expect(rowsOf(result)).toEqual(rows as never);
  const struct = result.columns.find((column) => column.field.name === "struct");
  expect(struct?.children.every((child) => child.field.id > 0)).toBe(true);
});

test("conform adds missing members inside structs, list elements and map values", () => {
  const batch = makeBatch(30);
  const wider: Type = {
    kind: "struct",
    fields: [field("z", { kind: "double" }), field("y", text), field("x", { kind: "int" })],
  };
  const target = tableFields(
    FIELDS.map((f) => {
      if (f.name === "struct") return field("struct", wider);
      return f.name === "list"
        ? field("list", { kind: "list", element: field("element", wider) })
        : f;
    }),
  );
  const result = conform(batch, target);
  checkLayout(result);
  expect(rowsOf(result)[1]?.["struct"]).toEqual({ z: null, y: null, x: 1 });
  expect(rowsOf(result)[3]?.["list"]).toEqual([
    { z: null, y: null, x: 0 },
    { z: null, y: null, x: 1 },
    null,
  ]);
});

test("conform promotes values: int to long, float to double, decimal precision", () => {
  const batch = makeBatch(50);
  const promoted: Record<string, Type> = {
    int: { kind: "long" },
    float: { kind: "double" },
    decimal: { kind: "decimal", precision: 30, scale: 2 },
  };
  const target = tableFields(FIELDS.map((f) => ({ ...f, type: promoted[f.name] ?? f.type })));
  const result = conform(batch, target);
  checkLayout(result);
  const before = rowsOf(batch);
  rowsOf(result).forEach((row, index) => {
    const was = before[index]?.["int"];
    expect(row["int"]).toEqual((typeof was === "number" ? BigInt(was) : null) as never);
    expect(row["float"]).toEqual(before[index]?.["float"] as never);
    expect(row["decimal"]).toEqual(before[index]?.["decimal"] as never);
  });
});

test("conform refuses a required column with nulls, a foreign column and a foreign type by name", () => {
  const batch = makeBatch(20);
  const target = tableFields(FIELDS);
  const changed = (name: string, change: Partial<Field>): Field[] =>
    target.map((f) => (f.name === name ? { ...f, ...change } : f));
  expect(() => conform(batch, changed("int", { required: true }))).toThrow('"int" is required');
  expect(() => conform(batch, target.slice(1))).toThrow('no column "boolean"');
  expect(() => conform(batch, changed("string", { type: { kind: "long" } }))).toThrow(
    '"string" is long in the table, but string in the data',
  );
  expect(() => conform(batch, changed("struct", { type: text }))).toThrow('"struct"');
});

test("a required member is only missed where its struct is present", () => {
  const strict: Type = { kind: "struct", fields: [field("x", { kind: "int" }, true)] };
  const fields = [field("s", { kind: "struct", fields: [field("x", { kind: "int" })] })];
  const decode = (documents: string[]): ColumnBatch => {
    const segment = createDecoder({ ...DECODER_DEFAULTS, fields, metadataColumns: [] }).builder();
    segment.decode(recordBatch(documents));
    return segment.seal();
  };
  const target = [field("s", strict)];
  expect(rowsOf(conform(decode(['{"s":null}', '{"s":{"x":1}}']), target))).toEqual([
    { s: null },
    { s: { x: 1 } },
  ]);
  expect(() => conform(decode(['{"s":{}}']), target)).toThrow('"s.x" is required');
});
