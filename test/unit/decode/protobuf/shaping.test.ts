/** `[source.transform]` and `_rescued` in Protobuf: the same rows with and without the kernel. */
import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { Field, Type } from "#columns/schema.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { NO_SHAPING, type ShapingOptions } from "#decode/shaping.ts";
import { decodeAll } from "../../../support/avroRows.ts";
import { recordBatch } from "../../../support/records.ts";
import { registryRig } from "../../../support/registryRig.ts";
import { column, type More, shaped } from "./shapedRows.ts";
import { hex, make } from "./support.ts";

const hashOf = (text: string): string => createHmac("sha256", "salt").update(text).digest("hex");

const NESTED = `int32 a = 1; B b = 2; repeated L l = 3;
  message B { string c = 1; D d = 2; } message D { bool e = 1; } message L { int32 m = 1; int64 n = 2; }`;
const VALUE = { a: 1, b: { c: "x", d: { e: true } }, l: [{ m: 1, n: 2 }] };

test("only what is selected is a column, and what is excluded is none, at any depth", async () => {
  const rows = async (shape: Partial<ShapingOptions>) =>
    (await shaped(NESTED, [VALUE], { shape })).rows;
  expect(await rows({ select: ["a"] })).toEqual([{ a: 1 }]);
  expect(await rows({ select: ["b.d", "l.element.n"] })).toEqual([
    { b: { d: { e: true } }, l: [{ n: 2n }] },
  ]);
  expect(await rows({ exclude: ["b.c", "l.element.m", "z"] })).toEqual([
    { a: 1, b: { d: { e: true } }, l: [{ n: 2n }] },
  ]);
});

test("what is excluded fills no column, though the table has one", async () => {
  const table = [column("a", { kind: "int" }), column("b", { kind: "int" })];
  const more = { table, shape: { exclude: ["b"] } };
  expect((await shaped("int32 a = 1; int32 b = 2;", [{ a: 1, b: 2 }], more)).rows).toEqual([
    { a: 1, b: null },
  ]);
});

test("a map without a column passes by where a record is merged, too", async () => {
  const twice = hex("10 01 0a 05 0a 01 6b 10 07 10 02");
  const body = "map<string, int32> m = 1; int32 a = 2;";
  expect((await shaped(body, [twice], { shape: { exclude: ["m"] } })).rows).toEqual([{ a: 2 }]);
  const table = [column("a", { kind: "int" })];
  const { rows, reasons } = await shaped(body, [twice], { table });
  expect([rows, reasons.length]).toEqual([[], 1]);
});

test("renamed fields fill columns of their new names, inside of structs, and two may be exchanged", async () => {
  const rename = { a: "one", b: "two", "b.c": "see", "b.d.e": "yes", "l.element.m": "em" };
  expect((await shaped(NESTED, [VALUE], { shape: { rename } })).rows).toEqual([
    { one: 1, two: { see: "x", d: { yes: true } }, l: [{ em: 1, n: 2n }] },
  ]);
  const two = await shaped("int32 a = 1; string b = 2;", [{ a: 1, b: "x" }], {
    shape: { rename: { a: "b", b: "a" } },
  });
  expect(two.rows).toEqual([{ b: 1, a: "x" }]);
});

test("flattened columns are selected, left out, renamed and covered by their paths", async () => {
  const flat = async (shape: Partial<ShapingOptions>) =>
    (await shaped(NESTED, [VALUE], { shape, flattenSeparator: "_" })).rows;
  expect(await flat({ exclude: ["b_d"] })).toEqual([{ a: 1, b_c: "x", l: [{ m: 1, n: 2n }] }]);
  expect(await flat({ exclude: ["b", "l"] })).toEqual([{ a: 1 }]);
  expect(await flat({ select: ["b"] })).toEqual([{ b_c: "x", b_d_e: true }]);
  const shape = { select: ["a", "b"], rename: { b_c: "c", a: "b_x" }, mask: ["b_d"] };
  expect(await flat(shape)).toEqual([{ c: "x", b_x: 1, b_d: "***" }]);
});

