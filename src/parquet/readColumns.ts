/**
 * Reading a few flat columns back from Parquet files of any engine, a row group at a time, by
 * hyparquet. Not for the data path: it is asked only where other engines have left no other trace.
 */
import { type FileMetaData, parquetMetadataAsync, parquetRead } from "hyparquet";
import { fail } from "#base/errors.ts";

/** A file whose bytes are fetched by range. */
export interface ParquetBytes {
  readonly byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

/** Values of one column, row by row; null where the column has none. */
export type ColumnValues = ArrayLike<string | number | bigint | null>;

/**
 * Reads columns by Iceberg field id, each row group as one array per id; null for an id that the file
 * does not have.
 * @throws AppError `storage_corrupt` for a file that is no Parquet, or of an unknown compression
 */
export async function* readColumns(
  file: ParquetBytes,
  fieldIds: readonly number[],
): AsyncGenerator<(ColumnValues | null)[]> {
  const metadata = await guarded(() => parquetMetadataAsync(file));
  const names = fieldIds.map((id) => columnName(metadata, id));
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
      compressors: COMPRESSORS,
    };
    if (columns.length > 0) await guarded(() => parquetRead(options));
    yield names.map((name) => (name === null ? null : joined(parts.get(name) ?? [])));
    rowStart = rowEnd;
  }
}

/** The name of the top-level column with a field id; null when there is none. */
function columnName({ schema }: FileMetaData, fieldId: number): string | null {
  return schema.find((element) => element.field_id === fieldId)?.name ?? null;
}

function joined(parts: readonly ColumnValues[]): ColumnValues {
  const [first] = parts;
  return parts.length === 1 && first !== undefined
    ? first
    : parts.flatMap((part) => Array.from(part));
}

/** Codecs beside hyparquet's own (none, Snappy) that Bun has. */
const COMPRESSORS = {
  ZSTD: (bytes: Uint8Array): Uint8Array => Bun.zstdDecompressSync(new Uint8Array(bytes)),
  GZIP: (bytes: Uint8Array): Uint8Array => Bun.gunzipSync(new Uint8Array(bytes)),
};

async function guarded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    // What the store says about fetching comes through as it is.
    if (!(cause instanceof Error) || "kind" in cause) throw cause;
    throw fail("storage_corrupt", `A Parquet file cannot be read: ${cause.message}`, {}, cause);
  }
}
