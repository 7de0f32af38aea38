import { describe, expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import { jsonSchemaFields } from "#decode/jsonSchema/fields.ts";
import { decodeAll, framed } from "../../../support/avroRows.ts";
import { registryRig } from "../../../support/registryRig.ts";

function typeOf(properties: object, more: object = {}): string {
  const text = JSON.stringify({ type: "object", properties, ...more });
  return typeName({ kind: "struct", fields: jsonSchemaFields(text, []) });
}

const json = (id: number, value: unknown): Uint8Array =>
  framed(id, new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)));

const schemaOf = (properties: object): string => JSON.stringify({ type: "object", properties });

describe("columns of a JSON Schema", () => {
  test("types and formats", () => {
    const string = (more: object): object => ({ type: "string", ...more });
    const properties = {
      ...{ s: string({}), d: string({ format: "date" }), t: string({ format: "time" }) },
      ...{ at: string({ format: "date-time" }), id: string({ format: "uuid" }) },
      ...{ bin: string({ contentEncoding: "base64" }), mail: string({ format: "email" }) },
      ...{ i: { type: "integer" }, n: { type: "number" }, b: { type: "boolean" } },
      ...{ small: { type: "integer", "connect.type": "int32" } },
    };
    expect(typeOf(properties)).toBe(
      "struct<s: string, d: date, t: time, at: timestamptz, id: uuid, bin: binary, mail: string, " +
        "i: long, n: double, b: boolean, small: int>",
    );
  });

  test("null beside a type, enums, objects, maps and arrays", () => {
    const properties = {
      a: { type: ["null", "integer"] },
      b: { oneOf: [{ type: "null" }, { type: "string" }] },
      c: { enum: ["x", "y"] },
      d: { type: "object", properties: { e: { type: "number" } }, required: ["e"] },
      f: { type: "object", additionalProperties: { type: "integer" } },
      g: { type: "array", items: { type: "object", properties: { h: { type: "boolean" } } } },
      i: { type: ["string", "integer"] },
      j: {},
    };
    expect(typeOf(properties)).toBe(
      "struct<a: long, b: string, c: string, d: struct<e: double>, f: map<string, long>, " +
        "g: list<struct<h: boolean>>>",
    );
  });

  test("references within, to other schemas, and allOf", () => {
    const text = JSON.stringify({
      allOf: [{ $ref: "#/$defs/Base" }, { $ref: "other.json#/definitions/More" }],
      properties: { own: { $ref: "other.json" } },
      $defs: { Base: { type: "object", properties: { a: { type: "integer" } } } },
    });
    const other = JSON.stringify({
      type: "string",
      definitions: {
        More: { properties: { b: { $ref: "#/definitions/B" } } },
        B: { type: "boolean" },
      },
    });
    const fields = jsonSchemaFields(text, [{ name: "other.json", text: other }]);
    expect(typeName({ kind: "struct", fields })).toBe("struct<a: long, b: boolean, own: string>");
  });

  test("what contains itself, leads nowhere, or is no object's schema is refused by name", () => {
    const node = { type: "object", properties: { next: { $ref: "#" } } };
    expect(() => jsonSchemaFields(JSON.stringify(node), [])).toThrow(
      "contains itself (property next)",
    );
    expect(() => typeOf({ a: { $ref: "#/$defs/A" } })).toThrow("#/$defs/A leads nowhere");
    expect(() =>
      typeOf({ a: { $ref: "#/$defs/A" } }, { $defs: { A: { $ref: "#/$defs/A" } } }),
    ).toThrow("has no end");
    expect(() => jsonSchemaFields('{"type": "string"}', [])).toThrow("no schema of an object");
    expect(() => jsonSchemaFields("[", [])).toThrow("it is not JSON");
  });
});

