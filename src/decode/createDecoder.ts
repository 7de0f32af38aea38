/**
 * Makes decoders: what is known of a table's fields, shared by its segments (SPEC sections 4, 5).
 *
 * A new field without a name, or whose dotted path another column has (upper and lower case as one),
 * is never made a column, since no engine could tell them apart: its records are rejected.
 */

import { fail } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { overlayFields, typeName } from "#columns/evolve.ts";
import { fieldAt, TakenPaths } from "#columns/paths.ts";
import { type Field, type PrimitiveType, sameType, type Type } from "#columns/schema.ts";
import type { ColumnSize } from "#columns/size.ts";
import {
  controlFields,
  DELETED,
  keepsDeleted,
  keyColumns,
  neededColumns,
  withRequired,
} from "./changes.ts";
import { checkDeclaredPaths } from "./declaredPaths.ts";
import type { Decoder, Growth, RecordBytes, SchemaHistory, SegmentBuilder } from "./decoder.ts";
import { type EventTime, eventTime } from "./eventTime.ts";
import type { Format, TableSchema } from "./format.ts";
import { formatOf, shapingOf } from "./formatOf.ts";
import {
  asEventTime,
  EVENT_TIME,
  maybeRepeated,
  nested,
  refuseNames,
  withColumn,
} from "./givenColumns.ts";
import { leafCount } from "./json/infer.ts";
import { RecordJudge } from "./judge.ts";
import { type KeyReader, kafkaKeyReader, schemaKeyReader, withKey } from "./kafkaKey.ts";
import type { Image, ImageSource } from "./kernel/image.ts";
import { type AppendedColumn, isInEnvelope, metadataFields } from "./metadata.ts";
import type { DecoderOptions } from "./options.ts";
import { compileImage, Segment, type SegmentSchema, type ValueReader } from "./segment.ts";
import type { Shaping } from "./shaping.ts";

/**
 * A decoder for one table. Throws `usage` for options that contradict each other.
 * @param format of the values; default: the one that the options name
 * @param keys of Kafka's keys, where they have schemas of a registry; default: they have none
 */
export function createDecoder(
  options: DecoderOptions,
  format: Format = formatOf(options),
  keys: Format | null = null,
): Decoder {
  return new TableDecoder(options, format, keys);
}

const NO_HISTORY: SchemaHistory = { dropped: [], hasRows: false };

const STRING: Type = { kind: "string" };

class TableDecoder implements Decoder, SegmentSchema {
  readonly options: DecoderOptions;
  private readonly format: Format;
  private readonly keyFormat: Format | null;
  private readonly shaping: Shaping;
  /** The same of values, whose fields do not fill what the key fills. */
  private readonly valueShaping: Shaping;
  fields: readonly Field[];
  private changes = 0;
  private growth: Growth | null = null;
  /** Columns are to be learned from the first values; from the first keys, those of the key. */
  private samplesValues: boolean;
  private samplesKeys: boolean;
  /** The settings name fields that nobody declared: the first records tell whether they are misspelt. */
  private checksPaths: boolean;
  private lastImage: { readonly version: number; readonly image: Image | null } | null = null;
  readonly judge: RecordJudge = new RecordJudge(this);
  private readonly metadata: readonly Field[];
  /** Names of the columns that say which row a row is. */
  private readonly keys: readonly string[];
  /** Names of those, and of the one that says which change is later. */
  private readonly needed: readonly string[];
  private readonly control: readonly Field[];
  /** Columns that the data may not define: metadata, and the value of `string` and `bytes`. */
  readonly own: readonly Field[];
  readonly declared: readonly Field[];
  /** Paths of columns that the table's owner dropped: their fields are ignored. */
  private dropped: TakenPaths = new TakenPaths([]);

