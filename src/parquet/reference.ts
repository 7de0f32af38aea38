/**
 * Rows -> one Parquet file by `parquet-wasm`: {@link encodeReference}, for what the kernel does not
 * take and to compare it with.
 *
 * The file is written row group by row group while batches arrive, so that memory holds one piece
 * of columns and the encoded row group, not the rows.
 */
import type { Compression, WriterProperties } from "parquet-wasm/esm";
import { unreachable } from "#base/assert.ts";
import { AppError, fail } from "#base/errors.ts";
import type { Field } from "#columns/schema.ts";
import { arrowSchema, toIpcPieces } from "./arrow.ts";
import { type BatchData, type BatchSource, emptyBatch } from "./columnData.ts";
import { columnsWithoutDictionary, SAMPLE_ROWS } from "./dictionary.ts";
import {
  type ByteSink,
  type EncodedFile,
  type EncodeOptions,
  type ParquetCodec,
  ROW_GROUP_BYTES,
} from "./encoder.ts";
import { FileBytes } from "./fileBytes.ts";
import { type FloatSummary, summarizeFloats } from "./floats.ts";
import { annotateUuids, readFooter, splitFooter } from "./footer.ts";
import { columnMetrics, leavesOf } from "./metrics.ts";
import { loadParquetWasm } from "./wasm.ts";

/** Values that the writer takes at a time: a tenth faster than its default of 1,024. */
const WRITE_BATCH_ROWS = 8192;

/**
 * As `encodeParquet`, at the codec's own level, since `parquet-wasm` has no other; the bytes after the last row are kept until the footer among them is amended.
 */
export async function encodeReference(
  fields: readonly Field[],
  batches: BatchSource,
  options: EncodeOptions,
  sink: ByteSink,
): Promise<EncodedFile> {
  const schema = arrowSchema(fields);
  const floats = new Map<number, FloatSummary>();
  const source = iterate(batches);
  const sample = await takeSample(source);
  const end: Uint8Array[] = [];
  let rowsEnded = false;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const first = sample.length === 0 ? [emptyBatch(fields)] : sample;
    for await (const batch of chain(first, source)) {
      summarizeFloats(floats, fields, batch);
      yield* toIpcPieces(schema, fields, batch);
    }
    rowsEnded = true;
  }
  const file = new FileBytes(sink);
  const properties = writerProperties(fields, sample, options);
  await writeChunks(pieces(), properties, async (chunk) => {
    // The footer is written after the last row: what came before that cannot hold it.
    if (rowsEnded) end.push(chunk);
    else await file.write(chunk);
  });
  return finishFile(fields, file, end, floats);
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
  const { codec } = options;
  const { WriterPropertiesBuilder } = loadParquetWasm();
  let builder = new WriterPropertiesBuilder()
    .setCompression(compressionOf(codec))
    .setMaxRowGroupSize(options.rowGroupRows)
    .setMaxRowGroupBytes(options.rowGroupBytes ?? ROW_GROUP_BYTES)
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

/** Feeds Arrow IPC pieces to the writer and hands the file's bytes on as it flushes row groups. */
async function writeChunks(
  pieces: AsyncGenerator<Uint8Array>,
  properties: WriterProperties,
  sink: ByteSink,
): Promise<void> {
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
  let sinkFailed = false;
  try {
    const file = await wasm.transformParquetStream(batches, properties);
    for await (const chunk of file as AsyncIterable<Uint8Array>) {
      await sink(chunk).catch((error: unknown) => {
        sinkFailed = true;
        throw error;
      });
    }
  } catch (error) {
    if (sinkFailed) throw error;
    // What went wrong in our own part says more than what the writer made of it.
    if (failure instanceof AppError) throw failure;
    throw fail("internal", "The Parquet writer refused the rows", {}, failure ?? error);
  }
}

/** Adds what the writer leaves out to the footer, and reads from it what manifests need. */
async function finishFile(
  fields: readonly Field[],
  file: FileBytes,
  end: readonly Uint8Array[],
  floats: ReadonlyMap<number, FloatSummary>,
): Promise<EncodedFile> {
  const leaves = leavesOf(fields);
  const { body, footer: bare } = splitFooter(end);
  const uuids = leaves.filter((leaf) => leaf.type.kind === "uuid").map((leaf) => leaf.fieldId);
  const amended = annotateUuids(bare, new Set(uuids));
  const footer = readFooter(amended);
  const described = {
    rowCount: Number(footer.rowCount),
    splitOffsets: footer.rowGroups.map((group) => group.offset),
    metrics: columnMetrics(leaves, footer, floats),
  };
  // Only now: what the sink has taken may not be looked at any more.
  for (const chunk of [...body, amended]) await file.write(chunk);
  return { ...described, ...file.finish() };
}
