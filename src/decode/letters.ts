/**
 * Dead letters: rejected records as rows of a dead-letter table, with their coordinates, their bytes and
 * why they are there (SPEC section 10). Columnar like all rows; a word or sentence that comes again is
 * encoded once.
 */
import { utf8Text } from "#base/text.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import { type LiveColumn, liveColumns } from "#columns/live.ts";
import type { Field, Type } from "#columns/schema.ts";
import { SegmentMemory } from "#columns/segmentMemory.ts";
import type { ColumnSize } from "#columns/size.ts";
import { isTimestampMs } from "#columns/times.ts";
import type { Rejected } from "./decoder.ts";
import { appendMicros, NO_TIMESTAMP } from "./metadata.ts";
import { headersOf } from "./records.ts";

const STRING: Type = { kind: "string" };
const BINARY: Type = { kind: "binary" };
const TIMESTAMPTZ: Type = { kind: "timestamp", zone: true };

function field(name: string, type: Type, required = false, doc?: string): Field {
  return { id: 0, name, required, type, ...(doc === undefined ? {} : { doc }) };
}

const HEADER: Field = field("element", {
  kind: "struct",
  fields: [field("key", STRING), field("value", BINARY)],
});

/** Column that is set in marks, and in no letter. */
export const LETTER_MARK = "retried_at";

/**
 * Columns of a dead-letter table. A row whose `retried_at` is set is no letter: it marks the letter of
 * the same coordinates as brought in, by the commit that it names.
 */
export const LETTER_FIELDS: readonly Field[] = [
  field("topic", STRING, true),
  field("topic_id", STRING, true, "Another id is another topic of the same name"),
  field("partition", { kind: "int" }, true),
  field("offset", { kind: "long" }, true),
  field("timestamp", TIMESTAMPTZ, false, "The record's, where a timestamp can hold it"),
  field("key", BINARY),
  field("headers", { kind: "list", element: HEADER }),
  field("value", BINARY, false, "The record's value, byte by byte"),
  field("reason", STRING, true),
  field("detail", STRING),
  field("rejected_at", TIMESTAMPTZ, true),
  field(LETTER_MARK, TIMESTAMPTZ, false, "Set in rows that mark a letter as brought in"),
  field("retry_commit_id", STRING),
];

/** Columns by which a letter names its record. */
export const LETTER_COORDINATES: {
  readonly topic: string;
  readonly partition: string;
  readonly offset: string;
} = { topic: "topic_id", partition: "partition", offset: "offset" };

/** Which letter a mark is for. */
export interface LetterPlace {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly reason: string;
  readonly rejectedMs: number;
}

/** Texts that are kept encoded: topics, reasons, and the sentences about a few hundred fields. */
const TEXTS_MAX = 512;

const encoder = new TextEncoder();

/** Letters of one feed under construction. */
export class LetterRows {
  readonly memory: SegmentMemory = new SegmentMemory();
  rowCount = 0;
  readonly #columns: readonly ColumnBuilder[];
  readonly #texts: Map<string, Uint8Array>;

  /**
   * @param expected sizes that it will probably reach
   * @param texts encoded already; shared by the segments of a table
   */
  constructor(expected: readonly ColumnSize[], texts: Map<string, Uint8Array>) {
    this.#columns = LETTER_FIELDS.map((each) => new ColumnBuilder(each, this.memory));
    this.#texts = texts;
    for (const size of expected) {
      this.#columns.find((column) => column.field.name === size.name)?.reserve(size);
    }
  }

  get byteCount(): number {
    return this.#columns.reduce((total, column) => total + column.byteCount, 0);
  }

  get usedBytes(): number {
    return this.#columns.reduce((total, column) => total + column.usedBytes, 0);
  }

  /** Appends one letter; its bytes are copied. */
  append(letter: Rejected, topicId: string, nowMs: number): void {
    const { record } = letter;
    this.#text(0, letter.topic);
    this.#text(1, topicId);
    this.#at(2).appendInt(letter.partition);
    this.#at(3).appendBigInt(letter.offset);
    this.#time(4, isStorable(letter.timestampMs) ? letter.timestampMs : null);
    this.#bytes(5, record.key);
    this.#headers(record.headers);
    this.#bytes(7, record.value);
    this.#text(8, letter.reason);
    this.#text(9, letter.detail);
    this.#time(10, nowMs);
    this.#at(11).appendNull();
    this.#at(12).appendNull();
    this.rowCount++;
  }

  /** Appends the mark that a letter was brought in; its bytes are the letter's to keep. */
  appendMark(letter: LetterPlace, retriedMs: number, commitId: string | null): void {
    this.#text(0, letter.topic);
    this.#text(1, letter.topicId);
    this.#at(2).appendInt(letter.partition);
    this.#at(3).appendBigInt(letter.offset);
    for (const index of [4, 5, 6, 7, 9]) this.#at(index).appendNull();
    this.#text(8, letter.reason);
    this.#time(10, letter.rejectedMs);
    this.#time(11, retriedMs);
    if (commitId === null) this.#at(12).appendNull();
    else this.#text(12, commitId);
    this.rowCount++;
  }

  /** Takes back the letters behind the first `rowCount`, and what was begun of one. */
  truncate(rowCount: number): void {
    for (const column of this.#columns) column.truncate(rowCount);
    this.rowCount = rowCount;
  }

  live(): readonly LiveColumn[] {
    return liveColumns(this.#columns);
  }

  seal(): ColumnBatch {
    return sealColumns(this.#columns, this.rowCount);
  }

  #at(index: number): ColumnBuilder {
    return this.#columns[index] as ColumnBuilder;
  }

  #text(index: number, text: string): void {
    const bytes = this.#encoded(text);
    this.#at(index).appendBytes(bytes, 0, bytes.length);
  }

  #encoded(text: string): Uint8Array {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
    const bytes = encoder.encode(text.toWellFormed());
    this.#texts.set(text, bytes);
    return bytes;
  }

  #bytes(index: number, bytes: Uint8Array | null): void {
    if (bytes === null) this.#at(index).appendNull();
    else this.#at(index).appendBytes(bytes, 0, bytes.length);
  }

  #time(index: number, timeMs: number | null): void {
    if (timeMs === null) this.#at(index).appendNull();
    else appendMicros(this.#at(index), timeMs);
  }

  /** Null where they are damaged: no reader could have told where one ends. */
  #headers(bytes: Uint8Array): void {
    const column = this.#at(6);
    const headers = headersOf(bytes);
    if (headers === null) {
      column.appendNull();
      return;
    }
    const element = column.children[0] as ColumnBuilder;
    const [keys, values] = element.children as [ColumnBuilder, ColumnBuilder];
    for (const { key, value } of headers) {
      // Kafka says that header keys are UTF-8.
      const text = encoder.encode(utf8Text(key));
      keys.appendBytes(text, 0, text.length);
      if (value === null) values.appendNull();
      else values.appendBytes(value, 0, value.length);
      element.endStruct();
    }
    column.endList();
  }
}

function isStorable(timestampMs: number): boolean {
  return timestampMs !== NO_TIMESTAMP && isTimestampMs(timestampMs);
}
