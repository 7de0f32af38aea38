/** Files that the encoder writes, read back by hyparquet; the Worker writes the same bytes. */
import { afterAll, expect, test } from "bun:test";
import { brotliDecompressSync } from "node:zlib";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { systemClock } from "#base/clock.ts";
import { policyOf } from "#base/errors.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { EncodeOptions, ParquetEncoder } from "#parquet/encoder.ts";
import { createWorkerEncoder } from "#parquet/pool.ts";
import {
  allRows,
  batchOf,
  bytesOf,
  encodeWhole,
  everyTypeRows,
  field,
  type Row,
  structOf,
  type WholeFile,
  whole,
} from "./rows.ts";

const OPTIONS: EncodeOptions = {
  codec: "snappy",
  level: null,
  rowGroupRows: 122_880,
  metadata: { "kafka-iceberg.topic": "orders", "iceberg.schema": '{"type":"struct"}' },
};

const worker = createWorkerEncoder({ clock: systemClock });
afterAll(() => worker.close());

/** A file of an encoder with its bytes. */
function encodeIn(
  encoder: ParquetEncoder,
  fields: readonly Field[],
  batches: readonly ColumnBatch[],
  options: EncodeOptions,
): Promise<WholeFile> {
  return whole((sink) => encoder.encode(fields, batches.map(allRows), options, sink));
}

/** What a promise was rejected with; null when it was not. */
function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

test("a file carries field ids at every level, logical types and the metadata", async () => {
  const { fields, rows } = everyTypeRows();
  const file = await encodeWhole(fields, [batchOf(fields, rows)], OPTIONS);
  const metadata = parquetMetadata(bytesOf(file));
  expect(file.bytes).toBe(bytesOf(file).length);
  expect(file.rowCount).toBe(rows.length);
  expect(metadata.key_value_metadata).toContainEqual({
    key: "iceberg.schema",
    value: '{"type":"struct"}',
  });
  const byName = new Map(metadata.schema.map((element) => [element.name, element]));
  for (const each of fields) expect(byName.get(each.name)?.field_id).toBe(each.id);
  const repeated = metadata.schema.filter((element) => element.repetition_type === "REPEATED");
  expect(new Set(repeated.map((element) => element.name))).toEqual(new Set(["list", "key_value"]));
  const uuids = metadata.schema.filter((element) => element.logical_type?.type === "UUID");
  expect(uuids.map((element) => element.name)).toEqual(["uuid", "u"]);
  const logical = (name: string): unknown => byName.get(name)?.logical_type;
  expect(logical("timestamp")).toEqual({
    type: "TIMESTAMP",
    isAdjustedToUTC: false,
    unit: "MICROS",
  });
  expect(logical("timestamptz")).toEqual({
    type: "TIMESTAMP",
    isAdjustedToUTC: true,
    unit: "MICROS",
  });
  expect(logical("timestamp_ns")).toMatchObject({ isAdjustedToUTC: false, unit: "NANOS" });
  expect(logical("time")).toMatchObject({ type: "TIME", isAdjustedToUTC: false, unit: "MICROS" });
  expect(logical("date")).toEqual({ type: "DATE" });
});

test("decimals are INT32 to 9 digits, INT64 to 18, then fixed arrays of the least length", async () => {
  const { fields, rows } = everyTypeRows();
  const file = await encodeWhole(fields, [batchOf(fields, rows)], { ...OPTIONS, kernel: true });
  const schema = parquetMetadata(bytesOf(file)).schema;
  const physical = (precision: number): unknown[] => {
    const element = schema.find((each) => each.name === `decimal_${precision}`);
    return [element?.type, element?.type_length, element?.precision, element?.scale];
  };
  expect(physical(1)[0]).toBe("INT32");
  expect(physical(9)).toEqual(["INT32", undefined, 9, 4]);
  expect(physical(18)).toEqual(["INT64", undefined, 18, 4]);
  expect(physical(19)).toEqual(["FIXED_LEN_BYTE_ARRAY", 9, 19, 4]);
  expect(physical(38)).toEqual(["FIXED_LEN_BYTE_ARRAY", 16, 38, 4]);
});

