/** Writers' schemas against a table's columns: names, aliases, defaults, promotions, and what does not fit. */
import { expect, test } from "bun:test";
import { ignoreObservations } from "#base/events.ts";
import { silentLogger } from "#base/log.ts";
import { seededRandom } from "#base/random.ts";
import { typeName } from "#columns/evolve.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import { avroFormat } from "#decode/avro/format.ts";
import { createDecoder } from "#decode/createDecoder.ts";
import type { Decoder, RecordBytes } from "#decode/decoder.ts";
import { DECODER_DEFAULTS, type DecoderOptions } from "#decode/options.ts";
import { SchemaRegistry } from "#decode/registry/registry.ts";
import { createRegistryFake, type RegistryFake } from "../../../fakes/schemaRegistry.ts";
import { SimClock } from "../../../sim/simClock.ts";
import { avroBytes, decodeAll, framed } from "../../../support/avroRows.ts";
import { recordBatch } from "../../../support/records.ts";

const column = (name: string, type: Type, required = false, id = 1): Field => {
  return { id, name, required, type };
};
const member = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more });
const record = (...fields: readonly object[]) => ({ type: "record", name: "R", fields });

interface Rig {
  readonly server: RegistryFake;
  readonly decoder: Decoder;
  /** A batch of values, each with the schema that it was written with; its schemas are there. */
  batch(...values: readonly (readonly [id: number, value: unknown])[]): Promise<RecordBytes>;
}

/** A table behind a registry with these schemas, whose ids are 1, 2, ... */
function rig(schemas: readonly object[], more: Partial<DecoderOptions> = {}): Rig {
  const server = createRegistryFake();
  for (const schema of schemas) server.register("t-value", JSON.stringify(schema));
  const clock = new SimClock(0, () => undefined);
  const parts = { clock, random: seededRandom(1), log: silentLogger, observe: ignoreObservations };
  const options = { urls: ["http://r"], auth: { type: "none" }, ca: null, cacheTtlMs: 1 } as const;
  const policy = { strategy: "topic-name", onMissing: "dead_letter" } as const;
  const registry = new SchemaRegistry({ ...options, ...policy }, { ...parts, http: server.http });
  const settings = { ...DECODER_DEFAULTS, format: "avro" as const, metadataColumns: [], ...more };
  const decoder = createDecoder(settings, avroFormat(settings, registry));
  const batch = async (
    ...values: readonly (readonly [number, unknown])[]
  ): Promise<RecordBytes> => {
    const made = recordBatch(
      values.map(([id, value]) => framed(id, avroBytes(schemas[id - 1] ?? {}, value))),
    );
    await decoder.prepare?.(made);
    expect(decoder.prepare?.(made)).toBeNull();
    return made;
  };
  return { server, decoder, batch };
}

/** A table that is there with these columns. */
function withTable(
  schemas: readonly object[],
  fields: readonly Field[],
  more: Partial<DecoderOptions> = {},
): Rig {
  const made = rig(schemas, more);
  made.decoder.adopt(fields, { dropped: [], hasRows: true });
  return made;
}

test("columns come from the schemas that records name, in the order of the records, and widen while the table is not made", async () => {
  const { decoder, batch } = rig([
    record(member("a", "int"), member("b", "string")),
    record(member("c", "float"), member("a", ["null", "long"])),
    record(member("c", "double")),
  ]);
  const values = await batch([2, { c: 1, a: { long: 5 } }], [1, { a: 1, b: "x" }], [3, { c: 0.1 }]);
  const { fields, rows, rejected } = decodeAll(decoder, values);
  expect(rejected).toEqual([]);
  expect(fields.map(({ name, type }) => `${name} ${typeName(type)}`)).toEqual([
    "c double",
    "a long",
    "b string",
  ]);
  expect(rows).toEqual([
    { c: 1, a: 5n, b: null },
    { c: null, a: 1n, b: "x" },
    { c: 0.1, a: null, b: null },
  ]);
});

test("a new version's fields become columns while data flows, at any depth, and the batch that brings them keeps its values", async () => {
  const inner = (...more: readonly object[]) => ({
    type: "record",
    name: "I",
    fields: [member("x", "int"), ...more],
  });
  const list = (items: object) => ({ type: "array", items });
  const { decoder, batch } = rig([
    record(member("l", list(inner())), member("m", { type: "map", values: "I" })),
    record(
      member("l", list(inner(member("y", "string", { default: "" })))),
      member("m", { type: "map", values: "I" }),
      member("n", "long"),
    ),
  ]);
  decoder.sample([await batch([1, { l: [{ x: 1 }], m: {} }])]);
  const segment = decoder.builder();
  segment.decode(await batch([1, { l: [{ x: 1 }], m: {} }]));
  const value = { l: [{ x: 2, y: "b" }], m: { k: { x: 3, y: "c" } }, n: 4 };
  const { rejected } = segment.decode(await batch([1, { l: [], m: {} }], [2, value]));
  expect(rejected).toEqual([]);
  expect(decoder.fields.map(({ name, type }) => `${name} ${typeName(type)}`)).toEqual([
    "l list<struct<x: int, y: string>>",
    "m map<string, struct<x: int, y: string>>",
    "n long",
  ]);
  expect(segment.rowCount).toBe(3);
});

