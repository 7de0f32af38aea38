/**
 * Files that were made of others by this process, as its compaction tells before it commits them: where they turn
 * up in a head, and those others are gone, their rows move in the index, and nothing of them is read (CHANGE_RULES
 * 10i). What is told is true of the files, not of a snapshot: it may be used whenever, or never.
 */
import { LIMITS } from "#base/limits.ts";
import { othersOf, RowSet } from "#iceberg/deletes/rowSet.ts";
import type { HeadFiles, LiveData } from "#iceberg/io/headFiles.ts";
import type { Difference, IndexedHead } from "./headDifference.ts";
import { NO_ROW_ID, RowIdColumn, type RowIdColumns } from "./keptRowIds.ts";
import { type Move, type MovedFile, placesOf } from "./moves.ts";
import type { RewrittenFile } from "./port.ts";

/** Of how many commits what was told is kept: the last one may not have been seen yet, and the one before neither. */
const TOLD_MAX = 2;
/** What a file that was told of takes beside its rows, about, and each of those that it was made of. */
const FILE_BYTES = 512;

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

/** How its rows get there. */
export interface OutputMove extends Move {
  readonly output: MovedOutput;
}

/** What was told of the files of all tables, up to a bound: beyond it the oldest are let go of, and read as others are. */
export class ToldFiles {
  readonly #bytesMax: number;
  /** By path, which no file of another table has; the oldest first. */
  readonly #files = new Map<string, RewrittenFile>();
  #bytes = 0;

  /** @param bytesMax of all that is kept */
  constructor(bytesMax: number = LIMITS.rewrittenBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** Memory of all that is kept, about. */
  get bytes(): number {
    return this.#bytes;
  }

  of(path: string): RewrittenFile | undefined {
    return this.#files.get(path);
  }

  /** A file above the bound is not kept, and no other is let go of for it. */
  keep(file: RewrittenFile): void {
    this.forget(file.path);
    if (bytesOf(file) > this.#bytesMax) return;
    this.#files.set(file.path, file);
    this.#bytes += bytesOf(file);
    for (const path of this.#files.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.forget(path);
    }
  }

  forget(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    this.#bytes -= bytesOf(file);
  }
}

function bytesOf({ inputs }: RewrittenFile): number {
  return inputs.reduce((sum, { places, hidden }) => {
    const rows = typeof places === "number" ? 0 : places.byteLength;
    return sum + FILE_BYTES + rows + hidden.byteLength;
  }, FILE_BYTES);
}

/** What is known of one table's files. */
export class RewrittenFiles {
  readonly #files: ToldFiles;
  /** Paths of the new files of each commit. */
  #commits: (readonly string[])[] = [];

  /** @param files of all tables. Default: only of this one */
  constructor(files: ToldFiles = new ToldFiles()) {
    this.#files = files;
  }

  /** Takes in files of a commit that may land. */
  tell(files: readonly RewrittenFile[]): void {
    for (const file of files) this.#files.keep(file);
    this.#commits.push(files.map(({ path }) => path));
    for (const path of this.#commits.splice(0, this.#commits.length - TOLD_MAX).flat()) {
      this.#files.forget(path);
    }
  }

  /**
   * New files of a head that were made of files which are gone, each once. Forgets what no later head has use for: files
   * that this one lists, and those of which it does not list one that they were made of.
   * @param indexed what there was before this head
   */
  take(
    { data }: Pick<HeadFiles, "data">,
    { gone, fresh }: Difference,
    { paths, torn }: Pick<IndexedHead, "paths" | "torn">,
  ): MovedOutput[] {
    const isThere = new Set(paths);
    const left = new Set(gone.filter((path) => !torn.has(path)));
    const outputs = fresh.flatMap((file): MovedOutput[] => {
      const { inputs = [], rows } = this.#files.of(file.path) ?? {};
      const isMovable = inputs.length > 0 && inputs.every(({ path }) => left.has(path));
      if (!isMovable || rows !== file.rows || isThere.has(file.path)) return [];
      // The rows of a file go into one other.
      for (const { path } of inputs) left.delete(path);
      return [{ file, inputs: inputs.map(movedInput) }];
    });
    const isNeedless = (path: string): boolean =>
      data.has(path) ||
      this.#files.of(path)?.inputs.every((input) => data.has(input.path)) !== true;
    this.#forget(isNeedless);
    return outputs;
  }

  /** Forgets everything of the table. */
  clear(): void {
    this.#forget(() => true);
  }

  #forget(isNeedless: (path: string) => boolean): void {
    this.#commits = this.#commits.map((paths) => {
      const needless = new Set(paths.filter(isNeedless));
      for (const path of needless) this.#files.forget(path);
      return paths.filter((path) => !needless.has(path));
    });
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