test("values are masked and hashed, and what is not set stays null", async () => {
  const body = `optional string s = 1; int64 n = 2; repeated int32 l = 3; map<string, M> m = 4;
    optional M o = 5; google.protobuf.Timestamp t = 6; bytes b = 7; message M { int32 x = 1; repeated string y = 2; }`;
  const value = {
    s: "é",
    n: 17,
    l: [1, 2],
    m: { k: { x: 1 } },
    o: { x: 1, y: ["a"] },
    t: { seconds: 1 },
    b: Buffer.from([0xff]),
  };
  const names = ["s", "n", "l", "m", "o", "t", "b"];
  const hashed = await shaped(body, [value, {}], { shape: { hash: names } });
  expect(hashed).toEqual({
    reasons: [],
    rows: [
      {
        s: hashOf("é"),
        n: hashOf("17"),
        l: hashOf("[1,2]"),
        m: hashOf('{"k":{"x":1,"y":[]}}'),
        o: hashOf('{"x":1,"y":["a"]}'),
        t: hashOf("1970-01-01 00:00:01+00"),
        b: hashOf("\\xFF"),
      },
      // A field without presence that is missing says its default.
      { s: null, n: hashOf("0"), l: null, m: null, o: null, t: null, b: hashOf("") },
    ],
  });
  const masked = await shaped(body, [value, {}], { shape: { mask: names } });
  expect(masked.rows.map((row) => names.map((name) => row[name]))).toEqual([
    Array(7).fill("***"),
    [null, "***", null, null, null, null, "***"],
  ]);
});

test("covers reach into structs, lists and maps, renamed too", async () => {
  const body = `U u = 1; repeated P l = 2; map<string, string> m = 3;
    message U { string mail = 1; } message P { optional int32 p = 1; }`;
  const value = { u: { mail: "x" }, l: [{ p: 1 }, {}], m: { k: "v" } };
  const shape = { mask: ["u.mail", "l.element.p"], rename: { "u.mail": "m" } };
  expect((await shaped(body, [value], { shape })).rows).toEqual([
    { u: { m: "***" }, l: [{ p: "***" }, { p: null }], m: new Map([["k", "v"]]) },
  ]);
});

test("of a covered field that comes twice the last value counts, and of a oneof the last member", async () => {
  const twice = hex("08 01 08 02");
  expect((await shaped("int32 a = 1;", [twice], { shape: { hash: ["a"] } })).rows).toEqual([
    { a: hashOf("2") },
  ]);
  const body = "oneof o { int32 a = 1; int32 b = 2; }";
  const shape = { hash: ["a"] };
  expect((await shaped(body, [hex("08 01 10 02"), hex("10 02 08 01")], { shape })).rows).toEqual([
    { a: null, b: 2 },
    { a: hashOf("1"), b: null },
  ]);
  const pieces = hex("0a 02 08 01 0a 02 10 02");
  const merged = await shaped("M m = 1; message M { int32 x = 1; int32 y = 2; }", [pieces], {
    shape: { hash: ["m"] },
  });
  expect(merged.rows).toEqual([{ m: hashOf('{"x":1,"y":2}') }]);
});

test("bytes that are no message are called that, covered or not", async () => {
  const broken = hex("0a 02 08");
  const { reasons } = await shaped(
    "M m = 1; message M { int32 x = 1; }",
    [broken, hex("0a 01 08")],
    {
      shape: { hash: ["m"] },
    },
  );
  expect(reasons.map((reason) => reason.split(":")[0])).toEqual(["bad_protobuf", "bad_protobuf"]);
});

test("a field without a column is kept in _rescued, as JSON by its path, and one that is not set is not", async () => {
  const table = [column("a", { kind: "int" })];
  const body = "int32 a = 1; optional B b = 2; repeated int64 l = 3; message B { double c = 1; }";
  const more = { table, onUnknownField: "rescue" as const };
  expect(await shaped(body, [{ a: 1, b: { c: 0.5 }, l: [7, 8] }, { a: 2 }], more)).toEqual({
    reasons: [],
    rows: [
      { a: 1, _rescued: '{"b":{"c":0.5},"l":[7,8]}' },
      { a: 2, _rescued: null },
    ],
  });
});

