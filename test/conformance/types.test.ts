/**
 * Every type of the specification, declared in `[schema]`, produced as JSON and read by PyIceberg,
 * DuckDB and Spark. What a reader cannot read it refuses; docs/COMPATIBILITY.md says the same.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { produceValues } from "../../scripts/events/events.ts";
import { createTopic } from "../../scripts/events/topics.ts";
import { type KafkaBroker, startKafka } from "../../scripts/services/kafka.ts";
import { temporaryFolder } from "../../scripts/services/process.ts";
import type { Config } from "../../scripts/services/product.ts";
import { fileTable, runUntilEnd } from "../support/binary.ts";
import { rejection } from "../support/rejection.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { type ColumnAnswer, readColumns } from "../support/tableReaders.ts";

/** A declared type, two values as JSON texts, and the same values as readers give them. */
type TypeCase = readonly [type: string, json: readonly string[], text: readonly string[]];

const DECIMAL_38 = [
  "1234567890123456789012345678.0123456789",
  "-9999999999999999999999999999.9999999999",
];
const UUIDS = ["f79c3e09-677c-4bbd-a479-3f349cb785e7", "00000000-0000-0000-0000-000000000001"];

/** Read by every reader. */
const COMMON: readonly TypeCase[] = [
  ["boolean", ["true", "false"], ["true", "false"]],
  ["int", ["2147483647", "-2147483648"], ["2147483647", "-2147483648"]],
  [
    "long",
    ["9223372036854775807", "-9223372036854775808"],
    ["9223372036854775807", "-9223372036854775808"],
  ],
  ["float", ["1.5", "-0.25"], ["1.5", "-0.25"]],
  ["double", ["0.1", "-1.7976931348623157e308"], ["0.1", "-1.7976931348623157e308"]],
  ["decimal(9, 2)", ["1234567.89", '"-0.01"'], ["1234567.89", "-0.01"]],
  ["decimal(18, 6)", ["123456789012.345678", "-1"], ["123456789012.345678", "-1.000000"]],
  ["decimal(38, 10)", DECIMAL_38, DECIMAL_38],
  ["date", ['"2026-01-08"', '"1969-12-31"'], ["2026-01-08", "1969-12-31"]],
  [
    "timestamp",
    ['"2026-01-08T12:34:56.789012"', '"1969-12-31T23:59:59.999999"'],
    ["2026-01-08 12:34:56.789012", "1969-12-31 23:59:59.999999"],
  ],
  [
    "timestamptz",
    ['"2026-01-08T12:34:56.789012+02:00"', '"1969-12-31T23:59:59.999999Z"'],
    ["2026-01-08 10:34:56.789012", "1969-12-31 23:59:59.999999"],
  ],
  ["string", ['"Grüße, 世界 😀"', '""'], ["Grüße, 世界 😀", ""]],
  ["uuid", UUIDS.map((each) => JSON.stringify(each)), UUIDS],
  ["fixed[4]", ['"AAH+/w=="', '"AAAAAA=="'], ["0001feff", "00000000"]],
  ["binary", ['"AAH+"', '""'], ["0001fe", ""]],
  ["list<long>", ["[1,2,3]", "[]"], ["[1,2,3]", "[]"]],
  ["map<string, double>", ['{"a":1.5,"b":2}', "{}"], ['{"a":1.5,"b":2}', "{}"]],
  [
    "struct<a: int, b: struct<c: string, d: list<boolean>>>",
    ['{"a":1,"b":{"c":"x","d":[true]}}', '{"a":2,"b":{"c":"","d":[]}}'],
    ['{"a":1,"b":{"c":"x","d":[true]}}', '{"a":2,"b":{"c":"","d":[]}}'],
  ],
  [
    "list<struct<x: int, tags: list<string>>>",
    ['[{"x":1,"tags":["a","b"]},{"x":2,"tags":[]}]', "[]"],
    ['[{"x":1,"tags":["a","b"]},{"x":2,"tags":[]}]', "[]"],
  ],
  [
    "map<string, list<struct<y: double>>>",
    ['{"k":[{"y":0.5}]}', '{"k":[],"l":[{"y":1.5},{"y":2.5}]}'],
    ['{"k":[{"y":0.5}]}', '{"k":[],"l":[{"y":1.5},{"y":2.5}]}'],
  ],
];
const TIME: TypeCase = [
  "time",
  ['"23:59:59.999999"', '"00:00:00"'],
  ["23:59:59.999999", "00:00:00.000000"],
];
/** Format v3; text: nanoseconds since 1970. */
const NANOS: readonly TypeCase[] = [
  [
    "timestamp_ns",
    ['"2026-01-08T12:34:56.789012345"', '"1969-12-31T23:59:59.999999999"'],
    ["1767875696789012345", "-1"],
  ],
  [
    "timestamptz_ns",
    ['"2026-01-08T12:34:56.789012345+02:00"', '"1969-12-31T23:59:59.999999999Z"'],
    ["1767868496789012345", "-1"],
  ],
];

