/**
 * What a decoder is told: the decoding part of SPEC section 4's `[source]` and `[schema]`.
 */
import { KERNELS_ON } from "#base/kernelSwitch.ts";
import type { Field } from "#columns/schema.ts";
import type { ProtoMessage } from "./protobuf/model.ts";
import type { ShapingOptions } from "./shaping.ts";

/** Metadata columns that a record itself has the values of (SPEC `source.metadata_columns`). */
export type RecordColumn = "topic" | "partition" | "offset" | "timestamp" | "key" | "headers";

/** Metadata columns whose values stand in the envelope of a change. */
export type EnvelopeColumn = "op" | "source_ts" | "source_lsn" | "source_table";

/** Metadata columns that can be asked for (SPEC `source.metadata_columns`). */
export type MetadataColumn = RecordColumn | EnvelopeColumn;

/** What Kafka's keys may be; `avro`, `protobuf` and `json-schema` in Confluent's wire format. */
export type KeyFormat =
  | "json"
  | "avro"
  | "protobuf"
  | "json-schema"
  | "string"
  | "bytes"
  | "long"
  | "int";

/** How records change the rows of their table (SPEC section 6). */
export interface ChangeOptions {
  /** A value is the row itself, or Debezium's envelope around it. */
  readonly mode: "ktable" | "cdc";
  /** Columns of the row that say which row it is; none: the metadata column `key` does, the Kafka key's bytes. */
  readonly keyFields: readonly string[];
  /** The column that says which change of a key is later. Default: null, they come in their order. */
  readonly orderColumn?: string | null;
  /** What the Kafka key of a record without a value is, where `keyFields` are to be taken from it. */
  readonly keyFormat: KeyFormat;
  /**
   * A delete removes the row, sets its column `<prefix>deleted`, or is passed over. `log`: every change is a row,
   * of a delete with true in that column, for the table of all changes (`source.track_changes`).
   */
  readonly onDelete: "delete" | "mark" | "ignore" | "log";
  /**
   * `cdc`: the member of a bare row that says what was done, which is no column; null: rows come in Debezium's
   * envelope.
   */
  readonly opField: string | null;
}

/** Columns of appended rows that Kafka's key fills. */
export interface RowKeyOptions {
  readonly columns: readonly string[];
  readonly format: KeyFormat;
}

/** What happens to a non-null field that the schema does not have. */
export type UnknownFieldPolicy = "evolve" | "ignore" | "rescue" | "dead_letter";

/** What becomes of a record without a value: it is rejected, passed over, or a row of nulls. */
export type TombstonePolicy = "dead_letter" | "skip" | "null_row";

/** Configuration of one table's decoder. */
export interface DecoderOptions {
  readonly format: "json" | "json-schema" | "avro" | "protobuf" | "string" | "bytes";
  /** `protobuf`: the type of every value, where that is known; null: it is not. */
  readonly message: ProtoMessage | null;
  /** Declared fields, ids 0; null: none. Not for `string` and `bytes`; of `protobuf` those of the message. */
  readonly fields: readonly Field[] | null;
  /** Columns that are not declared are learned from a sample. */
  readonly infer: boolean;
  /** Text of the schema file of a format that has one (`.avsc`); null: there is none. */
  readonly schemaText: string | null;
  /** The table may have columns of nanoseconds (format v3). */
  readonly hasNanos: boolean;
  /** How a field finds its column: by its very name, or by one that differs by case only. */
  readonly matchColumns: "exact" | "ignore-case";
  readonly onUnknownField: UnknownFieldPolicy;
  readonly onTombstone: TombstonePolicy;
  /** How records change rows; null: each appends one. */
  readonly changes: ChangeOptions | null;
  /** Columns that Kafka's key fills where rows are appended; null: none. */
  readonly rowKey: RowKeyOptions | null;
  /**
   * `dead_letter`: the record is rejected; `rescue`: the value is kept in `_rescued`, its column is null;
   * `fail`: `decode` throws a `data` error.
   */
  readonly onTypeConflict: "dead_letter" | "rescue" | "fail";
  /** `[source.transform]`; null: fields are what they are. */
  readonly shaping: ShapingOptions | null;
  /** Records that `sample` looks at, at most. */
  readonly inferRows: number;
  /** The type of a column that was not declared and shows whole numbers. */
  readonly inferIntegers: "long" | "double";
  /** Leaf columns of the table, metadata included; fields beyond reject their records. */
  readonly maxColumns: number;
  readonly metadataColumns: readonly MetadataColumn[];
  readonly metadataPrefix: string;
  /** Nested objects become columns named by their path; null: they become structs. */
  readonly flattenSeparator: string | null;
  /**
   * Full path of the column that holds the event's time and becomes a timestamptz; dots lead into
   * structs, unless nested objects are flattened.
   */
  readonly eventTimeField: string | null;
  /** `epoch_seconds`, `epoch_millis`, `epoch_micros`, `epoch_nanos`, `iso8601`, or a pattern. */
  readonly eventTimeFormat: string;
  /**
   * Decode with the WebAssembly kernel what it takes; false: all in TypeScript. For tests: "always": ask
   * the kernel for every record, even where it gives most of them up; "straight": the same with a
   * straight reader from the first record on.
   */
  readonly kernel: boolean | "always" | "straight";
}

/** SPEC section 4's defaults. */
export const DECODER_DEFAULTS: DecoderOptions = {
  format: "json",
  message: null,
  fields: null,
  schemaText: null,
  hasNanos: false,
  infer: true,
  matchColumns: "exact",
  onUnknownField: "evolve",
  onTombstone: "dead_letter",
  changes: null,
  rowKey: null,
  onTypeConflict: "dead_letter",
  shaping: null,
  inferRows: 10_000,
  inferIntegers: "long",
  maxColumns: 1000,
  metadataColumns: ["partition", "offset", "timestamp"],
  metadataPrefix: "_kafka_",
  flattenSeparator: null,
  eventTimeField: null,
  eventTimeFormat: "epoch_millis",
  kernel: KERNELS_ON,
};
