import { describe, expect, test } from "bun:test";
import protobuf from "protobufjs";
import { FileDescriptorProto, FileDescriptorSet } from "protobufjs/ext/descriptor.js";
import { typeName } from "#columns/evolve.ts";
import { columnsOf } from "#decode/protobuf/columns.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import { decodeAll, framed } from "../../../support/avroRows.ts";
import { registryRig } from "../../../support/registryRig.ts";

const HEAD = 'syntax = "proto3"; package t;';

/** A value of a file's message, with its head. @param indexes as they are written */
function value(
  id: number,
  file: string,
  name: string,
  indexes: readonly number[],
  content: Record<string, unknown>,
): Uint8Array {
  const root = protobuf.parse(file, { keepCase: true }).root;
  const type = root.lookupType(name);
  const message = type.encode(type.fromObject(content)).finish();
  return framed(id, new Uint8Array([...indexes, ...message]));
}

for (const kernel of [false, "always"] as const) {
  describe(`Protobuf from a registry, kernel ${kernel}`, () => {
    const first = `${HEAD} message A { int32 a = 1; message In { string s = 1; } } message B { bool b = 1; }`;

    test("the indexes in a value's head say which message of the file it is", async () => {
      const { server, decode } = registryRig("protobuf", { kernel });
      const id = server.register("t-value", first, "PROTOBUF");
      const { rows, rejected } = await decode([
        value(id, first, "t.A", [0], { a: 1 }),
        value(id, first, "t.A", [2, 0], { a: 2 }),
        value(id, first, "t.B", [2, 2], { b: true }),
        value(id, first, "t.A.In", [4, 0, 0], { s: "x" }),
      ]);
      expect(rejected).toEqual([]);
      const none = { a: null, b: null, s: null };
      expect(rows).toEqual([
        { ...none, a: 1 },
        { ...none, a: 2 },
        { ...none, b: true },
        { ...none, s: "x" },
      ]);
    });

    test("a new version brings its columns, nested ones too, and old versions are still read", async () => {
      const { server, decode } = registryRig("protobuf", { kernel });
      const old = `${HEAD} message M { int32 a = 1; In in = 2; message In { int32 x = 1; } }`;
      const next = `${HEAD} message M { int32 a = 1; In in = 2; string b = 3; message In { int32 x = 1; repeated string y = 2; } }`;
      const one = server.register("t-value", old, "PROTOBUF");
      await decode([value(one, old, "t.M", [0], { a: 1, in: { x: 1 } })]);
      const two = server.register("t-value", next, "PROTOBUF");
      const { rows } = await decode([
        value(one, old, "t.M", [0], { a: 1, in: { x: 1 } }),
        value(two, next, "t.M", [0], { a: 2, b: "b", in: { x: 2, y: ["y"] } }),
      ]);
      expect(rows).toEqual([
        { a: 1, in: { x: 1, y: null }, b: null },
        { a: 2, in: { x: 2, y: ["y"] }, b: "b" },
      ]);
    });

    test("imports are the schema's references, and descriptors in base64 are read as well", async () => {
      const { server, decode } = registryRig("protobuf", { kernel });
      const other = `${HEAD} message Other { int32 x = 1; }`;
      const file = `${HEAD} import "other.proto"; import "google/protobuf/timestamp.proto"; message M { Other o = 1; google.protobuf.Timestamp at = 2; }`;
      server.register("other", other, "PROTOBUF");
      const references = [{ name: "other.proto", subject: "other", version: 1 }];
      const id = server.register("t-value", file, "PROTOBUF", references);
      const set = FileDescriptorSet.encode({
        file: [
          {
            name: "d.proto",
            package: "t",
            syntax: "proto3",
            messageType: [{ name: "D", field: [{ name: "d", number: 1, label: 1, type: 5 }] }],
          },
        ],
      }).finish();
      // The set's only field, without its tag and length, is the file's descriptor.
      const binary = server.register("d-value", set.subarray(2).toBase64(), "PROTOBUF");
      const { rows, rejected } = await decode([
        framed(id, Uint8Array.fromHex("000a02080512020801")),
        framed(binary, Uint8Array.fromHex("000807")),
      ]);
      expect(rejected).toEqual([]);
      expect(rows).toEqual([
        { o: { x: 5 }, at: 1_000_000n, d: null },
        { o: null, at: null, d: 7 },
      ]);
    });

    test("a wider type asks the table, and is read as far as the column holds it once that is answered", async () => {
      const { server, decoder, prepared, decode } = registryRig("protobuf", { kernel });
      const old = `${HEAD} message M { int32 a = 1; }`;
      const next = `${HEAD} message M { int64 a = 1; }`;
      const one = server.register("t-value", old, "PROTOBUF");
      await decode([value(one, old, "t.M", [0], { a: 1 })]);
      decoder.adopt([{ id: 1, name: "a", required: false, type: { kind: "int" } }]);
      const two = server.register("t-value", next, "PROTOBUF");
      const batch = await prepared([
        value(two, next, "t.M", [0], { a: 5 }),
        value(two, next, "t.M", [0], { a: 2 ** 40 }),
      ]);
      expect(decoder.builder().tryDecode(batch)).toBeNull();
      const growth = decoder.takeGrowth();
      expect(growth?.differences).toEqual(["column a is int, and long in the schema"]);
      expect(growth?.fields).toMatchObject([{ name: "a", type: { kind: "long" } }]);
      growth?.settled();
      expect(decodeAll(decoder, batch).rejected.map(({ reason }) => reason)).toEqual([
        "type_conflict",
      ]);
      decoder.adopt([{ id: 1, name: "a", required: false, type: { kind: "long" } }]);
      expect(decodeAll(decoder, batch).rows).toEqual([{ a: 5n }, { a: 2n ** 40n }]);
    });

    test("values without a head, of no message, or of a schema that is none are refused by name", async () => {
      const { server, decode } = registryRig("protobuf", { kernel });
      const id = server.register("t-value", first, "PROTOBUF");
      const avro = server.register("a-value", '"string"', "AVRO");
      const loop = server.register("l-value", `${HEAD} message L { L l = 1; }`, "PROTOBUF");
      const { rejected } = await decode([
        value(id, first, "t.A", [0], { a: 1 }),
        Uint8Array.of(1, 2),
        framed(id, Uint8Array.of(2, 18)),
        framed(id, Uint8Array.of(1)),
        framed(avro, Uint8Array.of(0)),
        framed(loop, Uint8Array.of(0)),
        framed(id, Uint8Array.of(0, 0x0a)),
      ]);
      expect(rejected.map(({ offset, reason }) => `${offset} ${reason}`)).toEqual([
        ...["1 no_schema_id", "2 bad_schema", "3 no_schema_id", "4 bad_schema", "5 bad_schema"],
        "6 bad_protobuf",
      ]);
      expect(rejected[3]?.detail).toContain("AVRO, not PROTOBUF");
      expect(rejected[4]?.detail).toContain("Message t.L contains itself (field l)");
    });
  });
}

