/** Files put together by copying their pages: the same rows, true statistics; and what is left to those who decode. */
import { expect, test } from "bun:test";
import { type FileMetaData, parquetMetadata, parquetReadObjects } from "hyparquet";
import type { Field, Type } from "#columns/schema.ts";
import { type CopySource, copiedColumns } from "#parquet/copy/columns.ts";
import { type CopyLimits, type CopyTask, copyFiles } from "#parquet/copy/copyFiles.ts";
import { readSource } from "#parquet/copy/source.ts";
import { DECOMPRESSORS } from "#parquet/decompress.ts";
import type { EncodeOptions, ParquetCodec } from "#parquet/encoder.ts";
import { readFooter } from "#parquet/footer.ts";
import { encodeWithKernel } from "#parquet/kernel/encode.ts";
import { PAGE_LIMITS } from "#parquet/kernel/memory.ts";
import { columnMetrics, leavesOf } from "#parquet/metrics.ts";
import { batchOf, bytesOf, everyTypeRows, field, type Row, whole } from "../rows.ts";

const LIMITS: CopyLimits = { groupRowsMin: 0, rowGroupBytes: 2 ** 26, pages: PAGE_LIMITS };

/** By the kernel, whatever the process is set to: pages are copied where it is on. */
function encoded(fields: readonly Field[], rows: readonly Row[], options: EncodeOptions) {
  return whole((sink) => encodeWithKernel(fields, [batchOf(fields, rows)], options, sink));
}

async function write(
  fields: readonly Field[],
  rows: readonly Row[],
  more: Partial<EncodeOptions> = {},
): Promise<Uint8Array> {
  const options = { codec: "zstd", level: null, rowGroupRows: 40, metadata: {}, ...more } as const;
  return bytesOf(await encoded(fields, rows, options));
}

function source(bytes: Uint8Array, more: Partial<CopySource> = {}): CopySource {
  const file = readSource({ bytes: bytes.length, read: (start, end) => bytes.slice(start, end) });
  return { file, firstRowId: null, sequence: 1n, partitionColumns: [], ...more };
}

interface Copy extends Partial<CopyTask> {
  readonly fields: readonly Field[];
  readonly sources: readonly CopySource[];
}

function copy(task: Copy, limits: Partial<CopyLimits> = {}) {
  const parts: Uint8Array[] = [];
  const output = {
    position: 0,
    write(bytes: Uint8Array): void {
      parts.push(bytes.slice());
      this.position += bytes.length;
    },
  };
  const compression = { codec: "zstd", level: 1 } as const;
  const rest = { lineage: null, compression, bloomFilters: [], keys: {} };
  const copied = copyFiles({ ...rest, ...task }, output, { ...LIMITS, ...limits });
  return { ...copied, bytes: new Uint8Array(Buffer.concat(parts)) };
}

function read(bytes: Uint8Array): Promise<Record<string, unknown>[]> {
  const file = bytes.buffer as ArrayBuffer;
  return parquetReadObjects({ file, compressors: DECOMPRESSORS, utf8: false });
}

function metadataOf(bytes: Uint8Array): FileMetaData {
  return parquetMetadata(bytes.buffer as ArrayBuffer);
}

const CODECS: readonly ParquetCodec[] = ["none", "snappy", "gzip", "lz4", "zstd", "brotli"];

test("columns of every type, of files of every codec, have the rows of all files and the metrics of the encoder", async () => {
  const { fields, rows } = everyTypeRows();
  const files: Uint8Array[] = [];
  for (const codec of CODECS) {
    files.push(await write(fields, rows, { codec, level: codec === "brotli" ? 4 : null }));
  }
  const { bytes, footer, floats } = copy({ fields, sources: files.map((each) => source(each)) });
  const expected = (await Promise.all(files.map(read))).flat();
  expect(await read(bytes)).toEqual(expected);
  const all = CODECS.flatMap(() => rows);
  const options = { codec: "zstd", level: null, rowGroupRows: 10_000, metadata: {} } as const;
  const { metrics } = await encoded(fields, all, options);
  const withoutSize = (list: typeof metrics) => list.map(({ sizeBytes, ...each }) => each);
  const own = columnMetrics(leavesOf(fields), readFooter(footer), floats);
  expect(withoutSize(own)).toEqual(withoutSize(metrics));
});