let broker: KafkaBroker;
let spark: SparkSql;
let root: string;

beforeAll(async () => {
  root = await temporaryFolder("types");
  [broker, spark] = await Promise.all([
    startKafka(),
    startSparkSql(hadoopCatalog("f", join(root, "warehouse"))),
  ]);
  // Its first answer takes long; no test's time should hold it.
  await spark.sql("select 1");
}, 600_000);

afterAll(async () => {
  await spark?.stop();
  await broker?.stop();
});

function column(at: number): string {
  return `c${at}`;
}

/** Produces both values and a null of each type, and ingests them into `default.<name>`. */
async function ingest(
  name: string,
  cases: readonly TypeCase[],
  formatVersion: 2 | 3,
): Promise<void> {
  const { bootstrap } = broker;
  await createTopic(bootstrap, { topic: name, partitions: 1 });
  const row = (which: number): string =>
    `{${cases.map(([, json], at) => `"${column(at)}":${json[which] ?? "null"}`).join(",")}}`;
  await produceValues(
    { bootstrap, topic: name },
    [0, 1, 2].map((n) => ({ value: row(n) })),
  );
  await committed(name, {
    schema: { fields: cases.map(([type], at) => ({ name: column(at), type })) },
    "iceberg.write": { format_version: formatVersion },
  });
}

/** More records into a table that is there. */
async function again(name: string, values: readonly string[]): Promise<void> {
  const target = { bootstrap: broker.bootstrap, topic: name };
  await produceValues(
    target,
    values.map((value) => ({ value })),
  );
  await committed(name, {});
}

async function committed(topic: string, config: Config): Promise<void> {
  const { bootstrap } = broker;
  const warehouse = join(root, "warehouse");
  const { product, exitCode } = await runUntilEnd({
    // In a shared group a second run would wait for the session of the first.
    config: fileTable({
      bootstrap,
      topic,
      warehouse,
      config: { ...config, kafka: { consumer_group: `group-${crypto.randomUUID()}` } },
    }),
  });
  expect([exitCode, exitCode === 0 ? "" : product.log()]).toEqual([0, ""]);
}

async function readers(name: string, cases: readonly TypeCase[]) {
  const table = { folder: join(root, "warehouse", "default", name) };
  return (await readColumns({ table, columns: cases.map((_, at) => column(at)) })).readers;
}

/** Makes texts that mean the same value the same text. */
function normal(type: string, text: string | null | undefined): unknown {
  if (text === null || text === undefined) return null;
  if (type === "float" || type === "double") return Number(text);
  if (type === "uuid") return text.replaceAll("-", "").toLowerCase();
  // Python lists the pairs of a map, of which an empty one has none.
  if (type.startsWith("map<") && text === "[]") return {};
  if (/^(list|map|struct)</.test(type)) return JSON.parse(text);
  return text;
}

function expectValues([type, , text]: TypeCase, found: ColumnAnswer | undefined): void {
  if (!Array.isArray(found)) throw new Error(`${type}: ${JSON.stringify(found)}`);
  const actual = (found as (string | null)[]).map((each) => normal(type, each));
  expect([type, actual]).toEqual([type, [...text.map((each) => normal(type, each)), null]]);
}

/**
 * PyIceberg 0.12 rebuilds a list of structs from its offsets alone and so reads a null list as an
 * empty one; pyarrow, DuckDB and Spark read the null from the same file.
 */
