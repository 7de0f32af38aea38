/**
 * Which rows of a flush go into which file: one file for each unit (feed, or all feeds together) and
 * Iceberg partition. Rows are named by number here; they are copied when their file is encoded. The plan
 * of a feed may have begun before the flush (`ahead.ts`).
 */
import { assert } from "#base/assert.ts";
import type { OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CHANGE_TYPE } from "#columns/changes.ts";
import { conform } from "#columns/conform.ts";
import type { Field } from "#columns/schema.ts";
import type { PartitionValue } from "#iceberg/manifest/manifest.ts";
import { type PartitionedRows, partitionRows } from "#iceberg/partition/partition.ts";
import { partitionFolder } from "#iceberg/partition/partitionFolder.ts";
import { partitionKey } from "#iceberg/partition/partitionKey.ts";
import { keyWords } from "#keyindex/keyWords.ts";
import type { KeySet } from "#keyindex/port.ts";
import type { RowSlice } from "#parquet/encoder.ts";
import type { FeedFlush, SelectedRows, WriterOptions, WriterParts } from "./parts.ts";
import { idsIn } from "./rowIdColumn.ts";
import { type FileShape, rowShape } from "./schema.ts";

/** One file to be written. */
export interface PlannedFile {
  /** Of its partition, below the table's data. */
  readonly folder: string;
  /** Its location, empty until it has a name; another one when it is repeated. */
  path: string;
  /** Files of one unit stand or fall together: the number of its feed among those of the flush, or 0. */
  unit: number;
  readonly partition: readonly PartitionValue[];
  readonly ranges: OffsetRange[];
  /** Of its plan: what its runs are of. */
  readonly batches: readonly PlannedBatch[];
  /**
   * Which rows: number of a batch, first and end of its rows in that batch's order, again and again.
   * Numbers, since a flush into 10,000 partitions has nearly as many runs as rows.
   */
  readonly runs: number[];
  rowCount: number;
}

/** A batch in the table's columns, and its row numbers partition by partition; null: all in one. */
export interface PlannedBatch {
  readonly batch: ColumnBatch;
  readonly order: Int32Array | null;
  /** Keys in the same order, two words each; null: nobody asks for them. */
  readonly keys: BigUint64Array | null;
}

/** Numbers of a run. */
const RUN = 3;

/** Runs that are planned before the event loop gets a turn: some milliseconds. */
const TURN_RUNS = 1024;

/** Rows of one feed, or of several whose files they share, as files without names. */
export class FilePlan {
  readonly #shape: FileShape;
  readonly #files = new Map<string, PlannedFile>();
  readonly #batches: PlannedBatch[] = [];
  #runs = 0;

  constructor(shape: FileShape) {
    this.#shape = shape;
  }

  /** In the order of their first rows. */
  get files(): readonly PlannedFile[] {
    return [...this.#files.values()];
  }

  /**
   * Adds rows of a feed behind those before. The event loop has its turn in between.
   * @param range of the whole flush; the same object for all batches of a feed
   * @param selected which rows; null: all
   */
  async add(
    clock: Pick<WriterParts["clock"], "turn">,
    batch: ColumnBatch,
    selected: SelectedRows | null,
    place: { readonly unit: number; readonly range: OffsetRange },
  ): Promise<void> {
    assert(!batch.fields.some(isControl), "whoever folds changes takes the control column away");
    for (const _run of this.#addRuns(batch, selected, place)) {
      if (++this.#runs % TURN_RUNS === 0) await clock.turn();
    }
  }

  /** Adds the runs of a batch to their files, and stops after each. */
  *#addRuns(
    raw: ColumnBatch,
    selected: SelectedRows | null,
    { unit, range }: { readonly unit: number; readonly range: OffsetRange },
  ): Generator<void> {
    const { fields, spec } = this.#shape;
    const batch = conform(raw, fields);
    assert(batch.rowCount === raw.rowCount, "conforming keeps every row");
    const all = partitionRows(spec, fields, batch);
    const { partitions, keys } =
      selected === null ? { partitions: all, keys: null } : selectRows(all, batch, selected);
    const index = this.#batches.push({ batch, order: orderOf(partitions), keys }) - 1;
    for (const { partition, rows } of partitions) {
      const file = this.#file(unit, partition);
      if (file.ranges.at(-1) !== range) file.ranges.push(range);
      const first = (rows?.byteOffset ?? 0) / Int32Array.BYTES_PER_ELEMENT;
      const count = rows?.length ?? batch.rowCount;
      file.runs.push(index, first, first + count);
      file.rowCount += count;
      yield;
    }
  }

  /** The planned file of a unit and a partition. */
  #file(unit: number, partition: readonly PartitionValue[]): PlannedFile {
    // Not by folder: a null and the text "null" share one.
    const key = `${unit} ${partitionKey(partition)}`;
    const found = this.#files.get(key);
    if (found !== undefined) return found;
    const { fields, spec } = this.#shape;
    const file: PlannedFile = {
      folder: partitionFolder(spec, fields, partition),
      path: "",
      unit,
      partition,
      ranges: [],
      batches: this.#batches,
      runs: [],
      rowCount: 0,
    };
    this.#files.set(key, file);
    return file;
  }
}

