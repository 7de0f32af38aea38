/**
 * One segment under construction: walks the records of a batch and appends each as a row, or
 * rejects it without a trace.
 *
 * Under `evolve` a batch that shows a typed field without a column is taken back, the decoder
 * learns from its records, and the batch is decoded again: the hot loop itself never changes a
 * schema. What has no column by then cannot become one, and refuses its record: no batch is decoded
 * more than twice.
 */

import { assert } from "#base/assert.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, extendBuilders, sealColumns } from "#columns/builder.ts";
import { type LiveColumn, liveColumns } from "#columns/live.ts";
import {
  childFields,
  type Field,
  isPrimitive,
  needsValue,
  primitiveName,
} from "#columns/schema.ts";
import { SegmentMemory } from "#columns/segmentMemory.ts";
import type { ColumnSize } from "#columns/size.ts";
import type { Effect } from "./changes.ts";
import type { DecodeResult, Growth, RecordBytes, SegmentBuilder } from "./decoder.ts";
import type { RecordJudge } from "./judge.ts";
import type { KeyReader } from "./kafkaKey.ts";
import type { Image, ImageSource, ValueRoot } from "./kernel/image.ts";
import { decodeKernel } from "./kernel/kernel.ts";
import type { ReaderTiming } from "./kernel/straightReader.ts";
import { KernelRows } from "./kernelRows.ts";
import type { AppendedColumn } from "./metadata.ts";
import type { DecoderOptions } from "./options.ts";
import { type RejectReason, SCHEMA_REASONS, type TypeConflict } from "./rejects.ts";
import { BatchResult, RowAppender } from "./rows.ts";
import type { SchemaAsks } from "./schemaAsks.ts";

/** Appends one record's value to data columns. */
export interface ValueReader {
  /** What its values are to the kernel; null: nothing that it takes. */
  readonly root: ValueRoot | null;
  /** Why the last value was refused, and the field that it is about ("" for none). */
  readonly reason: RejectReason;
  readonly path: string;
  /** What the last `type_conflict` was. */
  readonly conflict: TypeConflict;
  /** What the last value does that was not refused; of formats that know no changes always `put`. */
  readonly effect: Effect;
  /** True: a typed field without a column is noted in `sawUnknown`; false: it is refused. */
  evolving: boolean;
  /** Set when a record showed a typed field without a column, until its owner sets it back. */
  sawUnknown: boolean;
  /** What records' own schemas ask of columns that are there; null: they have none. */
  readonly asks: SchemaAsks | null;
  /** Appends a value that is not null; false when it is refused. */
  read(bytes: Uint8Array, start: number, end: number, row: number): boolean;
  /** Appends a null value, as one that shows no field; false when it is refused. */
  readNull(row: number): boolean;
}

/** What a segment asks of its decoder. */
export interface SegmentSchema {
  readonly options: DecoderOptions;
  /** The columns of a segment: those of the table, and the control column. */
  readonly segmentFields: readonly Field[];
  /** Grows whenever `segmentFields` change. */
  readonly version: number;
  /** A column of the key that is not there yet, so that no row has it; null: all are. */
  readonly missingKey: string | null;
  /** What a column is that is filled beside the value; null: it is the value's. */
  metadataOf(name: string): AppendedColumn | null;
  /** Reads columns of the key from Kafka's keys; null: rows are not found by any of them. */
  keyReader(columns: readonly ColumnBuilder[]): KeyReader | null;
  /** Of segments begun at the present version. */
  readonly judge: RecordJudge;
  /** A reader for these data columns, in the decoder's present state. */
  reader(columns: readonly ColumnBuilder[]): ValueReader;
  /** Extends `fields` by everything that the batch holds and that may become a column. */
  learn(batch: RecordBytes): void;
  /** Notes what records ask of the table, for who can change it. */
  ask(growth: Growth): void;
  /**
   * The kernel's program for segments begun at the present version, null when there is none for them.
   * @param sourceOf of one of them: asked once for each version
   */
  image(sourceOf: () => ImageSource | null): Image | null;
}

/** The rows of one table and feed, until sealed. */
export class Segment implements SegmentBuilder {
  readonly memory: SegmentMemory = new SegmentMemory();
  private readonly schema: SegmentSchema;
  private readonly columns: ColumnBuilder[];
  private rows: RowAppender;
  private kernelRows: KernelRows | null;
  private version: number;
  /** Somebody was given its columns, and is told of further rows as soon as they are counted. */
  private isRead = false;
  /** Of the columns, as they were measured last: memory, and values in it. */
  private heldBytes = 0;
  private valueBytes = 0;

  constructor(schema: SegmentSchema, expected: readonly ColumnSize[]) {
    this.schema = schema;
    this.version = schema.version;
    this.columns = schema.segmentFields.map((field) => new ColumnBuilder(field, this.memory));
    const byName = new Map(this.columns.map((column) => [column.field.name, column]));
    for (const size of expected) byName.get(size.name)?.reserve(size);
    this.rows = new RowAppender(schema, this.columns, 0);
    const imageOf = schema.image.bind(schema);
    this.kernelRows = this.startKernel(this.rows, imageOf, schema.judge);
  }

  get rowCount(): number {
    return this.rows.count;
  }

  get byteCount(): number {
    this.measure();
    return this.heldBytes + this.waitingBytes;
  }

  get usedBytes(): number {
    this.measure();
    return this.valueBytes + this.waitingBytes;
  }

  get hasWaiting(): boolean {
    return this.waitingBytes > 0;
  }

  private get waitingBytes(): number {
    return this.kernelRows?.waitingBytes ?? 0;
  }

