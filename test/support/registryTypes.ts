/**
 * The three formats of a schema registry, as registry_producer.py writes them: a schema with every type and
 * what its first three records (n = 1, 2, 3) are in a table; twenty versions of another one.
 */

/** A type, and its values for n = 1, 2, 3 as table_readers.py shows them. */
export interface TypeCase {
  /** Avro and JSON Schema: the schema; Protobuf: a field's declaration, with `$` for its name and number. */
  readonly type: unknown;
  readonly wanted: readonly (string | null)[];
  /** Iceberg for Spark has no type for a time of day, and refuses its whole table. */
  readonly isTime?: boolean;
}

/** A format. */
export interface RegistryFormat {
  readonly name: "avro" | "protobuf" | "json-schema";
  readonly types: readonly TypeCase[];
  /** The schema of a record with `n` and columns `c0`, `c1`, ... of these types. */
  schemaOf(types: readonly TypeCase[]): unknown;
  /**
   * One of twenty versions: `n`; `wide`, an int that becomes a long in version 8; `part` with an int and
   * three fields that come with the versions; `f0` to `f18`, one more in each, without `f3` from 16 on.
   */
  version(version: number): unknown;
}

const same = (value: string): readonly string[] => [value, value, value];
const ints = ["-4", "-3", "-2"];
const longs = ["8589934587", "17179869179", "25769803771"];
const unsigned = ["2147483649", "2147483650", "2147483651"];
const huge = ["9223372036854775809", "9223372036854775810", "9223372036854775811"];
const halves = ["0.5", "1.0", "1.5"];
const quarters = ["0.25", "0.5", "0.75"];
const booleans = ["true", "false", "true"];
const texts = ["text 1 ä", "text 2 ä", "text 3 ä"];
const binaries = ["0100", "0200", "0300"];
const dates = ["1969-12-30", "1969-12-31", "1970-01-01"];
const uuids = [1, 2, 3].map((n) => `00000000-0000-0000-0000-00000000000${n}`);
const micros = ["59.999998", "59.999999"].map((each) => `1969-12-31 23:59:${each}`);
const millis = ["59.998000", "59.999000"].map((each) => `1969-12-31 23:59:${each}`);
const epoch = "1970-01-01 00:00:00.000000";
const inner = [1, 2, 3].map((n) => `{"a": ${n - 5}, "b": "text ${n} ä"}`);

const of = (type: unknown, wanted: readonly (string | null)[]): TypeCase => ({ type, wanted });
const time = (type: unknown, wanted: readonly string[]): TypeCase => ({
  ...of(type, wanted),
  isTime: true,
});
const named = (name: string, type: unknown) => ({ name, type });
const logical = (type: string, logicalType: string, more = {}) => ({ type, logicalType, ...more });
/** The fields of a version that comes and go: `f0`, `f1`, ... */
const comingFields = (version: number): readonly number[] =>
  Array.from({ length: version }, (_, index) => index).filter((i) => version < 16 || i !== 3);

const avro: RegistryFormat = {
  name: "avro",
  types: [
    of("boolean", booleans),
    of("int", ints),
    of("long", longs),
    of("float", halves),
    of("double", quarters),
    of("string", texts),
    of("bytes", binaries),
    of({ type: "fixed", name: "F", size: 2 }, ["0101", "0202", "0303"]),
    of({ type: "enum", name: "E", symbols: ["A", "B"] }, ["B", "A", "B"]),
    of(["null", "int"], ints),
    of(logical("bytes", "decimal", { precision: 9, scale: 2 }), ["-4.63", "-4.26", "-3.89"]),
    of({ ...logical("fixed", "decimal", { precision: 18, scale: 3 }), name: "D", size: 8 }, [
      ...["-0.463", "-0.426", "-0.389"],
    ]),
    of(logical("int", "date"), dates),
    of(logical("long", "timestamp-millis"), [...millis, epoch]),
    of(logical("long", "timestamp-micros"), [...micros, epoch]),
    // Without nanoseconds in the table they are cut to the microsecond before.
    of(logical("long", "timestamp-nanos"), [micros[1] as string, micros[1] as string, epoch]),
    of(logical("long", "local-timestamp-millis"), [...millis, epoch]),
    of(logical("long", "local-timestamp-micros"), [...micros, epoch]),
    of(logical("string", "uuid"), uuids),
    of({ type: "fixed", name: "duration", size: 12, logicalType: "duration" }, [
      ...[1, 2, 3].map((n) => `0${n}`.repeat(12)),
    ]),
    of({ type: "array", items: "int" }, ["[-4]", "[-3, -2]", "[]"]),
    of({ type: "map", values: "int" }, ['{"k0": -4}', '{"k0": -3, "k1": -2}', "[]"]),
    of({ type: "record", name: "In", fields: [named("a", "int"), named("b", "string")] }, inner),
    of(
      ["int", "string"],
      [
        '{"int": null, "string": "text 1 ä"}',
        '{"int": -3, "string": null}',
        '{"int": null, "string": "text 3 ä"}',
      ],
    ),
    time(
      logical("int", "time-millis"),
      ["01", "02", "03"].map((s) => `01:02:${s}.005000`),
    ),
    time(
      logical("long", "time-micros"),
      ["01", "02", "03"].map((s) => `01:02:${s}.000005`),
    ),
  ],
  schemaOf: (types) => {
    const fields = types.map(({ type }, index) => named(`c${index}`, type));
    return { type: "record", name: "All", fields: [named("n", "int"), ...fields] };
  },
  version: (version) => {
    const more = comingFields(version).map((index) => {
      const type = index % 2 === 0 ? "string" : { type: "array", items: "long" };
      return { ...named(`f${index}`, ["null", type]), default: null };
    });
    const part = { type: "record", name: "Part", fields: [named("x", "int"), ...more.slice(0, 3)] };
    const wide = named("wide", version < 8 ? "int" : "long");
    const fields = [named("n", "int"), wide, named("part", part), ...more];
    return { type: "record", name: "Row", fields };
  },
};

