/**
 * Changes that have an order: which of them are overtaken, by others of the commit or by rows of the head
 * (SPEC section 6; CHANGE_RULES 10e, 10f, 10k). Judged anew on every attempt, so that files of a commit may
 * be used again after a conflict, whatever stands by then: the rows of overtaken changes are hidden by
 * deletes of the attempt, like rows of other files.
 *
 * Units fall one by one when their feeds are fenced. So each has its own last change of a key in its files,
 * and only the attempt, which knows what is left, judges between them.
 */
import type { Clock } from "#base/clock.ts";
import { liveDataOf } from "#iceberg/io/headFiles.ts";
import { LastRows, pickedKeys } from "#keyindex/lastRows.ts";
import type { KeySet, LocatedRows, PlacedFile, RowIndex } from "#keyindex/port.ts";
import type { Storage } from "#storage/storage.ts";
import type { KeyedUnit } from "./upsert.ts";

/** What an attempt does with changes. */
export interface JudgedChanges {
  /** Keys whose rows in the head go; each once. */
  readonly keys: KeySet;
  /** Rows of the commit that live. */
  readonly placed: readonly PlacedFile[];
  /** Rows of the commit's own files that do not. */
  readonly dead: readonly LocatedRows[];
}

/** Keys between two turns of the event loop: about 2 ms. */
const KEYS_PER_TURN = 16_384;

/**
 * Judges the changes of an attempt's units.
 * @param index was brought to the attempt's head
 */
export async function judgeOrder(
  units: readonly KeyedUnit[],
  all: KeySet,
  index: Pick<RowIndex, "newer">,
  storage: Storage,
  clock: Pick<Clock, "turn">,
): Promise<JudgedChanges> {
  const last = await lastRows(all, clock);
  const winners = numbersBelow(all.count, (n) => last.has(n));
  const newest = pickedKeys(all, winners, winners.length);
  const newer = await index.newer(storage, newest);
  if (winners.length === all.count && newer.length === 0) {
    return { keys: all, placed: units.flatMap((unit) => unit.placed), dead: [] };
  }
  const overtaken = new Set(newer);
  const kept = winners.filter((_, n) => !overtaken.has(n));
  const placed: PlacedFile[] = [];
  const dead: LocatedRows[] = [];
  let [first, at] = [0, 0];
  for (const unit of units) {
    const from = at;
    first += unit.keys.count;
    while (at < kept.length && (kept[at] ?? 0) < first) at++;
    const own = pickedKeys(all, kept.subarray(from, at), at - from);
    await clock.turn();
    for (const { live, others, ...each } of partedFiles(unit.placed, own)) {
      const { file, keys } = each;
      if (live.length > 0) {
        placed.push({ ...each, keys: pickedKeys(keys, live, live.length), rows: live });
      }
      // Its number is the commit's, which hides rows of its own files (10g).
      if (others.length > 0) dead.push({ file: liveDataOf(file, 0n), deletes: NONE, rows: others });
    }
  }
  return { keys: pickedKeys(all, kept, kept.length), placed, dead };
}

const NONE = { vector: null, positions: [], equality: [] };

/** Files with the rows whose change counts, and the others. @param own the keys of those that count */
function* partedFiles(
  files: readonly PlacedFile[],
  own: KeySet,
): Generator<PlacedFile & { readonly live: Uint32Array; readonly others: Uint32Array }> {
  const count = files.reduce((sum, { keys }) => sum + keys.count, own.count);
  const words = new BigUint64Array(2 * count);
  let end = 0;
  for (const keys of [own, ...files.map((file) => file.keys)]) {
    words.set(keys.words.subarray(0, 2 * keys.count), 2 * end);
    end += keys.count;
  }
  const known = new LastRows(words, count);
  known.add(0, own.count);
  let first = own.count;
  for (const file of files) {
    const { count: rows } = file.keys;
    const base = first;
    const isLive = (row: number): boolean => known.hasKeyOf(base + row);
    const live = numbersBelow(rows, isLive);
    yield { ...file, live, others: numbersBelow(rows, (row) => !isLive(row)) };
    first += rows;
  }
}

async function lastRows(
  { words, count, orders = null }: KeySet,
  clock: Pick<Clock, "turn">,
): Promise<LastRows> {
  const last = new LastRows(words, count, orders);
  for (let from = 0; from < count; from += KEYS_PER_TURN) {
    if (from > 0) await clock.turn();
    last.add(from, Math.min(count, from + KEYS_PER_TURN));
  }
  return last;
}

function numbersBelow(count: number, isWanted: (n: number) => boolean): Uint32Array {
  const numbers = new Uint32Array(count);
  let found = 0;
  for (let n = 0; n < count; n++) if (isWanted(n)) numbers[found++] = n;
  return numbers.subarray(0, found);
}
