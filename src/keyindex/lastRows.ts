/**
 * The last row of each key among rows that have their keys: a hash table with linear probing over rows,
 * half full at most. The last one is that which came last, or, where rows have orders, the one with the
 * largest, the last of equal ones.
 */
import { keyWords } from "./keyWords.ts";
import type { KeySet } from "./port.ts";

/** Told the rows of a flush one after the other. */
export class LastRows {
  readonly #words: BigUint64Array;
  /** Four a key: 64-bit numbers would be an object each. */
  readonly #halves: Uint32Array;
  /** The last row of a key + 1; 0: free. */
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #orders: BigInt64Array | null;
  /** Different keys so far. */
  count = 0;

  /**
   * @param words of the keys of so many rows, two each
   * @param orders of the rows; default: they are in order
   */
  constructor(words: BigUint64Array, rows: number, orders: BigInt64Array | null = null) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2 * rows, 2)));
    this.#words = words;
    this.#halves = halves(words);
    this.#slots = new Int32Array(slots);
    this.#mask = slots - 1;
    this.#orders = orders;
  }

  /** Takes rows, whose keys are there. */
  add(from: number, to: number): void {
    for (let row = from; row < to; row++) {
      const slot = this.#slotOf(row);
      const other = (this.#slots[slot] as number) - 1;
      if (other < 0) this.count++;
      else if (this.#isEarlier(row, other)) continue;
      this.#slots[slot] = row + 1;
    }
  }

  /** True for a row whose key a row has that was added. */
  hasKeyOf(row: number): boolean {
    return this.#slots[this.#slotOf(row)] !== 0;
  }

  /** The row that was added last of the row's key; -1: none was. */
  lastOf(row: number): number {
    return (this.#slots[this.#slotOf(row)] as number) - 1;
  }

  /** True for the last row of its key. */
  has(row: number): boolean {
    return this.#slots[this.#slotOf(row)] === row + 1;
  }

  /** Every key once. */
  keys(): KeySet {
    const slots = this.#slots;
    const rows = new Uint32Array(slots.length >> 1);
    let count = 0;
    for (let slot = 0; slot < slots.length; slot++) {
      const row = slots[slot] as number;
      if (row > 0) rows[count++] = row - 1;
    }
    return pickedKeys({ words: this.#words, orders: this.#orders }, rows, count);
  }

  #isEarlier(row: number, other: number): boolean {
    const orders = this.#orders;
    return orders !== null && (orders[row] as bigint) < (orders[other] as bigint);
  }

  /** The slot of the row's key, or the free one where it belongs. */
  #slotOf(row: number): number {
    const halves = this.#halves;
    const mask = this.#mask;
    // The upper half of the first word: it is as good as random for every kind of key.
    let slot = (halves[4 * row + 1] as number) & mask;
    for (;;) {
      const other = (this.#slots[slot] as number) - 1;
      if (other < 0 || isSameKey(halves, row, other)) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

/** The keys of the first `count` of these rows, with their orders where there are any. */
export function pickedKeys(
  { words, orders = null }: Pick<KeySet, "words" | "orders">,
  rows: Uint32Array,
  count: number,
): KeySet {
  const keys = keyWords(count);
  const [from, to] = [halves(words), halves(keys)];
  for (let n = 0; n < count; n++) copyKey(from, rows[n] ?? 0, to, n);
  if (orders === null) return { count, words: keys, orders };
  const picked = new BigInt64Array(count);
  for (let n = 0; n < count; n++) picked[n] = orders[rows[n] ?? 0] as bigint;
  return { count, words: keys, orders: picked };
}

function halves({ buffer, byteOffset, length }: BigUint64Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, 2 * length);
}

function isSameKey(halves: Uint32Array, a: number, b: number): boolean {
  return (
    halves[4 * a] === halves[4 * b] &&
    halves[4 * a + 1] === halves[4 * b + 1] &&
    halves[4 * a + 2] === halves[4 * b + 2] &&
    halves[4 * a + 3] === halves[4 * b + 3]
  );
}

function copyKey(from: Uint32Array, key: number, to: Uint32Array, at: number): void {
  for (let half = 0; half < 4; half++) to[4 * at + half] = from[4 * key + half] as number;
}