test("values are promoted to their column's type, and logical types meet those of declared columns", async () => {
  const kinds: readonly (readonly [unknown, PrimitiveType, unknown, unknown])[] = [
    ["int", { kind: "long" }, 5, 5n],
    ["int", { kind: "float" }, 5, 5],
    ["int", { kind: "double" }, 5, 5],
    ["long", { kind: "float" }, 5, 5],
    ["long", { kind: "double" }, 5, 5],
    ["float", { kind: "double" }, 0.5, 0.5],
    ["string", { kind: "binary" }, "a", "61"],
    ["bytes", { kind: "string" }, Buffer.from("a"), "a"],
    ["string", { kind: "date" }, "1970-01-02", 1],
    ["string", { kind: "timestamp", zone: true }, "1970-01-01T00:00:01Z", 1_000_000n],
    ["string", { kind: "decimal", precision: 5, scale: 2 }, "1.5", 150n],
    ["bytes", { kind: "fixed", length: 1 }, Buffer.from("a"), "61"],
    [{ type: "int", logicalType: "date" }, { kind: "long" }, 7, 7n],
    [
      { type: "long", logicalType: "timestamp-millis" },
      { kind: "timestamp_ns", zone: true },
      7,
      7_000_000n,
    ],
    [
      { type: "bytes", logicalType: "decimal", precision: 4, scale: 1 },
      { kind: "decimal", precision: 9, scale: 3 },
      Buffer.from([5]),
      500n,
    ],
  ];
  for (const [schema, type, value, stored] of kinds) {
    const { decoder, batch } = withTable([record(member("v", schema))], [column("v", type)]);
    const { rows, rejected } = decodeAll(decoder, await batch([1, { v: value }]));
    expect([rejected, rows]).toEqual([[], [{ v: stored as never }]]);
    expect(decoder.takeGrowth()).toBeNull();
  }
});

test("the event time is read by its format from a plain number or text, and as it is from a logical type", async () => {
  const millis = { type: "long", logicalType: "timestamp-millis" };
  for (const [schema, format, value] of [
    ["long", "epoch_seconds", 2],
    ["string", "iso8601", "1970-01-01T00:00:02Z"],
    [millis, "epoch_seconds", 2000],
  ] as const) {
    const more = { eventTimeField: "at", eventTimeFormat: format };
    const { decoder, batch } = rig([record(member("at", schema))], more);
    const { rows } = decodeAll(decoder, await batch([1, { at: value }]));
    expect(rows).toEqual([{ at: 2_000_000n }]);
  }
});

test("a renamed field finds the column of its alias; the reader's file renames and gives defaults", async () => {
  const v1 = record(member("userName", "string"));
  const v2 = record(member("user", "string", { aliases: ["userName"] }), member("n", "int"));
  const plain = rig([v1, v2]);
  const first = await plain.batch([1, { userName: "a" }], [2, { user: "b", n: 1 }]);
  expect(decodeAll(plain.decoder, first).rows).toEqual([
    { userName: "a", n: null },
    { userName: "b", n: 1 },
  ]);
  const reader = record(
    member("user", "string", { aliases: ["userName"] }),
    member("n", "int", { default: 7 }),
    member("l", { type: "array", items: "string" }, { default: ["x"] }),
    member("o", ["null", "int"], { default: null }),
  );
  const fields = [
    column("user", { kind: "string" }, true, 0),
    column("n", { kind: "int" }, true, 0),
    column("l", { kind: "list", element: column("element", { kind: "string" }, true, 0) }, true, 0),
    column("o", { kind: "int" }, false, 0),
  ];
  const read = rig([v1, v2], { fields, schemaText: JSON.stringify(reader) });
  const { rows, rejected } = decodeAll(read.decoder, await read.batch([1, { userName: "a" }]));
  expect(rejected).toEqual([]);
  expect(rows).toEqual([{ user: "a", n: 7, l: ["x"], o: null }]);
});

