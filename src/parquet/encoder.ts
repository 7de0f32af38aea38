/**
 * The Parquet port: sealed columns in, a Parquet file's bytes and statistics out. Encoding is CPU
 * work: `worker.ts` runs it in a Worker through the same function, so that the event loop goes on.
 */
import type { ColumnBatch } from "#columns/batch.ts";
import type { Field } from "#columns/schema.ts";

/** Codecs of `iceberg.write.compression`. */
export type ParquetCodec = "none" | "snappy" | "gzip" | "lz4" | "zstd" | "brotli";

/** How to encode. */
export interface EncodeOptions {
  readonly codec: ParquetCodec;
  /** Codec level; null for the codec's default. */
  readonly level: number | null;
  /** Rows per row group. */
  readonly rowGroupRows: number;
  /** Footer key-value metadata: `kafka-iceberg.*` (SPEC 5) and `iceberg.schema`. */
  readonly metadata: Readonly<Record<string, string>>;
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

/** An encoded file. */
export interface EncodedFile {
  /** The file in order; chunks are written as they stand. */
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly rowCount: number;
  /** Start of each row group (Iceberg `split_offsets`). */
  readonly splitOffsets: readonly bigint[];
  readonly metrics: readonly ColumnMetrics[];
}

/** Encodes rows as one Parquet file. `fields` carry the table's ids and must match the batches. */
export interface ParquetEncoder {
  /** Buffers of `batches` may be read from another thread until it resolves; they are not changed. */
  encode(
    fields: readonly Field[],
    batches: readonly ColumnBatch[],
    options: EncodeOptions,
  ): Promise<EncodedFile>;
  close(): Promise<void>;
}
