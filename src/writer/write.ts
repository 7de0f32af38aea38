/**
 * Joined rows -> durable Parquet files with their Iceberg description. The names of all files are in
 * the synced transaction log before the first byte of any is written (SPEC section 8).
 */
import { assert } from "#base/assert.ts";
import { kindOf } from "#base/errors.ts";
import { failpoint } from "#base/failpoint.ts";
import { writeJson } from "#base/json.ts";
import { feedKey, type OffsetRange } from "#base/offsets.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { conform } from "#columns/conform.ts";
import { takeRows } from "#columns/take.ts";
import type { LoadedTable } from "#iceberg/catalog/catalog.ts";
import type { DataFile, PartitionValue } from "#iceberg/manifest.ts";
import type { PartitionSpec } from "#iceberg/metadata.ts";
import { partitionPath, partitionRows } from "#iceberg/partition.ts";
import { partitionKey } from "#iceberg/partitionKey.ts";
import type { EncodedFile } from "#parquet/encoder.ts";
import type { StoredObject } from "#storage/storage.ts";
import { dataFile } from "./dataFile.ts";
import type { FileUnit } from "./job.ts";
import { logFlushStarted } from "./logFlush.ts";
import type { FeedFlush, WriterOptions, WriterParts } from "./parts.ts";
import { currentFields, defaultSpec } from "./schema.ts";

/** One file to be written. */
interface PlannedFile {
  path: string;
  readonly unit: number;
  readonly partition: readonly PartitionValue[];
  readonly ranges: OffsetRange[];
  readonly batches: ColumnBatch[];
}

/** Files of a unit are uploaded again under a new name this often when the store altered them. */
const CORRUPT_RETRIES_MAX = 3;

/** What `writeFiles` left on the store, also when it failed half-way. */
export interface WrittenFiles {
  readonly units: FileUnit[];
  /** Every name that may exist, for removal when the flush is dropped. */
  readonly paths: string[];
}

/**
 * Encodes and uploads a flush. On an error `written.paths` still names all that may exist.
 * @param written filled while it runs
 */
export async function writeFiles(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  commitId: string,
  flushes: readonly FeedFlush[],
  written: WrittenFiles,
): Promise<void> {
  const spec = defaultSpec(table);
  const planned = plan(parts, options, table, spec, flushes);
  written.paths.push(...planned.map((file) => file.path));
  await logFlushStarted(parts, options.name, commitId, written.paths, endOffsets(planned));
  const files = new Map<number, DataFile[]>();
  let upload: Promise<unknown> = Promise.resolve();
  try {
    for (const file of planned) {
      const began = parts.clock.monotonicMs();
      failpoint("write");
      const encoded = await encode(parts, options, table, commitId, file);
      // One file is uploaded while the next one is encoded; never more, so that memory is bounded.
      await upload;
      upload = store(parts, table, commitId, file, encoded, written).then((stored) => {
        const list = files.get(file.unit) ?? [];
        list.push(dataFile(stored, encoded, spec.specId, file.partition));
        files.set(file.unit, list);
        const durationMs = parts.clock.monotonicMs() - began;
        parts.observe({ type: "file", bytes: stored.bytes, rows: encoded.rowCount, durationMs });
      });
      // Awaited below; until then a failure must not count as unhandled.
      upload.catch(() => undefined);
    }
    await upload;
  } finally {
    // Nothing may still be written when the caller removes the files of a failed flush.
    await upload.catch(() => undefined);
  }
  for (const [unit, list] of files) {
    written.units.push({ feeds: unitFeeds(options, flushes, unit), files: list });
  }
}

/** Splits the flush into files: by unit (feed, or all feeds together), then by Iceberg partition. */
function plan(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  spec: PartitionSpec,
  flushes: readonly FeedFlush[],
): PlannedFile[] {
  const planned = new Map<string, PlannedFile>();
  for (const [index, flush] of flushes.entries()) {
    const unit = options.preserveKafkaPartitions ? index : 0;
    planFeed(table, spec, flush, unit, planned);
  }
  const files = [...planned.values()];
  for (const [index, file] of files.entries()) {
    file.path = filePath(parts, options, table, file.path, file.ranges, index);
  }
  return files;
}

function planFeed(
  table: LoadedTable,
  spec: PartitionSpec,
  flush: FeedFlush,
  unit: number,
  planned: Map<string, PlannedFile>,
): void {
  const fields = currentFields(table);
  const range = { feed: flush.feed, start: flush.start, end: flush.end };
  for (const raw of flush.batches) {
    const batch = conform(raw, fields);
    assert(batch.rowCount === raw.rowCount, "conforming keeps every row");
    for (const { partition, rows } of partitionRows(spec, fields, batch)) {
      const folder = partitionPath(spec, fields, partition);
      const file = fileFor(planned, unit, folder, partition);
      if (file.ranges.at(-1) !== range) file.ranges.push(range);
      file.batches.push(rows === null ? batch : takeRows(batch, rows));
    }
  }
}

