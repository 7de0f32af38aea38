/**
 * The engine that rewrites data files: DuckDB in a child process, from the table's files to a file in a scratch
 * folder, which is then uploaded as any data file is. Files of an object store are fetched first.
 *
 * The metrics of the new file are read from its footer by our own code, as for the files of ingest.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { withScratch } from "#base/scratch.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import { fullName } from "#catalog/names.ts";
import { type LatestRows, latestOf, missingOf } from "#columns/latest.ts";
import type { Field } from "#columns/schema.ts";
import { isVector } from "#iceberg/deletes/deleteIndex.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import { encodeDeletionVector } from "#iceberg/deletes/vectorWriter.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { LINEAGE_FIELDS } from "#iceberg/metadata/lineage.ts";
import { createInlineEncoder } from "#parquet/encode.ts";
import type { ParquetEncoder } from "#parquet/encoder.ts";
import { readFooter } from "#parquet/footer.ts";
import { columnMetrics, leavesOf } from "#parquet/metrics.ts";
import type { DataVector } from "#sql/deletedRows.ts";
import { requireEngine } from "#sql/library.ts";
import { unwritable } from "#sql/rewrite/copyStatement.ts";
import type { RewriteTask, Rewritten } from "#sql/rewrite/protocol.ts";
import { rewriteInProcess } from "#sql/rewrite/rewriteProcess.ts";
import { sortTerms } from "#sql/rewrite/sortTerms.ts";
import type { SnapshotFiles } from "#sql/snapshotFiles.ts";
import { type DescribedFile, dataFile } from "#writer/dataFile.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { bloomFilters, fileCodec, reducedMetrics } from "#writer/tableProperties.ts";
import type { RewriteEngine, RewriteJob, RewrittenGroup } from "./engine.ts";
import { CHUNK_BYTES, foldersOf, readableFiles } from "./readableFiles.ts";

/** What the engine is made of. */
export interface RewriteEngineParts {
  /** Where DuckDB's library is unpacked, by each process that loads it; null: in its memory. */
  readonly libraryFolder: string | null;
  /** Folder for files on their way; made when it is missing. */
  readonly scratch: string;
  /** What the engine may take for a group; more goes to its scratch folder. Default: 224 MiB. */
  readonly memoryBytesMax?: number;
  /** `iceberg.write.compression` and its level. */
  readonly codec: Parameters<typeof fileCodec>[0];
  /** Encodes files of position deletes. Default: in the calling thread, for a process that does nothing else. */
  readonly encoder?: ParquetEncoder;
}

/** Compressed bytes of a row group: large enough to be read in one go. */
const ROW_GROUP_BYTES = 66 * 1024 * 1024;
/** Rows that DuckDB handles at once: row groups are a multiple. */
const VECTOR_ROWS = 2048;
/**
 * Rows of a row group, however few bytes they are, as `iceberg.write.row_group_rows` by default: those of one are in memory,
 * unpacked, when they are written, and when their places are read (decision 0469).
 */
const ROW_GROUP_ROWS_MAX = 122_880;
/** Column chunks of a file, about, for which row groups may have more rows: they are in its footer, which every reader reads. */
const CHUNKS_MAX = 3000;
/** A value unpacked, as most are. */
const VALUE_BYTES = 8;

/** Rewrites groups, each in a process of its own. */
export function createRewriteEngine(parts: RewriteEngineParts): RewriteEngine {
  return {
    refusal,
    ready: requireEngine,
    writePositionDeletes: positionDeleteWriter(parts.encoder ?? createInlineEncoder()),
    rewrite: (job, stop) =>
      withScratch(parts.scratch, "rewrite", (scratch) => rewriteIn(parts, job, scratch, stop)),
  };
}

