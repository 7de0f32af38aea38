/**
 * Some rows of one data file, by their numbers: a bit a row of the file (125 KB for a million rows), so
 * that joining what several deletes hide is an OR.
 */
import { assert } from "#base/assert.ts";
import { bitCount } from "./deletionVector.ts";

/** Rows of a file of at most 2^32 rows. */
export class RowSet {
  /** Row `32 * n + bit` is bit `bit` of word `n`. */
  readonly words: Uint32Array;
  /** Rows of the file. */
  readonly fileRows: number;

  /** @param rows of the file */
  constructor(rows: number) {
    assert(rows <= 2 ** 32, "a data file has at most 2^32 rows");
    this.fileRows = rows;
    this.words = new Uint32Array(Math.ceil(rows / 32));
  }

  /** Rows in the set. */
  get size(): number {
    return this.words.reduce((size, word) => size + bitCount(word), 0);
  }

  /** Throws `internal` for a row that the file does not have. */
  add(row: number): void {
    assert(row >= 0 && row < this.fileRows, "a deleted row is a row of its file");
    this.addWord(row >>> 5, 1 << (row & 31));
  }

  /** Adds the rows `32 * word + bit` of `bits` (`readDeletionVector`). */
  addWord(word: number, bits: number): void {
    this.words[word] = (this.words[word] ?? 0) | bits;
  }

  has(row: number): boolean {
    return (((this.words[row >>> 5] ?? 0) >>> (row & 31)) & 1) === 1;
  }

  /** The rows, ascending. */
  *[Symbol.iterator](): Generator<number> {
    const { words } = this;
    for (let index = 0; index < words.length; index++) {
      for (let bits = words[index] as number; bits !== 0; bits &= bits - 1) {
        yield 32 * index + 31 - Math.clz32(bits & -bits);
      }
    }
  }
}

/** The rows of the file that are not in a set. */
export function othersOf({ words, fileRows }: RowSet): RowSet {
  const others = new RowSet(fileRows);
  for (let word = 0; word < words.length; word++) others.words[word] = ~(words[word] as number);
  const past = fileRows & 31;
  const last = words.length - 1;
  if (past > 0) others.words[last] = (others.words[last] as number) & ((1 << past) - 1);
  return others;
}

/** Told of the numbers of the bits that are set, ascending: a generator would make an object for each. */
export function eachRowIn(words: Uint32Array, visit: (row: number) => void): void {
  for (let index = 0; index < words.length; index++) {
    for (let bits = words[index] as number; bits !== 0; bits &= bits - 1) {
      visit(32 * index + 31 - Math.clz32(bits & -bits));
    }
  }
}