/** The planned file of a unit and a partition's folder. */
function fileFor(
  planned: Map<string, PlannedFile>,
  unit: number,
  folder: string,
  partition: readonly PartitionValue[],
): PlannedFile {
  // Not by folder: a null and the text "null" share one.
  const key = `${unit} ${partitionKey(partition)}`;
  const found = planned.get(key);
  if (found !== undefined) return found;
  const file = { path: folder, unit, partition, ranges: [], batches: [] };
  planned.set(key, file);
  return file;
}

/** `<data>/event_day=2026-01-08/kafka_partition=0/00000-1000-1999-<uuid>.parquet` */
function filePath(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  folder: string,
  ranges: readonly OffsetRange[],
  index: number,
): string {
  const { location, properties } = table.metadata;
  const root = properties["write.data.path"] ?? `${location}/data`;
  const first = ranges[0];
  assert(first !== undefined, "a file has an offset range");
  const number = index.toString().padStart(5, "0");
  const kafka = options.preserveKafkaPartitions ? `kafka_partition=${first.feed.partition}` : "";
  const offsets = options.preserveKafkaPartitions ? `-${first.start}-${first.end - 1n}` : "";
  const name = `${number}${offsets}-${parts.random.uuid()}.parquet`;
  return [root.replace(/\/+$/, ""), folder, kafka, name].filter((part) => part !== "").join("/");
}

/** The offsets that the planned files reach, for the log. */
function endOffsets(files: readonly PlannedFile[]): Record<string, bigint> {
  const offsets: Record<string, bigint> = {};
  for (const { feed, end } of files.flatMap((file) => file.ranges)) offsets[feedKey(feed)] = end;
  return offsets;
}

async function encode(
  parts: WriterParts,
  options: WriterOptions,
  table: LoadedTable,
  commitId: string,
  file: PlannedFile,
): Promise<EncodedFile> {
  const encoded = await parts.encoder.encode(currentFields(table), file.batches, {
    codec: options.codec,
    level: options.codecLevel,
    rowGroupRows: options.rowGroupRows,
    metadata: footer(commitId, file.ranges),
  });
  const rows = file.batches.reduce((sum, batch) => sum + batch.rowCount, 0);
  assert(encoded.rowCount === rows, "a Parquet file holds every row of its batches");
  return encoded;
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

/** Uploads one file; altered or short uploads are repeated under a new, logged name. */
async function store(
  parts: WriterParts,
  table: LoadedTable,
  commitId: string,
  file: PlannedFile,
  encoded: EncodedFile,
  written: WrittenFiles,
): Promise<StoredObject> {
  for (let tries = 0; ; tries++) {
    try {
      const stored = await upload(parts, file.path, encoded);
      await logWritten(parts, commitId, file, encoded, stored);
      return stored;
    } catch (error) {
      if (kindOf(error) !== "storage_corrupt" || tries >= CORRUPT_RETRIES_MAX) throw error;
      file.path = file.path.replace(/[0-9a-f-]{36}\.parquet$/, `${parts.random.uuid()}.parquet`);
      written.paths.push(file.path);
      await logFlushStarted(parts, table.name, commitId, written.paths, endOffsets([file]));
    }
  }
}

async function upload(
  parts: WriterParts,
  path: string,
  encoded: EncodedFile,
): Promise<StoredObject> {
  failpoint("upload");
  const writer = await parts.storage.writer(path);
  try {
    for (const chunk of encoded.chunks) await writer.write(chunk);
    return await writer.close();
  } catch (error) {
    await writer.abort().catch(() => undefined);
    throw error;
  }
}

async function logWritten(
  parts: WriterParts,
  commitId: string,
  file: PlannedFile,
  encoded: EncodedFile,
  stored: StoredObject,
): Promise<void> {
  failpoint("log_parquet_written");
  const offsets: Record<string, readonly [bigint, bigint]> = {};
  for (const { feed, start, end } of file.ranges) offsets[feedKey(feed)] = [start, end];
  await parts.txlog.append({
    type: "ParquetWritten",
    commit_id: commitId,
    file_path: stored.location,
    record_count: encoded.rowCount,
    file_size: stored.bytes,
    sha256: stored.sha256,
    offsets,
  });
}

function unitFeeds(
  options: WriterOptions,
  flushes: readonly FeedFlush[],
  unit: number,
): FileUnit["feeds"] {
  if (!options.preserveKafkaPartitions) return flushes.map((flush) => flush.feed);
  const flush = flushes[unit];
  assert(flush !== undefined, "a unit belongs to a feed");
  return [flush.feed];
}
