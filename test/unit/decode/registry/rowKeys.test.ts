/** Columns of appended rows that Kafka's key fills, in each format of keys. */
import { expect, test } from "bun:test";
import protobuf from "protobufjs";
import { typeName } from "#columns/evolve.ts";
import type { Field } from "#columns/schema.ts";
import type { Decoder } from "#decode/decoder.ts";
import type { DecoderOptions, RowKeyOptions } from "#decode/options.ts";
import { NO_SHAPING } from "#decode/shaping.ts";
import { avroBytes, decodeAll, framed } from "../../../support/avroRows.ts";
import { type RecordInput, recordBatch } from "../../../support/records.ts";
import { registryRig } from "../../../support/registryRig.ts";

interface Registered {
  readonly schema: string;
  readonly language: "AVRO" | "PROTOBUF" | "JSON";
}

/** Decodes documents with keys, whose schemas have the ids 1, 2, ... */
async function decoded(
  rowKey: RowKeyOptions,
  records: readonly RecordInput[],
  { schemas = [], ...more }: Partial<DecoderOptions> & { schemas?: readonly Registered[] } = {},
) {
  const results = [];
  for (const kernel of [false, "always"] as const) {
    const rig = registryRig("json", { rowKey, kernel, ...more });
    for (const { schema, language } of schemas) rig.server.register("t-key", schema, language);
    const batch = recordBatch(records);
    for (let next = rig.decoder.prepare?.(batch); next; next = rig.decoder.prepare?.(batch)) {
      await next;
    }
    const { fields, rows, rejected } = decodeAll(rig.decoder, batch);
    const columns = fields.map(({ name, type }) => `${name} ${typeName(type)}`);
    const reasons = rejected.map(({ offset, reason }) => `${offset} ${reason}`);
    results.push({ columns, rows, reasons });
  }
  const [host, kernel] = results;
  if (host === undefined) throw new Error("nothing was decoded");
  expect(kernel).toEqual(host);
  return host;
}

const column = (name: string, type: Field["type"], required = false): Field => {
  return { id: 0, name, required, type };
};

test("a key that is one value fills a column of its type, and a record without a key has a null there", async () => {
  const hex = (text: string) => Buffer.from(text, "hex");
  const cases: readonly (readonly [
    RowKeyOptions["format"],
    string | Uint8Array,
    string,
    string | bigint | number,
  ])[] = [
    ["string", "ann", "string", "ann"],
    ["bytes", hex("00ff"), "binary", "00ff"],
    ["long", hex("0000000000000007"), "long", 7n],
    ["int", hex("fffffffe"), "int", -2],
  ];
  for (const [format, key, type, value] of cases) {
    const records = [
      { key, value: '{"n":1}' },
      { key: null, value: '{"n":2}' },
    ];
    expect(await decoded({ columns: ["id"], format }, records)).toEqual({
      columns: [`id ${type}`, "n long"],
      rows: [
        { id: value, n: 1n },
        { id: null, n: 2n },
      ],
      reasons: [],
    });
  }
});

const AVRO = {
  type: "record",
  name: "Key",
  fields: [
    { name: "id", type: "long" },
    { name: "at", type: ["null", { type: "long", logicalType: "timestamp-millis" }] },
    { name: "other", type: "string" },
  ],
};
const PROTO =
  'syntax = "proto3"; message Key { int64 id = 1; string region = 2; string other = 3; }';

test("members of a key with a schema fill columns of their types; a value's fields of these names do not", async () => {
  const avro = (key: object) => framed(1, avroBytes(AVRO, { other: "x", ...key }));
  const one = await decoded(
    { columns: ["id", "at"], format: "avro" },
    [
      { key: avro({ id: 1, at: { long: 1 } }), value: '{"n":1,"id":"not this"}' },
      { key: avro({ id: 2, at: null }), value: '{"n":2}' },
      { key: "plain", value: '{"n":3}' },
      { key: null, value: '{"n":4}' },
    ],
    { schemas: [{ schema: JSON.stringify(AVRO), language: "AVRO" }] },
  );
  expect(one).toEqual({
    columns: ["id long", "at timestamptz", "n long"],
    rows: [
      { id: 1n, at: 1000n, n: 1n },
      { id: 2n, at: null, n: 2n },
      { id: null, at: null, n: 4n },
    ],
    reasons: ["2 bad_key"],
  });
  const type = protobuf.parse(PROTO).root.lookupType("Key");
  const proto = (key: object) =>
    framed(1, new Uint8Array([0, ...type.encode(type.fromObject(key)).finish()]));
  const two = await decoded(
    { columns: ["region", "id"], format: "protobuf" },
    [{ key: proto({ id: 1, region: "eu" }), value: '{"n":1}' }],
    { schemas: [{ schema: PROTO, language: "PROTOBUF" }] },
  );
  expect(two.rows).toEqual([{ id: 1n, region: "eu", n: 1n }]);
  const properties = { id: { type: "integer" }, day: { type: "string", format: "date" } };
  const schema = JSON.stringify({ type: "object", properties });
  const three = await decoded(
    { columns: ["id", "day"], format: "json-schema" },
    [{ key: framed(1, Buffer.from('{"id":1,"day":"1970-01-02","x":1}')), value: '{"n":1}' }],
    { schemas: [{ schema, language: "JSON" }] },
  );
  expect(three.rows).toEqual([{ id: 1n, day: 1, n: 1n }]);
});

