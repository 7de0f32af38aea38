/**
 * Rows in TypeScript, one record at a time: the judge of every record that the kernel does not take,
 * and of all of them when there is no kernel.
 */
import { LIMITS } from "#base/limits.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { needsValue } from "#columns/schema.ts";
import { isTimestampMs } from "#columns/times.ts";
import { appendBlank, type Effect, passesTombstone } from "./changes.ts";
import type { DecodeResult, Growth, RecordBytes, Rejected } from "./decoder.ts";
import type { KeyReader } from "./kafkaKey.ts";
import type { ImageSource, KernelColumns, Tombstones } from "./kernel/image.ts";
import { type AppendedColumn, MetadataAppender } from "./metadata.ts";
import { RecordCursor } from "./records.ts";
import { type Refusal, refusalOf, rejectRecord, timestampOf } from "./refusal.ts";
import { type RejectReason, SCHEMA_REASONS } from "./rejects.ts";
import { together } from "./schemaAsks.ts";
import type { SegmentSchema, ValueReader } from "./segment.ts";

/** The result of a batch under way. */
export class BatchResult implements DecodeResult {
  rows = 0;
  skipped = 0;
  timestampMsMax = 0;
  readonly rejected: Rejected[] = [];
}

/** Appends records to the columns of a segment. */
export class RowAppender {
  /** Rows in the columns. */
  count: number;
  /** Columns may take more or less than they did; set back by who measures them. */
  hasTouched = true;
  readonly metadata: MetadataAppender;
  private readonly schema: SegmentSchema;
  private readonly columns: readonly ColumnBuilder[];
  private readonly dataColumns: readonly ColumnBuilder[];
  /** Made when it is first needed: the rows of most segments are all the kernel's. */
  private madeReader: ValueReader | null = null;
  /** False: what is unknown stays so. */
  isEvolving = true;
  /** False: nothing is thrown about a record that another schema might take. */
  isFinal = true;
  private readonly hasTimestamp: boolean;
  private readonly hasRequired: boolean;
  /** Reads the columns of the key from the keys of records without a value; null: there are none to read. */
  private readonly keyReader: KeyReader | null;
  /** Why the record at hand is refused, when that is not its value's fault. */
  private ownReason: RejectReason | null = null;
  /** The metadata column that `ownReason` is about. */
  private missing = "";

  /** @param count rows that the columns hold already */
  constructor(schema: SegmentSchema, columns: readonly ColumnBuilder[], count: number) {
    const metadata: (readonly [AppendedColumn, ColumnBuilder])[] = [];
    const data: ColumnBuilder[] = [];
    for (const column of columns) {
      const kind = schema.metadataOf(column.field.name);
      if (kind === null) data.push(column);
      else metadata.push([kind, column]);
    }
    this.schema = schema;
    this.columns = columns;
    this.count = count;
    this.dataColumns = data;
    this.metadata = new MetadataAppender(metadata);
    this.hasTimestamp = this.metadata.hasTimestamp;
    this.hasRequired = metadata.some(([, column]) => column.field.required);
    this.keyReader = schema.keyReader(data);
  }

  /** Begins with a batch, the first or the second time: what others asked is no question of it. */
  begin(isEvolving: boolean, isFinal: boolean): void {
    this.isEvolving = isEvolving;
    this.isFinal = isFinal;
    this.takeGrowth();
    if (this.madeReader !== null) this.prepare(this.madeReader);
    const asks = this.keyReader?.asks ?? null;
    if (asks !== null) asks.isFinal = isFinal;
  }

  /** True when a record of the batch showed a typed field without a column. */
  get sawUnknown(): boolean {
    return this.madeReader?.sawUnknown ?? false;
  }

  /** What the records of the batch ask of their table. */
  takeGrowth(): Growth | null {
    const ofValues = this.madeReader?.asks?.take() ?? null;
    return together(ofValues, this.keyReader?.asks?.take() ?? null);
  }

  /** True when records' own schemas ask for columns. */
  get hearsAsks(): boolean {
    return this.reader.asks !== null || (this.keyReader?.asks ?? null) !== null;
  }

