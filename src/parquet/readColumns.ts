/**
 * Reading a few flat columns back from Parquet files of any engine, a row group at a time, by
 * hyparquet. Not for the data path: it is asked only where other engines have left no other trace.
 */
import {
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  type SchemaElement,
} from "hyparquet";
import { fail } from "#base/errors.ts";
import { DECOMPRESSORS } from "./decompress.ts";

/** A file whose bytes are fetched by range. */
export interface ParquetBytes {
  readonly byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

/** What is asked of a store: `Storage.getRange`. */
export interface RangeReader {
  getRange(location: string, start: number, length: number): Promise<Uint8Array>;
}

/** A stored file whose bytes are fetched by range. */
export function parquetBytes(store: RangeReader, path: string, byteLength: number): ParquetBytes {
  return {
    byteLength,
    slice: async (start: number, end = byteLength): Promise<ArrayBuffer> => {
      const bytes = await store.getRange(path, start, end - start);
      return new Uint8Array(bytes).buffer;
    },
  };
}

/** Values of one column, row by row; null where the column has none. */
export type ColumnValues = ArrayLike<string | number | bigint | null>;

/** A top-level column: by its Iceberg field id, or by its names in a file without any field ids. */
export interface WantedColumn {
  readonly id: number;
  readonly names: readonly string[];
}

/**
 * Reads columns, each row group as one array per column; null for one that the file does not have.
 * @throws AppError `storage_corrupt` for a file that is no Parquet, or of an unknown compression
 */
export async function* readColumns(
  file: ParquetBytes,
  wanted: readonly WantedColumn[],
): AsyncGenerator<(ColumnValues | null)[]> {
  const metadata = await guarded(() => parquetMetadataAsync(file));
  const names = wanted.map((column) => columnName(metadata, column));
  yield* readNamed(file, metadata, names, "texts");
}

/** A value as Parquet stores it; null where the column has none. */
export type StoredValue = boolean | number | bigint | Uint8Array | null | undefined;

/**
 * What each value of {@link readStored} leaves behind, in bytes: one of 64 bits is an object, and has its place in a list and a
 * level. Who reads many in a thread whose memory looks large for other reasons collects by it.
 */
export const LEFT_PER_VALUE = 64;

/** One column as Parquet stores it: texts, decimals and identifiers are bytes, times are integers. */
export interface StoredColumn {
  readonly values: ArrayLike<StoredValue>;
  /** Of a timestamp or time of day. */
  readonly unit: "MILLIS" | "MICROS" | "NANOS" | null;
  /** 96-bit timestamps are none that a caller could want. */
  readonly isInt96: boolean;
}

/**
 * Reads columns without turning values into what JavaScript has for them, which loses digits; each row
 * group as one array per column, null for one that the file does not have.
 * @throws AppError as {@link readColumns}
 */
export async function* readStored(
  file: ParquetBytes,
  wanted: readonly WantedColumn[],
): AsyncGenerator<{ readonly rows: number; readonly columns: (StoredColumn | null)[] }> {
  const metadata = await guarded(() => parquetMetadataAsync(file));
  const names = wanted.map((column) => columnName(metadata, column));
  const elements = topLevel(metadata.schema);
  const schema = metadata.schema.map(({ converted_type, logical_type, ...stored }) => stored);
  let group = 0;
  for await (const columns of readNamed(file, { ...metadata, schema }, names, "bytes")) {
    const rows = Number(metadata.row_groups[group++]?.num_rows ?? 0n);
    yield { rows, columns: columns.map(storedColumn) };
  }

  function storedColumn(values: ColumnValues | null, at: number): StoredColumn | null {
    const element = elements.find(({ name }) => name === names[at]);
    if (values === null || element === undefined) return null;
    return {
      values: values as ArrayLike<StoredValue>,
      unit: unitOf(element),
      isInt96: element.type === "INT96",
    };
  }
}

/** The unit of a timestamp or time of day; null: it is none, or has another one. */
export function unitOf({
  logical_type: logical,
  converted_type: converted,
}: SchemaElement): StoredColumn["unit"] {
  if (logical?.type === "TIMESTAMP" || logical?.type === "TIME") return logical.unit;
  if (converted === "TIMESTAMP_MILLIS" || converted === "TIME_MILLIS") return "MILLIS";
  return converted === "TIMESTAMP_MICROS" || converted === "TIME_MICROS" ? "MICROS" : null;
}

/** Reads columns by their names in the file, with what `metadata` says of them. */
async function* readNamed(
  file: ParquetBytes,
  metadata: FileMetaData,
  names: readonly (string | null)[],
  values: "texts" | "bytes",
): AsyncGenerator<(ColumnValues | null)[]> {
  const columns = names.filter((name) => name !== null);
  let rowStart = 0;
  for (const { num_rows: rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(rows);
    const parts = new Map<string, ColumnValues[]>();
    const onChunk = ({
      columnName: name,
      columnData,
    }: {
      columnName: string;
      columnData: unknown;
    }) => {
      const list = parts.get(name) ?? [];
      parts.set(name, list);
      list.push(columnData as ColumnValues);
    };
    const options = {
      file,
      metadata,
      columns,
      rowStart,
      rowEnd,
      onChunk,
      compressors: DECOMPRESSORS,
      utf8: values === "texts",
    };
    if (columns.length > 0) await guarded(() => parquetRead(options));
    yield names.map((name) => (name === null ? null : joined(parts.get(name) ?? [])));
    rowStart = rowEnd;
  }
}

/** A row by column names: nested values as objects and lists, bytes as they are, times as `Date`. */
export type ParquetRow = Readonly<Record<string, unknown>>;

/**
 * Reads whole rows, each row group at once; columns that the file does not have are left out. Values
 * become objects: for a person's commands, never for many rows.
 * @throws AppError `storage_corrupt` as {@link readColumns}
 */
export async function* readRows(
  file: ParquetBytes,
  columns: readonly string[],
): AsyncGenerator<readonly ParquetRow[]> {
  const metadata = await guarded(() => parquetMetadataAsync(file));
  const there = new Set(metadata.schema.map(({ name }) => name));
  const known = columns.filter((name) => there.has(name));
  let rowStart = 0;
  for (const { num_rows: count } of metadata.row_groups) {
    const rowEnd = rowStart + Number(count);
    const options = {
      file,
      metadata,
      columns: known,
      rowStart,
      rowEnd,
      compressors: DECOMPRESSORS,
    };
    const rows: ParquetRow[] = [];
    await guarded(() =>
      parquetRead({
        ...options,
        rowFormat: "object",
        utf8: false,
        onComplete: (all) => {
          for (const row of all) rows.push(row);
        },
      }),
    );
    yield rows;
    rowStart = rowEnd;
  }
}

/** The name of a column in the file; null when there is none. A file has ids for all columns, or for none. */
function columnName({ schema }: FileMetaData, { id, names }: WantedColumn): string | null {
  const columns = topLevel(schema);
  const hasIds = schema.some((element) => element.field_id !== undefined);
  const found = columns.find(({ name, field_id: own }) =>
    hasIds ? own === id : names.includes(name),
  );
  return found?.name ?? null;
}

/** The children of the root: the schema lists each element before its own children. */
function topLevel(schema: FileMetaData["schema"]): FileMetaData["schema"] {
  const columns: FileMetaData["schema"] = [];
  for (let at = 1; at < schema.length; ) {
    const element = schema[at];
    if (element === undefined) break;
    columns.push(element);
    for (let left = 1; left > 0; left--) left += schema[at++]?.num_children ?? 0;
  }
  return columns;
}

function joined(parts: readonly ColumnValues[]): ColumnValues {
  const [first] = parts;
  return parts.length === 1 && first !== undefined
    ? first
    : parts.flatMap((part) => Array.from(part));
}

/** What `action` does; an error of hyparquet becomes `storage_corrupt`. */
export async function guarded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    // What the store says about fetching comes through as it is.
    if (!(cause instanceof Error) || "kind" in cause) throw cause;
    throw fail("storage_corrupt", `A Parquet file cannot be read: ${cause.message}`, {}, cause);
  }
}
