/**
 * Replaces the rows of a range of records by what the records are now (SPEC section 3, CHANGE_RULES 13): they are
 * read again from Kafka, decoded by the configuration and the schema of now, written, and committed in one
 * snapshot that deletes the rows that were there. A running process goes on meanwhile.
 *
 * It stops, and says which record it is about, before a row would go that is not written again.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import type { OffsetRange } from "#base/offsets.ts";
import type { LoadedTable } from "#catalog/catalog.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { CommitTable } from "#commit/commitTable.ts";
import { OffsetSet } from "#commit/offsetSet.ts";
import { type RangeRows, type RowWitness, rowsOfRange } from "#commit/rangeRows.ts";
import { RangeReplacement } from "#commit/replaceRange.ts";
import type { RecordBatch } from "#consumer/consumer.ts";
import type { Decoder, Rejected, SegmentBuilder } from "#decode/decoder.ts";
import { selectRecords } from "#decode/records.ts";
import { droppedPaths } from "#iceberg/metadata/droppedColumns.ts";
import { hasRows } from "#iceberg/metadata/metadata.ts";
import { AddedFiles, isDone } from "#writer/additions.ts";
import { readCoordinates } from "#writer/coordinates.ts";
import type { WriterOptions, WriterParts } from "#writer/parts.ts";
import { positionDeleteWriter } from "#writer/positionDeletes.ts";
import { currentFields } from "#writer/schema.ts";
import { judgeRange } from "./judge.ts";
import { type RangeConsumer, readRange } from "./readRange.ts";

/** Times that a replay begins anew while others change the rows of its range. */
const TRIES_MAX = 10;

/** Decoded bytes that are written together. */
const PART_BYTES = 64 * 1024 * 1024;

/** What a replay works with. */
export interface ReplayPlace {
  readonly parts: WriterParts;
  readonly options: WriterOptions;
  /** A new one for every try: it learns from what it reads. */
  readonly newDecoder: () => Decoder;
  /** The same: a consumer that reads from the range's start. */
  readonly newConsumer: () => Promise<RangeConsumer & { close(): Promise<void> }>;
  /** The records of a range that side tables have now. */
  readonly aside: (range: OffsetRange) => Promise<OffsetSet>;
  /** A person says that all rows of the partition are of the topic as it is. */
  readonly isVouchedFor: boolean;
  /** Nothing is written. */
  readonly isDry: boolean;
  readonly progress: (line: string) => void;
}

/** What a replay did, or would do. */
export interface ReplayReport {
  /** Rows that the table had of the range, twice where they stood twice. */
  readonly before: number;
  /** Rows that it has now; each record once. */
  readonly after: number;
  /** Records of side tables that stay there. */
  readonly aside: number;
  /** Records that are rows of no table and do not become any, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** Null: nothing was committed. */
  readonly snapshotId: bigint | null;
}

/**
 * Replays a range.
 * @param loaded the table
 * @throws AppError `usage` where the range or the table cannot be replayed exactly, `data` for a row whose
 *   record is gone or no longer fits, `progress` for records that Kafka does not have; what Kafka, the store and
 *   the catalog throw
 */
export async function replay(
  place: ReplayPlace,
  loaded: LoadedTable,
  range: OffsetRange,
): Promise<ReplayReport> {
  const table = new CommitTable({ readCoordinates, ...place.parts }, place.options, loaded);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const report = await new ReplayTry(place, table, range).run();
    if (report !== null) return report;
  }
  const sentence = `Others changed rows of the range ${TRIES_MAX} times meanwhile; try again`;
  throw fail("catalog_refused", sentence);
}

/** One pass over the range, on what a head says of it. */
class ReplayTry {
  readonly #place: ReplayPlace;
  readonly #table: CommitTable;
  readonly #range: OffsetRange;
  readonly #decoder: Decoder;
  readonly #files: AddedFiles;
  readonly #written = new OffsetSet();
  readonly #refused = new Map<string, number>();
  #rows = 0;
  #builder: SegmentBuilder | null = null;
  #partStart: bigint;

  constructor(place: ReplayPlace, table: CommitTable, range: OffsetRange) {
    this.#place = place;
    this.#table = table;
    this.#range = range;
    this.#decoder = place.newDecoder();
    this.#files = new AddedFiles(place.parts, place.options, table);
    this.#partStart = range.start;
  }

  /** Null: the table has changed meanwhile. */
  async run(): Promise<ReplayReport | null> {
    const { options, isVouchedFor } = this.#place;
    const head = await this.#table.load();
    const progress = await this.#table.progressOf(head);
    const range = this.#range;
    const read = this.#table.parts.readCoordinates ?? readCoordinates;
    const witness = await judgeRange(head, progress, options, range, isVouchedFor, read);
    const there = await rowsOfRange(head, options.branch, range, witness);
    const aside = await this.#place.aside(range);
    this.#adopt(head);
    try {
      await this.#read(there, aside);
      this.#requireAll(there);
      if (this.#place.isDry) return this.#report(there, aside, null);
      return await this.#commit(there, aside, witness);
    } catch (error) {
      await this.#files.giveUp();
      throw error;
    }
  }

  #adopt(head: LoadedTable): void {
    const { metadata } = head;
    const history = { dropped: droppedPaths(metadata), hasRows: hasRows(metadata) };
    this.#decoder.adopt(currentFields(head), history);
  }

