/**
 * Judges records that the kernel has left, on columns of its own: one that is refused costs neither its
 * segment's columns nor the rows that wait in the kernel anything. Without it, one bad record in twenty
 * made the kernel copy its rows out twenty at a time.
 *
 * A record that turns out to be a row is read again by the segment's own `RowAppender`: the judge's
 * columns are never looked at, and empty again after each record.
 *
 * Its reader has the bytes of the batch that it read last, up to 64 MiB. Of all judges only the one that judged last
 * keeps its reader and columns: between batches of one table they cost nothing, and anew they take 20 µs.
 */
import { ColumnBuilder } from "#columns/builder.ts";
import type { RecordBytes } from "./decoder.ts";
import type { RecordCursor } from "./records.ts";
import { type BatchResult, RowAppender } from "./rows.ts";
import type { SegmentSchema } from "./segment.ts";

/** Memory of its columns that is kept from one record to the next: each table may have a judge, and nobody counts it. */
const KEPT_BYTES = 64 * 1024;

/** A schema's judge, for segments that were begun at its present version. */
export class RecordJudge {
  /** The judge that judged last. */
  static #last: RecordJudge | null = null;
  readonly #schema: SegmentSchema;
  #columns: readonly ColumnBuilder[] = [];
  #rows: RowAppender | null = null;
  #version = -1;
  /** What `rows` were told of. */
  #batch: RecordBytes | null = null;

  constructor(schema: SegmentSchema) {
    this.#schema = schema;
  }

  /**
   * Judges the next record of `host`, at the cursor. `row`: nothing is noted, and it is to be read again;
   * `last`: it is noted, and its batch ends with it. Throws as `RowAppender` does.
   *
   * Not where records' own schemas ask for columns as they are read, nor where headers stand in the
   * columns before the rows that wait: those are the host's alone.
   */
  judge(
    batch: RecordBytes,
    host: RowAppender,
    cursor: RecordCursor,
    result: BatchResult,
  ): "row" | "noted" | "last" {
    if (host.metadata.hasHeaders) return "row";
    const last = RecordJudge.#last;
    if (last !== null && last !== this) last.#forget();
    RecordJudge.#last = this;
    const rows = this.#current();
    rows.begin(host.isEvolving, host.isFinal);
    if (rows.hearsAsks) return "row";
    if (this.#batch !== batch) rows.metadata.start(batch);
    this.#batch = batch;
    const { timestampMsMax } = result;
    try {
      const goesOn = rows.appendNext(batch, cursor, result);
      if (rows.count === 0) return goesOn ? "noted" : "last";
      result.rows--;
      result.timestampMsMax = timestampMsMax;
      return "row";
    } finally {
      rows.truncate(0);
      const bytes = this.#columns.reduce((sum, column) => sum + column.byteCount, 0);
      if (bytes > KEPT_BYTES) this.#forget();
    }
  }

  #forget(): void {
    this.#batch = null;
    this.#rows = null;
    this.#columns = [];
  }

  #current(): RowAppender {
    const { version, segmentFields } = this.#schema;
    if (this.#rows !== null && this.#version === version) return this.#rows;
    this.#columns = segmentFields.map((field) => new ColumnBuilder(field));
    this.#rows = new RowAppender(this.#schema, this.#columns, 0);
    this.#version = version;
    this.#batch = null;
    return this.#rows;
  }
}
