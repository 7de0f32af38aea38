/**
 * Files of the encode kernel beside files of parquet-wasm, the same rows in both: pyarrow, DuckDB,
 * PyIceberg and Spark find the same rows and the same metrics.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Field, Type } from "#columns/schema.ts";
import type { EncodeOptions, ParquetCodec } from "#parquet/encoder.ts";
import { readersPython } from "../../scripts/services/cache.ts";
import { run, temporaryFolder } from "../../scripts/services/process.ts";
import { hadoopCatalog, type SparkSql, startSparkSql } from "../support/sparkSql.ts";
import { batchOf, encodeWhole, type Row } from "../unit/parquet/rows.ts";

const ROWS = 60_000;
const CODECS: readonly ParquetCodec[] = ["none", "snappy", "gzip", "lz4", "zstd"];

let nextId = 1;
function ids(count: number): number[] {
  return Array.from({ length: count }, () => nextId++);
}

/** Fields numbered as Iceberg numbers a new table's: siblings first. */
function numbered(members: readonly (readonly [string, Type])[]): Field[] {
  const numbers = ids(members.length);
  return members.map(([name, type], index) => {
    const isKey = name === "key";
    const field = { id: numbers[index] ?? 0, name, required: isKey, type };
    if (type.kind === "struct") {
      const inner = type.fields.map((each) => [each.name, each.type] as const);
      return { ...field, type: { kind: "struct", fields: numbered(inner) } };
    }
    if (type.kind === "list") {
      const [element = type.element] = numbered([["element", type.element.type]]);
      return { ...field, type: { kind: "list", element } };
    }
    if (type.kind !== "map") return field;
    const [key = type.key, value = type.value] = numbered([
      ["key", type.key.type],
      ["value", type.value.type],
    ]);
    return { ...field, type: { kind: "map", key, value } };
  });
}

const bare = (name: string, type: Type): Field => ({ id: 0, name, required: false, type });
const list = (type: Type): Type => ({ kind: "list", element: bare("element", type) });
const struct = (...fields: Field[]): Type => ({ kind: "struct", fields });
const string: Type = { kind: "string" };

/** Every column with the value of its row: many and few distinct, sorted, random, nested, null. */
const COLUMNS: readonly (readonly [string, Type, (row: number) => unknown])[] = [
  ["id", string, (i) => `id-${(i * 7919) % ROWS}-${i}`],
  ["few", string, (i) => (i % 11 === 0 ? null : `value ${i % 9}`)],
  // A dictionary that fills up in the middle of the row group.
  ["more", { kind: "long" }, (i) => BigInt(i < 10_000 ? i % 50 : i)],
  ["at", { kind: "timestamp", zone: true }, (i) => 1_760_000_000_000_000n + 977n * BigInt(i)],
  ["count", { kind: "int" }, (i) => (i % 3 === 0 ? null : ((i * 31) % 1000) - 500)],
  ["ratio", { kind: "double" }, (i) => (i % 101 === 0 ? Number.NaN : Math.sin(i))],
  ["flag", { kind: "boolean" }, (i) => (i % 5 === 0 ? null : i % 2 === 0)],
  ["price", { kind: "decimal", precision: 9, scale: 2 }, (i) => BigInt(i % 700) - 350n],
  ["total", { kind: "decimal", precision: 38, scale: 10 }, (i) => 10n ** 30n * BigInt(i % 90)],
  ["day", { kind: "date" }, (i) => 19_000 + (i >> 8)],
  ["raw", { kind: "binary" }, (i) => new Uint8Array(i % 40).fill(i & 255)],
  ["gone", string, () => null],
  [
    "device",
    struct(bare("os", string), bare("size", struct(bare("w", { kind: "float" })))),
    (i) => (i % 4 === 0 ? null : { os: `os ${i % 5}`, size: i % 6 === 0 ? null : { w: i / 8 } }),
  ],
  ["longs", list({ kind: "long" }), (i) => (i % 7 === 0 ? null : Array(i % 5).fill(BigInt(i)))],
  [
    "lines",
    list(struct(bare("x", { kind: "int" }), bare("tags", list(string)))),
    (i) =>
      Array.from({ length: i % 3 }, (_, n) =>
        i % 10 === 0 ? null : { x: n, tags: n === 0 ? [] : [`t${i % 4}`, null] },
      ),
  ],
  [
    "groups",
    { kind: "map", key: bare("key", string), value: bare("value", list({ kind: "double" })) },
    (i) => (i % 9 === 0 ? null : [["k", i % 2 === 0 ? null : [i, i + 0.5]]]),
  ],
];

const fields = numbered(COLUMNS.map(([name, type]) => [name, type]));
const rows: readonly Row[] = Array.from({ length: ROWS }, (_, row) =>
  COLUMNS.map(([, , value]) => value(row)),
);
const batches = [0, 1, 2, 3].map((part) =>
  batchOf(fields, rows.slice((part * ROWS) / 4, ((part + 1) * ROWS) / 4)),
);

let folder = "";
let spark: SparkSql;

beforeAll(async () => {
  folder = await temporaryFolder("kernel");
  spark = await startSparkSql(hadoopCatalog("f", join(folder, "warehouse")));
  // Its first answer takes long; no test's time should hold it.
  await spark.sql("select 1");
}, 600_000);

afterAll(async () => {
  await spark?.stop();
}, 60_000);