test("a value that its column cannot hold is kept beside a null, whatever says so: its type or itself", async () => {
  const body = `int64 n = 1; string t = 2; repeated int64 l = 3; S s = 4; map<string, int64> m = 5;
    message S { int32 x = 1; }`;
  const map = (value: Type): Type => ({
    kind: "map",
    key: { ...column("key", { kind: "string" }), required: true },
    value: column("value", value),
  });
  const table = [
    column("n", { kind: "int" }),
    column("t", { kind: "date" }),
    column("l", { kind: "list", element: column("element", { kind: "int" }) }),
    column("s", { kind: "long" }),
    column("m", map({ kind: "int" })),
  ];
  const large = 2 ** 40;
  const good = { n: 5, t: "1970-01-02", l: [1], s: { x: 1 }, m: { k: 1 } };
  const bad = { n: large, t: "soon", l: [1, large], s: { x: 2 }, m: { k: large } };
  expect(await shaped(body, [good, bad], { table, onTypeConflict: "rescue" })).toEqual({
    reasons: [],
    rows: [
      { n: 5, t: 1, l: [1], s: null, m: new Map([["k", 1]]), _rescued: '{"s":{"x":1}}' },
      {
        n: null,
        t: null,
        l: [1, null],
        s: null,
        m: new Map([["k", null]]),
        _rescued:
          '{"n":1099511627776,"t":"soon","l.element":1099511627776,"m.value":1099511627776,"s":{"x":2}}',
      },
    ],
  });
});

test("of a value that is kept and comes again the last one counts", async () => {
  const table = [column("n", { kind: "int" })];
  const large = hex("08 80 80 80 80 80 20");
  const record = new Uint8Array([...large, ...hex("08 05")]);
  const other = new Uint8Array([...hex("08 05"), ...large]);
  const more = { table, onTypeConflict: "rescue" as const };
  expect((await shaped("int64 n = 1;", [record, other], more)).rows).toEqual([
    { n: 5, _rescued: null },
    { n: null, _rescued: '{"n":1099511627776}' },
  ]);
});

test("what is masked or left out inside, in any case, is never kept, and a required column cannot be null", async () => {
  const table = [column("a", { kind: "int" })];
  const body = "int32 a = 1; optional B b = 2; message B { string c = 1; }";
  const more = { table, onUnknownField: "rescue" as const, shape: { mask: ["b.c"] } };
  const found = await shaped(body, [{ a: 1 }, { a: 2, b: { c: "x" } }], more);
  expect(found.rows).toEqual([{ a: 1, _rescued: null }]);
  expect(found.reasons).toEqual(['unknown_field: Field "b" is not in the schema']);
  const other = { ...more, shape: { mask: ["B.C"] } };
  const byCase = await shaped(body, [{ a: 2, b: { c: "x" } }], other);
  expect(byCase.reasons).toEqual(['unknown_field: Field "b" is not in the schema']);
  const required = [{ ...column("n", { kind: "int" }), required: true }];
  const refused = await shaped("int64 n = 1;", [{ n: 1 }, { n: 2 ** 40 }], {
    table: required,
    onTypeConflict: "rescue",
  });
  expect(refused.rows).toEqual([{ n: 1, _rescued: null }]);
  expect(refused.reasons).toHaveLength(1);
});

test("a field without a column passes by when all in it is left out, and is refused in place of a message", async () => {
  const table = [column("a", { kind: "int" })];
  for (const onUnknownField of ["evolve", "dead_letter", "rescue"] as const) {
    for (const flattenSeparator of [null, "_"]) {
      const body = "int32 a = 1; B b = 2; message B { string c = 1; }";
      const more = { table, onUnknownField, flattenSeparator, shape: { exclude: ["b.c"] } };
      const found = await shaped(body, [{ a: 1, b: { c: "SECRET" } }], more);
      expect(found.reasons).toEqual([]);
      expect(found.rows).toMatchObject([{ a: 1 }]);
      const text = "int32 a = 1; string b = 2;";
      const misplaced = await shaped(text, [{ a: 1, b: "SECRET" }], more);
      expect(misplaced.rows).toEqual([]);
      expect(misplaced.reasons.map((each) => each.split(":")[0])).toEqual(["unknown_field"]);
    }
  }
});

test("a path that no message has stops the table; one inside of lists and flattened messages is found", async () => {
  const strict = (shape: Partial<ShapingOptions>, more: More = {}) =>
    shaped(NESTED, [VALUE], { shape: { isStrict: true, ...shape }, infer: true, ...more });
  const sentence = "source.transform.exclude names b.x, which none of the first records has";
  const open = { onUnknownField: "evolve" as const };
  expect(strict({ exclude: ["b.x"] }, open)).rejects.toThrow(sentence);
  expect((await strict({ exclude: ["l.element.m", "b.d"] }, open)).rows).toHaveLength(1);
  const flat = { ...open, flattenSeparator: "_" };
  expect((await strict({ exclude: ["b"] }, flat)).rows).toHaveLength(1);
});

