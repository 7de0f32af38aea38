/**
 * The format port: what a record's value is, and how it becomes the columns of a row.
 *
 * A format compiles a table's columns to a reader, which the loop over records asks for one value
 * after the other. It never waits there: what a batch needs first, such as a schema of a registry, is
 * asked for by `prepare`, before the loop.
 */
import type { ColumnBuilder } from "#columns/builder.ts";
import type { TakenPaths } from "#columns/paths.ts";
import type { Field, PrimitiveType } from "#columns/schema.ts";
import type { RecordBytes } from "./decoder.ts";
import type { EventTime } from "./eventTime.ts";
import type { ValueReader } from "./segment.ts";
import type { Shaping } from "./shaping.ts";

/** What a reader is compiled from, beside its columns. */
export interface TableSchema {
  /** Full paths of all columns, metadata columns included. */
  readonly taken: TakenPaths;
  /** Full paths of columns that the table's owner dropped: their fields are ignored. */
  readonly dropped: TakenPaths;
  /** Which fields are columns, under which names, and what stands for their values. */
  readonly shaping: Shaping;
  /** True when the table takes no further column. */
  readonly isFull: boolean;
  /** The reader of the event time's column; null when its type is no timestamp. */
  eventTime(type: PrimitiveType): EventTime | null;
}

/** What is known of a table when new fields are looked for. */
export interface KnownSchema {
  /** The fields so far, without columns of ours. */
  readonly fields: readonly Field[];
  /** Columns of ours, whose names are taken: metadata, and the format's own. */
  readonly metadata: readonly Field[];
  /** Leaf columns that there is room for; not above 0: none. */
  readonly room: number;
  /** Full paths of columns that the table's owner dropped: they are not brought back. */
  readonly dropped: TakenPaths;
  /** Which fields are columns, under which names, and what stands for their values. */
  readonly shaping: Shaping;
  /** Told which paths of the shaping no record showed, by a format that can tell. */
  readonly misses: (paths: ReadonlySet<string>) => void;
}

/** One format of values, for one table. */
export interface Format {
  /** Columns that its rows always have, ids 0: the whole value as one column, or none. */
  readonly own: readonly Field[];
  /** True when a value's own fields become columns, declared or learned; false: only `own`. */
  readonly hasFields: boolean;
  /**
   * Asks for what the records of a batch need before they can be read: null when that is all there, else
   * a promise, after which it is asked again. Only looks at the batch. The promise rejects with an
   * `AppError`, by whose policy the batch is tried again or its table stops. Null in place of the
   * function: a format that never needs anything.
   */
  readonly prepare: ((batch: RecordBytes) => Promise<void> | null) | null;
  /**
   * The fields that records show, ids 0 where they are new: the known ones, extended. Wanted before the
   * first row, and when a reader has met a field without a column.
   * @param recordsMax looks at so many records at most
   */
  learn(batches: readonly RecordBytes[], recordsMax: number, known: KnownSchema): readonly Field[];
  /**
   * Grows when readers that are compiled anew would know more, such as another schema of a registry.
   * Null: what they are compiled from is all in the table's columns.
   */
  readonly revision: (() => number) | null;
  /** The reader of values into these columns, which are the table's without metadata columns. */
  reader(columns: readonly ColumnBuilder[], schema: TableSchema): ValueReader;
}
