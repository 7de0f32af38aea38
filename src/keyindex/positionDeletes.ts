/**
 * Rows that are deleted by position: deletion vectors, and the files of format v2, as sets of rows
 * (Iceberg spec, "Position Delete Files", "Deletion Vectors").
 */
import { fail } from "#base/errors.ts";
import { utf8Text } from "#base/text.ts";
import { readDeletionVector } from "#iceberg/deletes/deletionVector.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { DataFile } from "#iceberg/manifest/manifest.ts";
import { parquetBytes, readStored } from "#parquet/readColumns.ts";
import type { Storage } from "#storage/storage.ts";

/** Where deleted rows are read from. */
export type DeleteStore = Pick<Storage, "getRange">;

/** Columns of position deletes, with the field ids that the Iceberg spec reserves. */
const FILE_PATH = { id: 2_147_483_546, names: ["file_path"] };
const POS = { id: 2_147_483_545, names: ["pos"] };

/**
 * Reads position deletes; keeps what it has read of files of format v2, each of which may name many data
 * files. One for each look at a head.
 */
export class PositionDeletes {
  readonly #storage: DeleteStore;
  readonly #read = new Map<string, Promise<ReadonlyMap<string, readonly number[]>>>();

  constructor(storage: DeleteStore) {
    this.#storage = storage;
  }

  /**
   * Adds the rows of a data file that a vector or a file of position deletes names.
   * @throws AppError `storage_corrupt` for damage, `table_unsupported` for files that are no Parquet
   */
  async addTo(
    rows: RowSet,
    data: Pick<LiveData, "path" | "rows">,
    { file }: LiveFile,
  ): Promise<void> {
    if (file.fileFormat.toUpperCase() === "PUFFIN") {
      await addVector(rows, this.#storage, data, file);
      return;
    }
    const known = this.#read.get(file.filePath) ?? readPositions(this.#storage, file);
    this.#read.set(file.filePath, known);
    for (const row of (await known).get(data.path) ?? []) {
      if (row < data.rows) rows.add(row);
    }
  }
}

async function addVector(
  rows: RowSet,
  storage: DeleteStore,
  data: Pick<LiveData, "path" | "rows">,
  file: DataFile,
): Promise<void> {
  const { filePath: puffin, contentOffset, contentSizeBytes } = file;
  const [start, length] = [Number(contentOffset ?? -1), Number(contentSizeBytes ?? -1)];
  if (start < 0 || length < 0 || start + length > Number(file.fileSizeBytes)) {
    const sentence = `A manifest does not say where in ${puffin} a deletion vector is`;
    throw fail("storage_corrupt", sentence, { file: puffin });
  }
  const blob = await storage.getRange(puffin, start, length);
  const place = { puffin, rows: data.rows, deleted: Number(file.recordCount) };
  readDeletionVector(blob, place, (word, bits) => rows.addWord(word, bits));
}

/** Rows by the data file that they are of. */
async function readPositions(
  storage: DeleteStore,
  file: DataFile,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const { filePath, fileFormat, fileSizeBytes } = file;
  if (fileFormat.toUpperCase() !== "PARQUET") {
    const sentence = `The table has position deletes as ${fileFormat}, which we cannot read: compact it with another engine`;
    throw fail("table_unsupported", sentence, { file: filePath });
  }
  const rows = new Map<string, number[]>();
  const bytes = parquetBytes(storage, filePath, Number(fileSizeBytes));
  for await (const { columns } of readStored(bytes, [FILE_PATH, POS])) {
    const [paths, positions] = columns;
    if (paths == null || positions == null) {
      const sentence = `${filePath} is no file of position deletes: it lacks file_path or pos`;
      throw fail("storage_corrupt", sentence, { file: filePath });
    }
    addPositions(rows, paths.values, positions.values);
  }
  return rows;
}

/** Rows are sorted by path, and a dictionary gives equal paths as one object: few texts are made. */
function addPositions(
  rows: Map<string, number[]>,
  paths: ArrayLike<unknown>,
  positions: ArrayLike<unknown>,
): void {
  let last: unknown = null;
  let list: number[] = [];
  for (let n = 0; n < paths.length; n++) {
    const path = paths[n];
    if (path !== last) {
      last = path;
      const text = path instanceof Uint8Array ? utf8Text(path) : "";
      list = rows.get(text) ?? [];
      rows.set(text, list);
    }
    list.push(Number(positions[n]));
  }
}
