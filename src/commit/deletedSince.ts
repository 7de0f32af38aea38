/**
 * What others have deleted of a data file since it was read, as rows of the file that takes its place (CHANGE_RULES
 * 10h(2), (3)).
 *
 * Delete files are compared by name, since a name never has other content. Where those by position are other ones, their
 * rows are: what was hidden must be hidden still, or a row that has come back would be lost; what else is hidden by now was
 * deleted meanwhile. Deletes by equality must all be there still. New ones apply to the new file as well, if only
 * they are newer than what was read.
 */
import type { Clock } from "#base/clock.ts";
import { type ErrorKind, kindOf } from "#base/errors.ts";
import type { DeleteIndex } from "#iceberg/deletes/deleteIndex.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import { appliedDeletes } from "#iceberg/io/headFiles.ts";
import { fileKey } from "#iceberg/io/removeFiles.ts";
import type { LiveFile } from "#iceberg/io/scan.ts";
import type { ListedFile } from "#iceberg/manifest/manifestFile.ts";
import { PositionDeletes } from "#keyindex/positionDeletes.ts";
import { hiddenRows } from "#keyindex/readKeys.ts";
import type { Storage } from "#storage/storage.ts";
import { isWithin, type MovedRows, rowsMoved } from "./movedRows.ts";

/** A data file that was read. */
export interface RewriteInput {
  readonly path: string;
  /** The deletes that applied to it. */
  readonly deletes: readonly LiveFile[];
  /** Where its rows are in the output; null: it is not known. */
  readonly moved: MovedRows | null;
}

const NO_ROWS = new Uint32Array(0);

/** Data files whose deletes are read before the event loop gets a turn: some milliseconds. */
const TURN_FILES = 16;

/** The deletes of one head, held against those of a snapshot before it. */
export class DeletedSince {
  readonly #index: DeleteIndex;
  readonly #sequenceNumber: bigint;
  readonly #clock: Pick<Clock, "turn">;
  readonly #positionDeletes: PositionDeletes;
  #read = 0;

  /** @param sequenceNumber of the snapshot in which the files were read */
  constructor(
    storage: Pick<Storage, "getRange">,
    index: DeleteIndex,
    sequenceNumber: bigint,
    clock: Pick<Clock, "turn">,
  ) {
    this.#index = index;
    this.#sequenceNumber = sequenceNumber;
    this.#clock = clock;
    this.#positionDeletes = new PositionDeletes(storage);
  }

  /**
   * Rows of the output that stand for deleted ones of an input, ascending.
   * @param place the input in the head
   * @returns null when the output cannot take the input's place
   */
  async rowsOf(input: RewriteInput, place: ListedFile): Promise<Uint32Array | null> {
    const now = this.#index.of(place);
    const [equalityThen, equalityNow] = [keysOf(input.deletes, true), keysOf(now, true)];
    if (!equalityThen.isSubsetOf(equalityNow)) return null;
    const isNew = (each: LiveFile): boolean =>
      isByEquality(each) && !equalityThen.has(fileKey(each.file));
    if (now.some((each) => isNew(each) && each.sequenceNumber <= this.#sequenceNumber)) return null;
    const positionsThen = keysOf(input.deletes, false);
    if (positionsThen.symmetricDifference(keysOf(now, false)).size === 0) return NO_ROWS;
    const { moved } = input;
    if (moved === null) return null;
    if (++this.#read % TURN_FILES === 0) await this.#clock.turn();
    const hiddenNow = await this.#hidden(place, now).catch(
      orNull("table_unsupported", "storage_missing"),
    );
    // Where there were no others, those by position hid all that is not in the output.
    const then =
      equalityThen.size === 0
        ? moved.hidden
        : await this.#hidden(place, input.deletes).catch(orNull("storage_missing"));
    if (then === null || hiddenNow === null) return null;
    return isWithin(then, hiddenNow) ? rowsMoved(moved, hiddenNow) : null;
  }

  #hidden({ path, recordCount }: ListedFile, deletes: readonly LiveFile[]): Promise<RowSet> {
    const data = { path, rows: Number(recordCount) };
    return hiddenRows({ positionDeletes: this.#positionDeletes }, data, appliedDeletes(deletes));
  }
}

/** What cannot be told is told by null: files that we cannot read, or that are gone by now. */
function orNull(...expected: readonly ErrorKind[]): (error: unknown) => null {
  return (error) => {
    if (expected.includes(kindOf(error))) return null;
    throw error;
  };
}

/** Keys of deletes by equality, or of those by position. */
function keysOf(deletes: readonly LiveFile[], byEquality: boolean): Set<string> {
  const wanted = deletes.filter((each) => isByEquality(each) === byEquality);
  return new Set(wanted.map(({ file }) => fileKey(file)));
}

/** True for a file of deletes by equality. */
export function isByEquality({ file }: LiveFile): boolean {
  return file.content === "equality-deletes";
}
