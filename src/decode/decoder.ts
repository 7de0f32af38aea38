/**
 * The decoder port: record batches in, Arrow-layout columns out. One pass over the bytes, no object
 * per record; this is the only per-record loop of the program.
 */
import type { ColumnBatch } from "#columns/batch.ts";
import type { ColumnBuilder } from "#columns/builder.ts";
import type { LiveColumn } from "#columns/live.ts";
import type { Field } from "#columns/schema.ts";
import type { SegmentMemory } from "#columns/segmentMemory.ts";
import type { ColumnSize } from "#columns/size.ts";

/** The part of a record batch that a decoder needs (`consumer/consumer.ts` has the whole). */
export interface RecordBytes {
  readonly topic: string;
  readonly partition: number;
  readonly wantedOffset: bigint;
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly payload: Uint8Array;
  readonly baseTimestampMs: number;
  readonly appendTimestampMs: number | null;
}

/** The bytes of a record; null as in Kafka. */
export interface RecordParts {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Its headers one after the other, as Kafka encodes them (protocol, "Record Header"); not checked. */
  readonly headers: Uint8Array;
}

/** A record that did not become a row. */
export interface Rejected {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  /** A short fixed word for metrics: `bad_json`, `too_deep`, `too_large`, `type_conflict`, ... */
  readonly reason: string;
  /** One sentence for a person; names the field, never the value. */
  readonly detail: string;
  /** Its bytes. Views into the batch: whoever keeps them copies. */
  readonly record: RecordParts;
}

/** What one `decode` call did. */
export interface DecodeResult {
  /** Rows appended. */
  readonly rows: number;
  /** Records below `wantedOffset`, and those that are passed over by `on_tombstone = "skip"`. */
  readonly skipped: number;
  readonly rejected: readonly Rejected[];
  /** Largest record timestamp seen, ms; 0 when no rows. */
  readonly timestampMsMax: number;
}

/** Rows of one table and one feed under construction. A builder belongs to one segment. */
export interface SegmentBuilder {
  readonly rowCount: number;
  /** Bytes of memory that the builder holds now. */
  readonly byteCount: number;
  /** Bytes of its values so far. */
  readonly usedBytes: number;
  /** True while rows wait for those of the next batch: until then their bytes are about those of their records. */
  readonly hasWaiting: boolean;
  /** False when columns that it has are others by now: its rows end here, a new segment goes on. */
  readonly isCurrent: boolean;
  /** Decodes all visible records of a batch and appends them. All or nothing on a thrown error. */
  decode(batch: RecordBytes): DecodeResult;
  /** The same; but null, and nothing appended, when it is the schema that refuses a record. */
  tryDecode(batch: RecordBytes): DecodeResult | null;
  /** Where its memory goes. */
  readonly memory: SegmentMemory;
  /** The column at a path of names through structs, as it is now; null: there is none. */
  column(path: string): ColumnBuilder | null;
  /** Its columns as another thread may read them, until `memory.layout` changes. */
  live(): readonly LiveColumn[];
  /** Takes back the rows behind the first `rowCount`: those of a batch that is not to count. */
  truncate(rowCount: number): void;
  /** The rows so far as an immutable batch; the builder must not be used afterwards. */
  seal(): ColumnBatch;
}

/** What the schemas that records come with ask of columns that a table has already. */
export interface Growth {
  /** Which schemas, for a sentence: `Schema 7 of subject t-value`. */
  readonly by: string;
  /** The table's columns as they would have to be: wider, or no longer required. */
  readonly fields: readonly Field[];
  /** What is wrong, one clause for each column. */
  readonly differences: readonly string[];
  /** The table has answered: from now on its columns count as they are. */
  readonly settled: () => void;
}

/** What a decoder is told of a table beside its columns. */
export interface SchemaHistory {
  /** Paths of columns that were dropped: their fields are ignored from then on. */
  readonly dropped: readonly string[];
  /** True when the table has had rows: no sample is needed. */
  readonly hasRows: boolean;
}

/**
 * Turns records of one table into columns. Its schema may grow while it decodes
 * (`on_unknown_field = "evolve"`): later segments then have more fields than earlier ones, with
 * provisional ids (0).
 */
export interface Decoder {
  /** The fields that the next segment starts with, metadata columns included. */
  readonly fields: readonly Field[];
  /** Declared fields, the event time as its column stores it. */
  readonly declared: readonly Field[];
  /** Fields that are ours, whatever the data holds: metadata columns, a raw format's value. */
  readonly own: readonly Field[];
  /** True while the schema is still being inferred: call `sample` before the first `builder`. */
  readonly needsSample: boolean;
  /**
   * Asks for what a batch's records need before they can be read, as `Format.prepare`: where it answers
   * with a promise, the batch is given to a builder after that. Null: nothing is ever needed.
   */
  readonly prepare: ((batch: RecordBytes) => Promise<void> | null) | null;
  /** What records ask of the table since `tryDecode` answered null; null: nothing. */
  takeGrowth(): Growth | null;
  /** Learns the schema from sampled batches (SPEC `schema.infer_rows`); ends `needsSample`. */
  sample(batches: readonly RecordBytes[]): void;
  /** Throws `usage` for settings that are wrong for certain where the table is not there yet. */
  checkNew(): void;
  /** Takes the table's schema as it is now (after creation, evolution, or a change by others). */
  adopt(fields: readonly Field[], history?: SchemaHistory): void;
  /**
   * A new segment.
   * @param expected sizes that it will probably reach; default: it starts small
   */
  builder(expected?: readonly ColumnSize[]): SegmentBuilder;
}
