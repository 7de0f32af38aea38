/**
 * A Parquet file of any writer as page copying needs it, read from its footer: the tree of its schema, and of each
 * column chunk where it lies and what is said of its values (Parquet format, `FileMetaData`).
 */
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { AppError, fail } from "#base/errors.ts";
import { utf8Text } from "#base/text.ts";
import { type ByteRange, metadataLength, TRAILER_BYTES } from "#parquet/layout.ts";

/** The bytes of a file. */
export interface SourceBytes {
  readonly bytes: number;
  /** Exactly these; they stay as they are. */
  read(start: number, end: number): Uint8Array;
}

/** An element of a file's schema, with what is below it. */
export interface SchemaNode {
  /** Null in files of writers that know no ids. */
  readonly fieldId: number | null;
  readonly name: string;
  readonly repetition: "REQUIRED" | "OPTIONAL" | "REPEATED";
  /** Number of Parquet's `Type`; null: a group. */
  readonly physical: number | null;
  /** Bytes of a FIXED_LEN_BYTE_ARRAY; 0 of others. */
  readonly width: number;
  /** `ConvertedType`, `scale`, `precision` and `LogicalType`, as Thrift has them. */
  readonly converted: number | null;
  readonly scale: number;
  readonly precision: number;
  readonly logical: RawLogicalType | null;
  readonly children: readonly SchemaNode[];
  /** Number of the first leaf that it is, or has below it. */
  readonly leaf: number;
}

/** A column chunk. */
export interface SourceChunk extends ByteRange {
  /** Number of Parquet's `CompressionCodec`. */
  readonly codec: number;
  readonly hasDictionary: boolean;
  /** Values, nulls and empty lists. */
  readonly entries: number;
  readonly nullCount: number;
  /** PLAIN; null: not known, or not to be trusted. */
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  /** Null: the writer does not say. */
  readonly isMinExact: boolean | null;
  readonly isMaxExact: boolean | null;
  /** Null: there is none, or nobody says how long it is. */
  readonly bloom: ByteRange | null;
}

/** A row group. */
export interface SourceGroup {
  readonly rows: number;
  /** Of its chunks. */
  readonly bytes: number;
  readonly chunks: readonly SourceChunk[];
}

/** A file. */
export interface SourceFile {
  readonly source: SourceBytes;
  readonly rows: number;
  readonly columns: readonly SchemaNode[];
  readonly groups: readonly SourceGroup[];
  readonly keys: readonly { readonly key: string; readonly value: string }[];
}

/** Why pages cannot be copied: the rows have to be decoded. */
export function unfit(reason: string): AppError {
  return fail("table_unsupported", `Pages cannot be copied: ${reason}`);
}

/**
 * Reads a footer.
 * @throws AppError `table_unsupported` for what is no Parquet file of plain pages, or lacks what is needed of it
 */
export function readSource(source: SourceBytes): SourceFile {
  const { bytes } = source;
  if (bytes < 2 * TRAILER_BYTES) throw unfit("a file is too short");
  const length = metadataLength(source.read(bytes - TRAILER_BYTES, bytes));
  if (length === null || length > bytes - TRAILER_BYTES) throw unfit("a file is no Parquet file");
  const metadata = source.read(bytes - TRAILER_BYTES - length, bytes - TRAILER_BYTES);
  try {
    return fileOf(source, metadata);
  } catch (error) {
    // What has no field where one must be is no footer.
    throw error instanceof AppError ? error : unfit(`a footer cannot be read: ${String(error)}`);
  }
}

function fileOf(source: SourceBytes, metadata: Uint8Array): SourceFile {
  const view = new DataView(metadata.buffer, metadata.byteOffset, metadata.byteLength);
  const raw = deserializeTCompactProtocol({ view, offset: 0 }) as unknown as RawFile;
  if (raw.field_8 !== undefined) throw unfit("a file is encrypted");
  const elements = raw.field_2;
  const walk = { at: 1, leaves: 0 };
  const columns: SchemaNode[] = [];
  while (walk.at < elements.length) columns.push(nodeAt(elements, walk));
  // Without an order of values the bounds of a chunk say nothing (parquet.thrift, `column_orders`).
  const hasOrder = raw.field_7 !== undefined;
  const groups = (raw.field_4 ?? []).map((group) => groupOf(group, hasOrder, walk.leaves));
  const keys = (raw.field_5 ?? []).map(({ field_1: key, field_2: value }) => ({
    key: utf8Text(key),
    value: value === undefined ? "" : utf8Text(value),
  }));
  return { source, rows: Number(raw.field_3), columns, groups, keys };
}

const REPETITIONS = ["REQUIRED", "OPTIONAL", "REPEATED"] as const;