/** Numbers from 0 to 1, always the same. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("dictionaries of any overlap, too large ones too, are put together to the same rows", async () => {
  const fields = [
    field("few", { kind: "string" }),
    field("many", { kind: "long" }),
    field("odd", { kind: "double" }),
    field("list", { kind: "list", element: field("element", { kind: "int" }) }),
  ];
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed);
    const pick = (count: number): number => Math.floor(next() * count);
    const files: Uint8Array[] = [];
    for (let file = 0; file < 1 + pick(5); file++) {
      const distinct = 1 + pick(60);
      const rows = Array.from({ length: 20 + pick(200) }, (): Row => {
        const number = [Number.NaN, 0, -0, 1.5, pick(9)][pick(5)] ?? 0;
        return [
          pick(7) === 0 ? null : `value ${pick(distinct)}`,
          BigInt(pick(distinct)),
          number,
          pick(4) === 0 ? null : Array.from({ length: pick(4) }, () => pick(distinct)),
        ];
      });
      files.push(await write(fields, rows));
    }
    const limits = {
      rowGroupBytes: [1, 1500, 2 ** 26][seed % 3] ?? 1,
      pages: { ...PAGE_LIMITS, dictionaryEntries: [2, 20, 32_768][seed % 3] ?? 1 },
    };
    const { bytes, footer, floats } = copy(
      { fields, sources: files.map((each) => source(each)) },
      limits,
    );
    const expected = (await Promise.all(files.map(read))).flat();
    expect(await read(bytes)).toEqual(expected);
    const odd = leavesOf(fields).findIndex(({ type }) => type.kind === "double");
    const nans = expected.filter((row) => Number.isNaN(row["odd"])).length;
    const [metrics] = columnMetrics(leavesOf(fields), readFooter(footer), floats).slice(
      odd,
      odd + 1,
    );
    expect(metrics?.nanCount).toBe(BigInt(nans));
  }
});

const ID = field("id", { kind: "long" });
const NAME = field("name", { kind: "string" });
const numbered = (from: number, count: number): Row[] =>
  Array.from({ length: count }, (_, at): Row => [BigInt(from + at)]);

/** Data pages of each column, by encoding. */
function pagesOf(bytes: Uint8Array): Record<string, number>[] {
  const [group] = metadataOf(bytes).row_groups;
  return (group?.columns ?? []).map(({ meta_data }) =>
    Object.fromEntries(
      (meta_data?.encoding_stats ?? [])
        .filter(({ page_type }) => page_type === "DATA_PAGE")
        .map(({ encoding, count }) => [encoding, count]),
    ),
  );
}

test("small pages become one page of usual size, of every type, and so do the rows of files that lack a column", async () => {
  const { fields, rows } = everyTypeRows();
  const later = field("later", { kind: "list", element: field("element", { kind: "int" }) });
  const file = await write(fields, rows, { rowGroupRows: 10_000 });
  const sources = Array.from({ length: 20 }, () => source(file));
  const { bytes } = copy({ fields: [...fields, later], sources });
  const expected = (await read(file)).map((row) => ({ ...row, later: undefined }));
  expect(await read(bytes)).toEqual(sources.flatMap(() => expected));
  for (const pages of pagesOf(bytes)) expect(Object.values(pages)).toEqual([1]);
});

test("small pages are joined up to the usual size, and others go over byte for byte, in the order of rows", async () => {
  const small = await write([ID], numbered(0, 3000));
  const large = await write([ID], numbered(3000, 20_000), { rowGroupRows: 30_000 });
  const order = [...Array.from({ length: 15 }, () => small), large, small];
  const { bytes } = copy({ fields: [ID], sources: order.map((each) => source(each)) });
  expect(await read(bytes)).toEqual((await Promise.all(order.map(read))).flat());
  // 45,000 longs take 360 kB, of 256 in a page: two pages, the large one, and one behind it.
  expect(pagesOf(bytes)).toEqual([{ PLAIN: 4 }]);
  const [group] = readSource({
    bytes: large.length,
    read: (start, end) => large.slice(start, end),
  }).groups;
  const { start = 0, end = 0 } = group?.chunks[0] ?? {};
  expect(end - start).toBeGreaterThan(1000);
  expect(Buffer.from(bytes).includes(Buffer.from(large.subarray(start, end)))).toBeTrue();
});

