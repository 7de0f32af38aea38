/**
 * Where rows of files are in a file that was made of them: a fact about files, none of which ever changes,
 * whatever becomes of their snapshots. By it rows of a key table move without being read (CHANGE_RULES 10i).
 */
import { assert } from "#base/assert.ts";
import { othersOf, RowSet } from "#iceberg/deletes/rowSet.ts";
import { Ranks } from "./ranks.ts";

/** Where the rows of a file are in another. */
export interface MovedFile {
  /** What became of its first row that was left, where the others follow it; else of each of them, in their order. */
  readonly places: number | Uint32Array;
  /** Its rows that are not there. */
  readonly hidden: RowSet;
}

/** Rows that move into one file. */
export interface Move {
  /** Its number. */
  readonly into: number;
  /** Rows of it that do not live. */
  readonly hidden: RowSet;
  /** By number, the files that it was made of. */
  readonly from: ReadonlyMap<number, MovedFile>;
}

/** Where a row is now, and -1 for a row that is gone. */
type Place = (row: number) => number;

/** Where the rows of a file are in another, -1 for those that are not there. */
export function placesOf({ places, hidden }: MovedFile): Place {
  const ranks = new Ranks(othersOf(hidden));
  if (typeof places === "number") {
    return (row) => {
      const rank = ranks.of(row);
      return rank < 0 ? -1 : places + rank;
    };
  }
  return (row) => {
    const rank = ranks.of(row);
    if (rank < 0) return -1;
    const place = places[rank];
    assert(place !== undefined, "each row that was left has its place");
    return place;
  };
}

/** Where the rows of a file that move into another live, -1 for those that do not. */
export function livePlacesOf(file: MovedFile, { hidden }: Move): Place {
  const placeOf = placesOf(file);
  return (row) => {
    const place = placeOf(row);
    return place < 0 || hidden.has(place) ? -1 : place;
  };
}

/**
 * Moves as they are written down, one behind the other: u32 numbers. Sets are their rows and words; places begin with
 * `FOLLOW` or how many they are.
 */
export function encodeMoves(moves: readonly Move[]): Uint8Array {
  const parts: Uint32Array[] = [];
  for (const { into, hidden, from } of moves) {
    parts.push(Uint32Array.of(into), setWords(hidden), Uint32Array.of(from.size));
    for (const [number, { places, hidden: gone }] of from) {
      parts.push(Uint32Array.of(number), setWords(gone));
      if (typeof places === "number") parts.push(Uint32Array.of(FOLLOW, places));
      else parts.push(Uint32Array.of(places.length), places);
    }
  }
  const words = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    words.set(part, at);
    at += part.length;
  }
  return new Uint8Array(words.buffer);
}

/** In place of a number of places: there is one, and the others follow it. */
const FOLLOW = 0xffff_ffff;

function setWords({ fileRows, words }: RowSet): Uint32Array {
  assert(fileRows < 2 ** 32, "a file of so many rows is never put together");
  const all = new Uint32Array(1 + words.length);
  all[0] = fileRows;
  all.set(words, 1);
  return all;
}

/** Reads what {@link encodeMoves} wrote; its frame was checked. */
export function decodeMoves(payload: Uint8Array): Move[] {
  const words = new Uint32Array(payload.slice().buffer);
  let at = 0;
  const next = (): number => words[at++] as number;
  const take = (count: number): Uint32Array => {
    at += count;
    return words.subarray(at - count, at);
  };
  const set = (): RowSet => {
    const rows = new RowSet(next());
    rows.words.set(take(rows.words.length));
    return rows;
  };
  const moves: Move[] = [];
  while (at < words.length) {
    const [into, hidden, count] = [next(), set(), next()];
    const from = new Map<number, MovedFile>();
    for (let n = 0; n < count; n++) {
      const [number, gone, length] = [next(), set(), next()];
      from.set(number, { places: length === FOLLOW ? next() : take(length), hidden: gone });
    }
    moves.push({ into, hidden, from });
  }
  return moves;
}
