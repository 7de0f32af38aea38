/**
 * Files of every type, read by pyarrow and DuckDB: values, types, field ids, metadata; and the
 * encoder inside a compiled executable.
 */
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { childFields, type Field, isPrimitive, primitiveName } from "#columns/schema.ts";
import type { ParquetCodec } from "#parquet/encoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import {
  allRows,
  batchOf,
  canonical,
  encodeWhole,
  everyTypeRows,
  field,
  type WholeFile,
} from "../unit/parquet/rows.ts";

interface Answer {
  readonly pyarrow: Readonly<Record<string, unknown[]>>;
  readonly duckdb: Readonly<Record<string, unknown[]>>;
  readonly arrow_types: Readonly<Record<string, string>>;
  readonly logical: Readonly<Record<string, string>>;
  readonly duckdb_types: Readonly<Record<string, string>>;
  readonly leaves: readonly { path: string; size: string; values: string; nulls: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly row_groups: readonly number[];
  readonly created_by: string;
  /** What PyIceberg finds by itself: schema, and metrics by field id. */
  readonly iceberg: {
    readonly types: Readonly<Record<string, readonly [number, string]>>;
    readonly lower: Readonly<Record<string, string>>;
    readonly upper: Readonly<Record<string, string>>;
  } | null;
  /** For each text that was looked for: rows that DuckDB found, and whether PyIceberg would read the file. */
  readonly found: readonly (readonly [number, boolean])[] | null;
  readonly field_ids: readonly (readonly [string, number | null])[];
}

const METADATA = { "kafka-iceberg.topic": "orders", "iceberg.schema": '{"type":"struct"}' };
const CODECS: readonly ParquetCodec[] = ["none", "snappy", "gzip", "lz4", "zstd", "brotli"];

const { fields, rows } = everyTypeRows();
let folder = "";

beforeAll(async () => {
  folder = await temporaryFolder("parquet");
}, 600_000);

async function encode(codec: ParquetCodec): Promise<WholeFile> {
  const options = { codec, level: null, rowGroupRows: 5, metadata: METADATA, kernel: true };
  return encodeWhole(fields, [batchOf(fields, rows)], options);
}

async function read(
  file: WholeFile,
  name: string,
  iceberg = false,
  equals?: object,
): Promise<Answer> {
  const path = join(folder, `${name}.parquet`);
  await Bun.write(path, Buffer.concat(file.chunks));
  const script = join(import.meta.dir, "..", "support", "read_parquet.py");
  const stdin = JSON.stringify({ file: path, iceberg, equals });
  return JSON.parse(await run([await readersPython(), script], { stdin })) as Answer;
}

/** Values by column name, in the form that the readers' script answers. */
function expected(): Record<string, unknown[]> {
  return Object.fromEntries(
    fields.map((each, index) => [each.name, rows.map((row) => canonical(each.type, row[index]))]),
  );
}

/** DuckDB's answer with uuids as plain hex digits. */
function withoutDashes(values: readonly unknown[] | undefined): unknown {
  const uuid = /"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})"/g;
  return JSON.parse(JSON.stringify(values).replaceAll(uuid, '"$1$2$3$4$5"'));
}

function allFields(list: readonly Field[]): Field[] {
  return list.flatMap((each) => [each, ...allFields(childFields(each.type))]);
}

for (const codec of CODECS) {
  test(`pyarrow reads every value of every type back from a ${codec} file`, async () => {
    const answer = await read(await encode(codec), codec);
    expect(answer.pyarrow).toEqual(expected());
    expect(answer.row_groups).toEqual([5, 3]);
    expect(answer.metadata).toEqual(METADATA);
    expect(answer.created_by).toStartWith(codec === "brotli" ? "parquet-rs" : "kafka-iceberg");
  }, 120_000);
}

test("DuckDB reads every value of every type back", async () => {
  const answer = await read(await encode("zstd"), "duckdb");
  for (const [name, values] of Object.entries(expected())) {
    const micros = (nanos: unknown): unknown =>
      nanos === null ? null : String(BigInt(String(nanos)) / 1000n);
    // DuckDB has no nanoseconds in a timestamp with time zone.
    const wanted = name === "timestamptz_ns" ? values.map(micros) : values;
    expect([name, withoutDashes(answer.duckdb[name])]).toEqual([name, wanted]);
  }
  expect(answer.duckdb_types).toMatchObject({
    uuid: "UUID",
    timestamptz: "TIMESTAMP WITH TIME ZONE",
    timestamp: "TIMESTAMP",
    decimal_38: "DECIMAL(38,4)",
    map: "MAP(VARCHAR, DECIMAL(20,0))",
  });
}, 120_000);

test("both readers see the field ids of every level and the logical types", async () => {
  const answer = await read(await encode("snappy"), "schema");
  const ids = answer.field_ids.filter(([, id]) => id !== null);
  expect(ids).toEqual(allFields(fields).map((each) => [each.name, each.id]));
  expect(answer.logical).toMatchObject({
    uuid: "UUID",
    "list_of_struct.list.element.u": "UUID",
    "map.key_value.key": "String",
    date: "Date",
    time: "Time(isAdjustedToUTC=false, timeUnit=microseconds)",
    decimal_9: "Decimal(precision=9, scale=4)",
  });
  expect(answer.logical["timestamptz"]).toContain("isAdjustedToUTC=true, timeUnit=microseconds");
  expect(answer.logical["timestamp"]).toContain("isAdjustedToUTC=false, timeUnit=microseconds");
  expect(answer.logical["timestamp_ns"]).toContain("isAdjustedToUTC=false, timeUnit=nanoseconds");
  expect(answer.arrow_types["uuid"]).toBe("extension<arrow.uuid>");
}, 120_000);

test("sizes, value counts and null counts are those that pyarrow finds in the footer", async () => {
  const file = await encode("snappy");
  const { leaves } = await read(file, "metrics");
  const ours = file.metrics.map((metric) => ({
    size: String(metric.sizeBytes),
    values: String(metric.valueCount),
    nulls: String(metric.nullCount),
  }));
  expect(ours).toEqual(leaves.map(({ size, values, nulls }) => ({ size, values, nulls })));
}, 120_000);

test("PyIceberg maps the file to our types and ids, and finds our bounds byte for byte", async () => {
  // Its own limit: no statistics of nanoseconds beyond datetime.
  const kept = fields
    .map((each, index) => ({ each, index }))
    .filter(({ each }) => !each.name.endsWith("_ns"));
  const columns = kept.map(({ each }) => each);
  const values = rows.map((row) => kept.map(({ index }) => row[index]));
  const zstd = { codec: "zstd", level: null, rowGroupRows: 5, metadata: METADATA } as const;
  const options = { ...zstd, kernel: true };
  const file = await encodeWhole(columns, [batchOf(columns, values)], options);
  const answer = (await read(file, "iceberg", true)).iceberg;
  for (const { id, name, type } of columns) {
    expect(answer?.types[name]?.[0]).toBe(id);
    if (isPrimitive(type)) {
      expect(answer?.types[name]?.[1]).toBe(primitiveName(type));
    }
  }
  // It keeps `fixed` whole where Java and we cut it, and has no bounds of structs' members.
  const compared = columns.filter(({ type }) => isPrimitive(type) && type.kind !== "fixed");
  const ours = new Map(file.metrics.map((metric) => [metric.fieldId, metric]));
  for (const { id, name } of compared) {
    const bounds = [ours.get(id)?.lowerBound?.toHex(), ours.get(id)?.upperBound?.toHex()];
    expect([name, ...bounds]).toEqual([name, answer?.lower[id], answer?.upper[id]]);
  }
}, 120_000);

test("DuckDB and PyIceberg find every text, whatever characters the texts begin with", async () => {
  const column = field("text", { kind: "string" });
  const texts = ["apple", "zebra", "\ufeffapple", "\ufeff", "", "\ufeff".repeat(20), "\u{10ffff}"];
  const long = texts.map((text) => `${text}${"\ufeff".repeat(17)}z`);
  const options = { codec: "none", level: null, rowGroupRows: 5, metadata: METADATA } as const;
  for (const values of [texts, long, [...texts, ...long]]) {
    const batch = batchOf(
      [column],
      values.map((value) => [value]),
    );
    const file = await encodeWhole([column], [batch], { ...options, kernel: true });
    const [metrics] = file.metrics;
    const [lower, upper] = [metrics?.lowerBound?.toHex(), metrics?.upperBound?.toHex()];
    const equals = { column: "text", id: column.id, values, lower, upper };
    const { found } = await read(file, "texts", false, equals);
    expect(found).toEqual(values.map(() => [1, true]));
  }
}, 120_000);

test("the Worker and the WASM file work in a single executable, in an empty folder", async () => {
  const app = join(folder, "app");
  const flags = ["--compile", "--no-compile-autoload-bunfig", "--no-compile-autoload-dotenv"];
  const entries = ["test/support/parquetApp.ts", "src/parquet/worker.ts"];
  await run([process.execPath, "build", ...flags, "--root=src", ...entries, "--outfile", app]);
  const answer = await run([app], { cwd: folder });
  expect(JSON.parse(answer)).toEqual({ rows: 10, groups: 2 });
}, 120_000);

test("20 row groups of 30,000 rows leave the process's memory bounded", async () => {
  const texts = ["a", "b", "c"].map((name) => field(name, { kind: "string" }));
  const values = Array.from({ length: 30_000 }, (_, i) =>
    texts.map((each) => `${each.name}-${i}`.repeat(8)),
  );
  const batch = batchOf(texts, values);
  const encoder = createWorkerEncoder({ clock: systemClock });
  const options = { codec: "snappy", level: null, rowGroupRows: 30_000, metadata: {} } as const;
  const drop = (): Promise<void> => Promise.resolve();
  await encoder.encode(texts, [allRows(batch)], options, drop);
  const before = process.memoryUsage.rss();
  const file = await encoder.encode(texts, Array(20).fill(allRows(batch)), options, drop);
  const grownMb = (process.memoryUsage.rss() - before) / 1e6;
  await encoder.close();
  const columnsMb = (20 * batch.byteCount) / 1e6;
  console.log(
    `${columnsMb.toFixed(0)} MB of columns encoded; resident grew by ${grownMb.toFixed(0)} MB`,
  );
  expect(file.splitOffsets.length).toBe(20);
  expect(grownMb).toBeLessThan(200);
}, 120_000);

test("a store that stands still stops the encoder after a few megabytes", async () => {
  const texts = [field("a", { kind: "string" })];
  const values = Array.from({ length: 30_000 }, (_, i) => [`${i}-${Bun.hash(`${i}`)}`.repeat(4)]);
  const batch = batchOf(texts, values);
  const encoder = createWorkerEncoder({ clock: systemClock });
  const options = { codec: "none", level: null, rowGroupRows: 30_000, metadata: {} } as const;
  let asked = 0;
  const slices = function* () {
    for (; asked < 40; asked++) yield allRows(batch);
  };
  const standing = Promise.withResolvers<void>();
  let bytes = 0;
  const encoding = encoder.encode(texts, slices(), options, async (chunk) => {
    bytes += chunk.length;
    await standing.promise;
  });
  await systemClock.sleep(1000);
  const askedMb = (asked * batch.byteCount) / 1e6;
  // One chunk (of parquet-wasm a row group) is with the sink; the rest waits as rows, not as bytes.
  expect([bytes < 2 ** 22, asked < 20, askedMb < 60]).toEqual([true, true, true]);
  standing.resolve();
  const file = await encoding;
  await encoder.close();
  expect([file.rowCount, file.bytes]).toEqual([1_200_000, bytes]);
}, 120_000);
