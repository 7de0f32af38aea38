/** The encode kernel against parquet-wasm and against independent decompressors, on random input. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { snappyUncompress } from "hyparquet/src/snappy.js";
import { seededRandom } from "#base/random.ts";
import type { ColumnMetrics, EncodeOptions, ParquetCodec } from "#parquet/encoder.ts";
import { encodeWithKernel } from "#parquet/kernel/encode.ts";
import { leafColumns } from "#parquet/kernel/leaves.ts";
import {
  compressedBytesMax,
  PAGE_LIMITS,
  type PageLimits,
  Workspace,
} from "#parquet/kernel/memory.ts";
import { addExtremes, clearExtremes, readExtremes } from "#parquet/kernel/statistics.ts";
import { encodeReference } from "#parquet/reference.ts";
import { lz4Uncompress } from "../support/lz4.ts";
import { batchOf, bytesOf, field, type WholeFile, whole } from "../unit/parquet/rows.ts";
import { files } from "./parquetRows.ts";

const CODECS: readonly ParquetCodec[] = ["none", "snappy", "lz4", "zstd", "gzip"];

/** From pages of one value to the production's; dictionaries that soon are full. */
const limits: fc.Arbitrary<PageLimits> = fc.oneof(
  fc.constant(PAGE_LIMITS),
  fc.record({
    pageEntries: fc.integer({ min: 1, max: 40 }),
    pageBytes: fc.integer({ min: 1, max: 400 }),
    dictionaryEntries: fc.integer({ min: 1, max: 12 }),
    dictionaryBytes: fc.integer({ min: 1, max: 300 }),
  }),
);

/** Snappy and LZ4 for hyparquet, which leaves the latter to its caller. */
const compressors = {
  LZ4_RAW: lz4Uncompress,
  ZSTD: (input: Uint8Array) => Bun.zstdDecompressSync(input as Uint8Array<ArrayBuffer>),
  GZIP: (input: Uint8Array) => Bun.gunzipSync(input as Uint8Array<ArrayBuffer>),
};

async function readBack(file: WholeFile): Promise<unknown> {
  const bytes = bytesOf(file).buffer as ArrayBuffer;
  return await parquetReadObjects({ file: bytes, utf8: false, compressors });
}

function withoutSize(metrics: readonly ColumnMetrics[]): unknown {
  return metrics.map((each) => ({ ...each, sizeBytes: 0n }));
}

/** The footer's statistics; bounds of strings and binary values are cut differently. */
function statisticsOf(file: WholeFile): unknown {
  const { row_groups: groups } = parquetMetadata(bytesOf(file));
  return groups.map((group) =>
    group.columns.map(({ meta_data: chunk }) => {
      const { null_count, min_value, max_value } = chunk?.statistics ?? {};
      return chunk?.type === "BYTE_ARRAY" ? { null_count } : { null_count, min_value, max_value };
    }),
  );
}

test("for any schema, batches, pages and codec, rows and metrics are those of parquet-wasm", async () => {
  const cases = fc.record({ file: files, limits, codec: fc.constantFrom(...CODECS) });
  await fc.assert(
    fc.asyncProperty(cases, async ({ file, limits: pages, codec }) => {
      const { fields, batches, rowGroupRows } = file;
      const options: EncodeOptions = { codec, level: null, rowGroupRows, metadata: {} };
      const columns = batches.map((rows) => batchOf(fields, rows));
      const ours = await whole((sink) => encodeWithKernel(fields, columns, options, sink, pages));
      const theirs = await whole((sink) => encodeReference(fields, columns, options, sink));
      expect(await readBack(ours)).toEqual(await readBack(theirs));
      expect(withoutSize(ours.metrics)).toEqual(withoutSize(theirs.metrics));
      expect(ours.rowCount).toBe(theirs.rowCount);
      const groups = parquetMetadata(bytesOf(ours)).row_groups;
      expect(groups.map((group) => group.file_offset ?? 0n)).toEqual([...ours.splitOffsets]);
      expect(statisticsOf(ours)).toEqual(statisticsOf(theirs));
      for (const [index, metric] of ours.metrics.entries()) {
        const sizes = groups.map((group) => group.columns[index]?.meta_data?.total_compressed_size);
        expect(sizes.reduce((sum, size) => (sum ?? 0n) + (size ?? 0n), 0n)).toBe(metric.sizeBytes);
      }
    }),
    { numRuns: 400 },
  );
}, 120_000);