const PROTO = `syntax = "proto3"; package acme;
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/empty.proto"; import "google/type/date.proto"; import "google/type/timeofday.proto";
`;

const protobuf: RegistryFormat = {
  name: "protobuf",
  types: [
    of("bool $", booleans),
    ...["int32", "sint32", "sfixed32"].map((each) => of(`${each} $`, ints)),
    ...["int64", "sint64", "sfixed64"].map((each) => of(`${each} $`, longs)),
    ...["uint32", "fixed32"].map((each) => of(`${each} $`, unsigned)),
    ...["uint64", "fixed64"].map((each) => of(`${each} $`, huge)),
    of("float $", halves),
    of("double $", quarters),
    of("string $", texts),
    of("bytes $", binaries),
    of("Color $", ["GREEN", "RED", "GREEN"]),
    of("In $", inner),
    of("repeated int32 $", ["[-4]", "[-3, -2]", "[]"]),
    of("repeated In $", [`[${inner[0]}]`, `[${inner[1]}, ${inner[2]}]`, "[]"]),
    of("map<string, int32> $", ['{"text 1 ä": -4}', '{"text 2 ä": -3, "text 3 ä": -2}', "[]"]),
    of("optional string $", texts),
    of("google.protobuf.Timestamp $", [...micros, epoch]),
    of(
      "google.protobuf.Duration $",
      [1, 2, 3].map((n) => `${n}.000000005`),
    ),
    of("google.protobuf.Int64Value $", longs),
    of("google.protobuf.StringValue $", texts),
    of("google.protobuf.Struct $", ['{"k":1}', '{"k":2}', '{"k":3}']),
    of("google.protobuf.Value $", ['"v1"', '"v2"', '"v3"']),
    of("google.protobuf.Empty $", same("true")),
    of("google.type.Date $", ["2024-02-01", "2024-02-02", "2024-02-03"]),
    time(
      "google.type.TimeOfDay $",
      ["01", "02", "03"].map((m) => `01:${m}:00.000005`),
    ),
  ],
  schemaOf: (types) => {
    const fields = types.map(({ type }, at) => String(type).replace("$", `c${at} = ${at + 2};`));
    return `${PROTO}message All { int32 n = 1; ${fields.join("\n")}
      oneof one { int32 left = 1001; string right = 1002; } }
    enum Color { RED = 0; GREEN = 1; }
    message In { int32 a = 1; string b = 2; }`;
  },
  version: (version) => {
    const more = comingFields(version).map(
      (i) => `${i % 2 === 0 ? "optional string" : "repeated int64"} f${i} = ${i + 10};`,
    );
    const wide = version < 8 ? "int32" : "int64";
    return `${PROTO}message Row { int32 n = 1; ${wide} wide = 2; Part part = 3; ${more.join(" ")} }
    message Part { int32 x = 1; ${more.slice(0, 3).join(" ")} }`;
  },
};

const int = { type: "integer", "connect.type": "int32" };
const object = (properties: object): object => ({ type: "object", properties });

const jsonSchema: RegistryFormat = {
  name: "json-schema",
  types: [
    of({ type: "boolean" }, booleans),
    of(int, ints),
    of({ type: "integer" }, longs),
    of({ type: "number" }, quarters),
    of({ type: "number", "connect.type": "float32" }, quarters),
    of({ type: "string" }, texts),
    of({ type: "string", contentEncoding: "base64" }, binaries),
    of({ enum: ["A", "B"] }, ["B", "A", "B"]),
    of({ ...int, type: ["integer", "null"] }, ints),
    of({ oneOf: [{ type: "null" }, { type: "string" }] }, texts),
    of({ type: "string", format: "date" }, dates),
    of({ type: "string", format: "date-time" }, [...micros, epoch]),
    of({ type: "string", format: "uuid" }, uuids),
    of({ type: "array", items: int }, ["[-4]", "[-3, -2]", "[]"]),
    of({ type: "object", additionalProperties: int }, [
      ...['{"k0": -4}', '{"k0": -3, "k1": -2}', "[]"],
    ]),
    of({ $ref: "#/definitions/In" }, inner),
    time(
      { type: "string", format: "time" },
      ["01", "02", "03"].map((s) => `01:02:${s}.000005`),
    ),
  ],
  schemaOf: (types) => ({
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "All",
    definitions: { In: object({ a: int, b: { type: "string" } }) },
    ...object({
      n: int,
      ...Object.fromEntries(types.map(({ type }, index) => [`c${index}`, type])),
    }),
  }),
  version: (version) => {
    const more = comingFields(version).map((index) => [
      `f${index}`,
      index % 2 === 0
        ? { type: ["string", "null"] }
        : { type: "array", items: { type: "integer" } },
    ]);
    const part = object({ x: int, ...Object.fromEntries(more.slice(0, 3)) });
    const wide = version < 8 ? int : { type: "integer" };
    return { title: "Row", ...object({ n: int, wide, part, ...Object.fromEntries(more) }) };
  },
};

/** All three. */
export const REGISTRY_FORMATS: readonly RegistryFormat[] = [avro, protobuf, jsonSchema];