function withNull([type]: TypeCase, found: ColumnAnswer | undefined): ColumnAnswer | undefined {
  if (!type.startsWith("list<struct<") || !Array.isArray(found)) return found;
  expect(found.at(-1)).toBe("[]");
  return [...(found as (string | null)[]).slice(0, -1), null];
}

/** Spark's expression that gives a column as text. */
function sparkText(type: string, name: string): string {
  if (/^(list|map|struct)</.test(type)) return `to_json(${name})`;
  return type === "binary" || type.startsWith("fixed") ? `lower(hex(${name}))` : `string(${name})`;
}

describe("every reader reads", () => {
  let found: Awaited<ReturnType<typeof readers>>;
  let sparks: Record<string, unknown>[];

  beforeAll(async () => {
    await ingest("common", COMMON, 2);
    found = await readers("common", COMMON);
    const texts = COMMON.map(([type], at) => `${sparkText(type, column(at))} ${column(at)}`);
    sparks = await spark.sql(
      `select ${texts.join(", ")} from f.default.common order by _kafka_offset`,
    );
  }, 300_000);

  test.each(COMMON.map((each, at) => [each[0], each, at] as const))("%s", (_, one, at) => {
    const name = column(at);
    expectValues(one, withNull(one, found["pyiceberg"]?.[name]));
    expectValues(one, found["duckdb"]?.[name]);
    expectValues(
      one,
      sparks.map((row) => (row[name] ?? null) as string | null),
    );
  });
});

describe("some readers read", () => {
  test("time: PyIceberg and DuckDB do, Spark refuses the table by name of the type", async () => {
    await ingest("times", [TIME], 2);
    const found = await readers("times", [TIME]);
    expectValues(TIME, found["pyiceberg"]?.["c0"]);
    expectValues(TIME, found["duckdb"]?.["c0"]);
    const refused = await rejection(spark.sql("select * from f.default.times"));
    expect(refused.message).toContain("Spark does not support time fields");
  }, 120_000);

  test("nanosecond timestamps: PyIceberg does, DuckDB and Spark refuse them by name", async () => {
    await ingest("nanos", NANOS, 3);
    const found = await readers("nanos", NANOS);
    for (const [at, one] of NANOS.entries()) {
      expectValues(one, found["pyiceberg"]?.[column(at)]);
      const error = expect.stringMatching(/Unrecognized primitive type: timestamp(tz)?_ns/);
      expect(found["duckdb"]?.[column(at)]).toEqual({ error });
    }
    const read = spark.sql("select * from f.default.nanos");
    expect((await rejection(read)).message).toContain(
      "Cannot convert unsupported type to Spark: timestamp_ns",
    );
  }, 120_000);
});

describe("format v3", () => {
  const long: TypeCase = ["long", ["1", "2"], ["1", "2"]];

  test("Spark and DuckDB find the row lineage of two commits, and PyIceberg the rows", async () => {
    await ingest("lineage", [long], 3);
    await again("lineage", ['{"c0":3}', '{"c0":4}']);
    const rows = await spark.sql(
      `select _kafka_offset o, _row_id id, _last_updated_sequence_number s
       from f.default.lineage order by 1`,
    );
    // The first sequence number is the empty snapshot with the table's first offsets.
    const expected = [2, 2, 2, 3, 3].map((s, at) => ({ o: at, id: at, s }));
    expect(rows).toEqual(expected);
    const table = { folder: join(root, "warehouse", "default", "lineage") };
    const columns = ["_row_id", "_last_updated_sequence_number"];
    const lineage = await readColumns({ table, columns, readers: ["duckdb"] });
    expect(lineage.readers["duckdb"]).toEqual({
      _row_id: expected.map(({ id }) => String(id)),
      _last_updated_sequence_number: expected.map(({ s }) => String(s)),
    });
    const found = await readers("lineage", [long]);
    expect(found["pyiceberg"]?.["c0"]).toEqual(["1", "2", null, "3", "4"]);
    expect(found["duckdb"]?.["c0"]).toEqual(["1", "2", null, "3", "4"]);
  }, 120_000);
});
