/**
 * The Parquet port: sealed columns in, a Parquet file's bytes out, then its statistics. Encoding is CPU
 * work: `worker.ts` runs it in a Worker through the same function, so that the event loop goes on.
 */
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";

/** Codecs of `iceberg.write.compression`. */
export type ParquetCodec = "none" | "snappy" | "gzip" | "lz4" | "zstd" | "brotli";

/** A column that rows are sorted by; the first one of several is the most significant. */
export interface SortKey {
  /** Number of the column, of the field in that struct, ... */
  readonly path: readonly number[];
  readonly isDescending: boolean;
  readonly hasNullsFirst: boolean;
}

/** A leaf column with a bloom filter in each row group. */
export interface BloomColumn {
  readonly fieldId: number;
  /** Share of values that are not there and are taken for being there, about. */
  readonly falsePositives: number;
  /** Of one filter. */
  readonly bytesMax: number;
}

/** Encoded bytes of a row group unless an encoding asks for others. */
export const ROW_GROUP_BYTES: number = 16 * 1024 * 1024;

/** How to encode. */
export interface EncodeOptions {
  readonly codec: ParquetCodec;
  /** Codec level; null for the codec's default. */
  readonly level: number | null;
  /** Rows per row group. */
  readonly rowGroupRows: number;
  /** About as many encoded bytes end a row group before it has its rows; default 16 MiB. */
  readonly rowGroupBytes?: number;
  /** How the file's rows are sorted; default: not. All of them are kept until the last one is there. */
  readonly sort?: readonly SortKey[];
  /** Default: none. Brotli at its default level has none either. */
  readonly bloomFilters?: readonly BloomColumn[];
  /** Footer key-value metadata: `kafka-iceberg.*` (SPEC 5) and `iceberg.schema`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** False: by `parquet-wasm` also what the encode kernel takes; default true. */
  readonly kernel?: boolean;
}

/** Per leaf or list/map field id: Iceberg's column metrics (Iceberg spec, "Manifests"). */
export interface ColumnMetrics {
  readonly fieldId: number;
  readonly sizeBytes: bigint;
  readonly valueCount: bigint;
  readonly nullCount: bigint;
  /** Only for float and double. */
  readonly nanCount: bigint | null;
  /** Iceberg single-value serialization, truncated to 16 (strings: code points); null: unknown. */
  readonly lowerBound: Uint8Array | null;
  readonly upperBound: Uint8Array | null;
}

/** What is known of a file once its last byte has gone to the sink. */
export interface EncodedFile {
  readonly bytes: number;
  /** SHA-256 of the bytes, lower-case hex. */
  readonly sha256: string;
  readonly rowCount: number;
  /** Start of each row group (Iceberg `split_offsets`). */
  readonly splitOffsets: readonly bigint[];
  readonly metrics: readonly ColumnMetrics[];
}

/** Rows of a batch that go into a file. */
export interface RowSlice {
  readonly batch: ColumnBatch;
  /** Row numbers, in the order wanted; null: all. */
  readonly rows: Int32Array | null;
}

/**
 * Takes a file's bytes in order while row groups are finished, one call at a time. A chunk may
 * be overwritten once its call resolves. What it throws ends the encoding and is what `encode` throws.
 */
export type ByteSink = (chunk: Uint8Array) => Promise<void>;

/**
 * A Parquet file whose rows come by and by: those that are there are encoded before the others are. One
 * call at a time; after one that failed there is only {@link OpenFile.discard}.
 */
export interface OpenFile {
  /** Encodes rows as row groups of their own. As {@link ParquetEncoder.encode}. */
  append(slices: Iterable<RowSlice>, sink: ByteSink): Promise<void>;
  /** Encodes the last rows and ends the file, with these keys in its footer. */
  finish(
    slices: Iterable<RowSlice>,
    metadata: EncodeOptions["metadata"],
    sink: ByteSink,
  ): Promise<EncodedFile>;
  /** Nobody wants it any more; to call while no other call is under way. After `finish` it does nothing. */
  discard(): void;
}

/** How an open file is encoded: its rows are not sorted, and its footer's keys come last. */
export type OpenFileOptions = Omit<EncodeOptions, "metadata" | "sort">;

/** Encodes rows as one Parquet file. `fields` carry the table's ids and must match the batches'. */
export interface ParquetEncoder {
  /**
   * Resolves when the sink has taken every byte; no call of the sink is under way any more, also
   * when it rejects. `slices` are asked for one after the other, as they are needed; the buffers of
   * their batches may be read from another thread until it settles, they are not changed.
   */
  encode(
    fields: readonly Field[],
    slices: Iterable<RowSlice>,
    options: EncodeOptions,
    sink: ByteSink,
  ): Promise<EncodedFile>;
  /** Null: such files are encoded in one go only, or too many are open. */
  open(fields: readonly Field[], options: OpenFileOptions): OpenFile | null;
  close(): Promise<void>;
}
