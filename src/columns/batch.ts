/**
 * Arrow-layout columns: what a decoder builds, the hot buffer holds and Parquet encodes.
 *
 * Layout follows the Arrow columnar format: validity bitmaps LSB first, 1 = present, null = all
 * present; 32-bit offsets of `length + 1` entries starting at 0; little-endian values. Buffers may
 * be longer than needed. All buffers of a batch are ordinary or shared ArrayBuffers that can be
 * handed to a Worker.
 */
import type { Field } from "./schema.ts";

/** One column, or one child of a nested column. */
export interface Column {
  readonly field: Field;
  readonly length: number;
  /** Rows that are null here (for struct children: null or inside a null struct). */
  readonly nullCount: number;
  readonly validity: Uint8Array | null;
  /** string, binary, list, map: `length + 1` offsets into `data` or the children; else null. */
  readonly offsets: Int32Array | null;
  /**
   * Values, raw little-endian bytes; null for struct, list, map.
   * boolean: bit-packed LSB first; int, float, date: 4 bytes (date: days since epoch); long, double,
   * time, timestamp (microseconds), timestamp_ns: 8; decimal: 16-byte two's complement;
   * uuid: 16 bytes big-endian; fixed: its length; string (UTF-8), binary: concatenated.
   */
  readonly data: Uint8Array | null;
  /** struct: one per field; list: [element]; map: [key, value] (both of the same length). */
  readonly children: readonly Column[];
}

/** An immutable run of rows. */
export interface ColumnBatch {
  readonly fields: readonly Field[];
  readonly rowCount: number;
  readonly columns: readonly Column[];
  /** Bytes that the batch keeps in memory. */
  readonly byteCount: number;
}