test("row groups begin where split offsets say and hold at most the rows asked for", async () => {
  const fields = [field("n", { kind: "long" }, true)];
  const rows = (from: number): Row[] => Array.from({ length: 700 }, (_, i) => [BigInt(from + i)]);
  const batches = [
    batchOf(fields, rows(0)),
    batchOf(fields, rows(700)),
    batchOf(fields, rows(1400)),
  ];
  const file = await encodeWhole(fields, batches, { ...OPTIONS, rowGroupRows: 1000 });
  const metadata = parquetMetadata(bytesOf(file));
  expect(metadata.row_groups.map((group) => Number(group.num_rows))).toEqual([1000, 1000, 100]);
  const starts = metadata.row_groups.map((group) => {
    const chunk = group.columns[0]?.meta_data;
    return chunk?.dictionary_page_offset ?? chunk?.data_page_offset;
  });
  expect([...file.splitOffsets]).toEqual(starts as bigint[]);
  const read = await parquetReadObjects({ file: bytesOf(file).buffer as ArrayBuffer });
  expect(read.map((row) => row["n"])).toEqual(Array.from({ length: 2100 }, (_, i) => BigInt(i)));
});

test("a file without batches has the schema, no row group and zero counts", async () => {
  const { fields } = everyTypeRows();
  const file = await encodeWhole(fields, [], OPTIONS);
  expect([file.rowCount, file.splitOffsets.length]).toEqual([0, 0]);
  expect(parquetMetadata(bytesOf(file)).num_rows).toBe(0n);
  expect(file.metrics.every((metric) => metric.valueCount === 0n)).toBeTrue();
  expect(file.metrics.every((metric) => metric.lowerBound === null)).toBeTrue();
});

test("near-unique columns have no dictionary, repeating ones have", async () => {
  const fields = [field("unique", { kind: "string" }), field("few", { kind: "string" })];
  const rows = Array.from({ length: 5000 }, (_, i) => [`id-${i}`, `v${i % 9}`]);
  const file = await encodeWhole(fields, [batchOf(fields, rows)], OPTIONS);
  const chunks = parquetMetadata(bytesOf(file)).row_groups[0]?.columns ?? [];
  const dictionaries = chunks.map((chunk) => chunk.meta_data?.dictionary_page_offset !== undefined);
  expect(dictionaries).toEqual([false, true]);
});

test("a big batch is cut into pieces without losing nested values", async () => {
  const tags = field("tags", { kind: "list", element: field("element", { kind: "string" }) });
  const device = field("device", structOf({ os: { kind: "string" } }));
  const fields = [tags, device, field("flag", { kind: "boolean" })];
  const rows = Array.from({ length: 60_000 }, (_, i) => [
    i % 5 === 0 ? null : Array.from({ length: i % 4 }, (_each, j) => `${"t".repeat(100)}${i}-${j}`),
    i % 3 === 0 ? null : { os: i % 7 === 0 ? null : `os-${i}` },
    i % 11 === 0 ? null : i % 2 === 0,
  ]);
  const batch = batchOf(fields, rows);
  expect(batch.byteCount).toBeGreaterThan(8 * 1024 * 1024);
  const file = await encodeWhole(fields, [batch], { ...OPTIONS, rowGroupRows: 25_000 });
  const read = await parquetReadObjects({ file: bytesOf(file).buffer as ArrayBuffer });
  const values = read.map((row) => [
    row["tags"] ?? null,
    row["device"] ?? null,
    row["flag"] ?? null,
  ]);
  const wrong = values.findIndex((row, index) => !Bun.deepEquals(row, rows[index]));
  expect([values.length, wrong]).toEqual([rows.length, -1]);
});

test("a struct without fields is refused by name", async () => {
  const fields = [field("empty", { kind: "struct", fields: [] })];
  const encoding = encodeWhole(fields, [], OPTIONS);
  expect(await rejection(encoding)).toMatchObject({ kind: "table_unsupported" });
});

test("every codec is written at every level that it has, and read back", async () => {
  const fields = [field("n", { kind: "int" }), field("s", { kind: "string" })];
  const rows = Array.from({ length: 3000 }, (_, n) => [n % 17, `text ${n % 100} ${n}`]);
  const levels = { gzip: [0, 1, 9], zstd: [1, 3, 22], brotli: [0, 5, 11] } as const;
  for (const [codec, all] of Object.entries(levels)) {
    for (const level of all) {
      const options = { ...OPTIONS, codec: codec as keyof typeof levels, level };
      const file = await encodeIn(createInlineEncoder(), fields, [batchOf(fields, rows)], options);
      const read = await parquetReadObjects({
        file: bytesOf(file).buffer as ArrayBuffer,
        compressors: {
          GZIP: (bytes) => Bun.gunzipSync(bytes as Uint8Array<ArrayBuffer>),
          ZSTD: (bytes) => new Uint8Array(Bun.zstdDecompressSync(bytes as Uint8Array<ArrayBuffer>)),
          BROTLI: (bytes) => new Uint8Array(brotliDecompressSync(bytes)),
        },
      });
      const values = read.map((row) => [row["n"], row["s"]]);
      expect([codec, level, values.length]).toEqual([codec, level, rows.length]);
      expect(values).toEqual(rows);
    }
  }
});