  constructor(options: DecoderOptions, format: Format, keyFormat: Format | null) {
    this.options = options;
    this.format = format;
    this.keyFormat = keyFormat;
    this.shaping = shapingOf(options);
    const ofKey = options.rowKey?.columns.map((name) => this.shaping.fieldPath(name)) ?? [];
    this.valueShaping = ofKey.length === 0 ? this.shaping : shapingOf(options, ofKey);
    this.metadata = metadataFields(options);
    this.keys = keyColumns(options);
    this.needed = neededColumns(options);
    this.control = controlFields(options.changes);
    this.own = [...format.own, ...this.metadata];
    const given = withKey((format.hasFields && options.fields) || [], options.rowKey);
    const isOpen = options.fields === null || options.onUnknownField === "evolve";
    this.samplesValues = format.hasFields && options.infer && isOpen;
    const fields = this.withEventTime(this.withCovered([...given, ...this.own]));
    this.fields = withRequired(fields, this.needed);
    const isGiven = new Set(given.map(({ name }) => name));
    const declared = this.withEventTime(given).filter(({ name }) => isGiven.has(name));
    this.declared = withRequired(declared, this.needed);
    const isStrict = format.hasFields && this.shaping.isStrict;
    this.checksPaths = isStrict && this.shaping.paths.some(([, path]) => !this.isDeclared(path));
    this.samplesKeys = options.infer && this.missingKeyColumn !== null;
    refuseNames(this.fields);
    this.checkCovered(this.fields, true);
    if (options.eventTimeField !== null) eventTime(options.eventTimeFormat, 1000n);
  }

  get needsSample(): boolean {
    return this.samplesValues || this.samplesKeys || this.checksPaths;
  }

  sample(batches: readonly RecordBytes[]): void {
    if (this.samplesKeys) this.learnKeys(batches);
    if (this.samplesValues || this.checksPaths) {
      const { learned, missed } = this.look(batches, this.options.inferRows);
      if (this.samplesValues) this.take(learned);
      this.shaping.checkPaths((path) => !missed.has(path) || this.isDeclared(path));
    }
    this.checkKey("which no key of the first records has");
    this.samplesKeys = false;
    this.samplesValues = false;
    this.checksPaths = false;
  }

  /** True for a path of the settings whose column somebody declared, or the key fills. */
  private isDeclared(path: string): boolean {
    const fields = [...this.declared, ...this.keyFields];
    return fieldAt(fields, this.shaping.columnPathIn(fields, path)) !== null;
  }

  private get keyFields(): readonly Field[] {
    const { rowKey } = this.options;
    return this.fields.filter(({ name }) => rowKey?.columns.includes(name) === true);
  }

  /** The first column of the key that is not there; null: all are. */
  private get missingKeyColumn(): string | null {
    const fields = this.keyFields;
    const names = this.options.rowKey?.columns ?? [];
    return names.find((name) => fields.every((field) => field.name !== name)) ?? null;
  }

  /**
   * @param what says where the column is not
   * @throws AppError `usage` for a column of the key of which nothing says what it is
   */
  private checkKey(what: string): void {
    const missing = this.missingKeyColumn;
    if (missing === null) return;
    const remedy = "Correct it, or declare its column in schema.fields";
    throw fail("usage", `source.key_field names ${missing}, ${what}. ${remedy}`);
  }

  checkNew(): void {
    checkDeclaredPaths(this.shaping, this.options, (path) => this.isDeclared(path));
  }

  adopt(fields: readonly Field[], history: SchemaHistory = NO_HISTORY): void {
    this.checkCovered(fields, !history.hasRows);
    const table = fields.map((field) => {
      // Our own columns are written as we make them; `conform` promotes where the table differs.
      const own = this.own.find(({ name }) => name === field.name);
      const differs = own !== undefined && typeName(own.type) !== typeName(field.type);
      return differs ? { ...field, type: own.type } : field;
    });
    const known = new Set(this.fields.map((field) => field.name));
    if (history.hasRows || fields.some((field) => !known.has(field.name)))
      this.samplesValues = false;
    if (history.hasRows) {
      this.samplesKeys = false;
      this.checksPaths = false;
    }
    const isDropped = this.heedDropped(fields, history.dropped);
    this.setFields(overlayFields(table, this.fields), isDropped);
    this.samplesKeys &&= this.missingKeyColumn !== null;
    if (!this.samplesKeys) this.checkKey("which the table has no column for");
  }

