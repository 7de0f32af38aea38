/** Every Avro type as a column, and the bytes that are no value. */
import { describe, expect, test } from "bun:test";
import { typeName } from "#columns/evolve.ts";
import { parsePrimitive, type Type } from "#columns/schema.ts";
import { parseAvro } from "#decode/avro/schema.ts";
import { avroBytes, decodeBare } from "../../../support/avroRows.ts";

const record = (...fields: readonly (readonly [name: string, type: unknown, more?: object])[]) => ({
  type: "record",
  name: "R",
  fields: fields.map(([name, type, more]) => ({ name, type, ...more })),
});

const fixed = (size: number, more: object) => ({ type: "fixed", name: "F", size, ...more });
const long = (logicalType: string) => ({ type: "long", logicalType });

const TYPES: readonly (readonly [
  schema: unknown,
  type: string,
  value: unknown,
  stored: unknown,
])[] = [
  ["boolean", "boolean", true, true],
  ["int", "int", -5, -5],
  ["long", "long", 7, 7n],
  ["float", "float", 0.5, 0.5],
  ["double", "double", 0.1, 0.1],
  ["string", "string", "Ärger", "Ärger"],
  ["bytes", "binary", Buffer.from([1, 2]), "0102"],
  [fixed(3, {}), "fixed[3]", Buffer.from([1, 2, 3]), "010203"],
  [fixed(12, { logicalType: "duration" }), "fixed[12]", Buffer.alloc(12), "00".repeat(12)],
  [fixed(16, { logicalType: "uuid" }), "uuid", Buffer.alloc(16, 7), "07".repeat(16)],
  [{ type: "enum", name: "E", symbols: ["A", "B"] }, "string", "B", "B"],
  [{ type: "int", logicalType: "date" }, "date", 20_000, 20_000],
  [{ type: "int", logicalType: "time-millis" }, "time", 1000, 1_000_000n],
  [long("time-micros"), "time", 1000, 1000n],
  [long("timestamp-millis"), "timestamptz", 5, 5000n],
  [long("timestamp-micros"), "timestamptz", -5, -5n],
  [long("timestamp-nanos"), "timestamptz", -1, -1n],
  [long("local-timestamp-millis"), "timestamp", 5, 5000n],
  [long("local-timestamp-micros"), "timestamp", 5, 5n],
  [long("local-timestamp-nanos"), "timestamp", 5999, 5n],
  [
    { type: "string", logicalType: "uuid" },
    "uuid",
    "00112233-4455-6677-8899-AABBCCDDEEFF",
    "00112233445566778899aabbccddeeff",
  ],
  [
    { type: "bytes", logicalType: "decimal", precision: 5, scale: 2 },
    "decimal(5, 2)",
    Buffer.from([0xff, 0x85]),
    -123n,
  ],
  [
    fixed(4, { logicalType: "decimal", precision: 9 }),
    "decimal(9, 0)",
    Buffer.from([0, 0, 1, 0]),
    256n,
  ],
  [{ type: "bytes", logicalType: "decimal", precision: 39 }, "binary", Buffer.from([1]), "01"],
  [{ type: "long", logicalType: "date" }, "long", 5, 5n],
  [["null", "long"], "long", { long: 5 }, 5n],
  [["string", "null"], "string", null, null],
  [
    ["null", "int", "string"],
    "struct<int: int, string: string>",
    { string: "a" },
    { int: null, string: "a" },
  ],
];

describe("Avro types", () => {
  test("each becomes its column, and its values what they mean", () => {
    for (const [schema, type, value, stored] of TYPES) {
      const { fields, rows, rejected } = decodeBare(record(["v", schema]), [{ v: value }]);
      expect(rejected).toEqual([]);
      expect([typeName(fields[0]?.type as Type), fields[0]?.required]).toEqual([type, false]);
      expect(rows).toEqual([{ v: stored as never }]);
    }
  });

  test("nanoseconds keep every digit where the table may have columns of them", () => {
    for (const [logical, type] of [
      ["timestamp-nanos", "timestamptz_ns"],
      ["local-timestamp-nanos", "timestamp_ns"],
    ] as const) {
      const schema = record(["v", long(logical)]);
      const { fields, rows } = decodeBare(schema, [{ v: -1 }], { hasNanos: true });
      expect(fields[0]?.type).toEqual(parsePrimitive(type) as Type);
      expect(rows).toEqual([{ v: -1n }]);
    }
  });

  test("records, lists and maps nest; what holds nothing has no column; the last of two equal keys counts", () => {
    const inner = { type: "record", name: "I", fields: [{ name: "a", type: ["null", "int"] }] };
    const schema = record(
      ["r", ["null", inner]],
      ["l", { type: "array", items: "I" }],
      ["m", { type: "map", values: "long" }],
      ["n", "null"],
      ["e", { type: "array", items: "null" }],
    );
    const value = {
      r: { I: { a: null } },
      l: [{ a: { int: 1 } }, { a: null }],
      m: { k: 1 },
      n: null,
    };
    const whole = avroBytes(schema, { ...value, e: [null, null] });
    // A map of two blocks with one key.
    const at = whole.indexOf(0x6b) - 2;
    const block = whole.subarray(at, at + 4);
    const twice = new Uint8Array([
      ...whole.subarray(0, at),
      ...block,
      2,
      2,
      0x6b,
      18,
      ...whole.subarray(at + 4),
    ]);
    const { fields, rows, rejected } = decodeBare(schema, [whole, twice]);
    expect(rejected).toEqual([]);
    expect(fields.map(({ name, type }) => `${name} ${typeName(type)}`)).toEqual([
      "r struct<a: int>",
      "l list<struct<a: int>>",
      "m map<string, long>",
    ]);
    expect(rows.map(({ m }) => [...(m as Map<string, bigint>)])).toEqual([
      [["k", 1n]],
      [["k", 9n]],
    ]);
    expect(rows[0]).toMatchObject({ r: { a: null }, l: [{ a: 1 }, { a: null }] });
  });

  test("a type that contains itself is refused by its name, where it does", () => {
    const node = (name: string) => ({
      type: "record",
      name,
      namespace: "n",
      fields: [
        { name: "v", type: "int" },
        { name: "next", type: ["null", `n.${name}`] },
      ],
    });
    const schema = record(["a", "int"], ["list", node("Node")]);
    const end = { v: 1, next: null };
    const { rows, rejected } = decodeBare(schema, [
      { a: 1, list: end },
      { a: 2, list: { v: 1, next: { "n.Node": end } } },
    ]);
    expect(rows).toEqual([{ a: 1, list: { v: 1 } }]);
    expect(rejected.map(({ reason, detail }) => [reason, detail])).toEqual([
      ["recursive_type", 'Type "n.Node" contains itself, which no column can hold'],
    ]);
  });

  test("nested records become columns of the row where that is asked for", () => {
    const inner = { type: "record", name: "I", fields: [{ name: "b", type: "int" }] };
    const schema = record(["a", ["null", inner]], ["u", ["int", "string"]]);
    const { rows } = decodeBare(
      schema,
      [
        { a: { I: { b: 1 } }, u: { int: 2 } },
        { a: null, u: { string: "x" } },
      ],
      { flattenSeparator: "_" },
    );
    expect(rows).toEqual([
      { a_b: 1, u_int: 2, u_string: null },
      { a_b: null, u_int: null, u_string: "x" },
    ]);
  });
});