for (const kernel of [false, "always"] as const) {
  test(`what a new version adds is shaped, or kept, as what the first had, kernel ${kernel}`, async () => {
    const schema = (more: string): string =>
      `syntax = "proto3"; message T { int32 a = 1; U u = 2; ${more} message U { string mail = 1; } }`;
    const head = (id: number, text: string): Uint8Array => hex(`00 00 00 00 0${id} 00 ${text}`);
    const one = head(1, "08 01 12 03 0a 01 78");
    const two = head(2, "08 02 12 03 0a 01 78 1a 01 79");
    const run = async (more: Partial<DecoderOptions>) => {
      const shaping = { ...NO_SHAPING, mask: ["u.mail", "secret"], rename: { a: "one" } };
      const rig = registryRig("protobuf", { kernel, shaping, metadataColumns: [], ...more });
      rig.server.register("t-value", schema(""), "PROTOBUF");
      rig.server.register("t-value", schema("string secret = 3;"), "PROTOBUF");
      const read = async (bytes: Uint8Array) => {
        const batch = recordBatch([bytes]);
        for (let next = rig.decoder.prepare?.(batch); next; next = rig.decoder.prepare?.(batch))
          await next;
        const { rows, rejected } = decodeAll(rig.decoder, batch);
        return [rows, rejected.map(({ reason }) => reason)];
      };
      return [await read(one), await read(two)];
    };
    const u = { mail: "***" };
    expect(await run({})).toEqual([
      [[{ one: 1, u }], []],
      [[{ one: 2, u, secret: "***" }], []],
    ]);
    expect(await run({ onUnknownField: "rescue" })).toEqual([
      [[{ one: 1, u, _rescued: null }], []],
      [[], ["unknown_field"]],
    ]);
    const shaping = { ...NO_SHAPING, mask: ["u.mail"], rename: { a: "one" } };
    expect(await run({ onUnknownField: "rescue", shaping })).toEqual([
      [[{ one: 1, u, _rescued: null }], []],
      [[{ one: 2, u, _rescued: '{"secret":"y"}' }], []],
    ]);
  });
}

test("where columns are found whatever their case, fields of another case are left out and covered, too", async () => {
  for (const key of ["exclude", "mask", "hash"] as const) {
    const shape = { [key]: ["ssn"], ignoresCase: true };
    const more = { shape, matchColumns: "ignore-case" } as const;
    const { rows } = await shaped(
      "int32 id = 1; string SSN = 2;",
      [{ id: 1, SSN: "secret" }],
      more,
    );
    expect(rows.length).toBe(1);
    expect(Bun.inspect(rows, { depth: 9 })).not.toContain("secret");
  }
});

test("a closed enum's number without a name is missing, hashed or not: a required column refuses the record, another has its default or null", async () => {
  const text = `syntax = "proto2"; message T { required int32 a = 1; optional E e = 2; optional E d = 3 [default = Y]; }
    enum E { X = 1; Y = 2; }`;
  const values = ["08011009 1801", "08011001 1809"].map(hex);
  const fields = (required: boolean): Field[] => [
    column("a", { kind: "int" }),
    { ...column("e", { kind: "string" }), required },
    column("d", { kind: "string" }),
  ];
  const rowsOf = async (required: boolean, hash: readonly string[], kernel: false | "always") => {
    const shaping = { ...NO_SHAPING, hashSalt: "salt", hash };
    const made = await make(text, { shaping, fields: fields(required), kernel }, "T");
    const { rows, rejected } = decodeAll(made.decoder, recordBatch(values));
    return { rows, reasons: rejected.map(({ reason }) => reason) };
  };
  const hashed = (value: unknown): string | null => (value === null ? null : hashOf(String(value)));
  for (const required of [true, false]) {
    for (const kernel of [false, "always"] as const) {
      const plain = await rowsOf(required, [], kernel);
      expect(plain.reasons).toEqual(required ? ["missing_field"] : []);
      const rows = plain.rows.map((row) => ({
        ...row,
        e: hashed(row["e"]),
        d: hashed(row["d"]),
      }));
      const { reasons } = plain;
      expect(await rowsOf(required, ["e", "d"], kernel)).toEqual({ rows, reasons });
    }
  }
});

test("maps of the same entries have the same hash, whatever order these came in", async () => {
  const values = [{ m: { b: 1, a: 2 } }, { m: { a: 2, b: 1 } }];
  const { rows } = await shaped("map<string, int32> m = 1;", values, { shape: { hash: ["m"] } });
  expect(rows).toEqual([{ m: hashOf('{"a":2,"b":1}') }, { m: hashOf('{"a":2,"b":1}') }]);
});
