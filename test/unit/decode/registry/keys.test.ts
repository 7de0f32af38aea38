/** Kafka's keys with schemas of a registry, and as Kafka's own serializers write them: what a record without a value deletes. */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import protobuf from "protobufjs";
import { CHANGE, splitChanges } from "#columns/changes.ts";
import type { Field } from "#columns/schema.ts";
import type { ChangeOptions, DecoderOptions, KeyFormat } from "#decode/options.ts";
import { NO_SHAPING } from "#decode/shaping.ts";
import { avroBytes, framed } from "../../../support/avroRows.ts";
import { rowsOf } from "../../../support/columnValues.ts";
import { type RecordInput, recordBatch } from "../../../support/records.ts";
import { type RegistryRig, registryRig } from "../../../support/registryRig.ts";

function ktable(keyFormat: KeyFormat, keyFields: readonly string[] = ["id"]): ChangeOptions {
  return { mode: "ktable", keyFields, keyFormat, onDelete: "delete", opField: null };
}

function column(name: string, type: Field["type"]): Field {
  return { id: 0, name, required: false, type };
}

/** `+` or `-` and the columns of the key, and why other records did nothing. */
async function effects({ decoder }: RegistryRig, records: readonly RecordInput[], keys: string[]) {
  const batch = recordBatch(records);
  for (let next = decoder.prepare?.(batch); next; next = decoder.prepare?.(batch)) await next;
  if (decoder.needsSample) decoder.sample([batch]);
  const segment = decoder.builder();
  const { rejected } = segment.decode(batch);
  const { rows, changes } = splitChanges(segment.seal());
  const done = rowsOf(rows).map((row, index) => {
    const sign = changes?.[index] === CHANGE.delete ? "-" : "+";
    return [sign, ...keys.map((key) => row[key])];
  });
  return { done, reasons: rejected.map(({ offset, reason }) => `${offset} ${reason}`) };
}

/** One column `id` in each format, and its second version with a member more. */
const FORMATS = {
  avro: {
    language: "AVRO",
    schema: (version: number) => {
      const more = version === 1 ? [] : [{ name: "region", type: "string" }];
      const fields = [{ name: "id", type: "long" }, ...more];
      return JSON.stringify({ type: "record", name: "Key", fields });
    },
    write: (schema: string, key: object) => avroBytes(JSON.parse(schema), key),
  },
  protobuf: {
    language: "PROTOBUF",
    schema: (version: number) =>
      `syntax = "proto3"; message Key { int64 id = 1; ${version === 1 ? "" : "string region = 2;"} }`,
    write: (schema: string, key: object) => {
      const type = protobuf.parse(schema).root.lookupType("Key");
      return new Uint8Array([0, ...type.encode(key).finish()]);
    },
  },
  "json-schema": {
    language: "JSON",
    schema: (version: number) => {
      const properties = { id: { type: "integer" }, ...(version === 1 ? {} : { region: {} }) };
      return JSON.stringify({ type: "object", properties });
    },
    write: (_: string, key: object) => Buffer.from(JSON.stringify(key)),
  },
} as const;

for (const [name, format] of Object.entries(FORMATS)) {
  for (const kernel of [false, "always"] as const) {
    describe(`${name} keys, kernel ${kernel}`, () => {
      test("a record without a value deletes the row of its key, whatever version of the schema that has", async () => {
        const rig = registryRig("json", { kernel, changes: ktable(name as KeyFormat) });
        const [one, two] = [1, 2].map((version) => {
          const schema = format.schema(version);
          const id = rig.server.register("t-key", schema, format.language);
          return (key: object) => framed(id, format.write(schema, key));
        });
        const { done, reasons } = await effects(
          rig,
          [
            { key: one?.({ id: 1 }) ?? null, value: '{"id":1,"n":1}' },
            { key: two?.({ id: 2, region: "x" }) ?? null, value: '{"id":2,"n":2}' },
            { key: one?.({ id: 2 }) ?? null, value: null },
            { key: two?.({ id: 1, region: "x" }) ?? null, value: null },
            { key: "plain", value: null },
            { key: null, value: null },
          ],
          ["id"],
        );
        expect(done).toEqual([
          ["+", 1n],
          ["+", 2n],
          ["-", 2n],
          ["-", 1n],
        ]);
        expect(reasons).toEqual(["4 bad_key", "5 null_key"]);
      });
    });
  }
}

