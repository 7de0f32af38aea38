/** The files whose rows are in a key table: their numbers there, and how many rows the table has of each. */
import { assert } from "#base/assert.ts";
import type { KeyStore, RestoredIndex } from "./store.ts";

/** A file whose rows are in the table. */
export interface IndexedFile {
  readonly number: number;
  /** Its rows in the table. */
  rows: number;
}

/** Files by path and by number. */
export class IndexedFiles {
  readonly #store: Pick<KeyStore, "name" | "forget" | "drop">;
  readonly #files = new Map<string, IndexedFile>();
  readonly #paths = new Map<number, string>();
  /** Numbers of files that are gone; the others are 1 and on. */
  readonly #freeNumbers: number[] = [];

  constructor(store: Pick<KeyStore, "name" | "forget" | "drop">) {
    this.#store = store;
  }

  get paths(): string[] {
    return [...this.#files.keys()];
  }

  get(path: string): IndexedFile | undefined {
    return this.#files.get(path);
  }

  /** Empty: no file has the number. */
  pathOf(number: number): string {
    return this.#paths.get(number) ?? "";
  }

  /** The file, with a number of its own. */
  named(path: string): IndexedFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = { number: this.#freeNumbers.pop() ?? this.#files.size + 1, rows: 0 };
    this.#files.set(path, file);
    this.#paths.set(file.number, path);
    this.#store.name(file.number, path);
    return file;
  }

  /** Those of some files that are known, by their numbers. */
  numbered<T extends { readonly path: string }>(files: readonly T[]): Map<number, T> {
    const known = files.map((file) => [this.get(file.path)?.number, file] as const);
    return new Map(known.flatMap(([n, file]) => (n === undefined ? [] : [[n, file] as const])));
  }

  /** Rows of a file have left the table. */
  take(number: number, count: number): void {
    const file = this.#files.get(this.pathOf(number));
    assert(file !== undefined && file.rows >= count, "rows are taken from a file that has them");
    file.rows -= count;
  }

  /** All rows of some files go: also those of which a call that failed half-way has not said how many they are. */
  drop(paths: Iterable<string>): void {
    const numbers = [...paths].flatMap((path) => this.get(path)?.number ?? []);
    if (numbers.length === 0) return;
    this.#store.drop(new Map(numbers.map((number) => [number, null])));
    this.empty(numbers);
  }

  /** All rows of some files have left the table. */
  empty(numbers: Iterable<number>): void {
    for (const number of numbers) {
      const file = this.#files.get(this.pathOf(number));
      if (file !== undefined) file.rows = 0;
    }
  }

  forget(path: string): void {
    const number = this.#files.get(path)?.number;
    assert(number !== undefined, "a file that is forgotten was known");
    this.#paths.delete(number);
    this.#files.delete(path);
    this.#freeNumbers.push(number);
    this.#store.forget(number);
  }

  /** Takes in what a store had. */
  restore({ names, rows }: RestoredIndex): void {
    let last = 0;
    for (const [number, path] of names) {
      this.#files.set(path, { number, rows: rows.get(number) ?? 0 });
      this.#paths.set(number, path);
      last = Math.max(last, number);
    }
    for (let number = 1; number < last; number++) {
      if (!this.#paths.has(number)) this.#freeNumbers.push(number);
    }
  }

  clear(): void {
    this.#files.clear();
    this.#paths.clear();
    this.#freeNumbers.length = 0;
  }
}
