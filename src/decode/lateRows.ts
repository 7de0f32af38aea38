/**
 * Late rows as rows of a late table: those of the table that they are not in, and the id of their
 * topic, which tells records of a topic from those of an earlier one of its name.
 */
import { fail } from "#base/errors.ts";
import type { ColumnBatch } from "#columns/batch.ts";
import { ColumnBuilder } from "#columns/builder.ts";
import { type LiveColumn, liveColumns } from "#columns/live.ts";
import type { Field } from "#columns/schema.ts";
import type { SegmentMemory } from "#columns/segmentMemory.ts";
import type { ColumnSize } from "#columns/size.ts";
import type { Decoder, RecordBytes, SegmentBuilder } from "./decoder.ts";

const encoder = new TextEncoder();

/** The column of the topic's id; `name` has the prefix of metadata columns. */
export function topicIdField(name: string): Field {
  const doc = "Another id is another topic of the same name";
  return { id: 0, name, required: false, type: { kind: "string" }, doc };
}

/** Late rows of one feed under construction. */
export class LateRows {
  readonly #rows: SegmentBuilder;
  readonly #topics: ColumnBuilder;

  /**
   * @param decoder of the table that the rows are not in
   * @param topicId the column of the topic's id
   * @throws AppError `table_schema` when records have a field of its name
   */
  constructor(decoder: Decoder, expected: readonly ColumnSize[], topicId: Field) {
    const name = topicId.name.toLowerCase();
    if (decoder.fields.some((field) => field.name.toLowerCase() === name)) {
      const sentence =
        `Late tables have a column ${topicId.name} of their own, and so have the records. Give ours ` +
        "another name: source.metadata_prefix";
      throw fail("table_schema", sentence);
    }
    this.#rows = decoder.builder(expected);
    this.#topics = new ColumnBuilder(topicId, this.#rows.memory);
  }

  get rowCount(): number {
    return this.#rows.rowCount;
  }

  get byteCount(): number {
    return this.#rows.byteCount + this.#topics.byteCount;
  }

  get usedBytes(): number {
    return this.#rows.usedBytes + this.#topics.usedBytes;
  }

  /** As of every segment. */
  get hasWaiting(): boolean {
    return this.#rows.hasWaiting;
  }

  /** As of every segment. */
  get isCurrent(): boolean {
    return this.#rows.isCurrent;
  }

  get memory(): SegmentMemory {
    return this.#rows.memory;
  }

  /** Appends records that the table's decoder has made rows of a moment ago; the number of rows. */
  append(batch: RecordBytes, topicId: string): number {
    const { rows } = this.#rows.decode(batch);
    const id = encoder.encode(topicId);
    for (let row = 0; row < rows; row++) this.#topics.appendBytes(id, 0, id.length);
    return rows;
  }

  /** Takes back the rows behind the first `rowCount`. */
  truncate(rowCount: number): void {
    this.#rows.truncate(rowCount);
    this.#topics.truncate(rowCount);
  }

  live(): readonly LiveColumn[] {
    return [...this.#rows.live(), ...liveColumns([this.#topics])];
  }

  seal(): ColumnBatch {
    const batch = this.#rows.seal();
    const topics = this.#topics.seal();
    return {
      fields: [...batch.fields, topics.field],
      rowCount: batch.rowCount,
      columns: [...batch.columns, topics],
      byteCount: batch.byteCount + this.#topics.byteCount,
    };
  }
}
