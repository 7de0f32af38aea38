/**
 * Rows of keys that have more than one: the key table holds a reference to a chain in place of a row.
 * Few keys have one, and only until they are next changed, but a table that was appended to before it
 * followed changes has many: so chains are linked lists in typed arrays, 12 bytes a row.
 */
import { assert } from "#base/assert.ts";

/** A row: file number and position. */
export interface Place {
  readonly file: number;
  readonly row: number;
}

const NODES_FIRST = 1024;

/** All chains of a table. A chain is known by the number of its first node, which stays. */
export class Chains {
  #files: Uint32Array = new Uint32Array(NODES_FIRST);
  #rows: Uint32Array = new Uint32Array(NODES_FIRST);
  /** The next node of the chain or of the free ones; 0: there is none. */
  #next: Uint32Array = new Uint32Array(NODES_FIRST);
  #free = 0;
  /** Nodes that were ever used; node 0 is none. */
  #used = 1;
  #count = 0;

  /** Rows in all chains. */
  get size(): number {
    return this.#count;
  }

  get bytes(): number {
    return 12 * this.#files.length;
  }

  /** A chain of one row. */
  create(file: number, row: number): number {
    return this.#node(file, row, 0);
  }

  /** Adds a row behind the first one. */
  add(chain: number, file: number, row: number): void {
    // Two steps: a new node may be in larger arrays.
    const node = this.#node(file, row, this.#next[chain] ?? 0);
    this.#next[chain] = node;
  }

  /** The rows of a chain. */
  *rows(chain: number): Generator<Place> {
    for (let node = chain; node !== 0; node = this.#next[node] ?? 0) {
      yield { file: this.#files[node] ?? 0, row: this.#rows[node] ?? 0 };
    }
  }

  /** Lets all nodes of a chain go. */
  remove(chain: number): void {
    let last = chain;
    let count = 1;
    for (; (this.#next[last] ?? 0) !== 0; last = this.#next[last] ?? 0) count++;
    this.#next[last] = this.#free;
    this.#free = chain;
    this.#count -= count;
  }

  #node(file: number, row: number, next: number): number {
    let node = this.#free;
    if (node !== 0) this.#free = this.#next[node] ?? 0;
    else node = this.#used++;
    if (node >= this.#files.length) this.#grow();
    this.#files[node] = file;
    this.#rows[node] = row;
    this.#next[node] = next;
    this.#count++;
    return node;
  }

  #grow(): void {
    const length = 2 * this.#files.length;
    assert(length <= 2 ** 31, "chains are fewer than the rows of a table");
    const larger = (words: Uint32Array): Uint32Array => {
      const copy = new Uint32Array(length);
      copy.set(words);
      return copy;
    };
    [this.#files, this.#rows, this.#next] = [
      larger(this.#files),
      larger(this.#rows),
      larger(this.#next),
    ];
  }
}
