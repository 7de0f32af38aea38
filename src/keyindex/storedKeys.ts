/** Columns of keys as a table's files have them: of data files, and of equality deletes. */
import { fail } from "#base/errors.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { columnNamesInFiles } from "#iceberg/metadata/nameMapping.ts";
import { parquetBytes, readStored, type WantedColumn } from "#parquet/readColumns.ts";
import { storedKeyColumn } from "./keyColumns.ts";
import type { KeyColumn, KeyField } from "./keyHasher.ts";
import { refuseUnlessNull } from "./missingFields.ts";
import type { DeleteStore } from "./positionDeletes.ts";

/** A table's files. */
export interface StoredTable {
  readonly storage: DeleteStore;
  readonly metadata: TableMetadata;
}

/**
 * Reads columns of a Parquet file by field id, a row group at a time.
 * @throws AppError `table_unsupported` for files that are no Parquet and columns that cannot be compared;
 *   `storage_corrupt`; what the store throws
 */
export async function* readKeyColumns(
  { storage, metadata }: StoredTable,
  file: Pick<LiveData, "path" | "format" | "bytes" | "specId">,
  fields: readonly KeyField[],
): AsyncGenerator<{ readonly rows: number; readonly columns: ReadonlyMap<number, KeyColumn> }> {
  const { path } = file;
  if (file.format !== "PARQUET") {
    const sentence = `The table has ${file.format} files, whose keys we cannot read: rewrite them as Parquet with another engine`;
    throw fail("table_unsupported", sentence, { file: path });
  }
  const names = columnNamesInFiles(metadata.properties);
  const wanted = fields.map(({ id }): WantedColumn => ({ id, names: names.get(id) ?? [] }));
  const bytes = parquetBytes(storage, path, file.bytes);
  for await (const { rows, columns } of readStored(bytes, wanted)) {
    const found = fields.map((field, at): [number, KeyColumn] => {
      const column = columns[at] ?? null;
      if (column === null) refuseUnlessNull(metadata, file, field);
      return [field.id, storedKeyColumn(column, field, rows, path)];
    });
    yield { rows, columns: new Map(found) };
  }
}
