/** `[source.transform]` and `_rescued` in Avro: the same rows with and without the kernel. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { Type } from "#columns/schema.ts";
import type { ShapingOptions } from "#decode/shaping.ts";
import { bareDecoder, type Decoded, decodeAll } from "../../../support/avroRows.ts";
import { recordBatch } from "../../../support/records.ts";
import { column, member, optional, record, shaped, struct } from "./shapedRows.ts";

const hashOf = (text: string): string => createHmac("sha256", "salt").update(text).digest("hex");

const reasons = ({ rejected }: Decoded): string[] =>
  rejected.map(({ reason, detail }) => `${reason}: ${detail}`);

const NESTED = record(
  member("a", "int"),
  member("b", struct("B", member("c", "string"), member("d", struct("D", member("e", "boolean"))))),
  member("l", { type: "array", items: struct("L", member("m", "int"), member("n", "long")) }),
);
const VALUE = { a: 1, b: { c: "x", d: { e: true } }, l: [{ m: 1, n: 2 }] };

test("only what is selected is a column, and what is excluded is none, at any depth", () => {
  const rows = (shape: Partial<ShapingOptions>) => shaped(NESTED, [VALUE], { shape }).rows;
  expect(rows({ select: ["a"] })).toEqual([{ a: 1 }]);
  expect(rows({ select: ["b.d", "l.element.n"] })).toEqual([
    { b: { d: { e: true } }, l: [{ n: 2n }] },
  ]);
  expect(rows({ exclude: ["b.c", "l.element.m", "z"] })).toEqual([
    { a: 1, b: { d: { e: true } }, l: [{ n: 2n }] },
  ]);
});

test("renamed fields fill columns of their new names, inside of structs, and two may be exchanged", () => {
  const rename = { a: "one", b: "two", "b.c": "see", "b.d.e": "yes", "l.element.m": "em" };
  expect(shaped(NESTED, [VALUE], { shape: { rename } }).rows).toEqual([
    { one: 1, two: { see: "x", d: { yes: true } }, l: [{ em: 1, n: 2n }] },
  ]);
  const two = record(member("a", "int"), member("b", "string"));
  const exchanged = shaped(two, [{ a: 1, b: "x" }], { shape: { rename: { a: "b", b: "a" } } });
  expect(exchanged.rows).toEqual([{ b: 1, a: "x" }]);
});

test("a field that has the new name of another is refused, and named", () => {
  const two = record(member("a", "int"), member("b", optional("int")));
  const found = shaped(
    two,
    [
      { a: 1, b: null },
      { a: 1, b: { int: 2 } },
    ],
    {
      shape: { rename: { a: "b" } },
    },
  );
  expect(found.rows).toEqual([{ b: 1 }]);
  expect(found.rejected.map(({ reason }) => reason)).toEqual(["ambiguous_field"]);
});

test("flattened columns are selected, left out, renamed and covered by their paths", () => {
  const flat = (shape: Partial<ShapingOptions>) =>
    shaped(NESTED, [VALUE], { shape, flattenSeparator: "_" }).rows;
  expect(flat({ exclude: ["b_d"] })).toEqual([{ a: 1, b_c: "x", l: [{ m: 1, n: 2n }] }]);
  expect(flat({ exclude: ["b", "l"] })).toEqual([{ a: 1 }]);
  expect(flat({ select: ["b"] })).toEqual([{ b_c: "x", b_d_e: true }]);
  expect(flat({ select: ["l"] })).toEqual([{ l: [{ m: 1, n: 2n }] }]);
  expect(flat({ select: ["a", "b"], rename: { b_c: "c", a: "b_x" }, mask: ["b_d"] })).toEqual([
    { c: "x", b_x: 1, b_d: "***" },
  ]);
});

test("values of every kind are masked, and null stays null", () => {
  const kinds = [
    "string",
    "long",
    "boolean",
    struct("K", member("k", "int")),
    { type: "array", items: "int" },
  ];
  const values = [
    { string: "secret" },
    { long: 17 },
    { boolean: true },
    { K: { k: 1 } },
    { array: [1] },
    null,
  ];
  const { rows, rejected } = shaped(
    record(member("s", ["null", ...kinds])),
    values.map((s) => ({ s })),
    { shape: { mask: ["s"] } },
  );
  expect(rejected).toEqual([]);
  expect(rows.map(({ s }) => s as string | null)).toEqual([...Array<string>(5).fill("***"), null]);
});

test("hashes are keyed, of a text's letters, of anything else's JSON", () => {
  const schema = record(
    member("t", "string"),
    member("n", optional("long")),
    member("d", { type: "bytes", logicalType: "decimal", precision: 6, scale: 2 }),
    member("o", struct("O", member("x", "int"), member("y", { type: "array", items: "string" }))),
  );
  const value = { t: "é", n: { long: 17 }, d: Buffer.from([0x04, 0xd2]), o: { x: 1, y: ["a"] } };
  const shape = { hash: ["t", "n", "d", "o"] };
  expect(shaped(schema, [value, { ...value, n: null }], { shape }).rows).toEqual([
    { t: hashOf("é"), n: hashOf("17"), d: hashOf("12.34"), o: hashOf('{"x":1,"y":["a"]}') },
    { t: hashOf("é"), n: null, d: hashOf("12.34"), o: hashOf('{"x":1,"y":["a"]}') },
  ]);
});

test("covers reach into structs, lists and maps, renamed too", () => {
  const schema = record(
    member("u", struct("U", member("mail", "string"))),
    member("l", { type: "array", items: struct("P", member("p", optional("int"))) }),
    member("m", { type: "map", values: "string" }),
  );
  const value = { u: { mail: "x" }, l: [{ p: { int: 1 } }, { p: null }], m: { k: "v" } };
  const shape = { mask: ["u.mail", "l.element.p", "m.value"], rename: { "u.mail": "m" } };
  expect(shaped(schema, [value], { shape }).rows).toEqual([
    { u: { m: "***" }, l: [{ p: "***" }, { p: null }], m: new Map([["k", "***"]]) },
  ]);
});

test("a field that a new version calls otherwise is left out and covered on, by its alias", () => {
  const schema = record(
    member("social", "string", { aliases: ["ssn"] }),
    member("nick", "string", { aliases: ["name"] }),
  );
  const value = [{ social: "1", nick: "n" }];
  const table = [column("ssn", { kind: "string" }), column("name", { kind: "string" })];
  const shape = { mask: ["ssn"], exclude: ["name"] };
  expect(shaped(schema, value, { shape, table }).rows).toEqual([{ ssn: "***", name: null }]);
  expect(shaped(schema, value, { shape }).rows).toEqual([{ social: "***" }]);
  const other = { mask: ["social"], exclude: ["nick"] };
  expect(shaped(schema, value, { shape: other, table }).rows).toEqual([{ ssn: "***", name: null }]);
});

test("a masked column that is found by its letters alone is masked", () => {
  const schema = record(member("SSN", "string"));
  const table = [column("ssn", { kind: "string" })];
  const more = { shape: { mask: ["ssn"] }, table, matchColumns: "ignore-case" as const };
  expect(shaped(schema, [{ SSN: "1" }], more).rows).toEqual([{ ssn: "***" }]);
});

test("a path that no schema has stops the table; one inside of lists, maps and flattened records is found", () => {
  const strict = (shape: Partial<ShapingOptions>, flattenSeparator: string | null = null) =>
    shaped(NESTED, [VALUE], { shape: { isStrict: true, ...shape }, flattenSeparator });
  expect(() => strict({ exclude: ["b.x"] })).toThrow(
    "source.transform.exclude names b.x, which none of the first records has",
  );
  expect(strict({ exclude: ["l.element.m", "b.d"] }).rows).toHaveLength(1);
  expect(strict({ exclude: ["b"] }, "_").rows).toHaveLength(1);
});

test("one that no schema has stops it though it is in a record that is declared", () => {
  const schema = record(member("b", struct("B", member("c", "string"))));
  const fields = [column("b", { kind: "struct", fields: [column("c", { kind: "string" })] })];
  const shape = { isStrict: true, mask: ["b.x"] };
  expect(() => shaped(schema, [{ b: { c: "SECRET" } }], { shape, fields })).toThrow(
    "source.transform.mask names b.x, which none of the first records has",
  );
});

const ROW = record(
  member("a", "int"),
  member("b", optional(struct("B", member("c", "double")))),
  member("u", { type: "string", logicalType: "uuid" }),
);
const UUID = "00000000-0000-0000-0000-00000000000a";

test("a field without a column is kept in _rescued, as JSON by its path, and a null is not", () => {
  const table = [column("a", { kind: "int" })];
  const more = { table, onUnknownField: "rescue" as const };
  expect(
    shaped(
      ROW,
      [
        { a: 1, b: { B: { c: 0.5 } }, u: UUID },
        { a: 2, b: null, u: UUID },
      ],
      more,
    ).rows,
  ).toEqual([
    { a: 1, _rescued: `{"b":{"c":0.5},"u":"${UUID}"}` },
    { a: 2, _rescued: `{"u":"${UUID}"}` },
  ]);
});

test("values of lists and maps that have no column are kept together, each once", () => {
  const item = (...fields: readonly object[]) => struct("I", ...fields);
  const schema = record(
    member("l", { type: "array", items: item(member("x", "int"), member("y", "string")) }),
    member("m", { type: "map", values: "I" }),
  );
  const inner: Type = { kind: "struct", fields: [column("x", { kind: "int" })] };
  const table = [
    column("l", { kind: "list", element: column("element", inner) }),
    column("m", {
      kind: "map",
      key: { ...column("key", { kind: "string" }), required: true },
      value: column("value", inner),
    }),
  ];
  const value = {
    l: [
      { x: 1, y: "a" },
      { x: 2, y: "b" },
    ],
    m: { k: { x: 3, y: "c" } },
  };
  expect(shaped(schema, [value], { table, onUnknownField: "rescue" }).rows).toEqual([
    {
      l: [{ x: 1 }, { x: 2 }],
      m: new Map([["k", { x: 3 }]]),
      _rescued: '{"l.element.y":["a","b"],"m.value.y":"c"}',
    },
  ]);
});

test("of a map's key that comes twice only the last value is kept", () => {
  const schema = record(member("m", { type: "map", values: "string" }));
  const table = [
    column("m", {
      kind: "map",
      key: { ...column("key", { kind: "string" }), required: true },
      value: column("value", { kind: "int" }),
    }),
  ];
  const entry = (value: string) => [2, 0x6b, 2, value.charCodeAt(0)];
  const bytes = Uint8Array.of(4, ...entry("x"), ...entry("y"), 0);
  for (const kernel of [false, "always"] as const) {
    const decoder = bareDecoder(schema, { onTypeConflict: "rescue", kernel });
    decoder.adopt(table, { dropped: [], hasRows: true });
    expect(decodeAll(decoder, recordBatch([bytes])).rows).toEqual([
      { m: new Map([["k", null]]), _rescued: '{"m.value":"y"}' },
    ]);
  }
});

test("a value that its column cannot hold is kept beside a null, whatever says so: its type or itself", () => {
  const schema = record(
    member("n", "long"),
    member("t", "string"),
    member("d", { type: "bytes", logicalType: "decimal", precision: 6, scale: 2 }),
    member("l", { type: "array", items: "long" }),
    member("s", struct("S", member("x", "int"))),
  );
  const table = [
    column("n", { kind: "int" }),
    column("t", { kind: "date" }),
    column("d", { kind: "decimal", precision: 2, scale: 2 }),
    column("l", { kind: "list", element: column("element", { kind: "int" }) }),
    column("s", { kind: "long" }),
  ];
  const good = { n: 5, t: "1970-01-02", d: Buffer.from([12]), l: [1], s: { x: 1 } };
  const bad = { n: 2 ** 40, t: "soon", d: Buffer.from([0x04, 0xd2]), l: [1, 2 ** 40], s: { x: 2 } };
  const { rows, rejected } = shaped(schema, [good, bad], { table, onTypeConflict: "rescue" });
  expect(rejected).toEqual([]);
  expect(rows).toEqual([
    { n: 5, t: 1, d: 12n, l: [1], s: null, _rescued: '{"s":{"x":1}}' },
    {
      n: null,
      t: null,
      d: null,
      l: [1, null],
      s: null,
      _rescued: '{"n":1099511627776,"t":"soon","d":12.34,"l.element":1099511627776,"s":{"x":2}}',
    },
  ]);
});

test("what is masked or left out inside, in any case, is never kept: its record is refused", () => {
  const schema = record(
    member("a", "int"),
    member("b", optional(struct("B", member("c", "string")))),
  );
  const table = [column("a", { kind: "int" })];
  const more = { table, onUnknownField: "rescue" as const, shape: { mask: ["b.c"] } };
  const found = shaped(
    schema,
    [
      { a: 1, b: null },
      { a: 2, b: { B: { c: "x" } } },
    ],
    more,
  );
  expect(found.rows).toEqual([{ a: 1, _rescued: null }]);
  expect(reasons(found)).toEqual(['unknown_field: Field "b" is not in the schema']);
  const byCase = { ...more, shape: { mask: ["B.C"] } };
  expect(reasons(shaped(schema, [{ a: 2, b: { B: { c: "x" } } }], byCase))).toHaveLength(1);
});

test("a required column cannot be null: its record is refused though conflicts are kept", () => {
  const schema = record(member("n", "long"));
  const table = [{ ...column("n", { kind: "int" }), required: true }];
  const { rows, rejected } = shaped(schema, [{ n: 1 }, { n: 2 ** 40 }], {
    table,
    onTypeConflict: "rescue",
  });
  expect([rows, rejected.map(({ reason }) => reason)]).toEqual([
    [{ n: 1, _rescued: null }],
    ["type_conflict"],
  ]);
});

test("a type that contains itself is kept as far as it does not, and refused where it does", () => {
  const node = struct("N", member("v", "int"), member("next", optional("N")));
  const schema = record(member("a", "int"), member("n", optional(node)));
  const table = [column("a", { kind: "int" })];
  const found = shaped(
    schema,
    [
      { a: 1, n: { N: { v: 1, next: null } } },
      { a: 2, n: { N: { v: 1, next: { N: { v: 2, next: null } } } } },
    ],
    { table, onUnknownField: "rescue" },
  );
  expect(found.rows).toEqual([{ a: 1, _rescued: '{"n":{"v":1}}' }]);
  expect(reasons(found)).toEqual([
    'recursive_type: Type "N" contains itself, which no column can hold',
  ]);
});

test("maps of the same entries have the same hash, whatever order these came in", () => {
  const map = { type: "map", values: { type: "map", values: "int" } };
  const schema = record(member("s", struct("S", member("l", { type: "array", items: map }))));
  const of = (...values: readonly object[]): object => ({ s: { l: values } });
  const values = [
    of({ b: { y: 1, x: 2 }, a: {} }, { c: {} }),
    of({ a: {}, b: { x: 2, y: 1 } }, { c: {} }),
    of({ c: {} }, { a: {}, b: { x: 2, y: 1 } }),
  ];
  const [one, two, swapped] = shaped(schema, values, { shape: { hash: ["s"] } }).rows;
  expect(one).toEqual({ s: hashOf('{"l":[{"a":{},"b":{"x":2,"y":1}},{"c":{}}]}') });
  expect(two).toEqual(one);
  expect(swapped).not.toEqual(one);
});
