/**
 * Values of the rows that changes replace, read from the files of the head (SPEC section 6: what a source
 * did not log stays as it was).
 *
 * Keys are read file by file, so that each part of a file is read once, and until there are enough bytes:
 * whoever wants more asks for the rest.
 */
import { assert } from "#base/assert.ts";
import { fail } from "#base/errors.ts";
import { LIMITS } from "#base/limits.ts";
import { ColumnBuilder, sealColumns } from "#columns/builder.ts";
import type { Field } from "#columns/schema.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { TableMetadata } from "#iceberg/metadata/metadata.ts";
import { columnNamesInFiles } from "#iceberg/metadata/nameMapping.ts";
import { type CellSink, readCells } from "#parquet/readCells.ts";
import { parquetBytes } from "#parquet/readColumns.ts";
import type { FoundPlaces } from "./keyTable.ts";
import { refuseUnlessNull } from "./missingFields.ts";
import { keysByFile, newestRows } from "./newestRows.ts";
import { firstRows } from "./places.ts";
import type { KeySet, StandingValues } from "./port.ts";
import type { DeleteStore } from "./positionDeletes.ts";

/** Where rows that stand are found, and read. */
export interface ValueSource {
  readonly storage: DeleteStore;
  readonly metadata: TableMetadata;
  readonly locate: (keys: KeySet) => FoundPlaces;
  readonly fileOf: (number: number) => LiveData;
}

/** A row and the number of its key. */
interface StandingRow {
  readonly key: number;
  readonly row: number;
}

/** Reads columns of the rows of keys. @throws AppError as `RowIndex.values` */
export async function standingValues(
  source: ValueSource,
  keys: KeySet,
  columns: readonly Field[],
): Promise<StandingValues> {
  const { byFile, missing } = rowsOfKeys(source, keys);
  const names = columnNamesInFiles(source.metadata.properties);
  const sinks = columns.map((field) => ({
    id: field.id,
    names: names.get(field.id) ?? [],
    builder: new ColumnBuilder(field),
  }));
  const builders = sinks.map(({ builder }) => builder);
  const isFull = (): boolean =>
    builders.reduce((sum, { usedBytes }) => sum + usedBytes, 0) >= LIMITS.heldValueBytes;
  const read: number[] = [];
  for (const [file, rows] of byFile) {
    for await (const key of readRows(source, file, sinks, rows)) {
      read.push(key);
      if (isFull()) break;
    }
    if (isFull()) break;
  }
  const batch = sealColumns(builders, read.length);
  return { keys: Uint32Array.from(read), missing, batch };
}

/** Reads rows of a file, and stops after each with its key. @param standing ascending, each once */
async function* readRows(
  { storage, metadata }: ValueSource,
  file: LiveData,
  sinks: readonly CellSink[],
  standing: readonly StandingRow[],
): AsyncGenerator<number> {
  if (file.format !== "PARQUET") throw unreadable(file);
  const rows = Uint32Array.from(standing, ({ row }) => row);
  let at = 0;
  const bytes = parquetBytes(storage, file.path, file.bytes);
  const onMissing = (field: Field): void => refuseUnlessNull(metadata, file, field);
  for await (const row of readCells(bytes, sinks, rows, onMissing)) {
    const found = standing[at++];
    assert(found?.row === row, "rows come in the order that they were asked for");
    yield found.key;
  }
  if (at < standing.length) throw tooShort(file);
}

/** By files, each with its rows ascending. */
function rowsOfKeys(
  { locate, fileOf }: ValueSource,
  keys: KeySet,
): {
  readonly byFile: ReadonlyMap<LiveData, readonly StandingRow[]>;
  readonly missing: Uint32Array;
} {
  const newest = newestRows(locate(keys), keys.count, fileOf);
  const standing = [...keysByFile(newest)].map(([number, own]): [LiveData, StandingRow[]] => {
    const rows = Array.from(own, (key) => ({ key, row: newest.rows[key] ?? 0 }));
    return [fileOf(number), rows.sort((a, b) => a.row - b.row)];
  });
  const missing = firstRows(keys.count).filter((key) => newest.files[key] === 0);
  return { byFile: new Map(standing), missing };
}

function unreadable({ format, path }: LiveData): Error {
  const sentence = `The table has ${format} files, whose values we cannot read: rewrite them as Parquet with another engine`;
  return fail("table_unsupported", sentence, { file: path });
}

function tooShort({ path, rows }: LiveData): Error {
  const sentence = `${path} has fewer rows than its manifest says (${rows})`;
  return fail("storage_corrupt", sentence, { file: path });
}
