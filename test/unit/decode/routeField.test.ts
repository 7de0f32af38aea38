/** What records name tables by, in every format. */
import { expect, test } from "bun:test";
import protobuf from "protobufjs";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import type { RecordBytes } from "#decode/decoder.ts";
import type { DecoderOptions } from "#decode/options.ts";
import { loadProtobuf } from "#decode/protobuf/parse.ts";
import type { MissingPolicy } from "#decode/registry/options.ts";
import { MISSING_MS, SchemaRegistry } from "#decode/registry/registry.ts";
import { routeField } from "#decode/routeField.ts";
import { createRegistryFake } from "../../fakes/schemaRegistry.ts";
import { SimClock } from "../../sim/simClock.ts";
import { avroBytes, framed } from "../../support/avroRows.ts";
import { recordBatch } from "../../support/records.ts";
import { rejection } from "../../support/rejection.ts";

type Options = Pick<DecoderOptions, "format" | "schemaText" | "message">;

const BARE: Options = { format: "avro", schemaText: null, message: null };

function textOf(path: string, options: Options, bytes: Uint8Array): string | null {
  return routeField(path, options, null).of(bytes, 0, bytes.length);
}

const record = (name: string, ...fields: readonly (readonly [string, unknown])[]) => {
  return { type: "record", name, fields: fields.map(([name, type]) => ({ name, type })) };
};

test("text, whole numbers, enums and booleans of Avro name tables, through unions and records", () => {
  const kinds: readonly (readonly [type: unknown, value: unknown, text: string | null])[] = [
    ["string", "click", "click"],
    ["int", -3, "-3"],
    ["long", 2 ** 40, "1099511627776"],
    ["boolean", true, "true"],
    [{ type: "enum", name: "E", symbols: ["a", "b"] }, "b", "b"],
    [["null", "string"], { string: "x" }, "x"],
    [["null", "string"], null, null],
    [["int", "string"], { int: 4 }, "4"],
    ["double", 1, null],
    ["bytes", Buffer.from("x"), null],
    [{ type: "array", items: "string" }, ["x"], null],
  ];
  for (const [type, value, text] of kinds) {
    const inner = record("Meta", ["skipped", "string"], ["type", type]);
    const schema = record("R", ["a", "int"], ["meta", ["null", inner]], ["z", "string"]);
    const bytes = avroBytes(schema, {
      a: 1,
      meta: { Meta: { skipped: "s", type: value } },
      z: "z",
    });
    const options = { ...BARE, schemaText: JSON.stringify(schema) };
    expect([type, textOf("meta.type", options, bytes)]).toEqual([type, text]);
    expect(textOf("meta", options, bytes)).toBeNull();
    expect(textOf("meta.other", options, bytes)).toBeNull();
    expect(textOf("meta.type.more", options, bytes)).toBeNull();
    // A damaged value is nobody's but the topic's own table's.
    expect(textOf("meta.type", options, bytes.slice(0, -1))).toBeNull();
    expect(textOf("meta.type", options, new Uint8Array([...bytes, 0]))).toBeNull();
  }
});

test("a field of Avro that a version calls otherwise is found by its alias", () => {
  const field = { name: "kind", type: "string", aliases: ["type"] };
  const schema = { type: "record", name: "R", fields: [field] };
  const options = { ...BARE, schemaText: JSON.stringify(schema) };
  expect(textOf("type", options, avroBytes(schema, { kind: "x" }))).toBe("x");
});

const PROTO = `syntax = "proto3"; message T { Meta meta = 1; oneof o { string x = 2; int32 y = 3; } repeated string l = 4; }
  message Meta { string text = 1; int64 number = 2; bool flag = 3; Kind kind = 4; double d = 5; optional int32 maybe = 6; }
  enum Kind { NONE = 0; CLICK = 1; }`;

async function protoOf(path: string, value: object | Uint8Array): Promise<string | null> {
  const message = (await loadProtobuf()).file("t.proto", PROTO, () => null).message("T");
  const type = protobuf.parse(PROTO, { keepCase: true }).root.lookupType("T");
  const bytes = value instanceof Uint8Array ? value : type.encode(type.fromObject(value)).finish();
  return textOf(path, { format: "protobuf", schemaText: null, message }, bytes);
}