test("a schema that does not fit asks the table first, and then only values that do not fit are refused", async () => {
  const schemas = [record(member("a", "long"), member("b", ["null", "string"]))];
  const table = [
    column("a", { kind: "int" }, false, 1),
    column("b", { kind: "string" }, true, 2),
    column("c", { kind: "long" }, true, 3),
  ];
  const { decoder, batch } = withTable(schemas, table);
  const values = await batch([1, { a: 5, b: { string: "x" } }]);
  const segment = decoder.builder();
  expect(segment.tryDecode(values)).toBeNull();
  const growth = decoder.takeGrowth();
  expect(growth?.by).toBe("Schema 1 (R)");
  expect(growth?.differences).toEqual([
    "column a is int, and long in the schema",
    "column b is required, and may be null in the schema",
    "column c is required, and not in the schema",
  ]);
  const wanted = growth?.fields.map(({ name, type, required }) => [name, typeName(type), required]);
  expect(wanted).toEqual([
    ["a", "long", false],
    ["b", "string", false],
    ["c", "long", false],
  ]);
  // The table has done what was asked.
  decoder.adopt(growth?.fields ?? [], { dropped: [], hasRows: true });
  growth?.settled();
  const next = decoder.builder();
  expect(next.tryDecode(values)?.rows).toBe(1);
  // Another one has not: it goes on with its own types.
  const warned = withTable(schemas, [column("a", { kind: "int" }, false, 1)]);
  const two = await warned.batch([1, { a: 5, b: null }], [1, { a: 2 ** 40, b: null }]);
  expect(warned.decoder.builder().tryDecode(two)).toBeNull();
  warned.decoder.takeGrowth()?.settled();
  const result = warned.decoder.builder().decode(two);
  expect([result.rows, result.rejected.map(({ reason }) => reason)]).toEqual([
    1,
    ["type_conflict"],
  ]);
});

test("what has no column is added, passed over, or refuses its record, as the key says", async () => {
  const schemas = [record(member("a", "int"), member("b", ["null", "string"]))];
  const table = [column("a", { kind: "int" })];
  for (const [policy, reasons] of [
    ["evolve", []],
    ["ignore", []],
    ["dead_letter", ["unknown_field"]],
  ] as const) {
    const { decoder, batch } = withTable(schemas, table, { onUnknownField: policy });
    const values = await batch([1, { a: 1, b: null }], [1, { a: 2, b: { string: "x" } }]);
    const { rows, rejected } = decodeAll(decoder, values);
    expect(rejected.map(({ reason }) => reason)).toEqual([...reasons]);
    expect(rows.map((row) => row["b"])).toEqual(
      policy === "evolve"
        ? [null, "x"]
        : policy === "ignore"
          ? [undefined, undefined]
          : [undefined],
    );
  }
});

test("a value without the head, of another language, or that is no record is refused by name", async () => {
  const { server, decoder } = rig([record(member("a", "int"))]);
  server.register("p", "syntax", "PROTOBUF");
  server.register("s", '"string"');
  server.register("b", '{"type":"rekord"}');
  const values = [
    new Uint8Array([1, 2]),
    ...[2, 3, 4, 1].map((id) => framed(id, new Uint8Array([2]))),
  ];
  const batch = recordBatch(values);
  await decoder.prepare?.(batch);
  expect(decoder.prepare?.(batch)).toBeNull();
  const { rows, rejected } = decodeAll(decoder, batch);
  expect(rows).toEqual([{ a: 1 }]);
  expect(rejected.map(({ reason }) => reason)).toEqual([
    "no_schema_id",
    "bad_schema",
    "not_a_record",
    "bad_schema",
  ]);
  expect(rejected[1]?.detail).toContain("PROTOBUF");
});

test("the kernel and the reader make the same rows of several schemas in one batch, with strangers between them", async () => {
  const schemas = [
    record(member("a", "int"), member("t", "string")),
    record(
      member("t", ["null", "string"]),
      member("a", "long"),
      member("x", { type: "map", values: "int" }),
    ),
    record(member("a", ["int", "string"]), member("u", { type: "string", logicalType: "uuid" })),
  ];
  const made = (n: number): readonly [number, unknown] => {
    const id = (n % 3) + 1;
    if (id === 1) return [1, { a: n, t: `t${n}` }];
    if (id === 2) return [2, { t: n % 2 === 0 ? null : { string: "s" }, a: -n, x: { k: n, l: 2 } }];
    const u = "00112233-4455-6677-8899-aabbccddeeff";
    return [3, { a: n % 2 === 0 ? { int: n } : { string: "no int" }, u }];
  };
  const outcomes = [];
  for (const kernel of ["always", false] as const) {
    const { decoder, batch } = rig(schemas, { kernel, metadataColumns: ["offset"] });
    const values = await batch(...Array.from({ length: 200 }, (_, n) => made(n)));
    const broken = recordBatch([framed(1, new Uint8Array([2, 9])), framed(9, new Uint8Array([1]))]);
    decoder.sample([values]);
    outcomes.push([decodeAll(decoder, values), decodeAll(decoder, broken), decoder.fields]);
  }
  expect(outcomes[0]).toEqual(outcomes[1]);
  const [{ rows, rejected }] = outcomes[0] as [ReturnType<typeof decodeAll>];
  expect([rows.length, rejected.length]).toEqual([167, 33]);
});
