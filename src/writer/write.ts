/**
 * Joined rows -> durable Parquet files with their Iceberg description. The names of all files are in
 * the synced transaction log before the first byte of any is written (SPEC section 8).
 */
import { assert } from "#base/assert.ts";
import { kindOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import { writeJson } from "#base/json.ts";
import { LIMITS } from "#base/limits.ts";
import { feedKey, type OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { Field } from "#columns/schema.ts";
import type { Ledger } from "#commit/ledger.ts";
import { logFlushStarted } from "#commit/logCommit.ts";
import type { FileUnit } from "#commit/shares.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import type { KeySet, PlacedFile } from "#keyindex/port.ts";
import type { EncodedFile, EncodeOptions, RowSlice } from "#parquet/encoder.ts";
import type { Begun, BegunFile } from "./ahead.ts";
import { dataFile } from "./dataFile.ts";
import { DataSink } from "./dataSink.ts";
import { type FileForm, fileForm } from "./fileForm.ts";
import { OpenFiles } from "./openFiles.ts";
import type { FeedFlush, WriterOptions, WriterParts } from "./parts.ts";
import { keysOf, type PlannedFile, planFiles, restOf, rowIdsOf, slicesOf } from "./plan.ts";
import { type FileShape, rowShape } from "./schema.ts";
import { reducedMetrics } from "./tableProperties.ts";

/** Files of one flush, from its first row. */
export const NOTHING_BEGUN: Begun = {
  plans: new Map(),
  files: new Map(),
  beganMs: Number.POSITIVE_INFINITY,
};

/** Files of a unit are uploaded again under a new name this often when the store altered them. */
const CORRUPT_RETRIES_MAX = 3;

/** What files hold, and what a manifest says of them. */
export interface FileContent {
  readonly shape: FileShape;
  readonly form: FileForm;
  readonly describe: (file: PlannedFile, stored: EncodedFile) => DataFile;
}

/** The rows of a table. @param reserved columns behind the table's, of which manifests say nothing */
export function rowContent(
  options: WriterOptions,
  table: LoadedTable,
  reserved: readonly Field[] = [],
): FileContent {
  const { fields, spec } = rowShape(table);
  const shape = { fields: [...fields, ...reserved], spec };
  const form = fileForm(options, table);
  const reduced = new Map([
    ...reducedMetrics(fields, table.metadata.properties),
    ...reserved.map(({ id }) => [id, "none"] as const),
  ]);
  const { specId } = spec;
  const describe: FileContent["describe"] = ({ path, partition }, stored) =>
    dataFile(path, stored, specId, partition, reduced, form.sort.orderId);
  return { shape, form, describe };
}

/** What the files of one flush have in common. */
interface WriteContext {
  readonly parts: WriterParts;
  readonly table: LoadedTable;
  readonly ledger: Ledger;
  readonly content: FileContent;
  /** Files that were begun ahead of the flush and are not yet gone on with. */
  readonly begun: Map<PlannedFile, BegunFile>;
}

/** Stored files of a unit. */
export interface WrittenUnit extends FileUnit {
  /** Feeds that stand or fall together have one number, from 0 on; a unit without rows is left out. */
  readonly number: number;
  /** Its files with the keys of their rows, where rows were selected; else none. */
  readonly placed: readonly PlacedFile[];
}

/**
 * Encodes and uploads a flush.
 * @param ledger takes every name before its file is begun, so that it names all that may exist after
 * an error, too
 * @param begun what was written ahead; to be ended by the caller, whatever comes of this
 * @param content of the files; default: the table's rows
 */
export async function writeFiles(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  flushes: readonly FeedFlush[],
  ledger: Ledger,
  begun: Begun = NOTHING_BEGUN,
  content: FileContent = rowContent(options, table),
): Promise<WrittenUnit[]> {
  const planned = await planFiles(parts, options, table, flushes, begun.plans, content.shape);
  ledger.plan(planned.map((file) => file.path));
  await logFlushStarted(parts, table, ledger.commitId, ledger.names, endOffsets(planned));
  const context = { parts, table, ledger, content, begun: new Map(begun.files) };
  const open = new OpenFiles(options.openFilesMax);
  const stored: WrittenFile[][] = [];
  try {
    for (const [index, file] of planned.entries()) {
      await open.begin(async (encoded) => {
        context.parts.observe({ type: "open_files", change: 1 });
        try {
          stored[index] = await writeRows(context, file, encoded);
        } finally {
          context.parts.observe({ type: "open_files", change: -1 });
        }
      });
    }
    await open.finish();
  } finally {
    // Nothing may still be written when the caller removes the files of a failed flush.
    await open.settle();
  }
  const units = Map.groupBy(planned.keys(), (index) => planned[index]?.unit ?? 0);
  return [...units].map(([unit, indexes]) => {
    const files = indexes.flatMap((index) => {
      const written = stored[index];
      assert(written !== undefined, "every planned file of a unit was stored");
      return written;
    });
    return {
      number: unit,
      feeds: unitFeeds(options, flushes, unit),
      files: files.map(({ file }) => file),
      placed: files.flatMap(({ keys, ...placed }) => (keys === null ? [] : { ...placed, keys })),
    };
  });
}

/** The offsets that the planned files reach, for the log. */
function endOffsets(files: readonly PlannedFile[]): Record<string, bigint> {
  const offsets: Record<string, bigint> = {};
  for (const { feed, end } of files.flatMap((file) => file.ranges)) offsets[feedKey(feed)] = end;
  return offsets;
}

/** A stored file; keys null: nobody asks for them. */
interface WrittenFile extends Required<Pick<PlacedFile, "file" | "rowIds">> {
  readonly keys: KeySet | null;
}

/** Writes the rows of a planned file: as one, or as several where one would be larger than wanted. */
async function writeRows(
  context: WriteContext,
  planned: PlannedFile,
  encoded: (bytes: number) => void,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for (let rest: PlannedFile | null = planned; rest !== null; ) {
    const file: DataFile = await writeFile(context, rest, encoded);
    const rows = Number(file.recordCount);
    written.push({ file, keys: keysOf(rest, rows), rowIds: rowIdsOf(rest, rows) });
    rest = restOf(rest, rows);
    if (rest !== null) await rename(context, rest);
  }
  return written;
}

/** Another name for rows that are written on, or again; it is in the log before its first byte. */
async function rename({ parts, table, ledger }: WriteContext, file: PlannedFile): Promise<void> {
  file.path = file.path.replace(/[0-9a-f-]{36}\.parquet$/, `${parts.random.uuid()}.parquet`);
  ledger.plan([file.path]);
  await logFlushStarted(parts, table, ledger.commitId, ledger.names, endOffsets([file]));
}

/**
 * Encodes one file and streams it to the store; altered or short ones, and a begun one that cannot be
 * ended, are repeated, from the rows, under a new, logged name.
 * @param encoded called with the file's size when the encoder is free for the next one
 * @returns a file with the first of the rows, or all of them
 */
async function writeFile(
  context: WriteContext,
  file: PlannedFile,
  encoded: (bytes: number) => void,
): Promise<DataFile> {
  const { parts, ledger, content } = context;
  const { commitId } = ledger;
  const began = parts.clock.monotonicMs();
  failpoint("write");
  for (let tries = 0; ; tries++) {
    const wasBegun = context.begun.has(file);
    try {
      const result = await stream(context, file, encoded);
      ledger.store([file.path]);
      await logWritten(parts, commitId, file, result);
      const described = content.describe(file, result);
      const { bytes, rowCount: rows } = result;
      const durationMs = parts.clock.monotonicMs() - began;
      if (described.content === "data") parts.observe({ type: "file", bytes, rows, durationMs });
      return described;
    } catch (error) {
      // A begun file may be lost with its upload or its Worker, for reasons that are not this flush's.
      const isAltered = kindOf(error) === "storage_corrupt" && tries < CORRUPT_RETRIES_MAX;
      if (!wasBegun && !isAltered) throw error;
      await rename(context, file);
    }
  }
}

/** One try: the file's bytes go to the store while its row groups are finished. */
async function stream(
  { parts, table, ledger, content: { shape, form }, begun }: WriteContext,
  file: PlannedFile,
  encoded: (bytes: number) => void,
): Promise<EncodedFile> {
  const ahead = begun.get(file);
  // One that fails is written again from its rows.
  begun.delete(file);
  const sink = ahead?.sink ?? new DataSink(table.storage, file.path);
  const bytesBefore = sink.bytes;
  const metadata = footer(ledger.commitId, file.ranges);
  const rest = restOf(file, ahead?.rows ?? 0);
  const slices = rest === null ? [] : slicesOf(rest, form.fileBytes, isFull(form, sink));
  try {
    const result =
      ahead === undefined
        ? await encodeWhole(parts, shape, form, slices, metadata, sink)
        : await ahead.open.finish(slices, metadata, sink.write);
    encoded(result.bytes - bytesBefore);
    const isWhole = result.rowCount === file.rowCount;
    assert(
      isWhole || result.rowCount > 0,
      "a Parquet file holds all of its rows, or some and is full",
    );
    assert(sink.bytes === result.bytes, "the store has every byte that was encoded");
    await sink.close(result.sha256);
    return result;
  } catch (error) {
    ahead?.open.discard();
    await sink.abort();
    throw error;
  }
}

function encodeWhole(
  { encoder }: WriterParts,
  { fields }: FileShape,
  { sort, encode }: FileForm,
  slices: Iterable<RowSlice>,
  metadata: EncodeOptions["metadata"],
  sink: DataSink,
): Promise<EncodedFile> {
  const options = { ...encode, sort: sort.keys, metadata };
  return encoder.encode(fields, slices, options, sink.write);
}

/** Of rows that are sorted no byte comes before the last of them is there. */
function isFull(
  { sort, fileBytes }: FileForm,
  sink: Pick<DataSink, "bytes">,
): (columnBytes: number) => boolean {
  const columnBytesMax = sort.keys.length > 0 ? sortedBytesMax(fileBytes) : Infinity;
  return (columnBytes) => sink.bytes >= fileBytes || columnBytes >= columnBytesMax;
}

/** Columns of a file whose rows are sorted: supposed to shrink to half, and bounded, since all are kept. */
function sortedBytesMax(fileBytes: number): number {
  return Math.min(2 * fileBytes, LIMITS.sortedColumnBytesMax);
}

/** Footer keys of SPEC section 5. */
function footer(commitId: string, ranges: readonly OffsetRange[]): Record<string, string> {
  const distinct = (values: (string | number)[]): string => [...new Set(values)].join(",");
  return {
    "kafka-iceberg.cluster-id": distinct(ranges.map(({ feed }) => feed.clusterId)),
    "kafka-iceberg.topic": distinct(ranges.map(({ feed }) => feed.topic)),
    "kafka-iceberg.partition": distinct(ranges.map(({ feed }) => feed.partition)),
    "kafka-iceberg.offset-ranges": writeJson(
      ranges.map(({ feed, start, end }) => ({
        topic: feed.topic,
        partition: feed.partition,
        start,
        end,
      })),
    ),
    "kafka-iceberg.commit-id": commitId,
  };
}

async function logWritten(
  parts: WriterParts,
  commitId: string,
  file: PlannedFile,
  encoded: EncodedFile,
): Promise<void> {
  failpoint("log_parquet_written");
  const offsets: Record<string, readonly [bigint, bigint]> = {};
  for (const { feed, start, end } of file.ranges) offsets[feedKey(feed)] = [start, end];
  await parts.txlog.append({
    type: "ParquetWritten",
    commit_id: commitId,
    file_path: file.path,
    record_count: encoded.rowCount,
    file_size: encoded.bytes,
    sha256: encoded.sha256,
    offsets,
  });
}

/** The feeds of a unit. */
export function unitFeeds(
  options: Pick<WriterOptions, "preserveKafkaPartitions">,
  flushes: readonly FeedFlush[],
  unit: number,
): FileUnit["feeds"] {
  if (!options.preserveKafkaPartitions) return flushes.map((flush) => flush.feed);
  const flush = flushes[unit];
  assert(flush !== undefined, "a unit belongs to a feed");
  return [flush.feed];
}