test("members of a key in JSON fill columns, learned from the first keys or declared, bare or in a payload", async () => {
  const rowKey = { columns: ["id", "u"], format: "json" } as const;
  const records = [
    { key: '{"id":1,"u":{"v":"x"}}', value: '{"n":1}' },
    { key: '{"schema":{},"payload":{"id":2,"u":null}}', value: '{"n":2}' },
    { key: '{"id":3}', value: '{"n":3}' },
    { key: '{"id":"x"}', value: '{"n":4}' },
    { key: "no json", value: '{"n":5}' },
  ];
  const found = await decoded(rowKey, records);
  expect(found.rows).toEqual([
    { id: 1n, u: { v: "x" }, n: 1n },
    { id: 2n, u: null, n: 2n },
    { id: 3n, u: null, n: 3n },
  ]);
  expect(found.reasons).toEqual(["3 bad_key", "4 bad_key"]);
  const fields = [column("at", { kind: "date" }), column("n", { kind: "int" })];
  const declared = await decoded(
    { columns: ["at"], format: "json" },
    [{ key: '{"at":"1970-01-02"}', value: '{"n":1}' }],
    { fields },
  );
  expect(declared.rows).toEqual([{ at: 1, n: 1 }]);
});

test("a key in Avro that is no record is the value of the one column", async () => {
  const schema = JSON.stringify({ type: "string" });
  const { rows } = await decoded(
    { columns: ["id"], format: "avro" },
    [{ key: framed(1, avroBytes({ type: "string" }, "ann")), value: '{"n":1}' }],
    { schemas: [{ schema, language: "AVRO" }] },
  );
  expect(rows).toEqual([{ id: "ann", n: 1n }]);
});

test("columns of the key are shaped by their paths in it, and a required one refuses a record without", async () => {
  const shaping = { ...NO_SHAPING, rename: { user: "id" }, mask: ["user"], isStrict: true };
  const masked = await decoded(
    { columns: ["id"], format: "json" },
    [{ key: '{"user":"ann"}', value: '{"n":1,"user":"ann"}' }],
    { shaping },
  );
  expect(masked.rows).toEqual([{ id: "***", n: 1n }]);
  const fields = [column("id", { kind: "string" }, true), column("n", { kind: "long" })];
  const required = await decoded(
    { columns: ["id"], format: "string" },
    [
      { key: null, value: '{"n":1}' },
      { key: "a", value: '{"n":2}' },
    ],
    { fields },
  );
  expect([required.rows, required.reasons]).toEqual([[{ id: "a", n: 2n }], ["0 missing_field"]]);
});

test("a column that no key has stops the table before anything is written, and one that a table has is read on", async () => {
  const rowKey = { columns: ["id", "nowhere"], format: "json" } as const;
  const records = [{ key: '{"id":1}', value: '{"n":1}' }];
  expect(decoded(rowKey, records)).rejects.toThrow(
    "source.key_field names nowhere, which no key of the first records has",
  );
  const rig = registryRig("json", { rowKey: { columns: ["id"], format: "json" } });
  const table = [column("id", { kind: "long" }), column("n", { kind: "long" })];
  rig.decoder.adopt(
    table.map((each, index) => ({ ...each, id: index + 1 })),
    { dropped: [], hasRows: true },
  );
  expect(decodeAll(rig.decoder, recordBatch(records)).rows).toEqual([{ id: 1n, n: 1n }]);
  const other = registryRig("json", { rowKey: { columns: ["id"], format: "json" } });
  const without = [{ ...column("n", { kind: "long" }), id: 1 }];
  expect(() => other.decoder.adopt(without, { dropped: [], hasRows: true })).toThrow(
    "source.key_field names id",
  );
});

test("values that are one column have columns of the key beside it", async () => {
  for (const format of ["string", "json"] as const) {
    const rig = registryRig("string", { rowKey: { columns: ["id"], format } });
    const key = format === "json" ? '{"id":"a"}' : "a";
    const { rows } = decodeAll(rig.decoder, recordBatch([{ key, value: "v" }]));
    expect(rows).toEqual([{ id: "a", value: "v" }]);
  }
});