test("the Worker writes the bytes of the inline encoder and leaves the batches alone", async () => {
  const { fields, rows } = everyTypeRows();
  const batches = [batchOf(fields, rows), batchOf(fields, rows.toReversed())];
  for (const codec of ["none", "gzip", "lz4", "zstd", "brotli", "snappy"] as const) {
    // One key: the writer's order of several is by chance.
    const options = { ...OPTIONS, codec, metadata: { key: "value" } };
    const file = await encodeIn(worker, fields, batches, options);
    const inline = await encodeIn(createInlineEncoder(), fields, batches, options);
    expect(Buffer.compare(bytesOf(file), bytesOf(inline))).toBe(0);
    expect(file.metrics).toEqual(inline.metrics);
  }
});

test("jobs given at once come back each with its own rows", async () => {
  const fields = [field("n", { kind: "int" })];
  const sizes = [1, 5000, 0, 70_000, 3];
  const files = await Promise.all(
    sizes.map((size) => {
      const rows = Array.from({ length: size }, (_, i) => [i]);
      return encodeIn(worker, fields, [batchOf(fields, rows)], OPTIONS);
    }),
  );
  expect(files.map((file) => file.rowCount)).toEqual(sizes);
});

test("after a job that failed the encoder goes on with a new Worker", async () => {
  const refused = field("n", { kind: "int" }, true);
  const withNull = batchOf([refused], [[1], [null]]);
  const failed = encodeIn(worker, [refused], [withNull], OPTIONS);
  expect(String(await rejection(failed))).toContain("null");
  const file = await encodeIn(worker, [refused], [batchOf([refused], [[7]])], OPTIONS);
  expect(file.rowCount).toBe(1);
});

test("a Worker over its memory bound is replaced and the next file is whole", async () => {
  const small = createWorkerEncoder({ clock: systemClock, memoryBytesMax: 1 });
  const fields = [field("n", { kind: "int" })];
  const batches = [batchOf(fields, [[1], [2]])];
  const first = await encodeIn(small, fields, batches, OPTIONS);
  const second = await encodeIn(small, fields, batches, OPTIONS);
  expect(bytesOf(second)).toEqual(bytesOf(first));
  await small.close();
});

test("a closed encoder rejects what is under way and what comes later", async () => {
  const closing = createWorkerEncoder({ clock: systemClock });
  const fields = [field("n", { kind: "int" })];
  const pending = encodeIn(closing, fields, [batchOf(fields, [[1]])], OPTIONS);
  const outcome = pending.catch(String);
  await closing.close();
  expect(await outcome).toContain("The Parquet encoder");
  expect(String(await rejection(encodeIn(closing, fields, [], OPTIONS)))).toContain("closed");
});

test("a Worker that dies rejects the file under way; the next file gets a new Worker", async () => {
  const urls = ["../../support/dyingWorker.ts", "../../../src/parquet/worker.ts"];
  const startWorker = (): Worker => new Worker(new URL(urls.shift() ?? "", import.meta.url));
  const mortal = createWorkerEncoder({ clock: systemClock, startWorker });
  const fields = [field("n", { kind: "int" })];
  const batches = [batchOf(fields, [[1], [2]])];
  const files = [1, 2].map(() => encodeIn(mortal, fields, batches, OPTIONS));
  const [first, second] = await Promise.allSettled(files);
  expect(String(first?.status === "rejected" && first.reason)).toContain("Worker ended: it exited");
  const { action } = policyOf(first?.status === "rejected" ? first.reason : null);
  expect(action).toBe("again");
  expect(second).toMatchObject({ status: "fulfilled", value: { rowCount: 2 } });
  await mortal.close();
});

test("shared buffers go to the Worker as they are", async () => {
  const fields = [field("n", { kind: "long" }, true)];
  const shared = new Uint8Array(new SharedArrayBuffer(16));
  shared.set([1, 0, 0, 0, 0, 0, 0, 0, 2]);
  const [column] = batchOf(fields, [[1n], [2n]]).columns;
  const batch = { fields, rowCount: 2, byteCount: 16, columns: [] };
  const columns = column === undefined ? [] : [{ ...column, data: shared }];
  const file = await encodeIn(worker, fields, [{ ...batch, columns }], OPTIONS);
  const read = await parquetReadObjects({ file: bytesOf(file).buffer as ArrayBuffer });
  expect(read).toEqual([{ n: 1n }, { n: 2n }]);
});
