/**
 * Rows -> one Parquet file, in the calling thread: {@link encodeParquet}, and the encoder for tests.
 *
 * The file is written row group by row group while batches arrive, so that memory holds one piece
 * of columns and the encoded row group, not the rows. The production encoder (`pool.ts`) runs the
 * same function in a Worker.
 */
import type { Compression, WriterProperties } from "parquet-wasm/esm";
import { unreachable } from "#base/assert.ts";
import { AppError, fail } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { arrowSchema, toIpcPieces } from "./arrow.ts";
import { type BatchData, emptyBatch } from "./columnData.ts";
import { columnsWithoutDictionary, SAMPLE_ROWS } from "./dictionary.ts";
import type { EncodedFile, EncodeOptions, ParquetCodec, ParquetEncoder } from "./encoder.ts";
import { type FloatSummary, summarizeFloats } from "./floats.ts";
import { annotateUuids, readFooter, splitFooter } from "./footer.ts";
import { columnMetrics, leavesOf } from "./metrics.ts";
import { loadParquetWasm } from "./wasm.ts";

/** Batches as they come, from memory or from another thread. */
export type BatchSource = Iterable<BatchData> | AsyncIterable<BatchData>;

/** Values that the writer takes at a time: a tenth faster than its default of 1,024. */
const WRITE_BATCH_ROWS = 8192;

/** Encoded bytes at which a row group ends before it has its rows: bounds WASM memory for wide rows. */
const ROW_GROUP_BYTES_MAX = 16 * 1024 * 1024;

/** The only level of each codec that has levels: `parquet-wasm` takes no other. */
export const CODEC_LEVEL: Readonly<Partial<Record<ParquetCodec, number>>> = {
  gzip: 6,
  zstd: 1,
  brotli: 1,
};

/**
 * Encodes the batches as one file. `fields` carry the table's ids and match the columns by position.
 * Errors: `table_unsupported` for a struct without fields, `usage` for a codec level that cannot be
 * had, `internal` when columns and fields do not fit.
 */
export async function encodeParquet(
  fields: readonly Field[],
  batches: BatchSource,
  options: EncodeOptions,
): Promise<EncodedFile> {
  const schema = arrowSchema(fields);
  const floats = new Map<number, FloatSummary>();
  const source = iterate(batches);
  const sample = await takeSample(source);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const first = sample.length === 0 ? [emptyBatch(fields)] : sample;
    for await (const batch of chain(first, source)) {
      summarizeFloats(floats, fields, batch);
      yield* toIpcPieces(schema, fields, batch);
    }
  }
  const properties = writerProperties(fields, sample, options);
  return finishFile(fields, await writeChunks(pieces(), properties), floats);
}

/** An encoder in the calling thread, for tests and the simulator: it blocks while it encodes. */
export function createInlineEncoder(): ParquetEncoder {
  return { encode: encodeParquet, close: () => Promise.resolve() };
}

async function* iterate(batches: BatchSource): AsyncGenerator<BatchData, void> {
  yield* batches;
}

/** The sampled batches, each let go when it is handed on, then the rest. */
async function* chain(
  first: BatchData[],
  rest: AsyncGenerator<BatchData, void>,
): AsyncGenerator<BatchData, void> {
  for (let next = first.shift(); next !== undefined; next = first.shift()) yield next;
  yield* rest;
}

/** The first batches, enough to choose dictionaries by. */
async function takeSample(source: AsyncGenerator<BatchData, void>): Promise<BatchData[]> {
  const sample: BatchData[] = [];
  for (let rows = 0; rows < SAMPLE_ROWS; ) {
    const next = await source.next();
    if (next.done === true) break;
    sample.push(next.value);
    rows += next.value.rowCount;
  }
  return sample;
}

function writerProperties(
  fields: readonly Field[],
  sample: readonly BatchData[],
  options: EncodeOptions,
): WriterProperties {
  const { codec, level } = options;
  if (level !== null && level !== CODEC_LEVEL[codec]) {
    throw fail("usage", `Parquet codec ${codec} cannot be written at level ${level}`, { codec });
  }
  const { WriterPropertiesBuilder } = loadParquetWasm();
  let builder = new WriterPropertiesBuilder()
    .setCompression(compressionOf(codec))
    .setMaxRowGroupSize(options.rowGroupRows)
    .setMaxRowGroupBytes(ROW_GROUP_BYTES_MAX)
    .setWriteBatchSize(WRITE_BATCH_ROWS)
    .setKeyValueMetadata(new Map(Object.entries(options.metadata)));
  for (const name of columnsWithoutDictionary(fields, sample)) {
    builder = builder.setColumnDictionaryEnabled(name, false);
  }
  return builder.build();
}

function compressionOf(codec: ParquetCodec): Compression {
  const { Compression } = loadParquetWasm();
  switch (codec) {
    case "none":
      return Compression.UNCOMPRESSED;
    case "snappy":
      return Compression.SNAPPY;
    case "gzip":
      return Compression.GZIP;
    case "lz4":
      return Compression.LZ4_RAW;
    case "zstd":
      return Compression.ZSTD;
    case "brotli":
      return Compression.BROTLI;
    default:
      return unreachable(codec);
  }
}

/** Feeds Arrow IPC pieces to the writer and collects the file's bytes as it flushes row groups. */
async function writeChunks(
  pieces: AsyncGenerator<Uint8Array>,
  properties: WriterProperties,
): Promise<Uint8Array[]> {
  const wasm = loadParquetWasm();
  let failure: unknown;
  const batches = new ReadableStream({
    async pull(controller) {
      try {
        const piece = await pieces.next();
        if (piece.done === true) {
          controller.close();
          return;
        }
        const table = wasm.Table.fromIPCStream(piece.value);
        for (const batch of table.recordBatches()) controller.enqueue(batch);
        table.free();
      } catch (error) {
        failure = error;
        controller.error(error);
      }
    },
  });
  try {
    const file = await wasm.transformParquetStream(batches, properties);
    return await Array.fromAsync(file as AsyncIterable<Uint8Array>);
  } catch (error) {
    // What went wrong in our own part says more than what the writer made of it.
    if (failure instanceof AppError) throw failure;
    throw fail("internal", "The Parquet writer refused the rows", {}, failure ?? error);
  }
}

/** Adds what the writer leaves out to the footer, and reads from it what manifests need. */
function finishFile(
  fields: readonly Field[],
  written: readonly Uint8Array[],
  floats: ReadonlyMap<number, FloatSummary>,
): EncodedFile {
  const leaves = leavesOf(fields);
  const { body, footer: bare } = splitFooter(written);
  const uuids = leaves.filter((leaf) => leaf.type.kind === "uuid").map((leaf) => leaf.fieldId);
  const amended = annotateUuids(bare, new Set(uuids));
  const footer = readFooter(amended);
  const chunks = [...body, amended];
  return {
    chunks,
    bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    rowCount: Number(footer.rowCount),
    splitOffsets: footer.rowGroups.map((group) => group.offset),
    metrics: columnMetrics(leaves, footer, floats),
  };
}