test("a column that came later is null in older files, a dropped one is gone, a renamed one is found", async () => {
  const dropped = field("dropped", { kind: "boolean" });
  const tags = field("tags", { kind: "list", element: field("element", { kind: "string" }) });
  const files = [
    await write([dropped, ID], [[true, 1n]]),
    await write([NAME, { ...ID, name: "number" }, tags], [["two", 2n, ["x"]]]),
  ];
  const task = { fields: [ID, NAME, tags], sources: files.map((each) => source(each)) };
  const file = copy(task).bytes.buffer as ArrayBuffer;
  const rows = await parquetReadObjects({ file, compressors: DECOMPRESSORS });
  expect(rows.map((row) => [row["id"], row["name"], row["tags"] ?? null])).toEqual([
    [1n, null, null],
    [2n, "two", ["x"]],
  ]);
});

test("rows keep their ids and sequence numbers, or have those that their file gives them", async () => {
  const rowId = { ...field("_row_id", { kind: "long" }), id: 2_147_483_540 };
  const lastUpdated = { ...field("_updated", { kind: "long" }), id: 2_147_483_539 };
  const lineage = { rowId, lastUpdated };
  const files = [
    source(await write([ID], numbered(0, 60)), { firstRowId: 1000n, sequence: 4n }),
    source(await write([ID, rowId, lastUpdated], [[7n, 55n, 2n]]), {
      firstRowId: 9n,
      sequence: 5n,
    }),
    source(await write([ID], [[8n]]), { sequence: 6n }),
  ];
  const rows = await read(copy({ fields: [ID], sources: files, lineage }).bytes);
  expect(rows.slice(0, 60).map((row) => row["_row_id"])).toEqual(numbered(1000, 60).flat());
  expect(rows.slice(58)).toEqual([
    { id: 58n, _row_id: 1058n, _updated: 4n },
    { id: 59n, _row_id: 1059n, _updated: 4n },
    { id: 7n, _row_id: 55n, _updated: 2n },
    { id: 8n, _row_id: null, _updated: null },
  ]);
  const some = source(await write([ID, rowId], [[7n, null]]), { firstRowId: 9n });
  expect(() => copy({ fields: [ID], sources: [some], lineage })).toThrow("some rows lack a row id");
});

test("row groups are put together up to the size, and what is left over is none of its own", async () => {
  const files = await Promise.all([0, 1, 2, 3, 4].map((at) => write([ID], numbered(at * 40, 40))));
  const sources = files.map((each) => source(each));
  const [first = 0, second = 0] = sources.map(({ file }) => file.groups[0]?.bytes);
  const { bytes } = copy({ fields: [ID], sources }, { rowGroupBytes: first + second });
  expect(metadataOf(bytes).row_groups.map(({ num_rows }) => num_rows)).toEqual([80n, 120n]);
  expect(await read(bytes)).toEqual(numbered(0, 200).map(([id]) => ({ id })));
});

test("bloom filters are made of the values of all files as the table asks, and a file's own stays where it is alone", async () => {
  const bloomFilters = [{ fieldId: NAME.id, falsePositives: 0.01, bytesMax: 1024 }];
  const rows = (from: number): Row[] =>
    Array.from({ length: 40 }, (_, at) => [`n${(from + at) % 50}`]);
  const files = [await write([NAME], rows(0)), await write([NAME], rows(30), { bloomFilters })];
  const filterOf = (bytes: Uint8Array): Uint8Array => {
    const meta = metadataOf(bytes).row_groups[0]?.columns[0]?.meta_data;
    const offset = Number(meta?.bloom_filter_offset);
    return bytes.slice(offset, offset + (meta?.bloom_filter_length ?? 0));
  };
  const sources = files.map((each) => source(each));
  const own = filterOf(
    await write([NAME], [...rows(0), ...rows(30)], { bloomFilters, rowGroupRows: 1000 }),
  );
  expect(own.length).toBeGreaterThan(32);
  expect(filterOf(copy({ fields: [NAME], sources, bloomFilters }).bytes)).toEqual(own);
  const alone = copy({ fields: [NAME], sources: sources.slice(1) }).bytes;
  expect(filterOf(alone)).toEqual(filterOf(files[1] ?? own));
});

