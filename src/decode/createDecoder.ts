/**
 * Makes decoders: what is known of a table's fields, shared by its segments (SPEC sections 4, 5).
 *
 * A record whose value is null (a tombstone) is rejected as `null_value` in format `json`, because
 * append mode has no row for it; in `string` and `bytes` it is a row with a null value.
 *
 * A new field whose name differs from a column's only by case, or is empty, is never made a column
 * (most engines could not tell them apart): such records are rejected, not silently cut.
 */
import { fail } from "#base/errors.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { overlayFields } from "#columns/evolve.ts";
import type { Field, PrimitiveType, Type } from "#columns/schema.ts";
import type { Decoder, RecordBytes, SegmentBuilder } from "./decoder.ts";
import { type EventTime, eventTime } from "./eventTime.ts";
import { Inference, leafCount } from "./json/infer.ts";
import { compileRow } from "./json/program.ts";
import { JsonReader } from "./json/reader.ts";
import { metadataFields } from "./metadata.ts";
import type { DecoderOptions, MetadataColumn } from "./options.ts";
import { RawReader } from "./raw.ts";
import { RecordCursor } from "./records.ts";
import { Segment, type SegmentSchema, type ValueReader } from "./segment.ts";

/** A decoder for one table. Throws `usage` for options that contradict each other. */
export function createDecoder(options: DecoderOptions): Decoder {
  return new TableDecoder(options);
}

const TIMESTAMPTZ: Type = { kind: "timestamp", zone: true };

class TableDecoder implements Decoder, SegmentSchema {
  readonly options: DecoderOptions;
  fields: readonly Field[];
  version = 0;
  needsSample: boolean;
  private readonly metadata: readonly Field[];
  /** The column limit was reached: new fields reject their records. */
  private full = false;

  constructor(options: DecoderOptions) {
    this.options = options;
    this.metadata = metadataFields(options.metadataColumns, options.metadataPrefix);
    const data = options.format === "json" ? (options.fields ?? []) : [valueField(options.format)];
    this.needsSample = options.format === "json" && options.fields === null;
    this.fields = [...data.map((field) => this.asEventTime(field)), ...this.metadata];
    refuseCollisions(this.fields);
    if (options.eventTimeField !== null) eventTime(options.eventTimeFormat, 1000n);
  }

  sample(batches: readonly RecordBytes[]): void {
    if (this.needsSample) this.infer(batches, this.options.inferRows);
    this.needsSample = false;
    const name = this.options.eventTimeField;
    if (name === null || this.fields.some((field) => field.name === name)) return;
    this.setFields([{ id: 0, name, required: false, type: TIMESTAMPTZ }, ...this.fields]);
  }

  adopt(fields: readonly Field[]): void {
    const table = fields.map((field) => {
      const own = this.metadata.find((metadata) => metadata.name === field.name);
      // Coordinates are written as we make them; `conform` promotes them where the table differs.
      return own === undefined || own.type.kind === field.type.kind
        ? field
        : { ...field, type: own.type };
    });
    if (fields.some((field) => this.metadataOf(field.name) === null)) this.needsSample = false;
    this.setFields(overlayFields(table, this.fields));
  }

  builder(): SegmentBuilder {
    return new Segment(this);
  }

  metadataOf(name: string): MetadataColumn | null {
    const { metadataColumns, metadataPrefix } = this.options;
    return metadataColumns.find((column) => metadataPrefix + column === name) ?? null;
  }

  reader(columns: readonly ColumnBuilder[]): ValueReader {
    if (this.options.format !== "json") return new RawReader(columns[0] as ColumnBuilder);
    const { flattenSeparator, eventTimeField, onUnknownField } = this.options;
    const root = compileRow(columns, {
      flattenSeparator,
      eventTimeField,
      eventTime: (type) => this.eventTimeOf(type),
      reservedNames: this.metadata.map((field) => field.name),
    });
    if (onUnknownField !== "evolve") return new JsonReader(root, onUnknownField);
    return new JsonReader(root, this.full ? "too_many_columns" : "evolve");
  }

  learn(batch: RecordBytes): boolean {
    const before = leafCount(this.fields);
    this.infer([batch], batch.recordCount);
    return this.full || leafCount(this.fields) > before;
  }

  private infer(batches: readonly RecordBytes[], recordsMax: number): void {
    const data = this.fields.filter((field) => this.metadataOf(field.name) === null);
    const inference = new Inference(data, this.options.flattenSeparator);
    let left = recordsMax;
    for (const batch of batches) {
      const cursor = new RecordCursor(batch);
      const wantedDelta = Number(batch.wantedOffset - batch.baseOffset);
      while (left > 0 && cursor.next()) {
        if (cursor.offsetDelta < wantedDelta || cursor.valueStart < 0) continue;
        inference.add(cursor.bytes, cursor.valueStart, cursor.valueEnd);
        left--;
      }
    }
    const { fields, full } = inference.finish(this.options.maxColumns - leafCount(this.fields));
    this.full ||= full;
    const learned = fields.map((field) => this.asEventTime(field));
    const first = data.length === 0;
    this.setFields(first ? [...learned, ...this.metadata] : overlayFields(this.fields, learned));
  }

  private setFields(fields: readonly Field[]): void {
    this.fields = fields;
    this.version++;
  }

  private asEventTime(field: Field): Field {
    if (field.name !== this.options.eventTimeField || field.id !== 0) return field;
    const { kind } = field.type;
    const inferred = kind === "long" || kind === "double" || kind === "string";
    return inferred ? { ...field, type: TIMESTAMPTZ } : field;
  }

  private eventTimeOf(type: PrimitiveType): EventTime | null {
    if (type.kind === "timestamp") return eventTime(this.options.eventTimeFormat, 1000n);
    return type.kind === "timestamp_ns" ? eventTime(this.options.eventTimeFormat, 1n) : null;
  }
}

function valueField(format: "string" | "bytes"): Field {
  const kind = format === "string" ? "string" : "binary";
  return { id: 0, name: "value", required: false, type: { kind } };
}

function refuseCollisions(fields: readonly Field[]): void {
  const seen = new Set<string>();
  for (const { name } of fields) {
    if (seen.has(name.toLowerCase())) {
      throw fail("usage", `Two columns are called "${name}" (upper and lower case count as one)`);
    }
    seen.add(name.toLowerCase());
  }
}