/** A file in a folder of its own, as Spark wants it. */
async function write(codec: ParquetCodec, kernel: boolean): Promise<string> {
  const options: EncodeOptions = { codec, level: null, rowGroupRows: 45_000, metadata: {}, kernel };
  const file = await encodeWhole(fields, batches, options);
  const path = join(folder, `${codec}-${kernel}`, "rows.parquet");
  await Bun.write(path, Buffer.concat(file.chunks));
  return path;
}

async function both(codec: ParquetCodec): Promise<[string, string]> {
  return [await write(codec, true), await write(codec, false)];
}

for (const codec of CODECS) {
  test(`pyarrow, DuckDB and PyIceberg find the same in both ${codec} files`, async () => {
    const script = join(import.meta.dir, "..", "support", "compare_parquet.py");
    const stdin = JSON.stringify({ files: await both(codec) });
    const answer = JSON.parse(await run([await readersPython(), script], { stdin }));
    expect(answer).toMatchObject({
      rows: [ROWS, ROWS],
      columns: [],
      duckdb: [0, 0],
      metrics: [],
      encodings: {
        id: ["PLAIN", "RLE"],
        few: ["PLAIN", "RLE", "RLE_DICTIONARY"],
        "device.os": ["PLAIN", "RLE", "RLE_DICTIONARY"],
      },
    });
  }, 120_000);
}

test("Spark reads the same rows from both, by its own reader", async () => {
  for (const codec of CODECS) {
    const [ours, theirs] = await Promise.all(
      (await both(codec)).map((path) =>
        spark.sql(
          `select count(*) n, sum(cast(xxhash64(to_json(struct(*))) as decimal(38, 0))) digest
           from parquet.\`${path}\``,
        ),
      ),
    );
    expect(ours).toEqual(theirs ?? []);
    expect(ours?.[0]?.["n"]).toBe(ROWS);
  }
}, 300_000);

test("Iceberg's own reader in Spark gives the same rows and the same metrics of both", async () => {
  const answers: unknown[] = [];
  for (const [index, path] of (await both("zstd")).entries()) {
    const table = `f.default.t${index}`;
    const source = path.slice(0, path.lastIndexOf("/"));
    await spark.sql(
      `create table ${table} using iceberg as select * from parquet.\`${path}\` limit 0`,
    );
    await spark.sql(
      `call f.system.add_files(table => '${table}', source_table => '\`parquet\`.\`${source}\`')`,
    );
    const digest = await spark.sql(
      `select count(*) n, sum(cast(xxhash64(to_json(struct(*))) as decimal(38, 0))) digest,
       count_if(few = 'value 3') threes, count_if(more > 59000) large from ${table}
       where at >= timestamp_micros(1760000000000000)`,
    );
    const files = await spark.sql(
      `select record_count, value_counts, null_value_counts, lower_bounds, upper_bounds
       from ${table}.files`,
    );
    answers.push({ digest, files });
    expect(digest[0]?.["n"]).toBe(ROWS);
  }
  expect(answers[0]).toEqual(answers[1]);
}, 300_000);

test("DuckDB's bloom filters: no value that is there is excluded, and nearly every other is", async () => {
  const probed = COLUMNS.map(([name], index) => ({ name, index, id: fields[index]?.id ?? 0 }));
  const columns = ["id", "few", "more", "count", "ratio", "day", "at"];
  const bloomFilters = probed
    .filter(({ name }) => columns.includes(name))
    .map(({ id }) => ({ fieldId: id, falsePositives: 0.01, bytesMax: 1 << 20 }));
  const base = { codec: "snappy", level: null, rowGroupRows: 45_000, metadata: {} } as const;
  const file = await encodeWhole(fields, batches, { ...base, bloomFilters });
  const path = join(folder, "bloom", "rows.parquet");
  await Bun.write(path, Buffer.concat(file.chunks));
  const present: [string, string][] = [];
  const absent: [string, string][] = [];
  // Of the first row group, from which the second one's values differ.
  for (let row = 1; row < 40_000; row += 997) {
    present.push(["id", `'id-${(row * 7919) % ROWS}-${row}'`]);
    present.push(["more", `${row < 10_000 ? row % 50 : row}::bigint`]);
    if (row % 3 !== 0) present.push(["count", `${((row * 31) % 1000) - 500}::int`]);
    absent.push(["id", `'id-none-${row}'`]);
    absent.push(["more", `${10_000_000 + row}::bigint`]);
    absent.push(["count", `${100_000 + row}::int`]);
  }
  present.push(["few", "'value 3'"]);
  absent.push(["few", "'value 10'"]);
  const script = join(import.meta.dir, "..", "support", "bloom_probe.py");
  const ask = async (probes: readonly (readonly [string, string])[]): Promise<number[]> => {
    const stdin = JSON.stringify({ file: path, probes });
    return JSON.parse(await run([await readersPython(), script], { stdin })) as number[];
  };
  const inFirst = await ask(present);
  // Two row groups: a value may be missing in the other one.
  expect(inFirst.filter((excluded) => excluded > 1)).toEqual([]);
  const excluded = await ask(absent);
  const all = excluded.filter((groups) => groups === 2).length;
  expect(all).toBeGreaterThan(0.9 * absent.length);
  const [plain] = [await encodeWhole(fields, batches, base)];
  expect(file.metrics).toEqual(plain.metrics);
}, 120_000);
