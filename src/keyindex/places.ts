/** Lists of places and entries of a key table that grow while they are gathered, and places file by file. */
import type { Entries, FoundPlaces, Places } from "./keyTable.ts";

/** Places that are added one by one. */
export class PlaceList {
  files: Uint32Array;
  rows: Uint32Array;
  count = 0;

  constructor(expected: number) {
    this.files = new Uint32Array(expected);
    this.rows = new Uint32Array(expected);
  }

  add(file: number, row: number): void {
    if (this.count === this.files.length) {
      this.files = doubled(this.files);
      this.rows = doubled(this.rows);
    }
    this.files[this.count] = file;
    this.rows[this.count++] = row;
  }

  finish(): Places {
    const { files, rows, count } = this;
    return { files: files.subarray(0, count), rows: rows.subarray(0, count) };
  }
}

/** The same with the numbers of the keys that were asked for. */
export class FoundList {
  readonly #places: PlaceList;
  #keys: Uint32Array;

  constructor(expected: number) {
    this.#places = new PlaceList(expected);
    this.#keys = new Uint32Array(expected);
  }

  add(key: number, file: number, row: number): void {
    const { count } = this.#places;
    if (count === this.#keys.length) this.#keys = doubled(this.#keys);
    this.#keys[count] = key;
    this.#places.add(file, row);
  }

  finish(): FoundPlaces {
    const { count } = this.#places;
    return { keys: this.#keys.subarray(0, count), ...this.#places.finish() };
  }
}

/** The same with their keys. */
export class EntryList {
  readonly #places: PlaceList;
  #keys: Uint32Array;

  constructor(expected: number) {
    this.#places = new PlaceList(expected);
    this.#keys = new Uint32Array(4 * expected);
  }

  /** @param keys as halves of words: 64-bit numbers, or a view for each key, would be an object each */
  add(keys: Uint32Array, key: number, file: number, row: number): void {
    const to = 4 * this.#places.count;
    if (to === this.#keys.length) this.#keys = doubled(this.#keys);
    for (let half = 0; half < 4; half++) this.#keys[to + half] = keys[4 * key + half] as number;
    this.#places.add(file, row);
  }

  finish(): Entries {
    const { count } = this.#places;
    return {
      keys: { count, words: new BigUint64Array(this.#keys.buffer, 0, 2 * count) },
      ...this.#places.finish(),
    };
  }
}

function doubled(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * words.length + 64);
  larger.set(words);
  return larger;
}

/** Numbers of files that there may be for each row: of more, those that have rows are numbered anew first. */
const NUMBERS_A_ROW = 4;

/** Rows of each file, ascending, each once. Takes time and memory by the rows, however high files are numbered. */
export function rowsByFile({ files, rows }: Places): Map<number, Uint32Array> {
  const most = files.reduce((last, file) => Math.max(last, file), 0);
  if (most <= NUMBERS_A_ROW * files.length) return rowsByNumber(files, rows, most);
  const numbers = distinct(files.slice().sort());
  const placeOf = new Map<number, number>();
  numbers.forEach((file) => {
    placeOf.set(file, placeOf.size);
  });
  const dense = files.map((file) => placeOf.get(file) as number);
  const lists = rowsByNumber(dense, rows, numbers.length - 1);
  return new Map([...lists].map(([place, list]) => [numbers[place] as number, list]));
}

function rowsByNumber(
  files: Uint32Array,
  rows: Uint32Array,
  most: number,
): Map<number, Uint32Array> {
  const ends = new Uint32Array(most + 1);
  for (let n = 0; n < files.length; n++) {
    const file = files[n] as number;
    ends[file] = (ends[file] as number) + 1;
  }
  let end = 0;
  for (let file = 0; file < ends.length; file++) {
    // Where the rows of the file begin, until they are put there.
    const count = ends[file] as number;
    ends[file] = end;
    end += count;
  }
  const sorted = new Uint32Array(rows.length);
  for (let n = 0; n < files.length; n++) {
    const file = files[n] as number;
    const at = ends[file] as number;
    sorted[at] = rows[n] as number;
    ends[file] = at + 1;
  }
  const lists = new Map<number, Uint32Array>();
  for (let file = 0, from = 0; file < ends.length; file++) {
    const to = ends[file] as number;
    if (to > from) lists.set(file, distinct(sorted.slice(from, to).sort()));
    from = to;
  }
  return lists;
}

function distinct(sorted: Uint32Array): Uint32Array {
  let count = 0;
  for (let n = 0; n < sorted.length; n++) {
    const row = sorted[n] as number;
    if (n === 0 || row !== sorted[n - 1]) sorted[count++] = row;
  }
  return sorted.subarray(0, count);
}

/** The numbers from 0 on. */
export function firstRows(count: number): Uint32Array {
  const rows = new Uint32Array(count);
  for (let row = 0; row < count; row++) rows[row] = row;
  return rows;
}
