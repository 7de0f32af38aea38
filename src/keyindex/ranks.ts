/** Some rows of a file, each with its number among them: two bits a row of the file at most. */
import { bitCount } from "#iceberg/deletes/deletionVector.ts";
import type { RowSet } from "#iceberg/deletes/rowSet.ts";

/** Words of 32 rows between two whose number of rows before them is kept. */
const BLOCK_WORDS = 8;

/** Numbers rows of a set, which must stay as it is. */
export class Ranks {
  readonly rows: RowSet;
  /** Rows before each block of words. */
  readonly #before: Uint32Array;

  constructor(rows: RowSet) {
    this.rows = rows;
    const { words } = rows;
    this.#before = new Uint32Array(Math.ceil(words.length / BLOCK_WORDS));
    let count = 0;
    for (let word = 0; word < words.length; word++) {
      if (word % BLOCK_WORDS === 0) this.#before[word / BLOCK_WORDS] = count;
      count += bitCount(words[word] as number);
    }
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.rows.words.byteLength + this.#before.byteLength;
  }

  /** The rows before a row; -1: it is not one of them. */
  of(row: number): number {
    if (!this.rows.has(row)) return -1;
    const { words } = this.rows;
    const last = row >>> 5;
    const block = Math.floor(last / BLOCK_WORDS);
    let rank = this.#before[block] as number;
    for (let word = block * BLOCK_WORDS; word < last; word++) {
      rank += bitCount(words[word] as number);
    }
    return rank + bitCount((words[last] as number) & ((1 << (row & 31)) - 1));
  }
}