test("text, whole numbers, enums and booleans of Protobuf name tables, and what is missing says its default", async () => {
  const meta = { text: "click", number: -7, flag: true, kind: 1, d: 1, maybe: 2 };
  const texts = { text: "click", number: "-7", flag: "true", kind: "CLICK", d: null, maybe: "2" };
  const missing = { text: null, number: "0", flag: "false", kind: "NONE", d: null, maybe: null };
  for (const name of Object.keys(texts) as (keyof typeof texts)[]) {
    expect([name, await protoOf(`meta.${name}`, { meta })]).toEqual([name, texts[name]]);
    expect([name, await protoOf(`meta.${name}`, { meta: {} })]).toEqual([name, missing[name]]);
    expect(await protoOf(`meta.${name}`, {})).toBeNull();
  }
  expect(await protoOf("meta.kind", { meta: { kind: 9 } })).toBe("9");
  expect(await protoOf("l", { l: ["x"] })).toBeNull();
  expect(await protoOf("meta", { meta })).toBeNull();
});

test("the last value counts, and of a oneof the last member; a broken message names none", async () => {
  const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
  expect(await protoOf("x", hex("12 01 61 12 01 62"))).toBe("b");
  expect(await protoOf("x", hex("12 01 61 18 05"))).toBeNull();
  expect(await protoOf("x", hex("18 05 12 01 61"))).toBe("a");
  expect(await protoOf("meta.text", hex("0a 03 0a 01 61 0a 02 10 05"))).toBe("a");
  expect(await protoOf("x", hex("12 01 61 12"))).toBeNull();
  expect(await protoOf("x", hex("12 01 ff"))).toBeNull();
});

function registryOf(onMissing: MissingPolicy) {
  const server = createRegistryFake();
  const clock = new SimClock(0, () => undefined);
  const parts = { clock, random: seededRandom(1), log: silentLogger, observe: ignoreObservations };
  const options = { urls: ["http://r"], auth: { type: "none" }, ca: null, cacheTtlMs: 1 } as const;
  const policy = { strategy: "topic-name", onMissing } as const;
  const registry = new SchemaRegistry({ ...options, ...policy }, { ...parts, http: server.http });
  return { server, clock, registry };
}

test("with a registry the schemas of a batch are asked for first; what has none names no table", async () => {
  const { server, registry } = registryOf("dead_letter");
  const schema = record("R", ["type", "string"]);
  server.register("t-value", JSON.stringify(schema));
  server.register("t-value", PROTO, "PROTOBUF");
  const avro = framed(1, avroBytes(schema, { type: "x" }));
  const proto = framed(2, Uint8Array.of(0, 0x12, 1, 0x79));
  for (const [format, path, own, other, text] of [
    ["avro", "type", avro, proto, "x"],
    ["protobuf", "x", proto, avro, "y"],
  ] as const) {
    const field = routeField(path, { ...BARE, format }, registry);
    const of = (bytes: Uint8Array) => field.of(bytes, 0, bytes.length);
    expect(of(own)).toBeNull();
    const batch = recordBatch([own, other]);
    for (let next = field.prepare?.(batch); next; next = field.prepare?.(batch)) await next;
    expect([of(own), of(other), of(Uint8Array.of(1, 2))]).toEqual([text, null, null]);
    expect(of(own)).toBe(text);
  }
});

test("a record whose schema the registry does not have is nobody's, whatever on_missing says: no table may pass it", async () => {
  for (const onMissing of ["dead_letter", "fail", "latest"] as const) {
    for (const format of ["avro", "protobuf"] as const) {
      const { server, clock, registry } = registryOf(onMissing);
      const language = format === "avro" ? "AVRO" : "PROTOBUF";
      server.register("t-value", language === "AVRO" ? '"string"' : PROTO, language);
      const field = routeField("type", { ...BARE, format }, registry);
      const ask = async (batch: RecordBytes) => field.prepare?.(batch) ?? "ready";
      const known = framed(1, Uint8Array.of(0));
      while ((await ask(recordBatch([known]))) !== "ready");
      const batch = recordBatch([known, framed(77, Uint8Array.of(0))]);
      expect(await rejection(ask(batch))).toMatchObject({ kind: "registry_unreachable" });
      clock.advance(MISSING_MS);
      await ask(batch);
      const error = await rejection(ask(batch));
      expect(error).toMatchObject({ kind: "data", context: { schema_id: 77 } });
      expect(error.message).toContain("iceberg.route_field");
      // Who has gone on behind it is not held up by the batch that it is in.
      const behind = { ...batch, wantedOffset: batch.baseOffset + 2n };
      expect(await ask(behind)).toBe("ready");
    }
  }
});