const OTHERS: readonly (readonly [Type, Type])[] = [
  [{ kind: "int" }, { kind: "long" }],
  [{ kind: "float" }, { kind: "double" }],
  [
    { kind: "decimal", precision: 9, scale: 2 },
    { kind: "decimal", precision: 12, scale: 2 },
  ],
  [
    { kind: "timestamp", zone: false },
    { kind: "timestamp", zone: true },
  ],
  [{ kind: "binary" }, { kind: "string" }],
];

test("columns that are stored as other types than the table has now are left to those who decode", async () => {
  for (const [stored, wanted] of OTHERS) {
    const before = field("c", stored);
    const sources = [source(await write([before], [[null]]))];
    expect(() => copiedColumns([{ ...before, type: wanted }], null, sources)).toThrow(
      "another type",
    );
  }
});

test("files that cannot say what a row has are left to those who decode", async () => {
  const required = { ...ID, required: true };
  const files = [source(await write([ID], [[1n]])), source(await write([required], [[2n]]))];
  expect(() => copy({ fields: [ID], sources: files })).toThrow("null in some files only");
  const task = { fields: [ID, NAME], sources: [files[0] as CopySource] };
  const withDefault = { ...NAME, initialDefault: "x" };
  expect(() => copy({ ...task, fields: [ID, withDefault] })).toThrow("lacks column name");
  const partitioned = { ...(files[0] as CopySource), partitionColumns: [NAME.id] };
  expect(() => copy({ ...task, sources: [partitioned] })).toThrow("that its partition has");
  expect(() => copy(task, { groupRowsMin: 2 })).toThrow("few rows");
  const noIds = source(await write([{ ...ID, id: 0 }], [[1n]]));
  const columns = noIds.file.columns.map((node) => ({ ...node, fieldId: null }));
  const unnamed = { ...noIds, file: { ...noIds.file, columns } };
  expect(() => copy({ ...task, sources: [unnamed] })).toThrow("no field ids");
});

test("a damaged file is refused wherever a byte of its pages is read as another", async () => {
  const rows = Array.from({ length: 40 }, (_, at): Row => [`v${at % 3}`]);
  const files = [await write([NAME], rows), await write([NAME], rows.toReversed())];
  const expected = (await Promise.all(files.map(read))).flat();
  const [first, second] = files;
  if (first === undefined || second === undefined) throw new Error("two files");
  for (let at = 4; at < second.length - 8; at += 2) {
    const damaged = second.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 255;
    try {
      copy({ fields: [NAME], sources: [source(first), source(damaged)] });
    } catch (error) {
      expect(error).toMatchObject({ kind: "table_unsupported" });
    }
  }
  expect(
    await read(copy({ fields: [NAME], sources: files.map((each) => source(each)) }).bytes),
  ).toEqual(expected);
});

test("pages whose levels are packed in another way are refused, compressed anew or not; where there are none it does not matter what is said of them", async () => {
  const rows = Array.from({ length: 40 }, (_, n): Row => [BigInt(n)]);
  for (const codec of ["zstd", "snappy"] as const) {
    for (const isRequired of [true, false]) {
      const fields = [field("c", { kind: "long" }, isRequired)];
      const packed = Buffer.from(await write(fields, rows, { codec }));
      // Of the header of a data page: the encodings of its levels, definitions first; RLE is 3, BIT_PACKED 4.
      const at = packed.indexOf(Buffer.from([0x15, 0x06, 0x15, 0x06]));
      expect(at).toBeGreaterThan(0);
      packed[at + 1] = 0x08;
      const others = [await write(fields, rows), await write(fields, rows)];
      const sources = [...others, new Uint8Array(packed)].map((bytes) => source(bytes));
      const copying = () => copy({ fields, sources });
      if (!isRequired) expect(copying).toThrow("levels");
      else expect(await read(copying().bytes)).toHaveLength(3 * rows.length);
    }
  }
});
