/** Files of the encode kernel: what it takes, what it chooses by column, and what it refuses. */
import { expect, test } from "bun:test";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";
import type { EncodeOptions } from "#parquet/encoder.ts";
import { encodeWithKernel, kernelBytes, kernelTakes } from "#parquet/kernel/encode.ts";
import { rejection } from "../../../support/rejection.ts";
import {
  batchOf,
  bytesOf,
  everyTypeRows,
  field,
  listOf,
  structOf,
  type WholeFile,
  whole,
} from "../rows.ts";

const OPTIONS: EncodeOptions = {
  codec: "snappy",
  level: null,
  rowGroupRows: 122_880,
  metadata: {},
};

function encode(
  fields: readonly Field[],
  batches: readonly ColumnBatch[],
  options: Partial<EncodeOptions> = {},
): Promise<WholeFile> {
  const wanted = { ...OPTIONS, ...options };
  return whole((sink) => encodeWithKernel(fields, batches, wanted, sink));
}

function chunksOf(file: WholeFile) {
  return parquetMetadata(bytesOf(file)).row_groups.flatMap((group) =>
    group.columns.flatMap((column) => column.meta_data ?? []),
  );
}

async function read(file: WholeFile): Promise<Record<string, unknown>[]> {
  return await parquetReadObjects({ file: bytesOf(file).buffer as ArrayBuffer });
}

/** A column of random version 4 UUIDs as text. */
function uuids(count: number): string[] {
  return Array.from({ length: count }, () => crypto.randomUUID());
}

test("the kernel takes every type, codec and level but brotli's default and empty structs", () => {
  const { fields } = everyTypeRows();
  for (const codec of ["none", "snappy", "lz4", "zstd", "gzip"] as const) {
    expect([codec, kernelTakes(fields, { ...OPTIONS, codec })]).toEqual([codec, true]);
  }
  expect(kernelTakes(fields, { ...OPTIONS, codec: "zstd", level: 1 })).toBeTrue();
  expect(kernelTakes(fields, { ...OPTIONS, codec: "zstd", level: 3 })).toBeTrue();
  expect(kernelTakes(fields, { ...OPTIONS, codec: "gzip", level: 9 })).toBeTrue();
  expect(kernelTakes(fields, { ...OPTIONS, codec: "brotli", level: 5 })).toBeTrue();
  expect(kernelTakes(fields, { ...OPTIONS, codec: "brotli" })).toBeFalse();
  const empty = [field("s", listOf({ kind: "struct", fields: [] }))];
  expect(kernelTakes(empty, OPTIONS)).toBeFalse();
});

test("a dictionary that fills up ends where it is full, and its pages stay", async () => {
  const fields = [field("n", { kind: "long" })];
  const values = Array.from({ length: 120_000 }, (_, i) => BigInt(i < 40_000 ? i % 50 : i));
  const file = await encode(fields, [
    batchOf(
      fields,
      values.map((value) => [value]),
    ),
  ]);
  const [chunk] = chunksOf(file);
  const pages = (chunk?.encoding_stats ?? []).map((each) => [each.encoding, each.page_type]);
  expect(pages).toEqual([
    ["PLAIN", "DICTIONARY_PAGE"],
    ["RLE_DICTIONARY", "DATA_PAGE"],
    ["PLAIN", "DATA_PAGE"],
  ]);
  expect((await read(file)).map((row) => row["n"])).toEqual(values);
});

test("thousands of values, and pages of nulls between them, share one dictionary", async () => {
  const fields = [field("n", { kind: "long" })];
  // Pages of values, of nulls only, of values again.
  const values = Array.from({ length: 160_000 }, (_, i) =>
    i > 40_000 && i < 120_000 ? null : BigInt((i * 7919 + (i >> 5) * 104_729) % 6007) << 20n,
  );
  const file = await encode(
    fields,
    [
      batchOf(
        fields,
        values.map((value) => [value]),
      ),
    ],
    {
      rowGroupRows: 200_000,
    },
  );
  const [chunk] = chunksOf(file);
  const indexed = chunk?.encoding_stats?.find((each) => each.encoding === "RLE_DICTIONARY");
  expect(indexed?.count).toBeGreaterThanOrEqual(3);
  const plain = chunk?.encoding_stats?.find(
    (each) => each.encoding === "PLAIN" && each.page_type === "DATA_PAGE",
  );
  // The page of nulls only has no index to write.
  expect(plain?.count).toBe(1);
  expect((await read(file)).map((row) => row["n"] ?? null)).toEqual(values);
});

