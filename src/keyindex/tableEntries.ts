/** Entries of the key table as its kernel hands them out, and what becomes of them where rows go or move. */
import { type AppError, fail } from "#base/errors.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";
import { rangesOf } from "./keyTable.ts";
import { livePlacesOf, type Move } from "./moves.ts";
import type { KeySet } from "./port.ts";

/** In place of a file's number: the row is the number of a chain. */
export const CHAIN = 0xffff_ffff;

/** Numbers of files are below it. */
export const FILES_MAX: number = 1 << 20;

/** More files than there are numbers. */
export function tooManyFiles(): AppError {
  const sentence = `The key index holds rows of at most ${FILES_MAX - 1} data files: compact the table`;
  return fail("state", sentence);
}

/** What is counted by number of a file, as a map: few of all numbers are there. */
export function countsByFile(counts: Uint32Array): Map<number, number> {
  const found = new Map<number, number>();
  counts.forEach((count, file) => {
    if (count > 0) found.set(file, count);
  });
  return found;
}

/** Only keys that were made for the purpose, with our secret known, lie so close. */
export function crowded(): AppError {
  return fail("state", "The key index cannot hold these keys: too many have nearly the same hash");
}

/** In place of a row: it goes. */
export const GONE = -1;
/** In place of a row: it stays where it is. */
export const STAYS = -2;

/** What becomes of rows. */
export interface Replacement {
  /** The place of a row in the file that it moves into, {@link GONE} or {@link STAYS}. */
  readonly placeOf: (file: number, row: number) => number;
  /** The number of the file that rows of a file move into. */
  readonly intoOf: (file: number) => number;
}

/** Which parts of the table are meant (`RANGES`). */
export type IsRange = (range: number) => boolean;

/** Rows go. @param counts is told how many of each file */
export function dropping(
  files: ReadonlyMap<number, RowSet | null>,
  counts: Map<number, number>,
): Replacement {
  const placeOf = (file: number, row: number): number => {
    const rows = files.get(file);
    if (rows === undefined || (rows !== null && !rows.has(row))) return STAYS;
    counts.set(file, (counts.get(file) ?? 0) + 1);
    return GONE;
  };
  return { placeOf, intoOf: () => 0 };
}

/** Rows move. @param counts is told how many, by the number of the move */
export function moving(moves: readonly Move[], counts: Uint32Array): Replacement {
  const moved = new Map<number, { into: number; n: number; place: (row: number) => number }>();
  for (const [n, move] of moves.entries()) {
    const { into, from } = move;
    if (into >= FILES_MAX) throw tooManyFiles();
    for (const [number, file] of from) {
      moved.set(number, { into, n, place: livePlacesOf(file, move) });
    }
  }
  const placeOf = (file: number, row: number): number => {
    const to = moved.get(file);
    if (to === undefined) return STAYS;
    const place = to.place(row);
    if (place >= 0) counts[to.n] = (counts[to.n] as number) + 1;
    return place;
  };
  return { placeOf, intoOf: (file) => moved.get(file)?.into ?? 0 };
}

/** A key of several rows, and the number of its chain. */
export type ChainedKey = readonly [key: KeySet, chain: number];

/** What is left to do. */
export interface ReplacedEntries {
  /** Entries whose value is nothing now. */
  readonly removed: number;
  /** Keys of several rows, which are as they were. */
  readonly chained: readonly ChainedKey[];
}

/**
 * Gives entries their new values.
 * @param keys two words an entry
 * @param values row and file of each
 */
export function replaceEntries(
  keys: BigUint64Array,
  values: Uint32Array,
  isRange: IsRange,
  { placeOf, intoOf }: Replacement,
): ReplacedEntries {
  const count = values.length / 2;
  const ranges = rangesOf({ count, words: keys });
  const chained: ChainedKey[] = [];
  let removed = 0;
  for (let n = 0; n < count; n++) {
    if (!isRange(ranges[n] as number)) continue;
    const row = values[2 * n] as number;
    const file = values[2 * n + 1] as number;
    if (file === CHAIN) {
      chained.push([{ count: 1, words: keys.slice(2 * n, 2 * n + 2) }, row]);
      continue;
    }
    const place = placeOf(file, row);
    if (place === STAYS) continue;
    if (place === GONE) removed++;
    values[2 * n] = place === GONE ? 0 : place;
    values[2 * n + 1] = place === GONE ? 0 : intoOf(file);
  }
  return { removed, chained };
}