  /** What the kernel's program is made from; null: there is none for these values. */
  kernelSource(): ImageSource | null {
    const { root } = this.reader;
    const isKeyed = this.schema.options.rowKey !== null;
    if (root === null || isKeyed || this.schema.missingKey !== null) return null;
    const { needsKey, tombstones, refuses } = this;
    return { root, ...this.kernelColumns, tombstones, needsKey, refuses };
  }

  /** The columns that the kernel fills. */
  get kernelColumns(): KernelColumns {
    return { columns: this.dataColumns, metadata: this.metadata.kinds };
  }

  /** Makes the reader of values. Throws what is wrong with the schema. */
  makeReader(): ValueReader {
    const reader = this.schema.reader(this.dataColumns);
    this.madeReader = reader;
    this.prepare(reader);
    return reader;
  }

  private get reader(): ValueReader {
    return this.madeReader ?? this.makeReader();
  }

  private prepare(reader: ValueReader): void {
    reader.evolving = this.isEvolving;
    reader.sawUnknown = false;
    if (reader.asks !== null) reader.asks.isFinal = this.isFinal;
  }

  /**
   * Without a key a producer spreads the changes of a row over partitions, and the older one may win.
   * Where the key is a column it is required as one.
   */
  private get needsKey(): boolean {
    return (this.schema.options.changes?.keyFields.length ?? 0) > 0;
  }

  /** Rows are changes of others. */
  private get isChanged(): boolean {
    return this.schema.options.changes?.onDelete === "delete";
  }

  /** A row that stays when it is deleted, or is passed over, is the host's. */
  private get tombstones(): Tombstones {
    const { keyReader } = this;
    const isHosts = keyReader !== null && keyReader.root === null;
    if (this.schema.options.changes?.onDelete !== "delete" || isHosts) return { kind: "host" };
    return { kind: "deletes", keyRoot: keyReader?.root ?? null };
  }

  /** What the kernel can refuse: nothing but a record's value is wrong where that is all there is to judge. */
  private get refuses(): ImageSource["refuses"] {
    const { changes, onTombstone } = this.schema.options;
    const isJudged = changes === null && !this.hasRequired;
    return { documents: isJudged, nulls: isJudged && onTombstone === "dead_letter" };
  }

  /** Takes back all rows from `count` on, and whatever was begun. */
  truncate(count: number): void {
    for (const column of this.columns) column.truncate(count);
    this.count = count;
  }

  /** Decodes every record of a batch. */
  appendAll(batch: RecordBytes, result: BatchResult): void {
    this.metadata.start(batch);
    this.appendRest(batch, new RecordCursor(batch), result);
  }

  /** Decodes the records that are left from the cursor on. */
  appendRest(batch: RecordBytes, cursor: RecordCursor, result: BatchResult): void {
    while (this.appendNext(batch, cursor, result));
  }

  /** Decodes the cursor's next record; false when there is none, or the batch ends. Throws for a fatal conflict. */
  appendNext(batch: RecordBytes, cursor: RecordCursor, result: BatchResult): boolean {
    if (!cursor.next()) return false;
    const isUnwanted = cursor.offsetDelta < Number(batch.wantedOffset - batch.baseOffset);
    if (isUnwanted || (cursor.valueStart < 0 && this.passesNull)) {
      result.skipped++;
      return true;
    }
    const timestampMs = timestampOf(batch, cursor);
    this.ownReason = this.judgeRecord(batch, cursor, timestampMs);
    const effect = this.ownReason === null ? this.appendRow(cursor, timestampMs) : null;
    if (effect === null) {
      result.rejected.push(rejectRecord(batch, cursor, this.refusal, this.failsOn));
      return this.goesOn(result);
    }
    if (effect === "none") result.skipped++;
    else {
      result.rows++;
      if (timestampMs > result.timestampMsMax) result.timestampMsMax = timestampMs;
    }
    return true;
  }

  /** True when records without a value are passed over. */
  private get passesNull(): boolean {
    const { changes, onTombstone } = this.schema.options;
    return changes === null ? onTombstone === "skip" : passesTombstone(changes);
  }

