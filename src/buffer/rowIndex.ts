/**
 * A hash index of one segment's rows by the bytes of some columns: the latest row of each key. Rows are taken
 * in as they are finished, in the order of their offsets; 8 bytes a row at most times.
 */

import { valueBytes } from "#columns/builder.ts";
import type { LiveColumn } from "#columns/live.ts";
import { isPrimitive, type Type } from "#columns/schema.ts";

const SLOTS_MIN = 64;

/** The index of one segment. */
export class RowIndex {
  /** Row + 1; 0: free. A key stands at or behind the slot of its hash. */
  #slots = new Int32Array(SLOTS_MIN);
  #rows = 0;

  /** Rows that were taken in. */
  get rows(): number {
    return this.#rows;
  }

  /** Takes rows in, up to `end`. @param columns the key's, in their order, where they lie now */
  add(columns: readonly LiveColumn[], end: number): void {
    if (2 * end > this.#slots.length) this.#grow(columns, end);
    for (let row = this.#rows; row < end; row++) this.#put(columns, row);
    this.#rows = Math.max(this.#rows, end);
  }

  /** The latest row of a key among those that were taken in; -1: none. */
  find(columns: readonly LiveColumn[], key: readonly Uint8Array[]): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashOfKey(key) & mask; ; slot = (slot + 1) & mask) {
      const row = (this.#slots[slot] as number) - 1;
      if (row < 0 || holds(columns, row, key)) return row;
    }
  }

  #put(columns: readonly LiveColumn[], row: number): void {
    if (columns.some((column) => isNull(column, row))) return;
    const mask = this.#slots.length - 1;
    for (let slot = hashOfRow(columns, row) & mask; ; slot = (slot + 1) & mask) {
      const other = (this.#slots[slot] as number) - 1;
      if (other >= 0 && !isSameKey(columns, row, other)) continue;
      this.#slots[slot] = row + 1;
      return;
    }
  }

  #grow(columns: readonly LiveColumn[], rows: number): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * rows + 1)));
    // Each key once, so that their order does not matter.
    old.forEach((taken) => {
      if (taken > 0) this.#put(columns, taken - 1);
    });
  }
}

/** Whether a column's values can be looked up: equal ones have equal bytes, and one text each. */
export function canBeKey({ kind }: Type): boolean {
  return ["int", "long", "string", "uuid", "binary"].includes(kind);
}

function hashOfRow(columns: readonly LiveColumn[], row: number): number {
  let hash = SEED;
  for (const column of columns) {
    const [start, end] = spanOf(column, row);
    hash = hashed(hash, column.data as Uint8Array, start, end);
  }
  return finished(hash);
}

function hashOfKey(key: readonly Uint8Array[]): number {
  let hash = SEED;
  for (const part of key) hash = hashed(hash, part, 0, part.length);
  return finished(hash);
}

/** FNV-1a, with the length of each part. */
const SEED = 0x811c9dc5;
const PRIME = 0x01000193;

function hashed(seed: number, data: Uint8Array, start: number, end: number): number {
  let hash = Math.imul(seed ^ (end - start), PRIME);
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (data[at] as number), PRIME);
  return hash;
}

/** Its low bits choose the slot: all others are brought into them. */
function finished(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

function holds(columns: readonly LiveColumn[], row: number, key: readonly Uint8Array[]): boolean {
  return columns.every((column, at) => {
    const [start, end] = spanOf(column, row);
    const part = key[at] as Uint8Array;
    return isEqual(column.data as Uint8Array, start, part, 0, end - start, part.length);
  });
}

function isSameKey(columns: readonly LiveColumn[], row: number, other: number): boolean {
  return columns.every((column) => {
    const data = column.data as Uint8Array;
    const [start, end] = spanOf(column, row);
    const [from, to] = spanOf(column, other);
    return isEqual(data, start, data, from, end - start, to - from);
  });
}

function isEqual(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  length: number,
  otherLength: number,
): boolean {
  if (length !== otherLength) return false;
  for (let at = 0; at < length; at++) if (a[aStart + at] !== b[bStart + at]) return false;
  return true;
}

function isNull({ validity }: LiveColumn, row: number): boolean {
  return validity !== null && (((validity[row >> 3] as number) >> (row & 7)) & 1) === 0;
}

function spanOf({ offsets, field }: LiveColumn, row: number): readonly [number, number] {
  if (offsets !== null) return [offsets[row] as number, offsets[row + 1] as number];
  const width = isPrimitive(field.type) ? valueBytes(field.type) : 0;
  return [row * width, (row + 1) * width];
}