/** In a plan of one feed, until it is part of a flush. */
export const OWN_UNIT = 0;

/** The part of a feed's flush whose files were begun before it. */
export interface BegunPlan {
  readonly plan: FilePlan;
  /** Its first batches that are in the plan. */
  readonly batches: number;
  /** What its files name; it ends where the flush does. */
  readonly range: OffsetRange;
}

/**
 * Splits a flush into files. The event loop has its turn in between.
 * @param begun by number of the flush; its files come first, and those that have names keep them
 * @param shape of the files; default: that of the table's rows
 */
export async function planFiles(
  parts: Pick<WriterParts, "clock" | "random">,
  options: Pick<WriterOptions, "preserveKafkaPartitions">,
  table: LoadedTable,
  flushes: readonly FeedFlush[],
  begun: ReadonlyMap<number, BegunPlan> = new Map(),
  shape: FileShape = rowShape(table),
): Promise<PlannedFile[]> {
  const shared = new FilePlan(shape);
  for (const [index, flush] of flushes.entries()) {
    const unit = options.preserveKafkaPartitions ? index : 0;
    const own = begun.get(index);
    if (own === undefined) {
      const range = { feed: flush.feed, start: flush.start, end: flush.end };
      await addBatches(parts.clock, shared, flush, 0, { unit, range });
      continue;
    }
    const { plan, batches, range } = own;
    await addBatches(parts.clock, plan, flush, batches, { unit: OWN_UNIT, range });
    for (const file of plan.files) file.unit = unit;
  }
  const files = [...begun.values().flatMap(({ plan }) => plan.files), ...shared.files];
  for (const [index, file] of files.entries()) {
    if (file.path === "") nameFile(parts, options, table, file, index);
  }
  return files;
}

/** Adds the batches of a flush from one of them on. */
async function addBatches(
  clock: WriterParts["clock"],
  plan: FilePlan,
  { batches, selected }: FeedFlush,
  first: number,
  place: { readonly unit: number; readonly range: OffsetRange },
): Promise<void> {
  for (const [at, batch] of batches.entries()) {
    if (at >= first) await plan.add(clock, batch, selected?.[at] ?? null, place);
  }
}

/** A table that others made may have a column of that name: it has an id. */
function isControl({ name, id }: Field): boolean {
  return name === CHANGE_TYPE.name && id === CHANGE_TYPE.id;
}

/** The selected rows of each partition, and their keys in the same order. */
function selectRows(
  all: readonly PartitionedRows[],
  { rowCount }: ColumnBatch,
  { rows: selected, keys }: SelectedRows,
): { readonly partitions: readonly PartitionedRows[]; readonly keys: BigUint64Array | null } {
  // The number of each row's key + 1; 0: the row is not written.
  const numbers = new Int32Array(rowCount);
  for (let n = 0; n < selected.length; n++) numbers[selected[n] as number] = n + 1;
  const order = new Int32Array(selected.length);
  const ordered = keys === null ? null : new BigUint64Array(2 * selected.length);
  const copyKey = keyCopier(keys, ordered);
  let at = 0;
  const partitions = all.flatMap(({ partition, rows }) => {
    const start = at;
    const own = rows ?? selected;
    for (let n = 0; n < own.length; n++) {
      const row = own[n] as number;
      const number = numbers[row] ?? 0;
      if (number === 0) continue;
      order[at] = row;
      copyKey(number - 1, at);
      at++;
    }
    return at === start ? [] : [{ partition, rows: order.subarray(start, at) }];
  });
  assert(at === selected.length, "a row is in one partition");
  return { partitions, keys: ordered };
}

/** Copies a key from one set to a place in the other, where there are any. */
function keyCopier(
  keys: KeySet | null,
  ordered: BigUint64Array | null,
): (key: number, place: number) => void {
  if (keys === null || ordered === null) return () => undefined;
  const [from, to] = [halvesOf(keys.words), halvesOf(ordered)];
  return (key, place) => {
    for (let half = 0; half < 4; half++) to[4 * place + half] = from[4 * key + half] ?? 0;
  };
}

/** Four a key: 64-bit numbers would be an object each. */
function halvesOf({ buffer, byteOffset, length }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, 2 * length);
}

/** The keys of the first `count` rows of a file; null: nobody asks for them. */
export function keysOf({ batches, runs }: PlannedFile, count: number): KeySet | null {
  let words: BigUint64Array | null = null;
  let at = 0;
  for (let run = 0; run < runs.length && at < count; run += RUN) {
    const keys = batches[runs[run] ?? 0]?.keys ?? null;
    if (keys === null) return null;
    words ??= keyWords(count);
    const first = runs[run + 1] ?? 0;
    const length = Math.min(runLength(runs, run), count - at);
    words.set(keys.subarray(2 * first, 2 * (first + length)), 2 * at);
    at += length;
  }
  return { count, words: words ?? keyWords(count) };
}

