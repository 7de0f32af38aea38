/**
 * The footer of a Parquet file as `parquet-wasm` wrote it: reads what manifests need, and adds the
 * UUID annotation that it leaves out.
 *
 * Layout of a file's end: `FileMetaData` in Thrift's compact protocol, its length (4 bytes little
 * endian), `PAR1`. Every offset in it points before the footer, so bytes may be inserted into it;
 * nothing is decoded and encoded again, hence nothing can be lost.
 */

import { deserializeTCompactProtocol, readVarInt, readZigZag } from "hyparquet/src/thrift.js";
import { assert } from "#base/assert.ts";
import { metadataLength, TRAILER_BYTES } from "./layout.ts";

/** One column chunk; values as Parquet's PLAIN encoding stores them. */
export interface ChunkMetadata {
  /** Compressed, dictionary page and page headers included. */
  readonly compressedBytes: bigint;
  /** Values and nulls of the leaf: one per element, and one per null or empty list. */
  readonly valueCount: bigint;
  readonly nullCount: bigint;
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
}

/** One row group. */
export interface RowGroupMetadata {
  /** Offset of its first page in the file. */
  readonly offset: bigint;
  readonly rowCount: bigint;
  /** One chunk per leaf column, in schema order. */
  readonly chunks: readonly ChunkMetadata[];
}

/** The part of a Parquet footer that Iceberg's manifests need. */
export interface Footer {
  readonly rowCount: bigint;
  readonly rowGroups: readonly RowGroupMetadata[];
}

/** `logicalType: LogicalType{UUID: UUIDType{}}`, as the field after `field_id` of SchemaElement. */
const UUID_ANNOTATION = new Uint8Array([0x1c, 0xec, 0x00, 0x00]);

/** Header bytes of `FileMetaData.version` (field 1, i32) and `.schema` (field 2, list). */
const VERSION_HEADER = 0x15;
const SCHEMA_HEADER = 0x19;

/** Splits a file in chunks into its body and its footer (`FileMetaData` and trailer). */
export function splitFooter(chunks: readonly Uint8Array[]): {
  readonly body: readonly Uint8Array[];
  readonly footer: Uint8Array;
} {
  const metadataBytes = metadataLength(takeTail(chunks, TRAILER_BYTES).tail);
  assert(metadataBytes !== null, "the encoder wrote a Parquet file");
  const { body, tail } = takeTail(chunks, metadataBytes + TRAILER_BYTES);
  return { body, footer: tail };
}

/** Reads a footer (Parquet format, `FileMetaData`). */
export function readFooter(footer: Uint8Array): Footer {
  const reader = { view: viewOf(footer), offset: 0 };
  const metadata = deserializeTCompactProtocol(reader) as unknown as RawFooter;
  return { rowCount: metadata.field_3, rowGroups: metadata.field_4.map(readRowGroup) };
}

/** The footer with the UUID annotation on the columns of these field ids. */
export function annotateUuids(footer: Uint8Array, fieldIds: ReadonlySet<number>): Uint8Array {
  if (fieldIds.size === 0) return footer;
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (const { fieldId, end } of schemaElements(footer)) {
    if (!fieldIds.has(fieldId)) continue;
    parts.push(footer.subarray(copied, end), UUID_ANNOTATION);
    copied = end;
  }
  assert(parts.length === 2 * fieldIds.size, "the footer has every uuid column once");
  parts.push(footer.subarray(copied));
  const amended = concatenate(parts);
  viewOf(amended).setUint32(amended.length - TRAILER_BYTES, amended.length - TRAILER_BYTES, true);
  return amended;
}

/** Each schema element whose last field is its field id, and where that ends. */
function* schemaElements(footer: Uint8Array): Generator<{ fieldId: number; end: number }> {
  const reader = { view: viewOf(footer), offset: 0 };
  assert(footer[reader.offset++] === VERSION_HEADER, "FileMetaData begins with its version");
  readZigZag(reader);
  assert(footer[reader.offset++] === SCHEMA_HEADER, "the schema follows the version");
  const header = footer[reader.offset++] ?? 0;
  const count = header >> 4 === 15 ? readVarInt(reader) : header >> 4;
  for (let index = 0; index < count; index++) {
    const element = deserializeTCompactProtocol(reader) as RawSchemaElement;
    if (element.field_9 === undefined || element.field_10 !== undefined) continue;
    yield { fieldId: element.field_9, end: reader.offset - 1 };
  }
}

/** What `FileMetaData` decodes to; field numbers of parquet.thrift. */
interface RawFooter {
  readonly field_3: bigint;
  readonly field_4: readonly RawRowGroup[];
}

/** `SchemaElement`: field_id and logicalType. */
interface RawSchemaElement {
  readonly field_9?: number;
  readonly field_10?: unknown;
}

interface RawRowGroup {
  /** `columns[].meta_data`. */
  readonly field_1: readonly { readonly field_3: RawColumn }[];
  /** `num_rows`. */
  readonly field_3: bigint;
}

/** `ColumnMetaData`. */
interface RawColumn {
  readonly field_5: bigint;
  readonly field_7: bigint;
  readonly field_9: bigint;
  readonly field_11?: bigint;
  readonly field_12?: RawStatistics;
}

/** `Statistics`: null_count, max_value, min_value. */
interface RawStatistics {
  readonly field_3?: bigint;
  readonly field_5?: Uint8Array;
  readonly field_6?: Uint8Array;
}

function readRowGroup(group: RawRowGroup): RowGroupMetadata {
  const columns = group.field_1.map((chunk) => chunk.field_3);
  const first = columns[0];
  assert(first !== undefined, "a row group has columns");
  return {
    // The dictionary page, if there is one, comes before the data pages.
    offset: first.field_11 ?? first.field_9,
    rowCount: group.field_3,
    chunks: columns.map(readChunk),
  };
}

function readChunk(column: RawColumn): ChunkMetadata {
  const statistics = column.field_12;
  assert(statistics?.field_3 !== undefined, "the encoder counts nulls");
  return {
    compressedBytes: column.field_7,
    valueCount: column.field_5,
    nullCount: statistics.field_3,
    min: statistics.field_6 ?? null,
    max: statistics.field_5 ?? null,
  };
}

/** The last `count` bytes in one piece, and the chunks before them. */
function takeTail(
  chunks: readonly Uint8Array[],
  count: number,
): { readonly body: readonly Uint8Array[]; readonly tail: Uint8Array } {
  const tails: Uint8Array[] = [];
  const body = [...chunks];
  for (let missing = count; missing > 0; ) {
    const chunk = body.pop();
    assert(chunk !== undefined, "a Parquet file is longer than its footer");
    const cut = Math.max(0, chunk.length - missing);
    tails.unshift(chunk.subarray(cut));
    missing -= chunk.length - cut;
    if (cut > 0) body.push(chunk.subarray(0, cut));
  }
  return { body, tail: concatenate(tails) };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