test("a file's descriptor need not bring what comes with Protobuf: Python's serializer leaves that out", async () => {
  // What comes with Protobuf, a field each: protoc's descriptor of the file alone.
  const file = Uint8Array.fromBase64(
    [
      "Cglyb3cucHJvdG8SBGFjbWUaH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8aHmdvb2dsZS9wcm90b2J1Zi9kdXJh",
      "dGlvbi5wcm90bxoeZ29vZ2xlL3Byb3RvYnVmL3dyYXBwZXJzLnByb3RvGhxnb29nbGUvcHJvdG9idWYvc3RydWN0LnByb3Rv",
      "Ghtnb29nbGUvcHJvdG9idWYvZW1wdHkucHJvdG8aGWdvb2dsZS9wcm90b2J1Zi9hbnkucHJvdG8aIGdvb2dsZS9wcm90b2J1",
      "Zi9maWVsZF9tYXNrLnByb3RvGhZnb29nbGUvdHlwZS9kYXRlLnByb3RvGhtnb29nbGUvdHlwZS90aW1lb2ZkYXkucHJvdG8i",
      "3wMKA0FsbBIoCgFhGAEgASgLMhouZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcFIBYRInCgFiGAIgASgLMhkuZ29vZ2xlLnBy",
      "b3RvYnVmLkR1cmF0aW9uUgFiEikKAWMYAyABKAsyGy5nb29nbGUucHJvdG9idWYuSW50NjRWYWx1ZVIBYxIlCgFkGAQgASgL",
      "MhcuZ29vZ2xlLnByb3RvYnVmLlN0cnVjdFIBZBIkCgFlGAUgASgLMhYuZ29vZ2xlLnByb3RvYnVmLlZhbHVlUgFlEigKAWYY",
      "BiABKAsyGi5nb29nbGUucHJvdG9idWYuTGlzdFZhbHVlUgFmEiQKAWcYByABKAsyFi5nb29nbGUucHJvdG9idWYuRW1wdHlS",
      "AWcSIgoBaBgIIAEoCzIULmdvb2dsZS5wcm90b2J1Zi5BbnlSAWgSKAoBaRgJIAEoCzIaLmdvb2dsZS5wcm90b2J1Zi5GaWVs",
      "ZE1hc2tSAWkSHwoBahgKIAEoCzIRLmdvb2dsZS50eXBlLkRhdGVSAWoSJAoBaxgLIAEoCzIWLmdvb2dsZS50eXBlLlRpbWVP",
      "ZkRheVIBaxIoCgFsGAwgASgOMhouZ29vZ2xlLnByb3RvYnVmLk51bGxWYWx1ZVIBbGIGcHJvdG8z",
    ].join(""),
  );
  const schema = (await loadProtobuf()).descriptor("row.proto", file, []);
  const fields = columnsOf(schema.message("acme.All"));
  expect(typeName({ kind: "struct", fields })).toBe(
    "struct<a: timestamptz, b: decimal(21, 9), c: long, d: string, e: string, f: string, g: boolean, " +
      "h: struct<type_url: string, value: binary>, i: struct<paths: list<string>>, j: date, k: time, " +
      "l: string>",
  );
});

test("a field is called as its .proto file calls it, whichever way the schema came", async () => {
  const text = `${HEAD} message M { int32 user_id = 1; In in_one = 2; message In { string A_b = 1; } }`;
  const parser = await loadProtobuf();
  const { root } = protobuf.parse(text, { keepCase: true });
  const { file } = (
    root as unknown as { toDescriptor(edition: string): { file: object[] } }
  ).toDescriptor("proto3");
  const [only = {}] = file;
  const schemas = [
    parser.file("m.proto", text, () => null),
    parser.descriptorSet("m.desc", FileDescriptorSet.encode({ file }).finish()),
    parser.descriptor("m.proto", FileDescriptorProto.encode(only).finish(), []),
  ];
  for (const schema of schemas) {
    const type = typeName({ kind: "struct", fields: columnsOf(schema.message("t.M")) });
    expect(type).toBe("struct<user_id: int, in_one: struct<A_b: string>>");
  }
});