test("a greatest value without a shorter bound above it is whole, or there are no bounds", async () => {
  const fields = [field("b", { kind: "binary" })];
  const statistics = async (length: number): Promise<unknown> => {
    const batch = batchOf(fields, [[new Uint8Array([1])], [new Uint8Array(length).fill(255)]]);
    return chunksOf(await encode(fields, [batch]))[0]?.statistics?.max_value;
  };
  // hyparquet answers text, one replacement character a byte.
  expect(await statistics(60)).toBe("\ufffd".repeat(60));
  expect(await statistics(100)).toBeUndefined();
});

/** Longs whose hashes are equal in `assembly/encode/dictionary.ts`: found by undoing its mixing. */
function colliding(count: number): bigint[] {
  const factor = 0x9fb21c651e98df25n;
  let inverse = 1n;
  for (let round = 0; round < 6; round++) {
    inverse = BigInt.asUintN(64, inverse * (2n - factor * inverse));
  }
  return Array.from({ length: count }, (_, i) => {
    // Products whose high halves are 0.
    const value = BigInt.asUintN(64, BigInt(i) * inverse) ^ BigInt.asUintN(64, 8n * factor);
    return BigInt.asIntN(64, value);
  });
}

test("values of one hash are told apart; where they are many, the dictionary ends", async () => {
  const fields = [field("n", { kind: "long" })];
  for (const [distinct, hasDictionary] of [
    [100, true],
    [300, false],
  ] as const) {
    const values = colliding(distinct);
    const rows = Array.from({ length: 3000 }, (_, i) => [values[i % distinct]]);
    const file = await encode(fields, [batchOf(fields, rows)]);
    expect((await read(file)).map((row) => row["n"])).toEqual(rows.map(([value]) => value));
    expect(chunksOf(file)[0]?.dictionary_page_offset !== undefined).toBe(hasDictionary);
  }
});

test("short texts that differ in their length, or in a zero at their end, are told apart", async () => {
  const texts = Array.from({ length: 14 }, (_, size) => [
    "a".repeat(size),
    `${"a".repeat(size)}\0`,
    "\0".repeat(size),
  ]).flat();
  const rows = Array.from({ length: 3000 }, (_, i) => [texts[(i * 17) % texts.length]]);
  const fields = [field("s", { kind: "string" })];
  const file = await encode(fields, [batchOf(fields, rows)]);
  expect((await read(file)).map((row) => row["s"])).toEqual(rows.map(([text]) => text));
  expect(chunksOf(file)[0]?.dictionary_page_offset).toBeDefined();
});

test("few values take a few bits each; a first page of unique values has no dictionary", async () => {
  const fields = [field("few", { kind: "string" }), field("unique", { kind: "string" })];
  const rows = uuids(5000).map((uuid, i) => [`a value of some length ${i % 4}`, uuid]);
  const file = await encode(fields, [batchOf(fields, rows)]);
  const [few, unique] = chunksOf(file);
  expect(few?.dictionary_page_offset).toBe(4n);
  expect(Number(few?.total_uncompressed_size)).toBeLessThan(5000 / 4 + 300);
  expect(unique?.dictionary_page_offset).toBeUndefined();
  expect(await read(file)).toEqual(rows.map(([a, b]) => ({ few: a, unique: b })));
  // Too few for a sample: what is smaller is written.
  const [, short] = chunksOf(await encode(fields, [batchOf(fields, rows.slice(0, 100))]));
  expect(short?.dictionary_page_offset).toBeUndefined();
});

test("a column that Snappy hardly shrinks is not compressed; zstd shrinks it", async () => {
  const fields = [field("id", { kind: "string" }), field("text", { kind: "string" })];
  const rows = uuids(5000).map((uuid, i) => [uuid, `https://example.com/page/${i}`]);
  const batch = batchOf(fields, rows);
  const codecs = async (codec: "snappy" | "zstd"): Promise<unknown[]> =>
    chunksOf(await encode(fields, [batch], { codec })).map((chunk) => chunk.codec);
  expect(await codecs("snappy")).toEqual(["UNCOMPRESSED", "SNAPPY"]);
  expect(await codecs("zstd")).toEqual(["ZSTD", "ZSTD"]);
});