  /** Why the record itself, whatever its value is, cannot become a row; null: it can. */
  private judgeRecord(
    batch: RecordBytes,
    cursor: RecordCursor,
    timestampMs: number,
  ): RejectReason | null {
    const { valueStart, valueEnd } = cursor;
    this.missing = "";
    if (valueStart >= 0 && valueEnd - valueStart > LIMITS.recordBytesMax) return "too_large";
    const ofNull = valueStart < 0 ? this.judgeNull(cursor) : null;
    if (ofNull !== null) return ofNull;
    if (!this.hasTimestamp && !this.hasRequired) return null;
    // Beyond 2^53 neither part is exact, so that their sum is not, however small it is.
    const isExact =
      batch.appendTimestampMs !== null ||
      (Number.isSafeInteger(batch.baseTimestampMs) && Number.isSafeInteger(cursor.timestampDelta));
    if (this.hasTimestamp && !(isExact && isTimestampMs(timestampMs))) return "bad_timestamp";
    const missing = this.metadata.missing(cursor, timestampMs);
    // What has no key may be no row: its value says so.
    const isLater = valueStart >= 0 && missing === this.metadata.neededKey;
    if (missing === null || isLater) return null;
    this.missing = missing;
    return "missing_field";
  }

  /** The same of a record without a value. */
  private judgeNull({ keyStart }: RecordCursor): RejectReason | null {
    const { changes, onTombstone } = this.schema.options;
    if (changes !== null) return keyStart < 0 ? "null_key" : null;
    return onTombstone === "dead_letter" ? "null_value" : null;
  }

  /** What the record does to the table; null: it is refused. Without a row nothing of it is left. */
  private appendRow(cursor: RecordCursor, timestampMs: number): Effect | null {
    const row = this.count;
    const { changes } = this.schema.options;
    const effect = this.appendValue(cursor, row);
    const removes = effect === "delete" || effect === "truncate";
    const isIgnored = removes && changes?.onDelete === "ignore";
    if (effect === null || effect === "none" || isIgnored) {
      for (const column of this.dataColumns) column.truncate(row);
      return effect === null ? null : "none";
    }
    const isGone = removes && changes?.onDelete === "delete";
    const lacking = isGone || effect === "truncate" ? undefined : this.lackingAt(row);
    if (lacking !== undefined) {
      this.truncate(row);
      return this.refuseField(lacking.field.name);
    }
    this.fillRow(row, isGone);
    this.metadata.append(cursor, timestampMs, effect);
    this.count = row + 1;
    return effect;
  }

  /** Ends a row: what nothing was appended to is null, or blank. */
  private fillRow(row: number, isGone: boolean): void {
    for (const column of this.dataColumns) {
      if (column.length > row) continue;
      if (isGone) appendBlank(column);
      else column.appendNull();
    }
  }

  /** A required column that nothing was appended to, such as one of the envelope's source. */
  private lackingAt(row: number): ColumnBuilder | undefined {
    if (this.schema.options.changes?.mode !== "cdc") return undefined;
    return this.dataColumns.find((column) => column.length === row && needsValue(column.field));
  }

  private appendValue(cursor: RecordCursor, row: number): Effect | null {
    const effect = this.appendOwn(cursor, row);
    if (effect === null) this.hearKey(cursor, row);
    return effect === "put" && !this.fillsKey(cursor, row) ? null : effect;
  }

  /** Hears what the key of a record asks whose value the schema refuses: the table is asked for both at once. */
  private hearKey({ bytes, keyStart: from, keyEnd: to }: RecordCursor, row: number): void {
    const { keyReader, ownReason } = this;
    if (this.isFinal || keyReader?.asks == null || from < 0) return;
    if (SCHEMA_REASONS.has(ownReason ?? this.reader.reason)) keyReader.read(bytes, from, to, row);
  }

  /** Fills the columns of an appended row that its key fills; false when the record is refused. */
  private fillsKey({ bytes, keyStart, keyEnd }: RecordCursor, row: number): boolean {
    const { keyReader } = this;
    const { rowKey } = this.schema.options;
    if (rowKey === null || keyReader === null) return true;
    if (keyStart >= 0 && !keyReader.read(bytes, keyStart, keyEnd, row)) {
      // What another schema of the table may take is asked about first, as of a value.
      const mayFit = !this.isFinal && SCHEMA_REASONS.has(keyReader.reason);
      this.ownReason = mayFit ? keyReader.reason : "bad_key";
      return false;
    }
    const lacking = this.dataColumns.find(
      ({ field, length }) =>
        length === row && needsValue(field) && rowKey.columns.includes(field.name),
    );
    if (lacking !== undefined) this.refuseField(lacking.field.name);
    return lacking === undefined;
  }