  /** Every record that is to be a row, decoded and written. */
  async #read(there: RangeRows, aside: OffsetSet): Promise<void> {
    const { newConsumer, progress } = this.#place;
    const { end } = this.#range;
    const isWanted = (offset: bigint): boolean =>
      offset < end && (there.offsets.has(offset) || !aside.has(offset));
    const consumer = await newConsumer();
    try {
      for await (const batch of readRange(consumer, this.#range)) {
        await this.#take(batch, there.offsets, isWanted);
        progress(`${this.#rows} rows read again, at offset ${batch.nextOffset}`);
      }
      await this.#writePart(end);
    } finally {
      await consumer.close();
    }
  }

  async #take(
    batch: RecordBatch,
    there: OffsetSet,
    isWanted: (offset: bigint) => boolean,
  ): Promise<void> {
    const { payload, feed } = batch;
    if (payload === null) return;
    const { topic, partition } = feed;
    const all = { ...batch, payload, topic, partition };
    const share = selectRecords(all, isWanted);
    if (share === null) return;
    const records = { ...all, ...share };
    const decoder = this.#decoder;
    for (let next = decoder.prepare?.(records) ?? null; next !== null; ) {
      await next;
      next = decoder.prepare?.(records) ?? null;
    }
    if (decoder.needsSample) decoder.sample([records]);
    const isFull = this.#builder !== null && this.#builder.usedBytes >= PART_BYTES;
    if (isFull || this.#builder?.isCurrent === false) await this.#writePart(batch.baseOffset);
    this.#builder ??= decoder.builder();
    const { rows, rejected } = this.#builder.decode(records);
    this.#rows += rows;
    for (const each of rejected) this.#refuse(each, there);
  }

  /** A record that is no row and does not become one stays what it is; a row may not go with it. */
  #refuse({ topic, partition, offset, reason, detail }: Rejected, there: OffsetSet): void {
    if (there.has(offset)) {
      throw fail(
        "data",
        `Record ${topic}/${partition} offset ${offset} is a row of ${this.#table.name} and cannot be ` +
          `one any more: ${detail}. Nothing was replaced. Correct the configuration, or leave it out of the range`,
        { topic, partition, offset },
      );
    }
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  /** What has been decoded, as files that reach up to an offset. */
  async #writePart(end: bigint): Promise<void> {
    const builder = this.#builder;
    this.#builder = null;
    if (builder === null || builder.rowCount === 0) return;
    const batch = builder.seal();
    this.#note(batch);
    const start = this.#partStart;
    this.#partStart = end;
    if (this.#place.isDry) return;
    const flush = { feed: this.#range.feed, start, end, leaderEpoch: undefined, batches: [batch] };
    const held = await this.#files.write([flush]);
    if (held !== null && !isDone(held, this.#table.name)) {
      throw fail("catalog_refused", "The table's columns changed meanwhile; try again");
    }
  }

  /** Which records are rows now is read from the rows themselves. */
  #note({ columns, rowCount }: ColumnBatch): void {
    const name = this.#place.options.coordinates?.offset;
    const column = columns.find(({ field }) => field.name === name);
    assert(column?.data != null, "replayed rows have their offsets");
    const { buffer, byteOffset } = column.data;
    const offsets = new BigInt64Array(buffer, byteOffset, rowCount);
    offsets.forEach((offset) => {
      this.#written.add(offset);
    });
  }

  /** No row goes whose record is not written again. */
  #requireAll({ offsets }: RangeRows): void {
    for (const offset of offsets.offsets()) {
      if (this.#written.has(offset)) continue;
      const { topic, partition } = this.#range.feed;
      throw fail(
        "data",
        `The row of record ${topic}/${partition} offset ${offset} would go: Kafka no longer has the ` +
          "record (a compacted topic), or it makes no row any more (source.on_tombstone). Nothing was " +
          "replaced. Leave it out of the range",
        { topic, partition, offset },
      );
    }
  }

  async #commit(
    there: RangeRows,
    aside: OffsetSet,
    witness: RowWitness,
  ): Promise<ReplayReport | null> {
    const { parts, aside: asideOf } = this.#place;
    if (there.count === 0 && this.#rows === 0) return this.#report(there, aside, null);
    const tools = {
      witness,
      aside: () => asideOf(this.#range),
      writePositionDeletes: positionDeleteWriter(parts.encoder),
    };
    const files = this.#files.units.flatMap((unit) => unit.files);
    const written = { offsets: this.#written, files };
    const change = new RangeReplacement(parts, tools, this.#range, written);
    const result = await this.#files.commit(change);
    if (!isDone(result, this.#table.name)) return null;
    return this.#report(there, aside, result.kind === "committed" ? result.snapshotId : null);
  }

  #report(there: RangeRows, aside: OffsetSet, snapshotId: bigint | null): ReplayReport {
    let left = 0;
    for (const offset of aside.offsets()) if (!there.offsets.has(offset)) left++;
    return {
      ...{ before: there.count, after: this.#rows, aside: left },
      ...{ refused: this.#refused, snapshotId },
    };
  }
}
