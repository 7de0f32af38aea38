/**
 * The keys of the units of a commit, taken together.
 */
import { fail } from "#base/errors.ts";
import { fullName } from "#catalog/names.ts";
import { LastRows } from "#keyindex/lastRows.ts";
import type { KeySet } from "#keyindex/port.ts";
import type { Attempt } from "./change.ts";

/** Keys between two turns of the event loop: about 2 ms. */
const KEYS_PER_TURN = 16_384;

/** All keys of several sets; one that is in two of them is there twice. */
export function joinedKeys(sets: readonly KeySet[]): KeySet {
  const [first] = sets;
  if (first !== undefined && sets.length === 1) return first;
  const count = sets.reduce((sum, set) => sum + set.count, 0);
  const words = new BigUint64Array(2 * count);
  const isOrdered = sets.some(({ orders }) => orders !== null && orders !== undefined);
  const orders = isOrdered ? new BigInt64Array(count) : null;
  let at = 0;
  for (const set of sets) {
    words.set(set.words.subarray(0, 2 * set.count), 2 * at);
    if (set.orders !== null && set.orders !== undefined) {
      orders?.set(set.orders.subarray(0, set.count), at);
    }
    at += set.count;
  }
  return { count, words, orders };
}

/**
 * Two partitions have no order: which of a key's changes came last is not known, and both rows would stand.
 * @throws AppError `data` when a key is there twice
 */
export async function requireDistinct(keys: KeySet, { parts, head }: Attempt): Promise<void> {
  const last = new LastRows(keys.words, keys.count);
  for (let from = 0; from < keys.count; from += KEYS_PER_TURN) {
    if (from > 0) await parts.clock.turn();
    last.add(from, Math.min(keys.count, from + KEYS_PER_TURN));
  }
  if (last.count === keys.count) return;
  throw fail(
    "data",
    `Changes of one key of table ${fullName(head.name)} came by two partitions of its topic, so that ` +
      "their order is not known; nothing of them was committed. Have the producer key the topic's " +
      "records by what source.key_field names, in a new topic and table",
    { table: fullName(head.name) },
  );
}