/** The row ids of the first `count` rows of a file, -1 where a row has none; null: there is no column of them. */
export function rowIdsOf({ batches, runs }: PlannedFile, count: number): Float64Array | null {
  let ids: Float64Array | null = null;
  let at = 0;
  for (let run = 0; run < runs.length && at < count; run += RUN) {
    const [index = 0, first = 0, last = 0] = runs.slice(run, run + RUN);
    const planned = batches[index];
    const idOf = planned === undefined ? null : idsIn(planned.batch);
    if (idOf === null) return null;
    ids ??= new Float64Array(count);
    const end = Math.min(last, first + count - at);
    for (let place = first; place < end; place++)
      ids[at++] = idOf(planned?.order?.[place] ?? place);
  }
  return ids ?? new Float64Array(count);
}

/** The row numbers that all partitions' rows are views of. */
function orderOf(partitions: readonly PartitionedRows[]): Int32Array | null {
  const rows = partitions[0]?.rows ?? null;
  if (rows === null) return null;
  assert(
    partitions.every((each) => each.rows?.buffer === rows.buffer),
    "the partitions of a batch share one order",
  );
  return new Int32Array(rows.buffer);
}

/**
 * A file's rows; they are copied when the encoder asks for them, not before.
 * @param fileBytes that are wanted of a file: only a batch with more is cut, into eighths of it, since
 * what is cut is copied
 * @param isFull asked before each slice, with the bytes of columns before it: the file takes no more rows
 */
export function* slicesOf(
  { batches, runs }: PlannedFile,
  fileBytes: number,
  isFull: (columnBytes: number) => boolean,
): Generator<RowSlice> {
  let handed = 0;
  for (let at = 0; at < runs.length; at += RUN) {
    const [index = 0, first = 0, last = 0] = runs.slice(at, at + RUN);
    const planned = batches[index];
    assert(planned !== undefined, "a run is of a batch");
    const { batch, order } = planned;
    const rowBytes = batch.byteCount / Math.max(1, batch.rowCount);
    const eighth = Math.floor(fileBytes / 8 / Math.max(1, rowBytes));
    const step = batch.byteCount > fileBytes ? Math.max(1, eighth) : batch.rowCount;
    for (let start = first; start < last; start += step) {
      if (isFull(handed)) return;
      const end = Math.min(last, start + step);
      handed += (end - start) * rowBytes;
      const isWhole = order === null && end - start === batch.rowCount;
      yield { batch, rows: isWhole ? null : (order?.subarray(start, end) ?? numbers(start, end)) };
    }
  }
}

/** Row numbers of a batch without an order. */
function numbers(start: number, end: number): Int32Array {
  return Int32Array.from({ length: end - start }, (_, index) => start + index);
}

/** The rows of a file behind its first `rowCount`, as a file of their own without a name; null: none. */
export function restOf(file: PlannedFile, rowCount: number): PlannedFile | null {
  assert(rowCount <= file.rowCount, "a Parquet file holds no row twice");
  if (rowCount === file.rowCount) return null;
  const { runs } = file;
  let skipped = rowCount;
  let at = 0;
  while (skipped >= runLength(runs, at)) {
    skipped -= runLength(runs, at);
    at += RUN;
  }
  const rest = runs.slice(at);
  rest[1] = (rest[1] ?? 0) + skipped;
  return { ...file, runs: rest, rowCount: file.rowCount - rowCount };
}

function runLength(runs: readonly number[], at: number): number {
  return (runs[at + 2] ?? 0) - (runs[at + 1] ?? 0);
}

/**
 * Names a file: `<data>/event_day=2026-01-08/kafka_partition=0/00000-1000-1999-<uuid>.parquet`. One that is
 * begun before its last offset is known is named without that.
 * @param number of the file in its flush
 */
export function nameFile(
  parts: Pick<WriterParts, "random">,
  options: Pick<WriterOptions, "preserveKafkaPartitions">,
  { metadata: { location, properties } }: LoadedTable,
  file: PlannedFile,
  number: number,
  hasEnd = true,
): void {
  const root = properties["write.data.path"] ?? `${location}/data`;
  const first = file.ranges[0];
  assert(first !== undefined, "a file has an offset range");
  const kafka = options.preserveKafkaPartitions ? `kafka_partition=${first.feed.partition}` : "";
  const end = hasEnd ? `-${first.end - 1n}` : "";
  const offsets = options.preserveKafkaPartitions ? `-${first.start}${end}` : "";
  const digits = number.toString().padStart(5, "0");
  const name = `${digits}${offsets}-${parts.random.uuid()}.parquet`;
  file.path = [root.replace(/\/+$/, ""), file.folder, kafka, name]
    .filter((part) => part !== "")
    .join("/");
}