/** Runs and mixtures of numbers of so many bits. */
const runs = fc.integer({ min: 1, max: 24 }).chain((width) => {
  const value = fc.nat(2 ** width - 1);
  const part = fc.oneof(
    fc.array(value, { maxLength: 40 }),
    fc.tuple(value, fc.nat(100)).map(([one, times]) => Array<number>(times).fill(one)),
  );
  return fc.record({
    width: fc.constant(width),
    values: fc.array(part, { maxLength: 8 }).map((parts) => parts.flat()),
  });
});

test("levels and indexes of any width come out of hyparquet's decoder as they went in", () => {
  const workspace = new Workspace();
  const { kernel, definitions, indexes, body, bodyBytesMax } = workspace;
  fc.assert(
    fc.property(runs, ({ width, values }) => {
      workspace.bytes.set(values, definitions);
      workspace.words.set(values, indexes >> 2);
      const encoders = [
        () => kernel.hybridWords(indexes, values.length, width, body, bodyBytesMax),
        ...(width <= 8
          ? [() => kernel.hybridBytes(definitions, values.length, width, body, bodyBytesMax)]
          : []),
      ];
      for (const encode of encoders) {
        const size = encode();
        const bytes = workspace.bytes.slice(body, body + size);
        const decoded: number[] = Array(values.length).fill(-1);
        const reader = { view: new DataView(bytes.buffer), offset: 0 };
        readRleBitPackedHybrid(reader, width, decoded, size);
        expect(decoded).toEqual(values);
        expect(size).toBeLessThanOrEqual(Math.ceil(values.length / 8) * (width + 1) + 16);
      }
    }),
    { numRuns: 1000 },
  );
}, 60_000);

/** Values that are alike for long: what differs may lie anywhere, also in the length. */
const endings = fc.array(fc.constantFrom(0, 1, 127, 128, 255), { maxLength: 12 });
const alike = fc.tuple(fc.nat(40), fc.constantFrom(0, 1, 100)).chain(([common, more]) =>
  fc.array(
    fc
      .tuple(fc.nat(more), endings)
      .map(([size, rest]) => Buffer.from([...Array<number>(common + size).fill(200), ...rest])),
    { minLength: 1, maxLength: 60 },
  ),
);

test("least and greatest byte strings are memcmp's, compared and kept up to 80 bytes", () => {
  const workspace = new Workspace();
  fc.assert(
    fc.property(alike, fc.nat(60), (values, split) => {
      clearExtremes(workspace);
      const leaf = leafColumns([field("c", { kind: "binary" })])[0];
      if (leaf === undefined) throw new TypeError("no leaf");
      // In two calls, as pages come.
      for (const page of [values.slice(0, split), values.slice(split)]) {
        const plain = Buffer.concat(
          page.flatMap((each) => [Buffer.from(new Uint32Array([each.length]).buffer), each]),
        );
        workspace.bytes.set(plain, workspace.plain);
        const end = workspace.plain + plain.length;
        addExtremes(workspace, leaf, workspace.plain, end, page.length);
      }
      const sorted = values.map((each) => each.subarray(0, 80)).toSorted(Buffer.compare);
      const { min, max } = readExtremes(workspace);
      expect([min?.toHex(), max?.toHex()]).toEqual([
        sorted[0]?.toString("hex"),
        sorted.at(-1)?.toString("hex"),
      ]);
    }),
    { numRuns: 2000 },
  );
}, 60_000);

