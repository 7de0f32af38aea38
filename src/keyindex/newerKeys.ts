/**
 * Which of some changes are overtaken by rows that stand: those whose key has a row of a larger order
 * (SPEC section 6; CHANGE_RULES 10k).
 *
 * Changes mostly come in their order, so that the bounds in manifests decide: a change that is not below
 * the largest order of any file is overtaken by none. Only where others have rows is a file read.
 */
import type { LiveData } from "#iceberg/io/headFiles.ts";
import { LastRows, pickedKeys } from "./lastRows.ts";
import { orderBound } from "./orders.ts";
import type { KeySet, LocatedRows } from "./port.ts";
import type { KeyedRows } from "./readKeys.ts";

/** Where rows that stand are found. */
export interface Standing {
  readonly locate: (keys: KeySet) => Promise<readonly LocatedRows[]>;
  /** The live rows of a file with their orders. */
  readonly read: (file: LiveData) => AsyncIterable<KeyedRows>;
}

/** The numbers of the keys that have a newer row, ascending. @param files all live ones */
export async function newerKeys(
  keys: KeySet,
  files: readonly LiveData[],
  { locate, read }: Standing,
): Promise<Uint32Array> {
  const suspects = below(keys, largest(files));
  if (suspects.length === 0) return suspects;
  const some = pickedKeys(keys, suspects, suspects.length);
  const newest = new Set<number>();
  for (const { file } of await locate(some)) {
    const bound = orderBound(file.upperBound);
    if (bound !== null && below(some, bound).length === 0) continue;
    for await (const rows of read(file)) addNewer(newest, some, rows.keys);
  }
  return suspects.filter((_, n) => newest.has(n));
}

/** The largest order of any file; null: a file does not say. */
function largest(files: readonly LiveData[]): bigint | null {
  let most: bigint | null = -(2n ** 63n);
  for (const { upperBound } of files) {
    const bound = orderBound(upperBound);
    if (bound === null) return null;
    if (bound > most) most = bound;
  }
  return most;
}

/** Numbers of the keys whose order is smaller; null: of all. */
function below({ count, orders }: KeySet, bound: bigint | null): Uint32Array {
  const numbers = new Uint32Array(count);
  let found = 0;
  for (let n = 0; n < count; n++) {
    const order = orders?.[n];
    if (bound === null || order === undefined || order < bound) numbers[found++] = n;
  }
  return numbers.subarray(0, found);
}

/** Notes the keys of which one of these rows is newer. */
function addNewer(newest: Set<number>, keys: KeySet, rows: KeySet): void {
  const words = new BigUint64Array(2 * (keys.count + rows.count));
  words.set(keys.words.subarray(0, 2 * keys.count));
  words.set(rows.words.subarray(0, 2 * rows.count), 2 * keys.count);
  const known = new LastRows(words, keys.count + rows.count);
  known.add(0, keys.count);
  for (let row = 0; row < rows.count; row++) {
    const n = known.lastOf(keys.count + row);
    if (n < 0) continue;
    const standing = rows.orders?.[row];
    const order = keys.orders?.[n];
    if (standing !== undefined && order !== undefined && standing > order) newest.add(n);
  }
}
