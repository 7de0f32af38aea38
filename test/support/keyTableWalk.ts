/** Random operations on a key table beside one over a map, for tests and `scripts/prove/keyindex.ts`. */
import { type Random, seededRandom } from "#base/random.ts";
import { RowSet } from "#iceberg/deletes/rowSet.ts";
import type { KeyTable, Places } from "#keyindex/keyTable.ts";
import { decodeMoves, encodeMoves, type Move, type MovedFile } from "#keyindex/moves.ts";
import type { KeySet } from "#keyindex/port.ts";
import { createWasmKeyTable, type WasmKeyTable } from "#keyindex/wasmKeyTable.ts";
import { createMapKeyTable } from "../fakes/mapKeyTable.ts";

/** How the hashes of keys lie. */
export type Spread = "even" | "clustered" | "one home";

const ROWS_PER_FILE = 1000;

/** A walk over one table. */
export class KeyTableWalk {
  readonly table: WasmKeyTable;
  readonly #model: KeyTable = createMapKeyTable();
  readonly #random: Random;
  readonly #spread: Spread;
  readonly #keysMax: number;
  /** Rows that a file has had; each is added once. */
  readonly #rows = new Map<number, number>();
  operations = 0;

  constructor(seed: number, spread: Spread) {
    this.#random = seededRandom(seed);
    this.#spread = spread;
    this.#keysMax = 20 + this.#int(3000);
    this.table = createWasmKeyTable({
      slotsFirst: 1 + this.#int(200),
      growth: 1.001 + this.#random.unit(),
    });
  }

  /** One call with some keys. */
  step(): void {
    const what = this.#int(21);
    if (what < 11) this.#add();
    else if (what < 16) this.#remove();
    else if (what < 19) this.#locate();
    else if (what < 20) this.#drop();
    else this.#move();
  }

  /** Compares everything. */
  compare(): void {
    same([this.table.isSound(), this.table.size], [true, this.#model.size]);
    const all = keySetOf(
      Array.from({ length: this.#keysMax }, (_, n) => n),
      this.#spread,
    );
    same(texts(this.table.locate(all)), texts(this.#model.locate(all)));
  }

  #add(): void {
    const file = 1 + this.#int(40);
    const from = this.#rows.get(file) ?? 0;
    const count = Math.min(this.#int(60), ROWS_PER_FILE - from);
    this.#rows.set(file, from + count);
    const keys = this.#keys(count);
    const rows = Uint32Array.from({ length: count }, (_, n) => from + n);
    this.table.add(keys, file, rows);
    this.#model.add(keys, file, rows);
    this.operations += count;
  }

  #remove(): void {
    const keys = this.#keys(this.#int(60));
    same(texts(this.table.remove(keys)), texts(this.#model.remove(keys)));
    this.operations += keys.count;
  }

  #locate(): void {
    const keys = this.#keys(this.#int(60));
    same(texts(this.table.locate(keys)), texts(this.#model.locate(keys)));
    this.operations += keys.count;
  }

  #drop(): void {
    const drops = new Map<number, RowSet | null>();
    for (let n = this.#int(3); n >= 0; n--) drops.set(1 + this.#int(40), this.#someRows());
    const dropped = this.table.drop(drops);
    same(pairs(dropped), pairs(this.#model.drop(drops)));
    for (const [file, rows] of drops) if (rows === null) this.#rows.delete(file);
    this.operations += [...dropped.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Rows of some files go into one or two that have none, in their order or in any, without those that are hidden before or after. */
  #move(): void {
    const targets = Array.from({ length: 1 + this.#int(2) }, (_, n) => 41 + 20 * n + this.#int(20));
    for (const into of targets) {
      this.#rows.delete(into);
      this.table.drop(new Map([[into, null]]));
      this.#model.drop(new Map([[into, null]]));
    }
    const moves = targets.flatMap((into) => this.#moveInto(into, targets));
    const moved = this.table.move(moves);
    same([...moved], [...this.#model.move(decodeMoves(encodeMoves(moves)))]);
  }

  #moveInto(into: number, targets: readonly number[]): Move[] {
    const files = [...this.#rows.keys()].filter(() => this.#int(4) === 0);
    const from = new Map<number, MovedFile>();
    let first = 0;
    for (const file of files.filter((each) => !targets.includes(each))) {
      const hidden = this.#fewRows();
      const count = ROWS_PER_FILE - hidden.size;
      const places = Uint32Array.from({ length: count }, (_, n) => first + count - 1 - n);
      from.set(file, { places: this.#int(2) === 0 ? first : places, hidden });
      first += count;
      this.#rows.delete(file);
    }
    if (first === 0) return [];
    const hidden = new RowSet(first);
    for (let n = this.#int(300); n > 0; n--) hidden.add(this.#int(first));
    return [{ into, hidden, from }];
  }

  #someRows(): RowSet | null {
    return this.#int(2) === 0 ? null : this.#fewRows();
  }

  #fewRows(): RowSet {
    const rows = new RowSet(ROWS_PER_FILE);
    for (let n = this.#int(300); n > 0; n--) rows.add(this.#int(ROWS_PER_FILE));
    return rows;
  }

  #keys(count: number): KeySet {
    const numbers = Array.from({ length: count }, () => this.#int(this.#keysMax));
    return keySetOf(numbers, this.#spread);
  }

  #int(below: number): number {
    return Math.floor(this.#random.unit() * below);
  }
}

function keySetOf(numbers: readonly number[], spread: Spread): KeySet {
  const words = new BigUint64Array(2 * numbers.length);
  for (const [n, number] of numbers.entries()) {
    words[2 * n] = highWord(number, spread);
    words[2 * n + 1] = BigInt(number);
  }
  return { count: numbers.length, words };
}

function highWord(number: number, spread: Spread): bigint {
  switch (spread) {
    case "even":
      return (BigInt(Math.imul(number, 0x9e37_79b1) >>> 0) << 32n) | BigInt(number);
    case "clustered":
      return BigInt((number % 7) * 600_000_000) << 32n;
    case "one home":
      return 0xffff_f000_0000_0000n | (BigInt(number) << 8n);
  }
}

function texts({ files, rows }: Places): string[] {
  return Array.from(files, (file, n) => `${file}:${rows[n]}`).sort();
}

function pairs(counts: ReadonlyMap<number, number>): string[] {
  return [...counts].map(([file, count]) => `${file} ${count}`).sort();
}

/** Throws for two lists that differ: this also runs where no test does. */
function same(found: readonly unknown[], expected: readonly unknown[]): void {
  const differs = found.length !== expected.length || found.some((each, n) => each !== expected[n]);
  if (differs) throw new Error(`found ${found.join(" ")}, expected ${expected.join(" ")}`);
}