test("a column of the key that an empty table lacks is learned from the first keys, and is never silently none", async () => {
  const id = { type: "record", name: "Key", fields: [{ name: "id", type: "long" }] };
  const proto = 'syntax = "proto3"; message Key { int64 id = 1; }';
  const json = JSON.stringify({ type: "object", properties: { id: { type: "integer" } } });
  const formats = [
    ["json", "", '{"id":1}'],
    ["avro", JSON.stringify(id), framed(1, avroBytes(id, { id: 1 }))],
    ["protobuf", proto, framed(1, Uint8Array.of(0, 8, 1))],
    ["json-schema", json, framed(1, Buffer.from('{"id":1}'))],
  ] as const;
  const table = [{ ...column("n", { kind: "long" }), id: 1 }];
  for (const [format, schema, key] of formats) {
    const rowKey = { columns: ["id"], format };
    const language = ({ avro: "AVRO", protobuf: "PROTOBUF" } as const)[format as "avro"] ?? "JSON";
    const start = (more: Partial<DecoderOptions>, hasRows: boolean) => {
      const rig = registryRig("json", { rowKey, ...more });
      if (schema !== "") rig.server.register("t-key", schema, language);
      rig.decoder.adopt(table, { dropped: [], hasRows });
      return rig.decoder;
    };
    const decoder = start({}, false);
    const batch = recordBatch([{ key, value: '{"n":1,"id":5}' }]);
    for (let next = decoder.prepare?.(batch); next; next = decoder.prepare?.(batch)) await next;
    expect([format, decodeAll(decoder, batch).rows]).toEqual([format, [{ id: 1n, n: 1n }]]);
    // Nothing is learned where rows say what there is, nor where nothing is to be.
    for (const [more, hasRows] of [
      [{}, true],
      [{ infer: false }, false],
    ] as const) {
      expect(() => start(more, hasRows)).toThrow(
        "source.key_field names id, which the table has no column for",
      );
    }
  }
});

const LARGE = 2 ** 40;
const avroKey = (type: string) => ({ type: "record", name: "Key", fields: [{ name: "id", type }] });
const protoKey = (type: string) => `syntax = "proto3"; message Key { ${type} id = 1; }`;

/** A batch of values with keys, once its schemas are there. */
async function prepared(
  decoder: Decoder,
  records: readonly RecordInput[],
): Promise<ReturnType<typeof recordBatch>> {
  const batch = recordBatch(records);
  for (let next = decoder.prepare?.(batch); next; next = decoder.prepare?.(batch)) await next;
  return batch;
}

/** The fields of a table that has them for good, some of them of another type. */
function grown(fields: readonly Field[], wanted: readonly Field[]): readonly Field[] {
  return fields.map((each, index) => ({
    ...each,
    type: wanted.find(({ name }) => name === each.name)?.type ?? each.type,
    id: index + 1,
  }));
}

test("a wider key asks the table for a wider column, as a value does, and is refused only where it stays as it is", async () => {
  const varint = (value: bigint): Uint8Array => {
    const writer = protobuf.Writer.create().uint32(8).int64(Number(value));
    return writer.finish();
  };
  const formats = [
    {
      format: "avro",
      language: "AVRO",
      schemas: [avroKey("int"), avroKey("long")].map((each) => JSON.stringify(each)),
      keys: [
        framed(1, avroBytes(avroKey("int"), { id: 1 })),
        framed(2, avroBytes(avroKey("long"), { id: LARGE })),
      ],
    },
    {
      format: "protobuf",
      language: "PROTOBUF",
      schemas: [protoKey("int32"), protoKey("int64")],
      keys: [
        framed(1, new Uint8Array([0, ...varint(1n)])),
        framed(2, new Uint8Array([0, ...varint(BigInt(LARGE))])),
      ],
    },
  ] as const;
  for (const { format, language, schemas, keys } of formats) {
    const start = async () => {
      const { server, decoder } = registryRig("json", { rowKey: { columns: ["id"], format } });
      for (const schema of schemas) server.register("t-key", schema, language);
      const first = await prepared(decoder, [{ key: keys[0], value: '{"n":1}' }]);
      decoder.sample([first]);
      decoder.adopt(grown(decoder.fields, []), { dropped: [], hasRows: true });
      const batch = await prepared(decoder, [
        { key: keys[0], value: '{"n":1}' },
        { key: keys[1], value: '{"n":2}' },
      ]);
      expect(decoder.builder().tryDecode(batch)).toBeNull();
      const growth = decoder.takeGrowth();
      if (growth === null) throw new Error(`${format}: nothing was asked`);
      expect(growth.differences).toEqual(["column id is int, and long in the schema"]);
      return { decoder, batch, growth };
    };
    const evolved = await start();
    evolved.decoder.adopt(grown(evolved.decoder.fields, evolved.growth.fields));
    evolved.growth.settled();
    const { rows } = decodeAll(evolved.decoder, evolved.batch);
    expect([format, rows]).toEqual([
      format,
      [
        { id: 1n, n: 1n },
        { id: BigInt(LARGE), n: 2n },
      ],
    ]);
    const kept = await start();
    kept.growth.settled();
    const left = decodeAll(kept.decoder, kept.batch);
    expect(left.rows).toEqual([{ id: 1, n: 1n }]);
    expect(left.rejected.map(({ reason }) => reason)).toEqual(["bad_key"]);
    expect(kept.decoder.takeGrowth()).toBeNull();
  }
});