  /** The same, without what the key fills. */
  private appendOwn(cursor: RecordCursor, row: number): Effect | null {
    const { bytes, keyStart, keyEnd, valueStart } = cursor;
    const { reader, keyReader } = this;
    const { missingKey, options } = this.schema;
    if (valueStart >= 0) return this.appendPresent(cursor, row);
    if (options.changes === null) return reader.readNull(row) ? "put" : null;
    if (missingKey !== null) return this.refuseField(missingKey);
    if (keyReader !== null && !keyReader.read(bytes, keyStart, keyEnd, row)) {
      this.ownReason = "bad_key";
      return null;
    }
    if (options.changes.onDelete === "delete") return "delete";
    // The row stays, so that it must be one that the table can hold.
    const missing = this.dataColumns.find(
      (column) => column.length === row && column.field.required,
    );
    return missing === undefined ? "delete" : this.refuseField(missing.field.name);
  }

  /** The same of a record with a value. */
  private appendPresent(cursor: RecordCursor, row: number): Effect | null {
    const { bytes, keyStart, valueStart, valueEnd } = cursor;
    const { reader } = this;
    const { missingKey } = this.schema;
    if (!reader.read(bytes, valueStart, valueEnd, row)) return null;
    const { effect } = reader;
    if (effect === "truncate") return this.judgeTruncate(cursor);
    if (missingKey !== null) return this.refuseField(missingKey);
    if (keyStart >= 0 || effect === "none") return effect;
    const { neededKey } = this.metadata;
    if (neededKey !== null) return this.refuseField(neededKey);
    if (!this.needsKey) return effect;
    this.ownReason = "null_key";
    return null;
  }

  /**
   * A source table that is emptied has no one row, so that Debezium sends no key. With a key the same word is said of
   * one row: a column of flags that `op_field` names by mistake, of which "t" is true, shall never empty a table.
   */
  private judgeTruncate({ keyStart }: RecordCursor): Effect | null {
    // A row that is marked stays, and there is no saying which ones there are.
    const isMarked = this.schema.options.changes?.onDelete === "mark";
    if (keyStart >= 0 || isMarked) {
      this.ownReason = keyStart >= 0 ? "keyed_truncate" : "truncate";
      return null;
    }
    // A table without columns of the key has no row that could go.
    return this.schema.missingKey === null || !this.isChanged ? "truncate" : "none";
  }

  private refuseField(name: string): null {
    this.ownReason = "missing_field";
    this.missing = name;
    return null;
  }

  /** Refuses the cursor's next record for a reason that is known; false when the batch ends. Throws for a fatal conflict. */
  refuseNext(
    batch: RecordBytes,
    cursor: RecordCursor,
    result: BatchResult,
    refusal: Refusal,
  ): boolean {
    cursor.next();
    result.rejected.push(rejectRecord(batch, cursor, refusal, this.failsOn));
    return this.goesOn(result);
  }

  /** Why the record at hand is refused. */
  private get refusal(): Refusal {
    if (this.ownReason !== null) return refusalOf(this.ownReason, this.missing);
    const { reason, path, conflict } = this.reader;
    return refusalOf(reason, path, reason === "type_conflict" ? conflict : "value");
  }

  /**
   * False when the batch ends with the record that was refused last: another schema might take it, and no row
   * of the batch is kept then. Where records' own schemas ask for columns, all of them are to be heard.
   */
  private goesOn({ rejected }: BatchResult): boolean {
    const reason = rejected.at(-1)?.reason ?? "";
    return this.isFinal || !SCHEMA_REASONS.has(reason) || this.hearsAsks;
  }

  /** What a record of the batch at hand may not be refused for. */
  private get failsOn(): "type_conflict" | null {
    return this.isFinal && this.schema.options.onTypeConflict === "fail" ? "type_conflict" : null;
  }
}
