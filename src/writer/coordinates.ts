/**
 * Kafka's coordinates of the rows of a data file, for `commit/`, which knows no Parquet.
 */
import type { CoordinateFields, CoordinateRun } from "#commit/liveRows.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { type ColumnValues, parquetBytes, readColumns } from "#parquet/readColumns.ts";
import type { Storage } from "#storage/storage.ts";

/** Reads coordinates a row group at a time; a file without the columns has none. */
export async function* readCoordinates(
  storage: Storage,
  { filePath, fileSizeBytes }: DataFile,
  fields: CoordinateFields,
): AsyncGenerator<CoordinateRun> {
  const file = parquetBytes(storage, filePath, Number(fileSizeBytes));
  const ids = [fields.partition, fields.offset, ...(fields.topic === null ? [] : [fields.topic])];
  const columns = ids.map((id) => ({ id, names: fields.names?.get(id) ?? [] }));
  for await (const [partitions, offsets, topics] of readColumns(file, columns)) {
    if (partitions == null || offsets == null) continue;
    yield {
      topics: (topics ?? null) as ArrayLike<string | null> | null,
      partitions: numbers(partitions),
      offsets: bigints(offsets),
    };
  }
}

/** A person may have made the partition's column a long. */
function numbers(values: ColumnValues): ArrayLike<number | null> {
  if (values instanceof Int32Array) return values;
  return Array.from(values, (value) => (value === null ? null : Number(value)));
}

/** Engines may write offsets as 32-bit integers; those are numbers. */
function bigints(values: ColumnValues): ArrayLike<bigint | null> {
  if (values instanceof BigInt64Array) return values;
  return Array.from(values, (value) => (value === null ? null : BigInt(value)));
}