test("which columns are worth compressing is tried again in the course of a file", async () => {
  const fields = [field("id", { kind: "string" })];
  const random = batchOf(
    fields,
    uuids(1000).map((uuid) => [uuid]),
  );
  const alike = batchOf(
    fields,
    uuids(1000).map((_, i) => [`https://example.com/page/${i}`]),
  );
  const batches = [random, random, alike, alike, alike, alike];
  const chunks = chunksOf(await encode(fields, batches, { rowGroupRows: 1000 }));
  const [before, after] = [Array(4).fill("UNCOMPRESSED"), Array(2).fill("SNAPPY")];
  expect(chunks.map((chunk) => chunk.codec as string)).toEqual([...before, ...after]);
});

test("times, offsets and ids take about half of their bytes in Snappy, with nulls between them too", async () => {
  const fields = [field("ts", { kind: "timestamp", zone: true }), field("id", { kind: "long" })];
  const rows = Array.from({ length: 20_000 }, (_, i) => {
    const isNull = i % 100 === 7;
    return [1_760_000_000_000_000n + BigInt(i * 37), isNull ? null : BigInt((i * 7919) % 65_521)];
  });
  const file = await encode(fields, [batchOf(fields, rows)]);
  for (const chunk of chunksOf(file)) {
    expect(chunk.codec).toBe("SNAPPY");
    expect(Number(chunk.total_compressed_size)).toBeLessThan(0.65 * 8 * rows.length);
  }
  expect((await read(file)).map((row) => row["id"] ?? null)).toEqual(
    rows.map(([, id]) => id ?? null),
  );
});

test("many small batches are one row group and share pages", async () => {
  const fields = [field("n", { kind: "int" }), field("tags", listOf({ kind: "string" }))];
  const rows = Array.from({ length: 900 }, (_, i) => [i, i % 3 === 0 ? null : [`t${i}`, "x"]]);
  const batches = rows.map((row) => batchOf(fields, [row]));
  const file = await encode(fields, batches);
  const chunks = chunksOf(file);
  expect(chunks.length).toBe(2);
  expect(chunks[0]?.encoding_stats).toEqual([
    { page_type: "DATA_PAGE", encoding: "PLAIN", count: 1 },
  ]);
  const expected = rows.map(([n, tags]) => ({ n, tags: tags ?? undefined }));
  expect((await read(file)).map(({ n, tags }) => ({ n, tags: tags ?? undefined }))).toEqual(
    expected as never,
  );
});

