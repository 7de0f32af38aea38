/**
 * Where the rows of several files are in the file that was made of them, by the place that each row took along
 * (CHANGE_RULES 10h, position map). As a rule each input's rows follow each other in their order, those that
 * were deleted left out: then the number of its first row and a bit for each of its rows say it all. Of rows that are
 * sorted the number of each is kept.
 */
import { open } from "node:fs/promises";
import { assert } from "#base/assert.ts";
import { LIMITS } from "#base/limits.ts";
import { othersOf, RowSet } from "#iceberg/deletes/rowSet.ts";
import { LEFT_PER_VALUE, type ParquetBytes, readStored } from "#parquet/readColumns.ts";
import { POSITION_FIELD } from "#sql/selectRows.ts";
import type { MovedRows } from "./protocol.ts";

/** Of each file, the number of its first row among those of all. @param rows of each file */
export function firstPositionsOf(rows: readonly number[]): number[] {
  let next = 0;
  return rows.map((count) => {
    const first = next;
    next += count;
    return first;
  });
}

/** Takes the places of a file's rows, and says where those of each input went. */
interface Places {
  /** @returns false when they are not what it can tell */
  take(positions: ArrayLike<unknown>): boolean;
  readonly moved: MovedRows[];
}

/**
 * Reads the places of a file's rows.
 * @param rows of each input, deleted ones included
 * @returns for each input; null when rows do not follow each other and are more than `LIMITS.sortedMapRowsMax`
 * @throws AppError `storage_corrupt`
 */
export async function movedRows(
  path: string,
  bytes: number,
  rows: readonly number[],
): Promise<MovedRows[] | null> {
  const moved = await readPlaces(path, bytes, new FollowingPlaces(rows));
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (moved !== null || total > LIMITS.sortedMapRowsMax) return moved;
  return await readPlaces(path, bytes, new SortedPlaces(rows));
}

async function readPlaces(
  path: string,
  bytes: number,
  places: Places,
): Promise<MovedRows[] | null> {
  const file = await open(path, "r");
  try {
    const source: ParquetBytes = {
      byteLength: bytes,
      slice: async (start, end = bytes) => {
        const { buffer } = await file.read(new Uint8Array(end - start), 0, end - start, start);
        return buffer.buffer;
      },
    };
    const wanted = [{ id: POSITION_FIELD.id, names: [] }];
    let left = 0;
    for await (const { rows: count, columns } of readStored(source, wanted)) {
      const positions = columns[0]?.values ?? [];
      assert(positions.length === count, "each row has taken its place along");
      if (!places.take(positions)) return null;
      // What was read lies outside the heap for the most part, so that nothing else would collect it soon.
      left += LEFT_PER_VALUE * count;
      if (left < LIMITS.workerGarbageBytesMax) continue;
      left = 0;
      Bun.gc(true);
    }
    return places.moved;
  } finally {
    await file.close();
  }
}

/** Rows of a file that come one after the other. */
class FollowingPlaces implements Places {
  readonly #firsts: readonly number[];
  readonly #files: readonly { first: number; readonly live: RowSet }[];
  /** The file whose rows are coming, and the numbers of its rows among all: `[from, to)`. */
  #file = -1;
  #from = 0;
  #to = 0;
  #last = -1;
  #row = 0;

  constructor(rows: readonly number[]) {
    this.#firsts = firstPositionsOf(rows);
    this.#files = rows.map((count) => ({ first: -1, live: new RowSet(count) }));
  }

  /** @returns false when the rows of a file do not follow each other in order */
  take(positions: ArrayLike<unknown>): boolean {
    for (let at = 0; at < positions.length; at++) {
      const position = Number(positions[at]);
      if (position < this.#from || position >= this.#to) {
        if (!this.#begin(position)) return false;
      } else if (position <= this.#last) return false;
      this.#files[this.#file]?.live.add(position - this.#from);
      this.#last = position;
      this.#row++;
    }
    return true;
  }

  get moved(): MovedRows[] {
    return this.#files.map(({ first, live }) => ({
      places: Math.max(0, first),
      hidden: othersOf(live).words,
    }));
  }

  /** The rows of another file begin: false when they have begun before. */
  #begin(position: number): boolean {
    const file = this.#firsts.findLastIndex((first) => first <= position);
    const begun = this.#files[file];
    if (begun === undefined || begun.first >= 0) return false;
    begun.first = this.#row;
    this.#file = file;
    this.#from = this.#firsts[file] ?? 0;
    this.#to = this.#from + begun.live.fileRows;
    return position < this.#to;
  }
}

/** Stands for a row that is not in the output: no file has so many. */
const NOWHERE = 0xffff_ffff;

/** Rows in any order. */
class SortedPlaces implements Places {
  readonly #rows: readonly number[];
  /** By the number of a row among those of all inputs, its number in the output. */
  readonly #places: Uint32Array;
  #row = 0;

  constructor(rows: readonly number[]) {
    this.#rows = rows;
    const total = rows.reduce((sum, count) => sum + count, 0);
    this.#places = new Uint32Array(total).fill(NOWHERE);
  }

  /** @returns false for a row that no input has, or that came before */
  take(positions: ArrayLike<unknown>): boolean {
    for (let at = 0; at < positions.length; at++) {
      const position = Number(positions[at]);
      if (this.#places[position] !== NOWHERE) return false;
      this.#places[position] = this.#row++;
    }
    return true;
  }

  get moved(): MovedRows[] {
    const firsts = firstPositionsOf(this.#rows);
    return this.#rows.map((count, at) => {
      const first = firsts[at] ?? 0;
      const all = this.#places.subarray(first, first + count);
      const hidden = new RowSet(count);
      for (let row = 0; row < count; row++) if (all[row] === NOWHERE) hidden.add(row);
      return { places: all.filter((place) => place !== NOWHERE), hidden: hidden.words };
    });
  }
}