  /**
   * What was dropped stays so for as long as the table has no column of that path, also when its
   * history forgets it; false when nothing changed.
   */
  private heedDropped(table: readonly Field[], dropped: readonly string[]): boolean {
    const taken = new TakenPaths(table);
    const next = new TakenPaths([]);
    for (const path of [...this.dropped.paths(), ...dropped]) {
      if (taken.find(path) === undefined) next.add(path);
    }
    const isSame = next.paths().join("\n") === this.dropped.paths().join("\n");
    this.dropped = next;
    return !isSame;
  }

  builder(expected: readonly ColumnSize[] = []): SegmentBuilder {
    return new Segment(this, expected);
  }

  image(sourceOf: () => ImageSource | null): Image | null {
    if (this.lastImage?.version !== this.version) {
      this.lastImage = { version: this.version, image: compileImage(this, sourceOf()) };
    }
    return this.lastImage.image;
  }

  metadataOf(name: string): AppendedColumn | null {
    const { changes, metadataColumns, metadataPrefix } = this.options;
    if (this.control.some((field) => field.name === name)) return "change";
    if (keepsDeleted(changes) && name === metadataPrefix + DELETED) return "deleted";
    const found = metadataColumns.find((column) => metadataPrefix + column === name) ?? null;
    return found === null || isInEnvelope(found) ? null : found;
  }

  get segmentFields(): readonly Field[] {
    return [...this.fields, ...this.control];
  }

  get missingKey(): string | null {
    return this.needed.find((key) => this.fields.every(({ name }) => name !== key)) ?? null;
  }

  reader(columns: readonly ColumnBuilder[]): ValueReader {
    const { rowKey } = this.options;
    const own = columns.filter(({ field }) => rowKey?.columns.includes(field.name) !== true);
    return this.format.reader(own, this.tableSchema(columns, this.valueShaping));
  }

  keyReader(columns: readonly ColumnBuilder[]): KeyReader | null {
    const { changes, rowKey } = this.options;
    const names = rowKey?.columns ?? (changes?.keyFields.length === 0 ? [] : this.keys);
    const keys = columns.filter(({ field }) => names.includes(field.name));
    if (keys.length === 0) return null;
    const schema = this.tableSchema(columns, this.shaping);
    const format = rowKey?.format ?? changes?.keyFormat ?? "string";
    if (this.keyFormat !== null && format !== "json") {
      return schemaKeyReader(this.keyFormat.reader(keys, schema), rowKey !== null);
    }
    return kafkaKeyReader(format, this.options, keys, schema, rowKey === null);
  }

  private tableSchema(columns: readonly ColumnBuilder[], shaping: Shaping): TableSchema {
    return {
      taken: new TakenPaths([...columns.map((column) => column.field), ...this.metadata]),
      dropped: this.dropped,
      isFull: this.room <= 0,
      shaping,
      eventTime: (type) => this.eventTimeOf(type),
    };
  }

  /** Of the fields, and of what the format knows beside them: both only grow. */
  get version(): number {
    const ofKeys = this.keyFormat?.revision?.() ?? 0;
    return this.changes + (this.format.revision?.() ?? 0) + ofKeys;
  }

  get prepare(): Decoder["prepare"] {
    const { format, keyFormat } = this;
    if (keyFormat === null) return format.prepare;
    return (batch) => format.prepare?.(batch) ?? keyFormat.prepare?.(batch) ?? null;
  }

  learn(batch: RecordBytes): void {
    this.take(this.look([batch], batch.recordCount).learned);
  }

  ask(growth: Growth): void {
    this.growth = growth;
  }

  takeGrowth(): Growth | null {
    const { growth } = this;
    this.growth = null;
    return growth;
  }

  /** Leaf columns that there is room for; not above 0: new fields reject their records. */
  private get room(): number {
    return this.options.maxColumns - leafCount(this.fields);
  }

  /** What records show: the columns that there may be, and the paths of the settings that none of them has. */
  private look(batches: readonly RecordBytes[], recordsMax: number): Seen {
    const { room, dropped, format, valueShaping: shaping, data } = this;
    let missed: ReadonlySet<string> = new Set();
    const known = { fields: data, metadata: this.own, room, dropped, shaping };
    const learned = format.learn(batches, recordsMax, {
      ...known,
      misses: (paths) => {
        missed = paths;
      },
    });
    return { learned, missed };
  }