describe("bytes that are no value", () => {
  const refused = (schema: object, bytes: readonly number[]): string | undefined =>
    decodeBare(schema, [new Uint8Array(bytes)]).rejected[0]?.reason;
  const list = record(["v", { type: "array", items: "int" }]);
  const text = record(["v", "string"]);

  test("are refused for what is wrong with them", () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    expect([
      refused(record(["v", "int"]), []),
      refused(record(["v", "int"]), [2, 2]),
      refused(record(["v", "int"]), [0x80, 0x80, 0x80, 0x80, 0x20]),
      refused(record(["v", "long"]), [...huge.slice(0, 9), 0x02]),
      refused(record(["v", "boolean"]), [2]),
      refused(record(["v", { type: "enum", name: "E", symbols: ["A"] }]), [2]),
      refused(record(["v", ["null", "int"]]), [4]),
      refused(text, [4, 0x61]),
      refused(text, [1]),
      refused(text, [4, 0xc3, 0x28]),
      refused(list, [2, 2]),
      refused(list, huge),
      refused(list, [1, 8, 2, 0]),
      refused(record(["v", { type: "array", items: "null" }]), [...huge.slice(0, 9), 0x01, 0]),
    ]).toEqual([
      ...Array<string>(9).fill("bad_avro"),
      "bad_utf8",
      "bad_avro",
      "bad_avro",
      "bad_avro",
      "too_many_values",
    ]);
  });

  test("elements without bytes and nesting without end are bounded", () => {
    const nulls = record(["v", { type: "array", items: "null" }]);
    expect(refused(nulls, [0xfe, 0xff, 0xff, 0xff, 0x0f, 0])).toBe("too_many_values");
    const node = { type: "record", name: "N", fields: [{ name: "next", type: ["null", "N"] }] };
    const schema = record(["a", ["null", "int"]], ["n", node]);
    const deep = [0, ...Array<number>(100_000).fill(2), 0];
    const outcome = decodeBare(schema, [new Uint8Array(deep)], { onUnknownField: "ignore" });
    expect(outcome.rejected[0]?.reason).toBe("too_deep");
  });

  test("schemas that are none are told by the place of the mistake", () => {
    const broken = (text: string): string => {
      try {
        parseAvro(text);
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(broken("{")).toBe("the schema is not JSON");
    expect(broken('{"type":"record","name":"R","fields":[{"name":"a","type":"Nope"}]}')).toBe(
      "R.a names type Nope, which nobody has defined",
    );
    expect(broken('{"type":"fixed","name":"F"}')).toBe("the schema has no size");
    expect(broken("[]")).toBe("the schema is a union of nothing");
    expect(broken(`${'{"type":"array","items":'.repeat(200)}"int"${"}".repeat(200)}`)).toContain(
      "nested too deeply",
    );
  });
});

test("Debezium's names of types stand for Avro's logical types", () => {
  const named = (type: string, name: string): object => ({ type, "connect.name": name });
  const fields = [
    { name: "day", type: named("int", "io.debezium.time.Date") },
    { name: "time", type: named("long", "io.debezium.time.MicroTime") },
    { name: "at", type: named("long", "io.debezium.time.MicroTimestamp") },
    { name: "id", type: named("string", "io.debezium.data.Uuid") },
    { name: "n", type: named("long", "io.debezium.time.MicroDuration") },
  ];
  const uuid = "00000000-0000-0000-0000-000000000001";
  const value = { day: 1, time: 2, at: 3, id: uuid, n: 4 };
  const decoded = decodeBare({ type: "record", name: "T", fields }, [value]);
  expect(decoded.fields.map(({ type }) => typeName(type))).toEqual([
    "date",
    "time",
    "timestamp",
    "uuid",
    "long",
  ]);
  expect(decoded.rows).toHaveLength(1);
});