test("a key in Avro that is no record is the value of the one column", async () => {
  const fields = [column("id", { kind: "uuid" })];
  const rig = registryRig("json", { changes: ktable("avro"), fields });
  const schema = { type: "string", logicalType: "uuid" };
  const id = rig.server.register("t-key", JSON.stringify(schema));
  const uuid = "5b0b7a5e-0c1d-4c3b-9a63-4a5a1b0f9f11";
  const bytes = framed(id, avroBytes({ type: "string" }, uuid));
  const { done, reasons } = await effects(rig, [{ key: bytes, value: null }], ["id"]);
  expect([done, reasons]).toEqual([[["-", uuid.replaceAll("-", "")]], []]);
});

test("a hashed column of the key is hashed in keys as in values, whatever they are written in", async () => {
  const shaping = { ...NO_SHAPING, hash: ["user"], rename: { user: "id" }, hashSalt: "s" };
  const hash = createHmac("sha256", "s").update("17").digest("hex");
  const seventeen = Buffer.from("0000000000000011", "hex");
  const schema = { type: "record", name: "Key", fields: [{ name: "user", type: "long" }] };
  const head = (bytes: Uint8Array) => framed(1, bytes);
  const keys: readonly (readonly [KeyFormat, Uint8Array | string, object?])[] = [
    ["string", "17"],
    ["long", seventeen],
    ["json", '{"user":17}'],
    ["avro", head(avroBytes(schema, { user: 17 })), schema],
    ["avro", head(avroBytes({ type: "long" }, 17)), { type: "long" }],
  ];
  for (const [keyFormat, key, registered] of keys) {
    const rig = registryRig("json", { changes: ktable(keyFormat), shaping });
    if (registered !== undefined) rig.server.register("t-key", JSON.stringify(registered));
    const records = [
      { key, value: '{"user":17}' },
      { key, value: null },
    ];
    const { done, reasons } = await effects(rig, records, ["id"]);
    expect([keyFormat, done, reasons]).toEqual([
      keyFormat,
      [
        ["+", hash],
        ["-", hash],
      ],
      [],
    ]);
  }
});

test("the schemas of keys are asked for where a record without a value needs them, and nowhere else", async () => {
  const rig = registryRig("json", { changes: ktable("avro") });
  const schema = FORMATS.avro.schema(1);
  const id = rig.server.register("t-key", schema);
  const key = framed(id, FORMATS.avro.write(schema, { id: 1 }));
  await effects(rig, [{ key, value: '{"id":1}' }], ["id"]);
  expect(rig.server.requests).toEqual([]);
  await effects(rig, [{ key, value: null }], ["id"]);
  expect(rig.server.requests).toHaveLength(1);
});

test("numbers and bytes are keys as Kafka's serializers write them", async () => {
  const of = async (keyFormat: KeyFormat, type: Field["type"], ...keys: string[]) => {
    const options: Partial<DecoderOptions> = {
      changes: ktable(keyFormat),
      fields: [column("id", type)],
    };
    const records = keys.map((hex) => ({ key: Buffer.from(hex, "hex"), value: null }));
    return effects(registryRig("json", options), records, ["id"]);
  };
  const seven = "0000000000000007";
  expect(await of("long", { kind: "long" }, seven, "fffffffffffffffe", "00000007")).toEqual({
    done: [
      ["-", 7n],
      ["-", -2n],
    ],
    reasons: ["2 bad_key"],
  });
  expect((await of("int", { kind: "int" }, "fffffffe")).done).toEqual([["-", -2]]);
  expect((await of("long", { kind: "int" }, seven, "7fffffffffffffff")).reasons).toEqual([
    "1 bad_key",
  ]);
  expect((await of("long", { kind: "string" }, seven)).done).toEqual([["-", "7"]]);
  expect((await of("bytes", { kind: "binary" }, "00ff")).done).toEqual([["-", "00ff"]]);
  expect((await of("bytes", { kind: "string" }, "00ff")).reasons).toEqual(["0 bad_key"]);
});