/** Bytes with matches near and far, and without any. */
const compressible: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(400))
        .map(([unit, times]) => new Uint8Array(Buffer.concat(Array(times).fill(unit)))),
      fc.nat(70_000).map((length) => new Uint8Array(length)),
    ),
    { maxLength: 12 },
  )
  .chain((parts) => fc.tuple(fc.constant(parts), fc.array(fc.nat(11), { maxLength: 40 })))
  .map(([parts, order]) => {
    const repeated = order.map((index) => parts[index] ?? new Uint8Array(0));
    return new Uint8Array(Buffer.concat([...parts, ...repeated]));
  });

test("what Snappy and LZ4 compress, independent decompressors make whole again", () => {
  const workspace = new Workspace();
  fc.assert(
    fc.property(compressible, fc.constantFrom("snappy" as const, "lz4" as const), (raw, codec) => {
      const from = workspace.staging;
      const to = from + raw.length + 64;
      const room = compressedBytesMax(raw.length);
      workspace.reach(to, room);
      workspace.bytes.set(raw, from);
      const size = workspace.kernel[codec](from, raw.length, to, room, workspace.codecTable);
      const compressed = workspace.bytes.slice(to, to + size);
      const output = new Uint8Array(raw.length);
      if (codec === "snappy") snappyUncompress(compressed, output);
      else output.set(lz4Uncompress(compressed, raw.length));
      expect(Buffer.compare(output, raw)).toBe(0);
    }),
    { numRuns: 400 },
  );
}, 120_000);

/** Numbers as columns have them: counters, times, ids, prices, some that come again, some that are like none. */
const numbers = fc
  .record({
    count: fc.oneof(fc.nat(600), fc.nat(20_000), fc.constantFrom(511, 512, 513, 8192, 8193)),
    decimals: fc.constantFrom(null, 1, 2, 3),
    first: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    step: fc.constantFrom(0, 1, 12, 37_000),
    spread: fc.constantFrom(0, 1, 100, 100_000, 2 ** 40, 2 ** 52),
    odd: fc.constantFrom(0, 0.001, 0.3),
    seed: fc.nat(),
    head: fc.oneof(fc.constant(0), fc.nat(9), fc.nat(70_000)),
  })
  .map(({ count, decimals, first, step, spread, odd, seed, head }) => {
    const random = seededRandom(seed);
    const bytes = new Uint8Array(head + 8 * count);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < head; at++) bytes[at] = random.unit() < 0.9 ? 3 : at;
    for (let index = 0; index < count; index++) {
      const near = first + BigInt(index * step) + BigInt(Math.floor(random.unit() * spread));
      const far = BigInt(Math.floor(random.unit() * 2 ** 53)) * 2047n;
      const value = random.unit() < odd ? far : near;
      if (decimals === null) view.setBigInt64(head + 8 * index, value, true);
      else view.setFloat64(head + 8 * index, Number(value) / 10 ** decimals, true);
    }
    return { bytes, head };
  });

test("what Snappy makes of values of eight bytes, an independent decompressor makes whole again", () => {
  const workspace = new Workspace();
  fc.assert(
    fc.property(numbers, ({ bytes, head }) => {
      const from = workspace.staging;
      const to = from + bytes.length + 64;
      const room = compressedBytesMax(bytes.length);
      workspace.reach(to, room);
      workspace.bytes.set(bytes, from);
      workspace.bytes.fill(0xa5, to, to + room);
      const { kernel, codecTable } = workspace;
      const size = kernel.snappyWords(from, bytes.length, to, room, codecTable, head);
      const output = new Uint8Array(bytes.length);
      snappyUncompress(workspace.bytes.slice(to, to + size), output);
      expect(Buffer.compare(output, bytes)).toBe(0);
      const searched = kernel.snappy(from, bytes.length, to, room, codecTable);
      const searchedMax = Math.ceil(1.25 * searched) + 200;
      expect(size).toBeLessThanOrEqual(Math.max(searchedMax, Math.ceil(0.75 * bytes.length)));
    }),
    { numRuns: 600 },
  );
}, 120_000);