test("what the key of a record asks whose value no table could take is asked of none, with its own batch or a later one", async () => {
  const { decoder, server } = registryRig("json", { rowKey: { columns: ["id"], format: "avro" } });
  const keys = Object.entries({ int: 1, long: LARGE }).map(([type, id], index) => {
    server.register("t-key", JSON.stringify(avroKey(type)), "AVRO");
    return framed(index + 1, avroBytes(avroKey(type), { id }));
  });
  const [key = null, wide = null] = keys;
  decoder.sample([await prepared(decoder, [{ key, value: '{"n":1}' }])]);
  decoder.adopt(grown(decoder.fields, []), { dropped: [], hasRows: true });
  const segment = decoder.builder();
  const broken = segment.tryDecode(await prepared(decoder, [{ key: wide, value: "{" }]));
  expect(broken?.rejected.map(({ reason }) => reason)).toEqual(["bad_json"]);
  const misfit = await prepared(decoder, [{ key, value: '{"n":"x"}' }]);
  expect([segment.tryDecode(misfit), decoder.takeGrowth()]).toEqual([null, null]);
});

test("what a batch's values and keys ask is one question", async () => {
  const value = (type: string) => ({ type: "record", name: "V", fields: [{ name: "n", type }] });
  const rig = registryRig("avro", { rowKey: { columns: ["id"], format: "avro" } });
  const schemas = { key: avroKey, value };
  for (const type of ["int", "long"]) {
    for (const [part, of] of Object.entries(schemas)) {
      rig.server.register(`t-${part}`, JSON.stringify(of(type)), "AVRO");
    }
  }
  const record = (first: number, type: string, id: number): RecordInput => ({
    key: framed(first, avroBytes(avroKey(type), { id })),
    value: framed(first + 1, avroBytes(value(type), { n: id })),
  });
  const { decoder } = rig;
  decoder.sample([await prepared(decoder, [record(1, "int", 1)])]);
  decoder.adopt(grown(decoder.fields, []), { dropped: [], hasRows: true });
  const batch = await prepared(decoder, [record(3, "long", LARGE)]);
  expect(decoder.builder().tryDecode(batch)).toBeNull();
  const growth = decoder.takeGrowth();
  expect(growth?.by).toBe("Schema 4 (V), with Schema 3 (Key) of its key,");
  expect(growth?.differences).toEqual([
    "column n is int, and long in the schema",
    "column id is int, and long in the schema",
  ]);
  decoder.adopt(grown(decoder.fields, growth?.fields ?? []));
  growth?.settled();
  const { rows } = decodeAll(decoder, batch);
  expect(rows).toEqual([{ id: BigInt(LARGE), n: BigInt(LARGE) }]);
});

test("a key that a column of now cannot hold has the table looked at first: another engine may have widened it", async () => {
  const fields = [column("id", { kind: "int" }), column("n", { kind: "long" })];
  const long = new Uint8Array(8);
  new DataView(long.buffer).setBigInt64(0, BigInt(LARGE));
  const cases = [
    ["json", `{"id":${LARGE}}`],
    ["long", long],
    ["string", String(LARGE)],
  ] as const;
  for (const [format, key] of cases) {
    const { decoder } = registryRig("json", { rowKey: { columns: ["id"], format }, fields });
    const batch = await prepared(decoder, [{ key, value: '{"n":1}' }]);
    expect(decoder.builder().tryDecode(batch)).toBeNull();
    const refused = decoder.builder().decode(batch).rejected;
    expect(refused.map(({ reason }) => reason)).toEqual(["bad_key"]);
    decoder.adopt(grown(fields, [column("id", { kind: "long" })]), { dropped: [], hasRows: true });
    expect([format, decodeAll(decoder, batch).rows]).toEqual([
      format,
      [{ id: BigInt(LARGE), n: 1n }],
    ]);
  }
});