  /** Adds up what the columns take, unless nothing went into them since: it is asked after every batch. */
  private measure(): void {
    if (!this.rows.hasTouched) return;
    this.rows.hasTouched = false;
    this.heldBytes = 0;
    this.valueBytes = 0;
    for (const column of this.columns) {
      this.heldBytes += column.byteCount;
      this.valueBytes += column.usedBytes;
    }
  }

  get isCurrent(): boolean {
    if (this.version === this.schema.version) return true;
    return hasAll(
      this.schema.segmentFields,
      this.columns.map(({ field }) => field),
    );
  }

  decode(batch: RecordBytes): DecodeResult {
    const result = this.decodeWhole(batch, true);
    assert(result !== null, "a final decode has a result");
    return result;
  }

  tryDecode(batch: RecordBytes): DecodeResult | null {
    return this.decodeWhole(batch, false);
  }

  private decodeWhole(batch: RecordBytes, isFinal: boolean): BatchResult | null {
    const before = this.rows.count;
    try {
      let result = this.decodeOnce(batch, true, isFinal);
      if (this.rows.sawUnknown) {
        this.truncate(before);
        this.schema.learn(batch);
        result = this.decodeOnce(batch, false, isFinal);
      }
      if (isFinal || result.rejected.every(({ reason }) => !SCHEMA_REASONS.has(reason))) {
        return result;
      }
      this.truncate(before);
      const growth = this.rows.takeGrowth();
      if (growth !== null) this.schema.ask(growth);
      return null;
    } catch (error) {
      this.truncate(before);
      throw error;
    }
  }

  private decodeOnce(batch: RecordBytes, evolving: boolean, isFinal: boolean): BatchResult {
    if (this.version !== this.schema.version) this.adapt();
    this.rows.begin(evolving, isFinal);
    const result = new BatchResult();
    // With a kernel the rows of a batch may wait outside of the columns: it says when they are in.
    this.rows.hasTouched ||= this.kernelRows === null;
    if (this.kernelRows === null) this.rows.appendAll(batch, result);
    else this.kernelRows.appendAll(batch, result);
    return result;
  }

  column(path: string): ColumnBuilder | null {
    this.kernelRows?.flush();
    return columnAt(this.columns, path);
  }

  live(): readonly LiveColumn[] {
    this.isRead = true;
    if (this.kernelRows !== null) this.kernelRows.mayWait = false;
    this.kernelRows?.flush();
    return liveColumns(this.columns);
  }

  truncate(rowCount: number): void {
    this.rows.hasTouched = true;
    if (this.kernelRows === null) this.rows.truncate(rowCount);
    else this.kernelRows.truncate(rowCount);
  }

  seal(): ColumnBatch {
    this.kernelRows?.flush();
    return sealColumns(this.columns, this.rows.count);
  }

  private adapt(): void {
    this.kernelRows?.flush();
    const { schema, columns } = this;
    const { version } = schema;
    extendBuilders(columns, schema.segmentFields, this.rows.count, this.memory);
    const rows = new RowAppender(schema, columns, this.rows.count);
    // Its columns keep their order and types: those of a segment begun now may be others.
    const imageOf = (sourceOf: () => ImageSource | null): Image | null =>
      compileImage(schema, sourceOf());
    this.kernelRows = this.startKernel(rows, imageOf, null);
    this.rows = rows;
    this.version = version;
  }

  /** Throws for a schema that no reader can be made for, with a kernel and without. */
  private startKernel(
    rows: RowAppender,
    imageOf: (sourceOf: () => ImageSource | null) => Image | null,
    judge: RecordJudge | null,
  ): KernelRows | null {
    const { kernel } = this.schema.options;
    if (kernel === false) rows.makeReader();
    const image = kernel === false ? null : imageOf(() => rows.kernelSource());
    if (image === null) return null;
    const kernelRows = new KernelRows(rows, image, judge, kernel !== true);
    if (this.isRead) kernelRows.mayWait = false;
    return kernelRows;
  }
}

function columnAt(columns: readonly ColumnBuilder[], path: string): ColumnBuilder | null {
  for (const column of columns) {
    const { name, type } = column.field;
    if (name === path) return column;
    if (type.kind !== "struct" || !path.startsWith(`${name}.`)) continue;
    const found = columnAt(column.children, path.slice(name.length + 1));
    if (found !== null) return found;
  }
  return null;
}

/** The kernel's program of a segment. */
export function compileImage(
  { options }: Pick<SegmentSchema, "options">,
  source: ImageSource | null,
): Image | null {
  return source === null ? null : decodeKernel().compile(source, readerTiming(options));
}

/** When programs for these options get a straight reader. */
function readerTiming({ kernel }: DecoderOptions): ReaderTiming {
  if (kernel === "straight") return "at once";
  return kernel === true ? "when it pays" : "never";
}

/** True when a field can go on with the columns of an earlier one: the same, or with more inside. */
function holdsAll(now: Field, before: Field): boolean {
  const { type } = now;
  if (now.required !== before.required || type.kind !== before.type.kind) return false;
  if (now.writeDefault !== before.writeDefault) return false;
  if (isPrimitive(type) || isPrimitive(before.type)) {
    return (
      isPrimitive(type) &&
      isPrimitive(before.type) &&
      primitiveName(type) === primitiveName(before.type)
    );
  }
  return hasAll(childFields(type), childFields(before.type));
}

/**
 * True when fields can go on with the columns of earlier ones. A new column that has a value in every
 * row cannot: in the rows so far it would be null.
 */
function hasAll(now: readonly Field[], before: readonly Field[]): boolean {
  const names = new Set(before.map(({ name }) => name));
  const isNullable = now.every((field) => names.has(field.name) || !needsValue(field));
  return (
    isNullable &&
    before.every((field) => {
      const found = now.find(({ name }) => name === field.name);
      return found !== undefined && holdsAll(found, field);
    })
  );
}