for (const kernel of [false, "always"] as const) {
  describe(`JSON Schema from a registry, kernel ${kernel}`, () => {
    test("values are read by the types of their schema, and other fields are learned", async () => {
      const { server, decode } = registryRig("json-schema", { kernel });
      const schema = schemaOf({
        at: { type: "string", format: "date-time" },
        n: { type: "number" },
        m: { type: "object", additionalProperties: { type: "integer" } },
      });
      const id = server.register("t-value", schema, "JSON");
      const { rows, fields, rejected } = await decode([
        json(id, { at: "1970-01-01T00:00:01Z", n: 1, m: { a: 1 }, extra: "x" }),
        json(id, { n: null }),
        json(id, { at: "yesterday" }),
      ]);
      expect(fields.map(({ name, type }) => `${name} ${type.kind}`)).toEqual([
        ...["at timestamp", "n double", "m map", "extra string"],
      ]);
      expect(rows).toEqual([
        { at: 1_000_000n, n: 1, m: new Map([["a", 1n]]), extra: "x" },
        { at: null, n: null, m: null, extra: null },
      ]);
      expect(rejected.map(({ reason }) => reason)).toEqual(["type_conflict"]);
    });

    test("fields are shaped as those of plain JSON, and what has no place is kept in _rescued", async () => {
      const shaping = {
        ...{ select: [], exclude: ["debug", "user.password"], rename: { "user.e-mail": "email" } },
        ...{ mask: ["user.phone", "lines.element.p", "lost"], hash: [], hashSalt: "" },
        ...{ separator: ".", isStrict: true, ignoresCase: false },
      };
      const keeps = { onUnknownField: "rescue", onTypeConflict: "rescue" } as const;
      const { server, decode } = registryRig("json-schema", { kernel, shaping, ...keeps });
      const integer = { type: "integer" };
      const string = { type: "string" };
      const object = (properties: object): object => ({ type: "object", properties });
      const schema = schemaOf({
        ...{ id: integer, debug: object({ x: integer }), lost: integer },
        user: object({ "e-mail": string, phone: integer, password: string }),
        lines: { type: "array", items: object({ p: integer }) },
      });
      const id = server.register("t-value", schema, "JSON");
      const user = { "e-mail": "a", phone: 555, password: "p" };
      const first = { id: 1, debug: { x: 1 }, user, lines: [{ p: 1 }, { p: null }] };
      const one = await decode([json(id, first), json(id, { id: "two" })]);
      expect(one.rejected).toEqual([]);
      expect(one.rows).toEqual([
        {
          ...{ id: 1n, lost: null, user: { email: "a", phone: "***" }, _rescued: null },
          lines: [{ p: "***" }, { p: null }],
        },
        { id: null, lost: null, user: null, lines: null, _rescued: '{"id":"two"}' },
      ]);
      const two = await decode([json(id, { id: 2, more: [7], user: { password: "p" } })]);
      expect(two.rows[0]).toMatchObject({ id: 2n, _rescued: '{"more":[7]}' });
    });

    test("a time of day comes with its offset, as RFC 3339 wants it, and is kept in UTC", async () => {
      const { server, decode } = registryRig("json-schema", { kernel });
      const t = { type: "string", format: "time" };
      const id = server.register("t-value", schemaOf({ t }), "JSON");
      const texts = ["00:00:01Z", "00:30:00.5+01:00", "23:59:59-00:01", "00:00:02", "25:00:00Z"];
      const { rows, rejected } = await decode(texts.map((each) => json(id, { t: each })));
      expect(rows.map((row) => row["t"])).toEqual([
        ...[1_000_000n, 84_600_500_000n, 59_000_000n, 2_000_000n],
      ]);
      expect(rejected.map(({ reason }) => reason)).toEqual(["type_conflict"]);
    });

    test("a new version brings its columns, also those that no value shows yet", async () => {
      const { server, decode } = registryRig("json-schema", { kernel });
      const a = { type: "integer" };
      const one = server.register(
        "t-value",
        schemaOf({ a, in: { type: "object", properties: { x: a } } }),
        "JSON",
      );
      await decode([json(one, { a: 1, in: { x: 1 } })]);
      const next = {
        a,
        in: { type: "object", properties: { x: a, y: { type: "string" } } },
        b: { type: "string", format: "date" },
      };
      const two = server.register("t-value", schemaOf(next), "JSON");
      const { rows } = await decode([json(one, { a: 1 }), json(two, { a: 2, in: { x: 3 } })]);
      expect(rows).toEqual([
        { a: 1n, in: null, b: null },
        { a: 2n, in: { x: 3n, y: null }, b: null },
      ]);
    });

    test("a wider type asks the table", async () => {
      const { server, decoder, prepared, decode } = registryRig("json-schema", { kernel });
      const one = server.register(
        "t-value",
        schemaOf({ a: { type: "integer", "connect.type": "int32" } }),
        "JSON",
      );
      await decode([json(one, { a: 1 })]);
      decoder.adopt([{ id: 1, name: "a", required: false, type: { kind: "int" } }]);
      const two = server.register("t-value", schemaOf({ a: { type: "integer" } }), "JSON");
      const batch = await prepared([json(two, { a: 2 ** 40 })]);
      expect(decoder.builder().tryDecode(batch)).toBeNull();
      expect(decoder.takeGrowth()?.differences).toEqual([
        "column a is int, and long in the schema",
      ]);
      expect(decodeAll(decoder, batch).rejected.map(({ reason }) => reason)).toEqual([
        "type_conflict",
      ]);
    });

    test("values without a head, of an unknown or another language's schema, or no JSON, are refused", async () => {
      const { server, decode } = registryRig("json-schema", { kernel });
      const id = server.register("t-value", schemaOf({ a: { type: "integer" } }), "JSON");
      const avro = server.register("a-value", '"string"', "AVRO");
      const values = [
        json(id, { a: 1 }),
        new TextEncoder().encode('{"a":1}'),
        json(avro, {}),
        json(id, "{"),
        json(id, ""),
      ];
      const { rows, rejected } = await decode(values);
      expect(rows).toEqual([{ a: 1n }]);
      expect(rejected.map(({ offset, reason }) => `${offset} ${reason}`)).toEqual([
        ...["1 no_schema_id", "2 bad_schema", "3 bad_json", "4 bad_json"],
      ]);
    });
  });
}