function nodeAt(elements: readonly RawElement[], walk: { at: number; leaves: number }): SchemaNode {
  const element = elements[walk.at++];
  if (element === undefined) throw unfit("a schema ends within a column");
  const leaf = walk.leaves;
  const children: SchemaNode[] = [];
  const childCount = element.field_5 ?? 0;
  for (let child = 0; child < childCount; child++) children.push(nodeAt(elements, walk));
  if (childCount === 0) walk.leaves++;
  return {
    fieldId: element.field_9 ?? null,
    name: utf8Text(element.field_4),
    repetition: REPETITIONS[element.field_3 ?? 0] ?? "REQUIRED",
    physical: childCount === 0 ? (element.field_1 ?? null) : null,
    width: element.field_2 ?? 0,
    converted: element.field_6 ?? null,
    scale: element.field_7 ?? 0,
    precision: element.field_8 ?? 0,
    logical: element.field_10 ?? null,
    children,
    leaf,
  };
}

function groupOf(
  { field_1: columns, field_3: rows }: RawGroup,
  hasOrder: boolean,
  leaves: number,
): SourceGroup {
  if (columns.length !== leaves) throw unfit("a row group lacks a column");
  const chunks = columns.map((column) => chunkOf(column, hasOrder));
  const bytes = chunks.reduce((sum, { start, end }) => sum + end - start, 0);
  return { rows: Number(rows), bytes, chunks };
}

function chunkOf(raw: RawChunk, hasOrder: boolean): SourceChunk {
  const meta = raw.field_3;
  if (meta === undefined || raw.field_1 !== undefined || raw.field_8 !== undefined) {
    throw unfit("a column chunk is in another file, or encrypted");
  }
  const { field_9: data, field_11: dictionary, field_12: statistics } = meta;
  // Some writers put 0 where there is no dictionary.
  const hasDictionary = dictionary !== undefined && dictionary > 0n && dictionary < data;
  const start = Number(hasDictionary ? dictionary : data);
  if (statistics?.field_3 === undefined) throw unfit("a column chunk does not count its nulls");
  const [bloom, bloomBytes] = [meta.field_14, meta.field_15];
  const bloomStart = Number(bloom ?? 0);
  return {
    ...{ start, end: start + Number(meta.field_7), hasDictionary, codec: meta.field_4 },
    ...{ entries: Number(meta.field_5), nullCount: Number(statistics.field_3) },
    // Copies: a view would keep the whole footer.
    min: hasOrder ? (statistics.field_6?.slice() ?? null) : null,
    max: hasOrder ? (statistics.field_5?.slice() ?? null) : null,
    isMinExact: statistics.field_8 ?? null,
    isMaxExact: statistics.field_7 ?? null,
    bloom:
      bloom === undefined || bloomBytes === undefined
        ? null
        : { start: bloomStart, end: bloomStart + bloomBytes },
  };
}

/** What `FileMetaData` decodes to; field numbers of parquet.thrift. */
interface RawFile {
  readonly field_2: readonly RawElement[];
  readonly field_3: bigint;
  readonly field_4?: readonly RawGroup[];
  readonly field_5?: readonly { readonly field_1: Uint8Array; readonly field_2?: Uint8Array }[];
  /** column_orders */
  readonly field_7?: unknown;
  /** encryption_algorithm */
  readonly field_8?: unknown;
}

/** `SchemaElement`. */
interface RawElement {
  readonly field_1?: number;
  readonly field_2?: number;
  readonly field_3?: number;
  readonly field_4: Uint8Array;
  readonly field_5?: number;
  readonly field_6?: number;
  readonly field_7?: number;
  readonly field_8?: number;
  readonly field_9?: number;
  readonly field_10?: RawLogicalType;
}

/** `LogicalType`: a union. DECIMAL 5, TIME 7, TIMESTAMP 8, INTEGER 10 have members that matter. */
export interface RawLogicalType {
  readonly field_1?: unknown;
  readonly field_5?: { readonly field_1: number; readonly field_2: number };
  readonly field_6?: unknown;
  readonly field_7?: RawTimeType;
  readonly field_8?: RawTimeType;
  readonly field_10?: { readonly field_1: number; readonly field_2: boolean };
  readonly field_14?: unknown;
}

/** `TimeType`, `TimestampType`: isAdjustedToUTC; unit, a union of millis, micros, nanos. */
interface RawTimeType {
  readonly field_1: boolean;
  readonly field_2: { readonly field_2?: unknown; readonly field_3?: unknown };
}

/** `RowGroup`. */
interface RawGroup {
  readonly field_1: readonly RawChunk[];
  readonly field_3: bigint;
}

/** `ColumnChunk`: file_path, meta_data, crypto_metadata. */
interface RawChunk {
  readonly field_1?: Uint8Array;
  readonly field_3?: RawMeta;
  readonly field_8?: unknown;
}

/** `ColumnMetaData`. */
interface RawMeta {
  readonly field_4: number;
  readonly field_5: bigint;
  readonly field_7: bigint;
  readonly field_9: bigint;
  readonly field_11?: bigint;
  readonly field_12?: RawStatistics;
  readonly field_14?: bigint;
  readonly field_15?: number;
}

/** `Statistics`: null_count, max_value, min_value, is_max_value_exact, is_min_value_exact. */
interface RawStatistics {
  readonly field_3?: bigint;
  readonly field_5?: Uint8Array;
  readonly field_6?: Uint8Array;
  readonly field_7?: boolean;
  readonly field_8?: boolean;
}