test("a row group ends at four times its size in columns, however small they become, before it has its rows", async () => {
  const fields = [field("s", { kind: "string" })];
  const rows = (count: number): string[][] => Array(count).fill(["x".repeat(8192)]);
  const many = Array(10).fill(batchOf(fields, rows(1000)));
  for (const batches of [many, [batchOf(fields, rows(10_000))]]) {
    const rowGroupBytes = 8 * 1024 * 1024;
    const file = await encode(fields, batches, { codec: "zstd", rowGroupBytes });
    const groups = parquetMetadata(bytesOf(file)).row_groups.map((group) => Number(group.num_rows));
    expect(groups.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    // 82 MB of values, in memory of some more: 16 MiB, then 32 MiB each.
    expect(groups.length).toBeGreaterThanOrEqual(3);
    expect(groups.length).toBeLessThanOrEqual(5);
  }
});

test("a value of 64 MiB and a list of a million elements are written; memory is given back", async () => {
  const fields = [field("s", { kind: "string" }), field("list", listOf({ kind: "boolean" }))];
  const large = "0123456789abcdef".repeat(4 * 1024 * 1024);
  const many = Array.from({ length: 1_000_000 }, (_, i) => (i % 7 === 0 ? null : i % 2 === 0));
  const rows = [
    ["a", [true]],
    [large, many],
    ["b", []],
  ];
  const kept = kernelBytes();
  const file = await encode(fields, [batchOf(fields, rows)]);
  const answer = await read(file);
  expect(answer.map((row) => String(row["s"]).length)).toEqual([1, large.length, 1]);
  expect(answer[1]?.["s"] === large).toBeTrue();
  expect(answer.map((row) => row["list"])).toEqual([[true], many, []]);
  expect(kernelBytes()).toBeLessThanOrEqual(kept);
});

test("ordinary files need less than 8 MiB of WASM memory", async () => {
  const fields = [field("s", { kind: "string" }), field("d", structOf({ n: { kind: "long" } }))];
  const rows = uuids(50_000).map((uuid, i) => [uuid, i % 3 === 0 ? null : { n: BigInt(i) }]);
  // Files that were encoded side by side before, by other tests of this process, keep a memory each.
  const kept = kernelBytes();
  await encode(fields, [batchOf(fields, rows)]);
  expect(kernelBytes()).toBeGreaterThan(1024 * 1024);
  expect(kernelBytes() - kept).toBeLessThan(8 * 1024 * 1024);
});

test("what the sink is given does not change while it is taken", async () => {
  const fields = [field("s", { kind: "string" })];
  const rows = uuids(60_000).map((uuid) => [uuid]);
  let chunks = 0;
  let changed = 0;
  await encodeWithKernel(fields, [batchOf(fields, rows)], OPTIONS, async (chunk) => {
    const before = Bun.hash(chunk);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    chunks++;
    if (Bun.hash(chunk) !== before) changed++;
  });
  expect(chunks).toBeGreaterThan(2);
  expect(changed).toBe(0);
});

test("what the sink throws ends the encoding, and the next file is whole", async () => {
  const fields = [field("n", { kind: "int" })];
  const batch = batchOf(fields, [[1], [2]]);
  const full = new Error("no room on the disk");
  const refused = encodeWithKernel(fields, [batch], OPTIONS, () => Promise.reject(full));
  expect(await rejection(refused)).toBe(full);
  expect(await read(await encode(fields, [batch]))).toEqual([{ n: 1 }, { n: 2 }]);
});

test("a null in a required field is refused, unless what holds it is null", async () => {
  const inner = { kind: "struct" as const, fields: [field("n", { kind: "int" }, true)] };
  const fields = [field("s", inner)];
  const file = await encode(fields, [batchOf(fields, [[null], [{ n: 1 }]])]);
  expect((await read(file)).map((row) => row["s"] ?? null)).toEqual([null, { n: 1 }]);
  const wrong = encode(fields, [batchOf(fields, [[{ n: null }]])]);
  expect(await rejection(wrong)).toMatchObject({ kind: "internal" });
});

test("columns that lie about their buffers are refused", async () => {
  const fields = [field("s", { kind: "string" }), field("l", listOf({ kind: "long" }))];
  const good = batchOf(fields, [
    ["abc", [1n, 2n]],
    ["de", [3n]],
  ]);
  const [text, list] = good.columns;
  if (text === undefined || list === undefined) throw new TypeError("two columns");
  const lies: Partial<ColumnBatch>[] = [
    { columns: [{ ...text, offsets: new Int32Array([0, 5, 4]) }, list] },
    { columns: [{ ...text, offsets: new Int32Array([0, -3, 5]) }, list] },
    { columns: [{ ...text, offsets: new Int32Array([0, 3, 50]) }, list] },
    { columns: [{ ...text, offsets: new Int32Array([0, 3]) }, list] },
    // The slots around are null, so that sizes alone do not give it away.
    {
      rowCount: 3,
      columns: [
        {
          ...text,
          length: 3,
          nullCount: 2,
          validity: new Uint8Array([0b010]),
          offsets: new Int32Array([0, 1_000_000_000, 1_000_000_003, 5]),
        },
        { ...list, length: 3, offsets: new Int32Array([0, 2, 3, 3]) },
      ],
    },
    { columns: [text, { ...list, offsets: new Int32Array([0, 3, 2]) }] },
    { columns: [text, { ...list, offsets: new Int32Array([0, 2, 2 ** 30]) }] },
    {
      rowCount: 4,
      columns: [
        { ...text, length: 4, offsets: new Int32Array([0, 3, 5, 5, 5]) },
        { ...list, length: 4, offsets: new Int32Array([5, 5, 5, 5, 2]) },
      ],
    },
    // Its last offset is right.
    {
      rowCount: 3,
      columns: [
        { ...text, length: 3, offsets: new Int32Array([0, 3, 5, 5]) },
        { ...list, length: 3, offsets: new Int32Array([0, 3, 1, 3]) },
      ],
    },
    { columns: [text, { ...list, offsets: new Int32Array([0, -1, 3]) }] },
    { columns: [text, { ...list, length: 3 }] },
    { columns: [text] },
    { rowCount: 3 },
  ];
  for (const [index, lie] of lies.entries()) {
    const outcome = await rejection(encode(fields, [{ ...good, ...lie }]));
    expect([index, String(outcome)]).not.toEqual([index, "null"]);
    expect(String(outcome)).not.toContain("RuntimeError");
    expect(String(outcome)).not.toContain("RangeError");
  }
  expect((await read(await encode(fields, [good]))).length).toBe(2);
});