async function rewriteIn(
  parts: RewriteEngineParts,
  job: RewriteJob,
  scratch: string,
  stop: AbortSignal,
): Promise<RewrittenGroup> {
  const fields = fieldsOf(job.head);
  const readable = await readableFiles(job.head, job.group.inputs, scratch);
  const files = { ...readable, vectors: [...readable.vectors, ...hiddenVectors(job)] };
  const task = taskOf(parts, job, { fields, files, scratch });
  const written = await rewriteInProcess(task, stop).catch(async (error: unknown) => {
    await refuseMissing(job);
    throw error;
  });
  const rowCount = Number(readFooter(written.footer).rowCount);
  const isThinned = checkRows(job, rowCount, task.latest);
  const moved = written.moved?.map(({ places, hidden }, at) => ({
    places,
    hidden: rowSetOf(task.rows[at] ?? 0, hidden),
  }));
  if (rowCount > 0) await upload(job, task.output, written);
  return {
    output: rowCount === 0 ? null : describeFile(job, fields, written),
    // A row that is deleted meanwhile may have overtaken one that is gone: such a group is left for the next run.
    moved: isThinned ? null : (moved ?? null),
    isThinned,
    isCopied: written.isCopied,
  };
}

/** As the engine takes rows that are left out. */
function hiddenVectors({ hidden = [] }: RewriteJob): DataVector[] {
  return hidden.flatMap((rows, file) => {
    const { blob, deleted } = encodeDeletionVector(rows);
    return deleted === 0 ? [] : [{ file, blob, puffin: "", rows: rows.fileRows, deleted }];
  });
}

function rowSetOf(rows: number, words: Uint32Array): RowSet {
  const set = new RowSet(rows);
  set.words.set(words);
  return set;
}

/** The engine has no word of its own for a file that others have removed meanwhile. */
async function refuseMissing({ head: { storage }, group: { inputs } }: RewriteJob): Promise<void> {
  const deletes = inputs.flatMap((input) => input.deletes.map(({ file }) => file.filePath));
  for (const path of new Set([...inputs.map((input) => input.path), ...deletes])) {
    if ((await storage.head(path)) === null) throw fail("storage_missing", `${path} is gone`);
  }
}

function fieldsOf({ metadata }: LoadedTable): readonly Field[] {
  const schema = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  assert(schema !== undefined, "the table has its current schema");
  return schema.fields;
}

function refusal(head: LoadedTable): string | null {
  const reason = unwritable(fieldsOf(head));
  if (reason === null) return null;
  return `${fullName(head.name)} cannot be compacted here: ${reason}. Use another engine, e.g. Spark's rewrite_data_files`;
}

/** How the rows of a table's files are sorted when they are written anew; without terms: as they come, id 0. */
export function rewriteOrder(head: LoadedTable): {
  readonly orderId: number;
  readonly terms: readonly string[];
} {
  const { sortOrders, defaultSortOrderId } = head.metadata;
  const order = sortOrders.find(({ orderId }) => orderId === defaultSortOrderId);
  const terms = order === undefined ? [] : sortTerms(fieldsOf(head), order);
  return { orderId: terms.length === 0 ? 0 : defaultSortOrderId, terms };
}

function taskOf(
  { libraryFolder, codec, memoryBytesMax = LIMITS.rewriteBytesMax }: RewriteEngineParts,
  { head, group, commitId, sortSpillBytesMax: spillBytesMax = 0 }: RewriteJob,
  { fields, files, scratch }: { fields: readonly Field[]; files: SnapshotFiles; scratch: string },
): RewriteTask {
  const counts = group.inputs.map(({ recordCount }) => Number(recordCount));
  const rows = counts.reduce((sum, count) => sum + count, 0);
  return {
    libraryFolder,
    memoryBytesMax,
    folders: foldersOf(files),
    scratch: `${scratch}/`,
    ...{ fields, files, commitId, rows: counts, latest: judgedBy(head, fields) },
    lineage: head.metadata.formatVersion === 3,
    output: join(scratch, "output.parquet"),
    ...fileCodec(codec, head.metadata.properties),
    bloomFilters: bloomFilters(fields, head.metadata.properties),
    sort: spillBytesMax === 0 ? [] : rewriteOrder(head).terms,
    spillBytesMax,
    rowGroupRows: rowGroupRows(group.bytes, rows, leavesOf(fields).length, memoryBytesMax),
  };
}

/**
 * Rows of a row group of an output of so many bytes, rows and columns: a multiple of what the engine handles at once.
 * @param memoryBytesMax of the engine, half of which a row group may take, unpacked
 */
