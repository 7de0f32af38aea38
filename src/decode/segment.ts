/**
 * One segment under construction: walks the records of a batch and appends each as a row, or
 * rejects it without a trace.
 *
 * Under `evolve` a batch that shows a typed field without a column is taken back, the decoder
 * learns from its records, and the batch is decoded again: the hot loop itself never changes a
 * schema.
 */

import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, extendBuilders, sealColumns } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import type { ColumnSize } from "#columns/size.ts";
import type { DecodeResult, RecordBytes, Rejected, SegmentBuilder } from "./decoder.ts";
import { MetadataAppender } from "./metadata.ts";
import type { DecoderOptions, MetadataColumn } from "./options.ts";
import { RecordCursor } from "./records.ts";
import { type RejectReason, rejectDetail } from "./rejects.ts";

/** Appends one record's value to data columns. */
export interface ValueReader {
  /** Why the last value was refused, and the field that it is about ("" for none). */
  readonly reason: RejectReason;
  readonly path: string;
  /** True: a typed field without a column is reported by `takeUnknown`; false: it is refused. */
  evolving: boolean;
  /** Appends a value that is not null; false when it is refused. */
  read(bytes: Uint8Array, start: number, end: number, row: number): boolean;
  /** Appends a null value; false when it is refused. */
  readNull(): boolean;
  /** True when a record since the last call showed a typed field without a column. */
  takeUnknown(): boolean;
}

/** What a segment asks of its decoder. */
export interface SegmentSchema {
  readonly options: DecoderOptions;
  readonly fields: readonly Field[];
  /** Grows whenever `fields` change. */
  readonly version: number;
  /** The metadata column that a field is, if it is one. */
  metadataOf(name: string): MetadataColumn | null;
  /** A reader for these data columns, in the decoder's present state. */
  reader(columns: readonly ColumnBuilder[]): ValueReader;
  /** Extends `fields` by what the batch holds; false when there is nothing to add. */
  learn(batch: RecordBytes): boolean;
}

/** The rows of one table and feed, until sealed. */
export class Segment implements SegmentBuilder {
  private readonly schema: SegmentSchema;
  private readonly columns: ColumnBuilder[];
  private dataColumns: ColumnBuilder[] = [];
  private metadata = new MetadataAppender([]);
  private reader: ValueReader;
  private version: number;
  private rows = 0;

  constructor(schema: SegmentSchema, expected: readonly ColumnSize[]) {
    this.schema = schema;
    this.version = schema.version;
    this.columns = schema.fields.map((field) => new ColumnBuilder(field));
    const byName = new Map(this.columns.map((column) => [column.field.name, column]));
    for (const size of expected) byName.get(size.name)?.reserve(size);
    this.reader = this.compile();
  }

  get rowCount(): number {
    return this.rows;
  }

  get byteCount(): number {
    return this.columns.reduce((total, column) => total + column.byteCount, 0);
  }

  decode(batch: RecordBytes): DecodeResult {
    const before = this.rows;
    try {
      for (let evolving = true; ; ) {
        if (this.version !== this.schema.version) this.adapt();
        this.reader.evolving = evolving;
        const result = this.pass(batch);
        if (!this.reader.takeUnknown()) return result;
        this.truncate(before);
        evolving = this.schema.learn(batch);
      }
    } catch (error) {
      this.truncate(before);
      throw error;
    }
  }

  seal(): ColumnBatch {
    return sealColumns(this.columns, this.rows);
  }

  private compile(): ValueReader {
    const metadata: (readonly [MetadataColumn, ColumnBuilder])[] = [];
    this.dataColumns = [];
    for (const column of this.columns) {
      const kind = this.schema.metadataOf(column.field.name);
      if (kind === null) this.dataColumns.push(column);
      else metadata.push([kind, column]);
    }
    this.metadata = new MetadataAppender(metadata);
    return this.schema.reader(this.dataColumns);
  }

  private adapt(): void {
    this.version = this.schema.version;
    extendBuilders(this.columns, this.schema.fields, this.rows);
    this.reader = this.compile();
  }

  private truncate(rows: number): void {
    for (const column of this.columns) column.truncate(rows);
    this.rows = rows;
  }

  /** Decodes every record once, with the columns as they are. */
  private pass(batch: RecordBytes): DecodeResult {
    const cursor = new RecordCursor(batch);
    const rejected: Rejected[] = [];
    const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
    const before = this.rows;
    let skipped = 0;
    let timestampMsMax = 0;
    this.metadata.start(batch);
    while (cursor.next()) {
      if (cursor.offsetDelta < wantedDelta) {
        skipped++;
        continue;
      }
      const timestampMs = batch.appendTimestampMs ?? batch.baseTimestampMs + cursor.timestampDelta;
      if (this.appendRow(cursor, timestampMs)) {
        if (timestampMs > timestampMsMax) timestampMsMax = timestampMs;
      } else rejected.push(this.reject(batch, cursor, timestampMs));
    }
    return { rows: this.rows - before, skipped, rejected, timestampMsMax };
  }

  private appendRow(cursor: RecordCursor, timestampMs: number): boolean {
    const row = this.rows;
    if (!this.appendValue(cursor, row)) {
      for (const column of this.dataColumns) column.truncate(row);
      return false;
    }
    for (const column of this.dataColumns) if (column.length === row) column.appendNull();
    this.metadata.append(cursor, timestampMs);
    this.rows = row + 1;
    return true;
  }

  private appendValue(cursor: RecordCursor, row: number): boolean {
    const { valueStart, valueEnd } = cursor;
    this.tooLarge = valueStart >= 0 && valueEnd - valueStart > LIMITS.recordBytesMax;
    if (this.tooLarge) return false;
    if (valueStart < 0) return this.reader.readNull();
    return this.reader.read(cursor.bytes, valueStart, valueEnd, row);
  }

  private tooLarge = false;

  private reject(batch: RecordBytes, cursor: RecordCursor, timestampMs: number): Rejected {
    const { topic, partition } = batch;
    const offset = batch.baseOffset + BigInt(cursor.offsetDelta);
    const reason = this.tooLarge ? "too_large" : this.reader.reason;
    const detail = rejectDetail(reason, this.tooLarge ? "" : this.reader.path);
    if (reason === "type_conflict" && this.schema.options.onTypeConflict === "fail") {
      const sentence =
        `Record ${topic}/${partition} offset ${offset} cannot be written: ${detail}, and ` +
        'schema.on_type_conflict is "fail"';
      throw fail("data", sentence, { topic, partition, offset, reason });
    }
    return { topic, partition, offset, timestampMs, reason, detail };
  }
}
