/**
 * Files that were made of others by this process, as its compaction tells before it commits them: where they turn
 * up in a head, and those others are gone, their rows move in the index, and nothing of them is read (CHANGE_RULES
 * 10i). What is told is true of the files, not of a snapshot: it may be used whenever, or never.
 */
import { othersOf, RowSet } from "#iceberg/deletes/rowSet.ts";
import type { LiveData } from "#iceberg/io/headFiles.ts";
import type { Difference } from "./headDifference.ts";
import { NO_ROW_ID, RowIdColumn, type RowIdColumns } from "./keptRowIds.ts";
import { type MovedFile, placesOf } from "./moves.ts";
import type { RewrittenFile } from "./port.ts";

/** Of how many commits what was told is kept: the last one may not have been seen yet, and the one before neither. */
const TOLD_MAX = 2;

/** A file before, and where its rows went. */
export interface MovedInput extends MovedFile {
  readonly path: string;
  readonly firstRowId: bigint | null;
}

/** A new file of a head whose rows are known. */
export interface MovedOutput {
  readonly file: LiveData;
  readonly inputs: readonly MovedInput[];
}

/** What is known of one table's files. */
export class RewrittenFiles {
  #told: (readonly RewrittenFile[])[] = [];

  /** Takes in files of a commit that may land. */
  tell(files: readonly RewrittenFile[]): void {
    this.#told = [...this.#told, files].slice(-TOLD_MAX);
  }

  /**
   * New files of a head that were made of files which are gone.
   * @param isWhole whether it is known which rows of a file are in the index
   * @param isThere whether any may be
   */
  among(
    { gone, fresh }: Difference,
    isWhole: (path: string) => boolean,
    isThere: (path: string) => boolean,
  ): MovedOutput[] {
    if (this.#told.length === 0) return [];
    const told = new Map(this.#told.flat().map((each) => [each.path, each]));
    const left = new Set(gone);
    return fresh.flatMap((file): MovedOutput[] => {
      const { inputs = [], rows } = told.get(file.path) ?? {};
      const isMovable = inputs.every(({ path }) => left.has(path) && isWhole(path));
      if (inputs.length === 0 || !isMovable || rows !== file.rows || isThere(file.path)) {
        return [];
      }
      return [{ file, inputs: inputs.map(movedInput) }];
    });
  }

  /** Forgets what is not needed any more. */
  forget({ file }: MovedOutput): void {
    this.#told = this.#told
      .map((files) => files.filter(({ path }) => path !== file.path))
      .filter((files) => files.length > 0);
  }
}

/** Sets come from another thread as their words. */
function movedInput({ hidden, rows, ...input }: RewrittenFile["inputs"][number]): MovedInput {
  const set = new RowSet(rows);
  set.words.set(hidden);
  return { ...input, hidden: set };
}

/**
 * The row ids of the rows of a new file that live, by those of the files before; nothing is said of rows whose id is
 * not known.
 * @param hidden rows of the new file that do not live
 */
export function movedIds(
  columns: RowIdColumns,
  { file, inputs }: MovedOutput,
  hidden: RowSet,
): RowIdColumn {
  const ids = new RowIdColumn(file.rows, othersOf(hidden));
  for (const input of inputs) {
    const idOf = idsBefore(columns, input);
    if (idOf === null) continue;
    const placeOf = placesOf(input);
    const { fileRows } = input.hidden;
    for (let row = 0; row < fileRows; row++) {
      const place = placeOf(row);
      const id = place < 0 || hidden.has(place) ? undefined : idOf(row);
      if (id !== undefined) ids.set(place, id);
    }
  }
  return ids;
}

/** The ids of the rows of a file, undefined for those that are not known; null: none is. */
function idsBefore(
  columns: RowIdColumns,
  { path, firstRowId }: MovedInput,
): ((row: number) => number | undefined) | null {
  const column = columns.of(path);
  // What had no id when it was read has none in the new file, whatever it was given since.
  if (column === undefined || firstRowId === null) return null;
  const first = Number(firstRowId);
  return (row) => {
    const id = column === null ? NO_ROW_ID : column.of(row);
    return id === NO_ROW_ID ? first + row : id;
  };
}
