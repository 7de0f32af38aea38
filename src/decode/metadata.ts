/**
 * Kafka's coordinates as columns (SPEC section 4, `source.metadata_columns`).
 */
import { utf8Text } from "#base/text.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import { CHANGE } from "#columns/changes.ts";
import type { Field, Type } from "#columns/schema.ts";
import { appendBlank, DELETED, type Effect, keepsDeleted, neededColumns } from "./changes.ts";
import type { RecordBytes } from "./decoder.ts";
import type { DecoderOptions, EnvelopeColumn, MetadataColumn, RecordColumn } from "./options.ts";
import type { RecordCursor } from "./records.ts";

const encoder = new TextEncoder();

/** Kafka's mark for a record whose producer gave no timestamp; all other negative ones are times. */
export const NO_TIMESTAMP = -1;

const STRING: Type = { kind: "string" };
const BINARY: Type = { kind: "binary" };
const BOOLEAN: Type = { kind: "boolean" };

const HEADER: Type = {
  kind: "struct",
  fields: [
    { id: 0, name: "key", required: false, type: STRING },
    { id: 0, name: "value", required: false, type: BINARY },
  ],
};

const TYPES: Readonly<Record<MetadataColumn, Type>> = {
  topic: STRING,
  partition: { kind: "int" },
  offset: { kind: "long" },
  timestamp: { kind: "timestamp", zone: true },
  key: BINARY,
  headers: { kind: "list", element: { id: 0, name: "element", required: false, type: HEADER } },
  op: STRING,
  source_ts: { kind: "timestamp", zone: true },
  source_lsn: { kind: "long" },
  source_table: STRING,
};

/** A column that is filled beside the value: of the record, or by what it does to the table. */
export type AppendedColumn = RecordColumn | "change" | "deleted";

/** True for a column that only the envelope of a change has. */
export function isInEnvelope(column: MetadataColumn): column is EnvelopeColumn {
  return ["op", "source_ts", "source_lsn", "source_table"].includes(column);
}

/** The fields of metadata columns, ids 0. The Kafka key is among them where it is what rows are found by. */
export function metadataFields(options: DecoderOptions): Field[] {
  const { changes, metadataColumns, metadataPrefix } = options;
  const needed = neededColumns(options);
  const fields = metadataColumns.map((column) => {
    const name = metadataPrefix + column;
    return { id: 0, name, required: needed.includes(name), type: TYPES[column] };
  });
  if (!keepsDeleted(changes)) return fields;
  const deleted = { id: 0, name: metadataPrefix + DELETED, required: false, type: BOOLEAN };
  return [...fields, deleted];
}

/** Appends a record's coordinates, and what it does. */
export class MetadataAppender {
  private readonly columns: readonly (readonly [AppendedColumn, ColumnBuilder])[];
  private topic = new Uint8Array(0);
  private topicName = "";
  private baseLow = 0;
  private baseHigh = 0;
  private partition = 0;

  constructor(columns: readonly (readonly [AppendedColumn, ColumnBuilder])[]) {
    this.columns = columns;
  }

  /** Takes what all records of a batch share; of the batch itself nothing is kept, it may be 64 MiB. */
  start({ topic, partition, baseOffset }: RecordBytes): void {
    this.partition = partition;
    if (topic !== this.topicName) this.topic = encoder.encode(topic);
    this.topicName = topic;
    this.baseLow = Number(BigInt.asUintN(32, baseOffset));
    this.baseHigh = Number(baseOffset >> 32n);
  }

  /** The columns, with their kinds. */
  get kinds(): readonly (readonly [AppendedColumn, ColumnBuilder])[] {
    return this.columns;
  }

  /** True when there is a column of headers. */
  get hasHeaders(): boolean {
    return this.columns.some(([kind]) => kind === "headers");
  }

  /** The column of the table that needs what this record does not have, a key or a time; null: none. */
  missing(cursor: RecordCursor, timestampMs: number): string | null {
    for (const [kind, { field }] of this.columns) {
      if (!field.required) continue;
      if (kind === "key" && cursor.keyStart < 0) return field.name;
      if (kind === "timestamp" && timestampMs === NO_TIMESTAMP) return field.name;
    }
    return null;
  }

  /** The name of the column of Kafka's key, where no row may be without one; else null. */
  get neededKey(): string | null {
    const found = this.columns.find(([kind, { field }]) => kind === "key" && field.required);
    return found?.[1].field.name ?? null;
  }

  /** True when there is a column of timestamps. */
  get hasTimestamp(): boolean {
    return this.columns.some(([kind]) => kind === "timestamp");
  }

  /** Appends the headers of one record, where there is a column of them. */
  appendHeaders(cursor: RecordCursor): void {
    for (const [kind, column] of this.columns)
      if (kind === "headers") appendHeaders(column, cursor);
  }

  /** What empties a table has no key, where rows may not be without one: nobody reads it, unless rows stay. */
  private appendNoKey(column: ColumnBuilder): void {
    const isRead = !column.field.required || this.columns.some(([kind]) => kind === "deleted");
    if (isRead) column.appendNull();
    else appendBlank(column);
  }

  /** Appends one value to every metadata column. */
  append(cursor: RecordCursor, timestampMs: number, effect: Exclude<Effect, "none">): void {
    for (const [kind, column] of this.columns) {
      switch (kind) {
        case "partition":
          column.appendInt(this.partition);
          break;
        case "offset": {
          const low = this.baseLow + cursor.offsetDelta;
          const carry = Math.floor(low / 0x1_0000_0000);
          column.appendLong((low - carry * 0x1_0000_0000) | 0, this.baseHigh + carry);
          break;
        }
        case "timestamp":
          if (timestampMs === NO_TIMESTAMP) column.appendNull();
          else appendMicros(column, timestampMs);
          break;
        case "topic":
          column.appendBytes(this.topic, 0, this.topic.length);
          break;
        case "key":
          if (cursor.keyStart < 0) this.appendNoKey(column);
          else column.appendBytes(cursor.bytes, cursor.keyStart, cursor.keyEnd);
          break;
        case "headers":
          appendHeaders(column, cursor);
          break;
        case "change":
          column.appendInt(CHANGE[effect]);
          break;
        case "deleted":
          column.appendBoolean(effect === "delete" || effect === "truncate");
          break;
      }
    }
  }
}

/** Appends a time in ms to a column of timestamps, in their microseconds. */
export function appendMicros(column: ColumnBuilder, timestampMs: number): void {
  const micros = timestampMs * 1000;
  if (Number.isSafeInteger(micros)) column.appendSafeLong(micros);
  else column.appendBigInt(BigInt(timestampMs) * 1000n);
}

function appendHeaders(column: ColumnBuilder, cursor: RecordCursor): void {
  const element = column.children[0] as ColumnBuilder;
  const [key, value] = element.children as [ColumnBuilder, ColumnBuilder];
  cursor.headers((keyStart, keyEnd, valueStart, valueEnd) => {
    // Kafka says that header keys are UTF-8; one that isn't must not spoil the column.
    const text = encoder.encode(utf8Text(cursor.bytes.subarray(keyStart, keyEnd)));
    key.appendBytes(text, 0, text.length);
    if (valueStart < 0) value.appendNull();
    else value.appendBytes(cursor.bytes, valueStart, valueEnd);
    element.endStruct();
  });
  column.endList();
}