export function rowGroupRows(
  bytes: number,
  rows: number,
  columns: number,
  memoryBytesMax: number,
): number {
  const asBytes = (ROW_GROUP_BYTES * rows) / Math.max(1, bytes);
  const inMemory = memoryBytesMax / (2 * VALUE_BYTES * Math.max(1, columns));
  const asChunks = (rows * columns) / CHUNKS_MAX;
  const asRows = Math.max(ROW_GROUP_ROWS_MAX, Math.min(asChunks, inMemory));
  return VECTOR_ROWS * Math.max(1, Math.ceil(Math.min(asBytes, asRows) / VECTOR_ROWS));
}

/** What says which rows are overtaken; null: none are, also where a column that says it is gone. */
function judgedBy({ metadata }: LoadedTable, fields: readonly Field[]): LatestRows | null {
  const latest = latestOf(metadata.properties);
  return latest === null || missingOf(latest, fields) !== undefined ? null : latest;
}

/**
 * No row more or less than the manifests say, where they can tell.
 * @returns whether live rows are missing, which newer ones overtake; also where nobody can tell
 */
function checkRows(
  { group: { inputs }, hidden = [] }: RewriteJob,
  rowCount: number,
  latest: LatestRows | null,
): boolean {
  const before = inputs.reduce((sum, { recordCount }) => sum + Number(recordCount), 0);
  const deletes = inputs.flatMap((input) => input.deletes.map(({ file }) => file));
  const isTold = deletes.every((file) => isVector(file));
  const vectors = deletes.reduce((sum, file) => sum + Number(file.recordCount), 0);
  const live = before - hidden.reduce((sum, rows) => sum + rows.size, vectors);
  assert(rowCount <= before, "a rewrite adds no row");
  if (!isTold) return latest !== null;
  assert(
    latest === null ? rowCount === live : rowCount <= live && rowCount > 0 === live > 0,
    "a rewrite keeps every row that is neither deleted nor overtaken",
  );
  return rowCount < live;
}

/** Streams the file to the store, without what it needs no more. */
async function upload(
  { head: { storage }, location }: RewriteJob,
  path: string,
  { kept, footer, bytes }: Rewritten,
): Promise<void> {
  const file = await open(path, "r");
  const writer = await storage.writer(location);
  try {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
    for (const { start, end } of kept) {
      for (let at = start; at < end; ) {
        const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, end - at), at);
        assert(bytesRead > 0, "the file has all its bytes");
        await writer.write(chunk.subarray(0, bytesRead));
        at += bytesRead;
      }
    }
    await writer.write(footer);
    const stored = await writer.close();
    assert(stored.bytes === bytes, "the store has every byte of the file");
  } catch (error) {
    await writer.abort().catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

function describeFile(
  { head, group: { inputs }, location }: RewriteJob,
  fields: readonly Field[],
  { bytes, footer, floats, isSorted }: Rewritten,
): DataFile {
  const { metadata } = head;
  const { rowCount, rowGroups } = readFooter(footer);
  const written = metadata.formatVersion === 3 ? [...fields, ...LINEAGE_FIELDS] : fields;
  const summaries = new Map(floats.map(({ fieldId, ...values }) => [fieldId, values]));
  const reserved = new Set(LINEAGE_FIELDS.map(({ id }) => id));
  const leaves = leavesOf(written);
  const all = columnMetrics(leaves, { rowCount, rowGroups }, summaries);
  const described: DescribedFile = {
    ...{ bytes, rowCount: Number(rowCount) },
    splitOffsets: rowGroups.map(({ offset }) => offset),
    metrics: all.filter(({ fieldId }) => !reserved.has(fieldId)),
  };
  const [input] = inputs;
  assert(input !== undefined, "a group has files");
  const reduced = reducedMetrics(fields, metadata.properties);
  const { specId, partition } = input;
  const sortOrderId = isSorted ? rewriteOrder(head).orderId : 0;
  const file = dataFile(location, described, specId, partition, reduced, sortOrderId);
  // Of a struct in a list that is null DuckDB counts each leaf twice.
  const uncounted = new Set(leaves.filter(({ repeated }) => repeated).map((leaf) => leaf.fieldId));
  const counted = [...file.nullValueCounts].filter(([fieldId]) => !uncounted.has(fieldId));
  return { ...file, nullValueCounts: new Map(counted) };
}
