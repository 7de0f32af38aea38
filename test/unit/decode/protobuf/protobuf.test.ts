import { describe, expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import { decode } from "../support.ts";
import { hex, make } from "./support.ts";

async function typeOf(file: string, name: string | null = null): Promise<string> {
  const schema = (await loadProtobuf()).file("test.proto", file, () => null);
  return typeName({ kind: "struct", fields: columnsOf(schema.message(name)) });
}

const PROTO3 = 'syntax = "proto3"; package t;';
const PROTO2 = 'syntax = "proto2"; package t;';

describe("columns of a message", () => {
  test("every scalar has a column that holds all its values", async () => {
    const scalars = [
      ...["int32", "sint32", "sfixed32", "uint32", "fixed32", "int64", "sint64", "sfixed64"],
      ...["uint64", "fixed64", "bool", "float", "double", "string", "bytes"],
    ];
    const fields = scalars.map((scalar, index) => `${scalar} f${index} = ${index + 1};`).join(" ");
    const types = [
      ...["int", "int", "int", "long", "long", "long", "long", "long"],
      ...["decimal(20, 0)", "decimal(20, 0)", "boolean", "float", "double", "string", "binary"],
    ];
    const wanted = types.map((type, index) => `f${index}: ${type}`).join(", ");
    expect(await typeOf(`${PROTO3} message M { ${fields} }`)).toBe(`struct<${wanted}>`);
  });

  test("messages are structs, and well-known types have columns of their own", async () => {
    const file = `${PROTO3}
      import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
      import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
      import "google/protobuf/any.proto"; import "google/protobuf/empty.proto";
      import "google/type/date.proto"; import "google/type/timeofday.proto";
      message M {
        message In { int32 a = 1; }
        In in = 1; repeated In list = 2; map<string, In> map = 3;
        google.protobuf.Timestamp at = 4; google.protobuf.Duration took = 5;
        google.protobuf.UInt64Value big = 6; google.protobuf.Struct json = 7;
        google.protobuf.Any any = 8; google.protobuf.Empty none = 9;
        google.type.Date day = 10; google.type.TimeOfDay time = 11;
      }`;
    expect(await typeOf(file)).toBe(
      "struct<in: struct<a: int>, list: list<struct<a: int>>, map: map<string, struct<a: int>>, " +
        "at: timestamptz, took: decimal(21, 9), big: decimal(20, 0), json: string, " +
        "any: struct<type_url: string, value: binary>, none: boolean, day: date, time: time>",
    );
  });

  test("a type that contains itself is refused by its name and the field", async () => {
    const file = `${PROTO3} message Node { string name = 1; Tree tree = 2; } message Tree { repeated Node nodes = 1; }`;
    expect(typeOf(file, "t.Node")).rejects.toThrow(
      "Message t.Node contains itself (field tree.nodes)",
    );
  });

  test("several messages want a name, and a name that is none is told those that are", async () => {
    const file = `${PROTO3} message A { int32 a = 1; message In { int32 b = 1; } } message B { int32 b = 1; }`;
    expect(typeOf(file)).rejects.toThrow(
      "schema.message must name the message of the records, one of t.A, t.B",
    );
    expect(typeOf(file, "t.C")).rejects.toThrow(
      "There is no message t.C: the schema has t.A, t.A.In, t.B",
    );
    expect(await typeOf(file, "t.A.In")).toBe("struct<b: int>");
  });

  test("what is no schema, or imports what is not there, is said with the file's name", async () => {
    expect(typeOf("message {")).rejects.toThrow("test.proto is no Protobuf schema");
    expect(typeOf(`${PROTO3} import "x/y.proto"; message M { int32 a = 1; }`)).rejects.toThrow(
      "test.proto imports x/y.proto, which is not there",
    );
    expect(typeOf(`${PROTO3} message M { Other a = 1; }`)).rejects.toThrow(
      "test.proto names what it does not have",
    );
  });
});

for (const kernel of [false, "always"] as const) {
  describe(`values, kernel ${kernel}`, () => {
    test("proto3: a field that is missing has its default, an optional one and a message are null", async () => {
      const file = `${PROTO3} enum E { ZERO = 0; ONE = 1; } message In { int32 a = 1; }
        message M { int32 a = 1; string b = 2; E e = 3; optional int32 c = 4; In in = 5; repeated int32 l = 6; map<string, int32> m = 7; bytes x = 8; }`;
      const { decoder, bytes } = await make(file, { kernel }, "t.M");
      const { rows } = decode(decoder, [bytes({}), bytes({ c: 0, in: {} })]);
      const empty = { a: 0, b: "", e: "ZERO", c: null, in: null, l: [], m: new Map(), x: "" };
      expect(rows).toEqual([empty, { ...empty, c: 0, in: { a: 0 } }]);
    });

    test("proto2: a default that the schema spells out is the value of a missing field", async () => {
      const file = `${PROTO2} message M { optional int32 a = 1 [default = 41]; optional int32 b = 2; required int32 c = 3; optional string s = 4 [default = "none"]; }`;
      const { decoder, bytes } = await make(file, { kernel });
      const { rows, reasons } = decode(decoder, [bytes({ c: 1 }), hex("0801")]);
      expect(rows).toEqual([{ a: 41, b: null, c: 1, s: "none" }]);
      expect(reasons).toEqual(["1 missing_field"]);
    });

    test("the last value counts, messages are merged, of a oneof the last member counts", async () => {
      const file = `${PROTO3} message In { int32 a = 1; optional int32 b = 2; repeated int32 l = 3; }
        message M { int32 x = 1; In in = 2; oneof o { int32 p = 3; In q = 4; } map<int32, int32> m = 5; }`;
      const { decoder } = await make(file, { kernel }, "t.M");
      const { rows } = decode(decoder, [
        hex("0801 0802"),
        hex("1204 0801 1801  1204 1002 1802"),
        hex("1801  2202 0807"),
        hex("2202 0807  1801"),
        hex("2202 0801  2202 1002"),
        hex("2a04 0801 1001  2a04 0802 1002  2a04 0801 1003"),
      ]);
      expect(rows.map(({ x }) => x)).toEqual([2, 0, 0, 0, 0, 0]);
      expect(rows[1]?.["in"]).toEqual({ a: 1, b: 2, l: [1, 2] });
      expect([rows[2]?.["p"], rows[2]?.["q"]]).toEqual([null, { a: 7, b: null, l: [] }]);
      expect([rows[3]?.["p"], rows[3]?.["q"]]).toEqual([1, null]);
      expect(rows[4]?.["q"]).toEqual({ a: 1, b: 2, l: [] });
      expect(rows[5]?.["m"]).toEqual(
        new Map([
          [1, 3],
          [2, 2],
        ]),
      );
    });

    test("lists come packed, one by one, and in pieces between other fields", async () => {
      const { decoder } = await make(
        `${PROTO3} message M { repeated sint32 l = 1; int32 a = 2; }`,
        { kernel },
      );
      const { rows } = decode(decoder, [
        hex("0a03 010203"),
        hex("0801 0802"),
        hex("0a0101 1009 0802 0a020304"),
      ]);
      expect(rows.map(({ l }) => l)).toEqual([
        [-1, 1, -2],
        [-1, 1],
        [-1, 1, -2, 2],
      ]);
    });

    test("an enum's unknown number is its digits; a closed enum does not have it", async () => {
      const open = await make(
        `${PROTO3} enum E { ZERO = 0; } message M { E e = 1; repeated E l = 2; }`,
        { kernel },
      );
      expect(decode(open.decoder, [hex("0807 1007 1000")]).rows).toEqual([
        { e: "7", l: ["7", "ZERO"] },
      ]);
      const closed = await make(
        `${PROTO2} enum E { ONE = 1; } message M { optional E e = 1; repeated E l = 2; map<int32, E> m = 3; }`,
        { kernel },
      );
      const { rows } = decode(closed.decoder, [hex("0807 1007 1001 1a0408011007")]);
      expect(rows).toEqual([{ e: null, l: ["ONE"], m: new Map() }]);
    });

    test("64 unsigned bits, groups and fields that are not in the schema", async () => {
      const file = `${PROTO2} message M { optional uint64 u = 1; repeated group G = 2 { optional int32 a = 1; } }`;
      const { decoder } = await make(file, { kernel });
      const { rows } = decode(decoder, [
        hex("08ffffffffffffffffff01 13 0805 14 13 14 fa0102 6869 5b 0801 5c"),
      ]);
      expect(rows).toEqual([{ u: 2n ** 64n - 1n, g: [{ a: 5 }, { a: null }] }]);
    });

    test("well-known types: times, lengths, JSON, wrappers", async () => {
      const file = `${PROTO3} import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
        import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/empty.proto";
        message M { google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; google.protobuf.Value json = 3; google.protobuf.Int32Value w = 4; google.protobuf.Empty e = 5; }`;
      const { decoder, bytes } = await make(file, { kernel });
      const { rows, reasons } = decode(decoder, [
        bytes({
          at: { seconds: -1, nanos: 999_999_999 },
          took: { seconds: -1, nanos: -500_000_000 },
        }),
        bytes({
          json: {
            structValue: {
              fields: { a: { listValue: { values: [{ numberValue: 1 }, { nullValue: 0 }] } } },
            },
          },
          w: {},
          e: {},
        }),
        bytes({ at: { seconds: 253_402_300_800 } }),
      ]);
      const none = { at: null, took: null, json: null, w: null, e: null };
      expect(rows).toEqual([
        { ...none, at: -1n, took: -1_500_000_000n },
        { ...none, json: '{"a":[1,null]}', w: 0, e: true },
      ]);
      expect(reasons).toEqual(["2 type_conflict"]);
    });

    test("bytes that are no message are refused, whatever is wrong with them", async () => {
      const { decoder } = await make(
        `${PROTO3} message M { string s = 1; int32 a = 2; repeated fixed32 l = 3; }`,
        { kernel },
      );
      const broken = [
        ...[
          "0a05 6869",
          "08",
          "10",
          "10 ffffffffffffffffffff01",
          "10 ffffffffffffffffff02",
          "00",
          "0c",
          "2b",
          "1a03 010203",
        ],
        ...["2b 2c 2c", "0a ffffffff0f", "07"],
      ];
      const { rows, reasons } = decode(decoder, broken.map(hex));
      expect(rows).toEqual([]);
      expect(reasons).toEqual(broken.map((_, index) => `${index} bad_protobuf`));
    });

    test("a value of another wire type, or beyond its type, is a type conflict", async () => {
      const { decoder } = await make(
        `${PROTO3} message M { string s = 1; int32 a = 2; uint32 u = 3; }`,
        { kernel },
      );
      const { reasons } = decode(decoder, [
        hex("0801"),
        hex("10 8080808010"),
        hex("18 ffffffffffffffffff01"),
        hex("0a01ff"),
      ]);
      expect(reasons).toEqual([
        "0 type_conflict",
        "1 type_conflict",
        "2 type_conflict",
        "3 bad_utf8",
      ]);
    });

    test("messages can be flattened, and a number can be the event time", async () => {
      const file = `${PROTO3} message In { int64 ts = 1; int32 a = 2; } message M { In meta = 1; int32 b = 2; }`;
      const options = { kernel, flattenSeparator: "_", eventTimeField: "meta_ts" };
      const { decoder, bytes } = await make(file, options, "t.M");
      const { rows } = decode(decoder, [bytes({ meta: { ts: 1500 }, b: 1 }), bytes({})]);
      expect(rows).toEqual([
        { meta_ts: 1_500_000n, meta_a: 0, b: 1 },
        { meta_ts: null, meta_a: null, b: 0 },
      ]);
    });

    test("a table that has wider columns, other ones, or fewer keeps them", async () => {
      const file = `${PROTO3} message M { int32 a = 1; float f = 2; string id = 3; int32 gone = 4; }`;
      const { decoder, bytes } = await make(file, { kernel, onUnknownField: "ignore" });
      decoder.adopt(
        [
          { id: 1, name: "a", required: false, type: { kind: "long" } },
          { id: 2, name: "f", required: false, type: { kind: "double" } },
          { id: 3, name: "id", required: false, type: { kind: "uuid" } },
          { id: 4, name: "other", required: false, type: { kind: "string" } },
        ],
        { dropped: ["gone"], hasRows: true },
      );
      const id = "00112233-4455-6677-8899-aabbccddeeff";
      const { rows, reasons } = decode(decoder, [bytes({ a: -5, f: 0.5, id }), bytes({ id: "x" })]);
      expect(rows[0]).toMatchObject({ a: -5n, f: 0.5, id: id.replaceAll("-", ""), other: null });
      expect(reasons).toEqual(["1 type_conflict"]);
    });
  });
}
