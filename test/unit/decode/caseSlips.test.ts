/** Fields that differ by case only from those that `[source.transform]` leaves out or covers: slips of a producer. */
import { expect, test } from "bun:test";
import { NO_SHAPING } from "#decode/shaping.ts";
import { avroBytes, framed } from "../../support/avroRows.ts";
import { registryRig } from "../../support/registryRig.ts";
import { member, record, struct } from "./avro/shapedRows.ts";
import { hex, make } from "./protobuf/support.ts";
import { shaped as json } from "./shapedRows.ts";

const KEYS = ["exclude", "mask", "hash"] as const;

test("never become columns of JSON documents, at any depth, whether columns are learned first or later", () => {
  const slips = [
    '"User":{"phone":"SECRET"}',
    '"user":{"Phone":"SECRET"}',
    '"user":{"Phone":"SECRET","n":1}',
    '"user":{"work":{"CALL":"SECRET"}}',
    '"User":"SECRET"',
    '"PW":"SECRET"',
  ];
  const good = '"user":{"n":1,"work":{"m":2}}';
  for (const key of KEYS) {
    const shape = { [key]: ["user.phone", "user.work.call", "pw"] };
    for (const flattenSeparator of [null, "_"]) {
      for (const inOrder of [[good, ...slips], [...slips, good], slips]) {
        const documents = inOrder.map((each, id) => `{"id":${id},${each}}`);
        const { rows, reasons, names } = json(shape, documents, { flattenSeparator });
        const refused = inOrder.flatMap((each, id) => (each === good ? [] : [id]));
        expect(reasons).toEqual(refused.map((id) => `${id} ambiguous_field`));
        expect(rows).toHaveLength(inOrder.length - refused.length);
        expect(names.some((name) => name.includes("Phone") || name === "PW")).toBe(false);
      }
    }
  }
});

test("never become columns of Avro, in unions, and in later versions too", async () => {
  const user = struct("U", member("Phone", "string"), member("n", "int"));
  const other = struct("V", member("x", "int"));
  const id = member("id", "int");
  const plain = record(id, member("user", struct("W", member("phone", "string"))));
  const cases = [
    [record(id, member("user", user)), { Phone: "SECRET", n: 1 }],
    [record(id, member("user", [user, other])), { U: { Phone: "SECRET", n: 1 } }],
  ] as const;
  const upper = record(id, member("User", [user, "string"]));
  const nested = struct("W2", member("user", [struct("X", member("phone", "string")), "int"]));
  const around = record(id, member("Deep", [nested, "boolean"]));
  const written = [
    ...cases.map(([schema, value]) => [schema, { id: 1, user: value }] as const),
    [upper, { id: 1, User: { string: "SECRET" } }] as const,
    [around, { id: 1, Deep: { W2: { user: { X: { phone: "SECRET" } } } } }] as const,
  ];
  for (const key of KEYS) {
    for (const flattenSeparator of [null, "_"]) {
      for (const [schema, value] of written) {
        const separator = flattenSeparator ?? ".";
        const shaping = {
          ...NO_SHAPING,
          hashSalt: "salt",
          separator,
          [key]: ["user.phone", "deep.user.phone"],
        };
        const rig = registryRig("avro", { shaping, flattenSeparator });
        const schemas = [schema, plain, schema];
        const values = [value, { id: 0, user: { phone: "SECRET" } }, value];
        const decoded = [];
        for (const [index, each] of schemas.entries()) {
          const number = rig.server.register("t-value", JSON.stringify(each), "AVRO");
          decoded.push(await rig.decode([framed(number, avroBytes(each, values[index]))]));
        }
        expect(
          Bun.inspect(
            decoded.map(({ rows }) => rows),
            { depth: 9 },
          ),
        ).not.toContain("SECRET");
        expect(decoded.map(({ rows }) => rows.length)).toEqual([0, 1, 0]);
        const reasons = decoded[0]?.rejected.map(({ reason }) => reason);
        expect(["ambiguous_field", "type_conflict"]).toContain(reasons?.[0] ?? "");
      }
    }
  }
});

test("never become columns of Protobuf", async () => {
  const slips = [
    ["U user = 2; message U { string Phone = 1; int32 n = 2; }", { user: { Phone: "SECRET" } }],
    ["U User = 2; message U { string phone = 1; int32 n = 2; }", { User: { phone: "SECRET" } }],
    ["string User = 2;", { User: "SECRET" }],
  ] as const;
  for (const key of KEYS) {
    for (const [body, value] of slips) {
      for (const flattenSeparator of [null, "_"]) {
        const separator = flattenSeparator ?? ".";
        const shaping = { ...NO_SHAPING, hashSalt: "salt", separator, [key]: ["user.phone"] };
        const rig = registryRig("protobuf", { shaping, flattenSeparator });
        const text = `syntax = "proto3"; message T { int32 a = 1; ${body} }`;
        rig.server.register("t-value", text, "PROTOBUF");
        const { bytes } = await make(text);
        const values = [{ a: 1, ...value }, { a: 2 }];
        const framedValues = values.map((each) => [...hex("00 00 00 00 01 00"), ...bytes(each)]);
        const found = await rig.decode(framedValues.map((each) => Uint8Array.from(each)));
        expect(found.rejected.map(({ reason }) => reason)).toEqual(["ambiguous_field"]);
        expect(found.rows).toMatchObject([{ a: 2 }]);
      }
    }
  }
});