  private take(learned: readonly Field[]): void {
    const isFirst = this.data.length === 0 && this.fields.every((field) => field.id === 0);
    this.setFields(isFirst ? [...learned, ...this.own] : overlayFields(this.fields, learned));
  }

  /** The fields that are the data's. */
  private get data(): readonly Field[] {
    const own = new Set(this.own.map(({ name }) => name));
    return this.fields.filter(({ name }) => !own.has(name));
  }

  /** Learns columns of the key that are not there yet from the first records' keys. */
  private learnKeys(batches: readonly RecordBytes[]): void {
    const { keyFormat, room, dropped, shaping } = this;
    const names = this.options.rowKey?.columns ?? [];
    if (keyFormat === null || this.keyFields.length === names.length) return;
    const none = { fields: [], metadata: this.own, room, dropped, shaping };
    const known = { ...none, misses: () => undefined };
    const learned = keyFormat.learn(batches, this.options.inferRows, known);
    const isNew = ({ name }: Field): boolean =>
      names.includes(name) && this.fields.every((field) => field.name !== name);
    this.setFields([...learned.filter(isNew), ...this.fields]);
  }

  private setFields(all: readonly Field[], force = false): void {
    const fields = withRequired(all, this.needed);
    if (!force && sameType(structOf(this.fields), structOf(fields))) return;
    this.fields = fields;
    this.changes++;
  }

  /** What is masked is a column from the start: no process may take its values for something else first. */
  private withCovered(fields: readonly Field[]): readonly Field[] {
    const { shaping } = this;
    if (!shaping.isStrict || !this.format.hasFields) return fields;
    return shaping.covered.reduce<readonly Field[]>((all, path) => {
      const column = shaping.columnPathIn(all, path);
      if (fieldAt(all, column) !== null || maybeRepeated(column)) return all;
      return withColumn(all, nested(column.split("."), STRING));
    }, fields);
  }

  /**
   * @param isOpen true: a column that is missing may still come
   * @throws AppError `usage` for a column that cannot hold what stands for the values of its field
   */
  private checkCovered(fields: readonly Field[], isOpen: boolean): void {
    const { shaping } = this;
    for (const path of shaping.covered) {
      const column = shaping.columnPathIn(fields, path);
      const found = fieldAt(fields, column);
      if (found !== null && found.type.kind !== "string") {
        const type = typeName(found.type);
        const sentence =
          `Column ${column} is ${type}, and source.transform puts text into it. Let the masked or ` +
          "hashed field have a column of its own: source.transform.rename";
        throw fail("usage", sentence);
      }
      if (found !== null || isOpen || !shaping.isStrict || this.isDeclared(path)) continue;
      const sentence =
        `source.transform masks or hashes ${path}, of which the table has no column ${column}. Correct ` +
        "the name, or declare the column in schema.fields";
      throw fail("usage", sentence);
    }
  }

  /** The event time is a column from the start, because tables are partitioned by it. */
  private withEventTime(fields: readonly Field[]): readonly Field[] {
    const path = this.options.eventTimeField;
    if (path === null || !this.format.hasFields) return fields;
    const isThere = new TakenPaths(fields).find(path) === path;
    if (isThere) return fields.map((field) => asEventTime(field, field.name, path));
    const isFlat = this.options.flattenSeparator !== null;
    const column = nested(isFlat ? [path] : path.split("."), EVENT_TIME);
    return withColumn(fields, column);
  }

  private eventTimeOf(type: PrimitiveType): EventTime | null {
    if (type.kind === "timestamp") return eventTime(this.options.eventTimeFormat, 1000n);
    return type.kind === "timestamp_ns" ? eventTime(this.options.eventTimeFormat, 1n) : null;
  }
}

/** What `TableDecoder.look` has seen. */
interface Seen {
  readonly learned: readonly Field[];
  readonly missed: ReadonlySet<string>;
}

function structOf(fields: readonly Field[]): Type {
  return { kind: "struct", fields };
}
